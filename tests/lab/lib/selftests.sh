# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# KVM's own selftests from Debian's linux-source-7.3, unmodified and static. Sourced after kernels.sh.

# selftests_names: those of the expectation table.
selftests_names() { awk -F'\t' '!/^#/ { print $1 }' "$lab_root/expect/selftests.tsv"; }

selftests_ready() {
	local name
	for name in $(selftests_names); do [ -x "$selftests_dir/$name" ] || return 1; done
}

# selftests_need: have them built; sets selftests_dir.
selftests_need() {
	kernel_conf base-7.3
	kernel_pristine || return 1
	selftests_dir=$lab_cache/selftests-$({
		echo "${pristine_dir##*/}"
		cat "$lab_root/lib/selftests.sh"
	} | lab_key)
	selftests_ready || lab_locked selftests selftests_build
}

selftests_build() {
	local tmp name targets=()
	! selftests_ready || return 0
	apt_need build-essential rsync || return 1
	say "selftests: building (a minute)"
	tmp=$(mktemp -d "$lab_cache/tree/.selftests.XXXXXX") || return 1
	cp -al "$pristine_dir" "$tmp/tree" || return 1
	mkdir "$tmp/out"
	lab_logged selftests-headers make -C "$tmp/tree" ARCH=x86 -j"$lab_jobs" headers_install || return 1
	for name in $(selftests_names); do targets+=("$tmp/out/x86/$name"); done
	lab_logged selftests-make make -C "$tmp/tree/tools/testing/selftests/kvm" ARCH=x86 "OUTPUT=$tmp/out" \
		LDFLAGS="-static -pthread -no-pie" -j"$lab_jobs" "${targets[@]}" || return 1
	mkdir -p "$selftests_dir"
	for name in $(selftests_names); do strip -o "$selftests_dir/$name" "$tmp/out/x86/$name" || return 1; done
	rm -rf "$tmp"
}
