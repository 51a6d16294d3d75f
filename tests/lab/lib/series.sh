# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The selftests that a kernel series brings, built from its own tree, and its tests of policies. Sourced after kernels.sh.

# series_sources: those of the kernel last read, without .c, relative to tools/testing/selftests/kvm.
series_sources() {
	kernel_patches | xargs -r sed -nE 's,^\+\+\+ b/tools/testing/selftests/kvm/(x86(_64)?/[a-z0-9_]+_test)[.]c$,\1,p' |
		sort -u
}

# tests_series CPUS
tests_series() {
	local name
	for name in $(series_sources); do
		printf 'series-%s\t60\t/lab/tests/selftest %s\n' "${name#*/}" "${name#*/}"
	done
}

# series_stage ROOT: for the kernel last read.
series_stage() {
	local dir
	[ -n "$k_source" ] || return 1
	kernel_pristine || return 1
	dir=$lab_cache/selftests-$k_series-$({
		echo "${pristine_dir##*/}"
		kernel_patches | xargs grep -lE '^\+\+\+ b/(tools/testing/selftests/kvm|arch/x86/include/uapi)' | xargs cat
		cat "$lab_root/lib/series.sh"
	} | lab_key)
	[ -d "$dir" ] || lab_locked "series-$k_series" series_build "$dir" || return 1
	mkdir -p "$1/lab/selftests" && cp "$dir"/* "$1/lab/selftests/"
}

series_build() {
	local out=$1 log=series-$k_series tmp patch name targets=()
	[ ! -d "$out" ] || return 0
	apt_need build-essential patch rsync || return 1
	say "selftests of $k_series: building (a minute)"
	tmp=$(mktemp -d "$lab_cache/tree/.series.XXXXXX") || return 1
	cp -al "$pristine_dir" "$tmp/tree" || return 1
	for patch in $(kernel_patches); do
		lab_logged "$log" kp_apply "$tmp/tree" "$patch" || return 1
	done
	mkdir -p "$tmp/objects" "$tmp/out"
	for name in $(series_sources); do targets+=("$tmp/objects/$name"); done
	lab_logged "$log" make -C "$tmp/tree" ARCH=x86 -j"$lab_jobs" headers_install || return 1
	lab_logged "$log" make -C "$tmp/tree/tools/testing/selftests/kvm" ARCH=x86 "OUTPUT=$tmp/objects" \
		LDFLAGS="-static -pthread -no-pie" -j"$lab_jobs" "${targets[@]}" || return 1
	for name in "${targets[@]}"; do strip -o "$tmp/out/${name##*/}" "$name" || return 1; done
	mv -T "$tmp/out" "$out" && rm -rf "$tmp"
}

# policy_tests: where those of the kernel last read are, if it takes policies.
policy_tests() {
	local dir
	kernel_has_hook || return 0
	for dir in "$series_root/$k_series/policy-test" "$series_root/policy-test"; do
		[ ! -x "$dir/build.sh" ] || { echo "$dir" && return; }
	done
}

# tests_policy: they attach and detach a thousand times amid two storming vCPUs.
tests_policy() {
	[ -z "$(policy_tests)" ] || printf 'policy\t120\tpolicy-test /lab/policy.bpf.o\n'
}

# policy_stage ROOT
policy_stage() {
	lab_logged "policy-test-$k_name" "$(policy_tests)/build.sh" "$1.policy-test" || return 1
	stack_program "$1" "$1.policy-test/policy-test" && cp "$1.policy-test/policy.bpf.o" "$1/lab/" || return 1
	rm -rf "$1.policy-test"
}
