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
		echo "$pristine_dir"
		selftests_names
		declare -f selftests_make
	} | lab_key)
	selftests_ready || lab_locked selftests selftests_build
}

# selftests_make TREE NAME... : build those of a kernel tree; they end up in built_dir, stripped.
selftests_make() {
	local tmp arch=x86 name targets=()
	apt_need build-essential rsync || return 1
	tmp=$(mktemp -d "$lab_cache/tree/.selftests.XXXXXX")
	cp -al "$(realpath "$1")" "$tmp/tree" || return 1
	shift
	[ -d "$tmp/tree/tools/testing/selftests/kvm/x86" ] || arch=x86_64
	mkdir "$tmp/out"
	lab_logged selftests-headers make -C "$tmp/tree" ARCH=x86 -j"$lab_jobs" headers_install || return 1
	for name; do targets+=("$tmp/out/$arch/$name"); done
	lab_logged selftests-make make -C "$tmp/tree/tools/testing/selftests/kvm" ARCH=x86 "OUTPUT=$tmp/out" \
		LDFLAGS="-static -pthread -no-pie" -j"$lab_jobs" "${targets[@]}" || return 1
	mkdir -p "$built_dir"
	for name; do strip -o "$built_dir/$name" "$tmp/out/$arch/$name" || return 1; done
	rm -rf "$tmp"
}

selftests_build() {
	local built_dir=$selftests_dir
	! selftests_ready || return 0
	say "selftests: building (a minute)"
	# shellcheck disable=SC2046
	selftests_make "$pristine_dir" $(selftests_names)
}

# series_selftests: those that the patches of the kernel last read bring.
series_selftests() {
	kernel_patches | xargs -r sed -nE 's,^[+]TEST_GEN_PROGS_x86(_64)? [+]= x86(_64)?/([a-z0-9_]+)$,\3,p'
}

# series_policy_test: the directory of the tests of its hook.
series_policy_test() {
	local dir
	kernel_has_hook || return 0
	for dir in "$series_root/$k_series/policy-test" "$series_root/policy-test"; do
		[ ! -x "$dir/build.sh" ] || { echo "$dir" && return; }
	done
}

# series_stage ROOT: what the kernel last made ready is tested with by its own series.
series_stage() {
	local dir
	if [ -n "$(series_selftests)" ] && [ -z "${KERNEL_IMAGE:-}${KERNEL_TREE:-}" ]; then
		[ -e "$kernel_dir/selftests/.ready" ] || lab_locked "kernel-$k_source" series_build || return 1
		mkdir -p "$1/lab/selftests" && cp "$kernel_dir"/selftests/* "$1/lab/selftests/"
	fi
	dir=$(series_policy_test)
	[ -n "$dir" ] || return 0
	lab_logged "policy-test-$k_name" "$dir/build.sh" "$1.policy-test" || return 1
	stack_program "$1" "$1.policy-test/policy-test" && cp "$1.policy-test/policy.bpf.o" "$1/lab/"
}

series_build() {
	local built_dir=$kernel_dir/selftests
	[ ! -e "$built_dir/.ready" ] || return 0
	say "kernel $k_name: building the selftests of its series"
	# shellcheck disable=SC2046
	kernel_tree && selftests_make "$tree_dir" $(series_selftests) && touch "$built_dir/.ready"
}
