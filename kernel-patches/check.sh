#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Check the kernel series: every patch applies, is clean for checkpatch, and builds without a new
# warning; the sparse findings of the final state are those of the base; the lab builds the same tree.
# Usage: check.sh [--full] [SERIES...]      (--full builds every step, else the final state only)
set -u -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=kernel-patches/source.sh
. "$here/source.sh"

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

needs() {
	apt_need build-essential flex bison bc libelf-dev libssl-dev dwarves patch perl sparse \
		python3 python3-git python3-ply rsync
}

# kbuild DIR TARGET...: quiet build in the series' object directory; output is what the tools complain of.
kbuild() {
	local dir=$1
	shift
	nice -n 10 make -s -C "$dir/src" O="$dir/build" -j"$jobs" "$@" </dev/null 2>&1
}

# configure DIR: the smallest configuration in which all of KVM is built, as modules.
configure() {
	local dir=$1 option
	mkdir -p "$dir/build"
	if [ ! -e "$dir/build/.config" ] || ! cmp -s "$here/check.config" "$dir/build/check.config"; then
		kbuild "$dir" tinyconfig || return 1
		(cd "$dir/src" && scripts/kconfig/merge_config.sh -m -O "$dir/build" \
			"$dir/build/.config" "$here/check.config") >/dev/null || return 1
		kbuild "$dir" olddefconfig || return 1
		cp "$here/check.config" "$dir/build/"
	fi
	for option in KVM=m KVM_INTEL=m KVM_AMD=m KVM_WERROR=y X86_USER_SHADOW_STACK=y X86_KERNEL_IBT=y; do
		grep -qx "CONFIG_$option" "$dir/build/.config" || {
			echo "configuration lost CONFIG_$option"
			return 1
		}
	done
	kbuild "$dir" prepare modules_prepare
}

# own DIR FILE...: give DIR its own new copies, so that make sees the change.
own() {
	local dir=$1 file
	shift
	for file; do
		[ -e "$dir/$file" ] || continue
		cp "$dir/$file" "$dir/.own" && mv "$dir/.own" "$dir/$file"
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

# findings: the complaints in a build log, without line numbers, so that logs can be compared.
findings() {
	grep -E '(warning|error):|\*\*\*' | sed -E 's/:[0-9]+(:[0-9]+)?:/:/g; s/^\.\.\/src\///' | sort
}

# baseline DIR KEY TARGET...: findings of compiler and sparse in the pristine tree, kept in a file named by KEY.
baseline() {
	local dir=$1 key=$2
	shift 2
	[ ! -e "$dir/$key" ] || return 0
	echo "     building the base (once)"
	kbuild "$dir" W=1 C=2 CHECK=sparse "$@" >"$dir/log" || {
		tail -n 20 "$dir/log" | indent
		return 1
	}
	findings <"$dir/log" >"$dir/$key.new" && mv "$dir/$key.new" "$dir/$key"
}

# compare NAME LOG BASE STATUS: new findings are a failure, and so is the build's own.
compare() {
	local new status=$4
	new=$(findings <"$2" | comm -23 - "$3")
	if [ "$status" != 0 ] || [ -n "$new" ]; then
		result fail "$1" "$([ "$status" = 0 ] && echo new findings || echo does not build)"
		if [ -n "$new" ]; then echo "$new"; else tail -n 20 "$2"; fi | indent
		return 1
	fi
	result pass "$1"
}

# covered TREE PATCH: true if MAINTAINERS' patterns already hold each file that PATCH adds.
covered() {
	local file dir
	while read -r file; do
		dir=$file
		until grep -qxF "F:	$dir" "$1/MAINTAINERS" || grep -qxF "F:	$dir/" "$1/MAINTAINERS"; do
			[[ $dir == */* ]] || return 1
			dir=${dir%/*}
		done
	done < <(awk '/^diff --git/ { sub(/^b\//, "", $NF); f = $NF } /^new file mode/ { print f }' "$2")
}

# style NAME TREE PATCH: checkpatch --strict; a missing Signed-off-by is left to who submits.
style() {
	local ignore=MISSING_SIGN_OFF out
	covered "$2" "$3" && ignore+=,FILE_PATH_CHANGES
	if out=$(cd "$2" && perl scripts/checkpatch.pl --strict --quiet --show-types --no-summary \
		--ignore "$ignore" "$3" 2>&1) && [ -z "$out" ]; then
		result pass "$1 checkpatch"
	else
		result fail "$1 checkpatch"
		indent <<<"$out"
	fi
}

# selftests SERIES DIR FILE...: the selftests that the series touches build.
selftests() {
	local series=$1 dir=$2 file names=() out
	shift 2
	for file; do
		case $file in
		tools/testing/selftests/kvm/x86/*_test.c | tools/testing/selftests/kvm/x86_64/*_test.c)
			file=${file#tools/testing/selftests/kvm/}
			names+=("${file%.c}")
			;;
		esac
	done
	[ ${#names[@]} -gt 0 ] || return 0
	if out=$(kbuild "$dir" headers_install INSTALL_HDR_PATH="$dir/build/usr" &&
		cd "$dir/src/tools/testing/selftests/kvm" &&
		nice -n 10 make -s ARCH=x86 OUTPUT="$dir/selftests" -j"$jobs" \
			KHDR_INCLUDES="-isystem $dir/build/usr/include" \
			"${names[@]/#/$dir/selftests/}" 2>&1) && ! grep -q warning: <<<"$out"; then
		result pass "$series selftests build" "${names[*]##*/}"
	else
		result fail "$series selftests build" "${names[*]##*/}"
		indent <<<"$out"
	fi
}

# other_bases SERIES FROM SUITE...: the series applies as well to the further suites' packages.
other_bases() {
	local series=$1 package=$2 suite pristine tree=$kp_cache/check/$1/other patch bad out
	shift 2
	for suite; do
		pristine=$(kp_pristine "$package" "$suite") || {
			result fail "$series on $suite" "no source"
			continue
		}
		kp_tree "$pristine" "$tree"
		bad=
		while read -r patch; do
			out=$(kp_apply "$tree" "$patch" 2>&1) || { bad=$patch && break; }
		done < <(kp_patches "$series")
		if [ -n "$bad" ]; then
			result fail "$series applies to $suite (${pristine##*/})" "${bad##*/}"
			indent <<<"$out"
		else
			result pass "$series applies to $suite (${pristine##*/})"
		fi
		rm -rf "$tree"
	done
}

# lab_digest SERIES: digest of the tree that the lab builds the series' kernel from, made by the lab itself.
lab_digest() (
	lab_root=$here/../tests/lab
	# shellcheck source=tests/lab/lib/common.sh
	. "$lab_root/lib/common.sh"
	# shellcheck source=tests/lab/lib/kernels.sh
	. "$lab_root/lib/kernels.sh"
	# shellcheck disable=SC2317 # called through lab_locked
	staged() { kernel_tree >&2 && kp_digest "${tree_dir:?}" "$1"; }
	kernel_conf "cetd-${1#linux-}"
	kernel_pristine && lab_locked "kernel-${k_name:?}" staged "$1"
)

# lab_tree SERIES DIR: what the lab builds from must be what was checked.
lab_tree() {
	local ours theirs
	[ -r "$here/../tests/lab/lib/kernels.sh" ] || {
		result skip "$1 tree is the lab's" "no tests/lab here"
		return
	}
	ours=$(kp_digest "$2/src" "$1")
	theirs=$(lab_digest "$1" 2>"$2/log")
	if [ -n "$ours" ] && [ "$ours" = "$theirs" ]; then
		result pass "$1 tree is the lab's" "${ours:0:12}"
	else
		result fail "$1 tree is the lab's" "${ours:0:12} here, ${theirs:0:12} there"
		indent <"$2/log"
	fi
}

# tree_of SERIES DIR: pristine source and configuration in DIR, and the findings of the base.
# Sets key, which names the base's findings.
tree_of() {
	local series=$1 dir=$2 files wanted known=() t
	kp_tree "$pristine" "$dir/src"
	# shellcheck disable=SC2031 # the lab has its own, in lab_digest's subshell
	mapfile -t files < <(kp_files "${patches[@]}")
	own "$dir/src" "${files[@]}"
	configure "$dir" >"$dir/log" || {
		result fail "$series configures"
		tail -n 20 "$dir/log" | indent
		return 1
	}
	mapfile -t wanted < <(targets "${files[@]}")
	# A file that the series adds has no base; a directory has.
	for t in "${wanted[@]}"; do
		if [[ $t == */ || -e $dir/src/${t%.o}.c ]]; then known+=("$t"); fi
	done
	key=base-$(printf '%s\n' "$pristine" "${known[@]}" "$(sha256sum <"$here/check.config")" |
		sha256sum | cut -c1-12)
	[ ${#known[@]} -gt 0 ] || : >"$dir/$key"
	baseline "$dir" "$key" "${known[@]}" || {
		result fail "$series base builds"
		return 1
	}
}

# build_checked NAME DIR SPARSE FILE...: build what the files concern with W=1; SPARSE is 2 to have it look, too, or 0.
build_checked() {
	local name=$1 dir=$2 sparse=$3 wanted status=0
	shift 3
	mapfile -t wanted < <(targets "$@")
	[ ${#wanted[@]} -gt 0 ] || return 0
	kbuild "$dir" olddefconfig >/dev/null
	kbuild "$dir" W=1 "C=$sparse" CHECK=sparse "${wanted[@]}" >"$dir/log" || status=$?
	compare "$name" "$dir/log" "$dir/$key" $status
}

# step PATCH: apply, style and, in the full mode, build one patch; false if it does not apply.
step() {
	local patch=$1 name files
	name="$series/$(basename "$patch" .patch)"
	if ! kp_apply "$dir/src" "$patch" >"$dir/log" 2>&1; then
		result fail "$name applies"
		indent <"$dir/log"
		return 1
	fi
	result pass "$name applies"
	style "$name" "$dir/src" "$patch"
	[ $full = 1 ] || return 0
	mapfile -t files < <(kp_files "$patch")
	build_checked "$name builds" "$dir" 0 "${files[@]}"
	return 0
}

check_series() {
	local series=$1 base pristine dir patches patch files key
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
	# shellcheck disable=SC2031 # lab_digest's subshell sets the same
	dir=$kp_cache/check/$series
	mkdir -p "$dir"
	exec 8>"$dir/lock"
	flock 8
	echo "==== $series: ${#patches[@]} patches on ${pristine##*/}"
	tree_of "$series" "$dir" || return
	for patch in "${patches[@]}"; do
		step "$patch" || return
	done
	mapfile -t files < <(kp_files "${patches[@]}")
	build_checked "$series final state: W=1, KVM_WERROR, sparse" "$dir" 2 "${files[@]}"
	selftests "$series" "$dir" "${files[@]}"
	lab_tree "$series" "$dir"
	exec 8>&-
	[ ${#base[@]} -le 2 ] || other_bases "$series" "${base[0]}" "${base[@]:2}"
}

main() {
	local series=()
	while [ $# -gt 0 ]; do
		case $1 in
		--full) full=1 ;;
		-h | --help)
			sed -n '3,5s/^# //p' "$0"
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
	local s
	for s in "${series[@]}"; do
		check_series "$s"
	done
	echo "$passed passed, $failed failed, $skipped skipped"
	[ $failed = 0 ]
}

main "$@"
