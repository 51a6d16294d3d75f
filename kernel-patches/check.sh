#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Check the kernel series: every patch applies, is clean for checkpatch, and the final state builds without a new warning
# of compiler and sparse; the lab builds the same tree.
# Usage: check.sh [--full] [SERIES...]      (--full builds every step, and the final state on the other bases)
# What has been found good is noted under its inputs in the cache and not done again.
set -u -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=kernel-patches/sparse.sh
. "$here/sparse.sh"

jobs=${JOBS:-$(nproc)}
full=0
passed=0 failed=0 skipped=0

# result pass|fail|skip WHAT [DETAIL]: one line, one count.
result() {
	case $1 in
	pass) passed=$((passed + 1)) ;;
	fail) failed=$((failed + 1)) ;;
	skip) skipped=$((skipped + 1)) ;;
	esac
	printf '%-4s %s%s\n' "$1" "$2" "${3:+: $3}"
}

# indent: show a tool's output under the line it belongs to.
indent() { sed 's/^/     | /' | head -n 40; }

# key_of: a short name for what is read from standard input.
key_of() { sha256sum | cut -c1-16; }

# noted KEY, note KEY: what is known to be good.
noted() { [ -e "$dir/good/$1" ]; }
note() { mkdir -p "$dir/good" && : >"$dir/good/$1"; }

needs() {
	apt_need build-essential flex bison bc libelf-dev libssl-dev dwarves patch perl python3 python3-git \
		python3-ply rsync
}

# kbuild TARGET...: quiet build in the series' object directory; output is what the tools complain of. Debug
# information is left out, as nobody reads it here.
kbuild() {
	nice -n 10 make -s -C "$dir/src" O="$dir/build" KCFLAGS=-g0 -j"$jobs" "$@" </dev/null 2>&1
}

# configure: the smallest configuration in which all of KVM is built, as modules.
configure() {
	local option
	mkdir -p "$dir/build"
	if [ ! -e "$dir/build/.config" ] || ! cmp -s "$here/check.config" "$dir/build/check.config"; then
		kbuild tinyconfig || return 1
		(cd "$dir/src" && scripts/kconfig/merge_config.sh -m -O "$dir/build" \
			"$dir/build/.config" "$here/check.config") >/dev/null || return 1
		kbuild olddefconfig || return 1
		cp "$here/check.config" "$dir/build/"
	fi
	for option in KVM=m KVM_INTEL=m KVM_AMD=m KVM_WERROR=y X86_USER_SHADOW_STACK=y X86_KERNEL_IBT=y; do
		grep -qx "CONFIG_$option" "$dir/build/.config" || {
			echo "configuration lost CONFIG_$option"
			return 1
		}
	done
}

# targets FILE...: what has to be built when these files change; the whole of KVM goes together,
# as its headers are shared by all of it.
targets() {
	local file
	for file; do
		case $file in
		arch/x86/kvm/* | virt/kvm/* | include/*/kvm* | arch/x86/include/*) echo arch/x86/kvm/ ;;
		esac
		case $file in
		arch/x86/kernel/fpu/* | arch/x86/include/asm/fpu/*) echo arch/x86/kernel/fpu/ ;;
		arch/x86/kvm/* | virt/kvm/* | tools/* | Documentation/*) ;;
		*.c) echo "${file%.c}.o" ;;
		esac
	done | sort -u
}

# findings: the complaints in a log, without line numbers, so that logs can be compared.
findings() {
	grep -E '(warning|error):|\*\*\*' | sed -E 's/:[0-9]+(:[0-9]+)?:/:/g; s,^[^ ]*/src/,,; s,^\.\./src/,,' | sort
}

# tree_to STAGE: bring the sources to what STAGE has.
tree_to() {
	kp_sync "$1" "$dir/src" "${all_files[@]}"
}

# compile NAME KEY FILE...: build what the files concern from the state in the stage. A warning is an error (W=e), as make
# would not tell of it again for an object that it has.
compile() {
	local name=$1 key=$2 wanted status=0 found
	shift 2
	mapfile -t wanted < <(targets "$@")
	[ ${#wanted[@]} -gt 0 ] || return 0
	if noted "compiled-$key"; then
		result pass "$name" "as before"
		return
	fi
	tree_to "$dir/stage"
	kbuild olddefconfig >/dev/null
	kbuild -k W=1e "${wanted[@]}" >"$dir/log" || status=$?
	found=$(findings <"$dir/log")
	if [ $status = 0 ] && [ -z "$found" ]; then
		note "compiled-$key"
		result pass "$name"
	else
		result fail "$name" "$([ $status = 0 ] && echo warnings || echo does not build)"
		if [ -n "$found" ]; then echo "$found"; else tail -n 20 "$dir/log"; fi | indent
		rm -rf "$dir/build/arch/x86/kvm"
	fi
}

# sparse_wrapper: what kbuild runs as sparse. It looks at the file in the series' tree and, if it has something to say, at
# the same file in the pristine one, with the same arguments. It notes what it looked at, for kbuild goes on without if
# it does not like the checker.
sparse_wrapper() {
	cat <<EOF
#!/bin/bash
file=\${*: -1}
case \$file in *.c) ;; *) exec "$sparse_bin" "\$@" ;; esac
out=\$("$sparse_bin" "\$@" 2>&1)
if [ -n "\$out" ]; then
	printf '%s\n' "\$out" >>"$dir/sparse.new"
	if [ -e "$pristine/\${file#"$dir/src/"}" ]; then
		out=\$("$sparse_bin" "\${@//"$dir/src"/"$pristine"}" 2>&1)
		printf '%s\n' "\${out//"$pristine"/"$dir/src"}" >>"$dir/sparse.old"
	fi
fi
echo "\$file" >>"$dir/sparse.seen"
EOF
}

# sparse_added FILE...: what sparse says of the series' tree and not of the pristine one. A complaint about a file that the
# series does not touch may come more often, as one more file includes it.
sparse_added() {
	local line
	findings <"$dir/sparse.old" >"$dir/sparse.known"
	findings <"$dir/sparse.new" | comm -23 - "$dir/sparse.known" | while read -r line; do
		printf '%s\n' "$@" | grep -qxF "${line%%:*}" || ! grep -qxF "$line" "$dir/sparse.known" || continue
		printf '%s\n' "$line"
	done
}

# sparse_clean NAME FILE...: sparse has nothing to say of the final state that it does not say of the base.
sparse_clean() {
	local name=$1 wanted new seen status=0 sparse_key
	shift
	mapfile -t wanted < <(targets "$@")
	sparse_key=$(key_of <<<"$sparse_bin")
	if [ -z "$sparse_bin" ]; then
		result skip "$name" "sparse cannot be had"
		return
	fi
	if noted "sparse-$final_key-$sparse_key"; then
		result pass "$name" "as before"
		return
	fi
	sparse_wrapper >"$dir/sparse" && chmod +x "$dir/sparse"
	rm -f "$dir"/sparse.{new,old,seen} && touch "$dir"/sparse.{new,old,seen}
	tree_to "$dir/stage"
	kbuild W=1e C=2 CHECK="$dir/sparse" "${wanted[@]}" >"$dir/log" || status=$?
	seen=$(grep -c '/arch/x86/kvm/' "$dir/sparse.seen")
	new=$(sparse_added "$@")
	if [ "$seen" -lt 10 ]; then
		result skip "$name" "did not run: $(grep -m 1 -i check "$dir/log")"
	elif [ $status != 0 ] || [ -n "$new" ]; then
		result fail "$name" "new findings"
		if [ -n "$new" ]; then echo "$new"; else tail -n 20 "$dir/log"; fi | indent
	else
		note "sparse-$final_key-$sparse_key"
		result pass "$name" "$(wc -l <"$dir/sparse.seen") files"
	fi
}

# covered PATCH: true if MAINTAINERS' patterns already hold each file that PATCH adds.
covered() {
	local file up
	while read -r file; do
		up=$file
		until grep -qxF "F:	$up" "$pristine/MAINTAINERS" || grep -qxF "F:	$up/" "$pristine/MAINTAINERS"; do
			[[ $up == */* ]] || return 1
			up=${up%/*}
		done
	done < <(awk '/^diff --git/ { sub(/^b\//, "", $NF); f = $NF } /^new file mode/ { print f }' "$1")
}

# checkpatch_one IGNORE PATCH OUT: run it in the current directory; OUT ends with its exit code.
checkpatch_one() {
	perl scripts/checkpatch.pl --strict --quiet --show-types --no-summary --ignore "$1" "$2" >"$3" 2>&1
	echo "checkpatch: $?" >>"$3"
}
export -f checkpatch_one

# style_start: checkpatch on all patches, some at a time; a missing Signed-off-by is left to who submits.
style_start() {
	local patch key ignore
	mkdir -p "$dir/style"
	for patch in "${patches[@]}"; do
		key=style-$(cat "$patch" "$pristine/scripts/checkpatch.pl" | key_of)
		noted "$key" && continue
		ignore=MISSING_SIGN_OFF
		! covered "$patch" || ignore+=,FILE_PATH_CHANGES
		# The emulator's flags are all named like that.
		! grep -q '^+++ b/arch/x86/kvm/emulate.c' "$patch" || ignore+=,CAMELCASE
		printf '%s\0%s\0%s\0' "$ignore" "$patch" "$dir/style/$key"
	done >"$dir/style/list"
	# shellcheck disable=SC2016 # the inner shell is to expand it
	(cd "$dir/src" && nice xargs -0 -r -n 3 -P "$jobs" bash -c 'checkpatch_one "$@"' _ <"$dir/style/list")
}

# style NAME PATCH: what checkpatch said.
style() {
	local key
	key=style-$(cat "$2" "$pristine/scripts/checkpatch.pl" | key_of)
	if noted "$key"; then
		result pass "$1 checkpatch"
	elif [ "$(cat "$dir/style/$key" 2>&1)" = "checkpatch: 0" ]; then
		note "$key"
		result pass "$1 checkpatch"
	else
		result fail "$1 checkpatch"
		indent <"$dir/style/$key"
	fi
}

# selftests FILE...: the selftests that the series touches build.
selftests() {
	local file names=() out
	for file; do
		case $file in
		tools/testing/selftests/kvm/x86/*_test.c | tools/testing/selftests/kvm/x86_64/*_test.c)
			file=${file#tools/testing/selftests/kvm/}
			names+=("${file%.c}")
			;;
		esac
	done
	[ ${#names[@]} -gt 0 ] || return 0
	if noted "selftests-$final_key"; then
		result pass "$series selftests build" "as before"
		return
	fi
	tree_to "$dir/stage"
	if out=$(kbuild headers_install INSTALL_HDR_PATH="$dir/build/usr" &&
		cd "$dir/src/tools/testing/selftests/kvm" &&
		nice -n 10 make -s ARCH=x86 OUTPUT="$dir/selftests" -j"$jobs" \
			KHDR_INCLUDES="-isystem $dir/build/usr/include" \
			"${names[@]/#/$dir/selftests/}" 2>&1) && ! grep -q warning: <<<"$out"; then
		note "selftests-$final_key"
		result pass "$series selftests build" "${names[*]##*/}"
	else
		result fail "$series selftests build" "${names[*]##*/}"
		indent <<<"$out"
	fi
}

# other_bases PACKAGE SUITE...: the series applies as well to the further suites' packages, and in the full mode builds.
other_bases() {
	local package=$1 suite patch pristine dir out
	shift
	for suite; do
		dir=$kp_cache/check/$series-$suite
		mkdir -p "$dir"
		pristine=$(kp_pristine "$package" "$suite") || {
			result fail "$series on $suite" "no source"
			continue
		}
		all_files=("${files[@]}")
		if [ $full = 1 ]; then tree_of || continue; fi
		kp_stage "$pristine" "$dir/stage" "${all_files[@]}"
		for patch in "${patches[@]}"; do
			out=$(kp_apply "$dir/stage" "$patch" "$pristine" 2>&1) && continue
			result fail "$series applies to $suite (${pristine##*/})" "${patch##*/}"
			indent <<<"$out"
			continue 2
		done
		result pass "$series applies to $suite (${pristine##*/})"
		[ $full = 0 ] || compile "$series on $suite compiles: W=1, KVM_WERROR" "$final_key" "${files[@]}"
	done
}

# lab_tree: what the lab builds from must be what was checked.
lab_tree() {
	local ours theirs
	[ -r "$here/../tests/lab/lib/kernels.sh" ] || {
		result skip "$series tree is the lab's" "no tests/lab here"
		return
	}
	ours=$(kp_digest "$dir/stage" "$series")
	theirs=$("$here/lab-digest.sh" "$series" 2>"$dir/log")
	if [ -n "$ours" ] && [ "$ours" = "$theirs" ]; then
		result pass "$series tree is the lab's" "${ours:0:12}"
	else
		result fail "$series tree is the lab's" "${ours:0:12} here, ${theirs:0:12} there"
		indent <"$dir/log"
	fi
}

# tree_of: a source tree and a configuration in $dir, kept from run to run. Sets all_files, those that may differ from
# the pristine ones, and the keys of the state at the base and at the end.
tree_of() {
	if [ "$(cat "$dir/src.of" 2>/dev/null)" != "$pristine" ]; then
		rm -rf "$dir/src.of" "$dir/build" "$dir/touched"
		kp_tree "$pristine" "$dir/src" && echo "$pristine" >"$dir/src.of"
	fi
	mapfile -t all_files < <({
		cat "$dir/touched" 2>/dev/null
		printf '%s\n' "${files[@]}"
	} | sort -u)
	printf '%s\n' "${all_files[@]}" >"$dir/touched"
	state_key=$({
		echo "$pristine"
		gcc --version | head -n 1
		cat "$here/check.config"
	} | key_of)
	final_key=$({
		echo "$state_key"
		cat "${patches[@]}"
	} | key_of)
	configure >"$dir/log" && return
	result fail "$series configures"
	tail -n 20 "$dir/log" | indent
	return 1
}

# step PATCH: apply, style and, in the full mode, build one patch; false if it does not apply.
step() {
	local patch=$1 name touched
	name="$series/$(basename "$patch" .patch)"
	if ! kp_apply "$dir/stage" "$patch" "$pristine" >"$dir/log" 2>&1; then
		result fail "$name applies"
		indent <"$dir/log"
		return 1
	fi
	result pass "$name applies"
	style "$name" "$patch"
	step_key=$({
		echo "$step_key"
		cat "$patch"
	} | key_of)
	[ $full = 1 ] || return 0
	mapfile -t touched < <(kp_files "$patch")
	compile "$name compiles" "$step_key" "${touched[@]}"
	return 0
}

check_series() {
	local series=$1 base pristine dir patches patch files all_files state_key final_key step_key
	read -ra base < <(kp_base "$series")
	[ ${#base[@]} -gt 1 ] || {
		result fail "$series" "no such series"
		return
	}
	mapfile -t patches < <(kp_patches "$series")
	[ ${#patches[@]} -gt 0 ] || {
		result skip "$series" "no patches yet"
		return
	}
	pristine=$(kp_pristine "${base[0]}" "${base[1]}") || {
		result fail "$series" "no pristine source"
		return
	}
	dir=$kp_cache/check/$series
	mkdir -p "$dir"
	exec 8>"$dir/lock"
	flock 8
	echo "==== $series: ${#patches[@]} patches on ${pristine##*/}"
	mapfile -t files < <(kp_files "${patches[@]}")
	tree_of || return
	kp_stage "$pristine" "$dir/stage" "${all_files[@]}"
	style_start
	step_key=$state_key
	for patch in "${patches[@]}"; do
		step "$patch" || return
	done
	compile "$series final state compiles: W=1, KVM_WERROR" "$final_key" "${files[@]}"
	sparse_clean "$series final state is clean for sparse" "${files[@]}"
	selftests "${files[@]}"
	lab_tree
	[ ${#base[@]} -le 2 ] || other_bases "${base[0]}" "${base[@]:2}"
	exec 8>&-
}

main() {
	local series=() s
	while [ $# -gt 0 ]; do
		case $1 in
		--full) full=1 ;;
		-h | --help)
			sed -n '3,6s/^# //p' "$0"
			exit 0
			;;
		-*)
			echo "check.sh: unknown option $1" >&2
			exit 2
			;;
		*) series+=("$(basename "$1")") ;;
		esac
		shift
	done
	[ ${#series[@]} -gt 0 ] || series=(linux-6.12 linux-7.3)
	needs || exit 1
	sparse_bin=
	sparse_need || sparse_bin=
	for s in "${series[@]}"; do
		check_series "$s"
	done
	echo "$passed passed, $failed failed, $skipped skipped"
	[ $failed = 0 ]
}

main "$@"
