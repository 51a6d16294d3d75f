# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A whole Linux as a guest, with branch tracking in its kernel. Sourced after kernels.sh.

# tests_linux CPUS: on kernels that bring guest CET: this project's 6.12, and Debian's 7.x to compare with.
tests_linux() {
	local run='cetlinux /lab/linux/bzImage /lab/linux/initrd'
	[ "$1" = 1 ] && [ "$k_cet" = yes ] && [[ ${k_name%:*} == @(cetd-6.12|debian-7) ]] || return 0
	printf 'linux-guest\t60\t%s\n' "$run"
	[ "$k_series" = '' ] || printf 'linux-hidden\t60\t%s --no-cet\n' "$run"
}

# linux_stage ROOT: the kernel is the self-built 6.12, small enough to boot in seconds, whatever the host runs.
linux_stage() {
	local dir=$1/lab/linux image=$kernel_dir/bzImage
	[ "$k_name" = cetd-6.12 ] ||
		image=$(KERNEL_TREE='' && kernel_need cetd-6.12 >&2 && echo "$kernel_dir/bzImage") || return 1
	mkdir -p "$dir" "$1/lab/bin" && cp "$image" "$dir/" && cp "$lab_build/cetlinux" "$1/lab/bin/" || return 1
	(cd "$lab_build/linux" && echo init | cpio --quiet -o -H newc -R 0:0) >"$dir/initrd"
}
