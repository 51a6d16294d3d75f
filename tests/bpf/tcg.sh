#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Do the BPF programs load, attach and count on Debian's stock kernels? Boots them in QEMU's emulation of SVM, where
# kvm-amd runs real guests, with the tests of this directory and their libraries in the initramfs.
# Usage: tcg.sh [KERNEL]... (6.1, 6.12, 7); prints a line per check and `N passed, N failed, N skipped`.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${BUILD:-$root/build}
lab_root=$root/tests/lab
# shellcheck source=tests/lab/lib/common.sh
. "$lab_root/lib/common.sh"
# shellcheck source=tests/bpf/lib-tcg.sh
. "$here/lib-tcg.sh"

programs=(bpf/test-programs bpf/test-live discovery) # of $build/tests

work=$(mktemp -d "${TMPDIR:-/tmp}/cetd-tcg.XXXXXX")
trap 'rm -rf "$work"' EXIT

# initramfs KERNEL_DIR OUT
initramfs() {
	local dir lib p
	dir=$work/root-$(basename "$1")
	mkdir -p "$dir"/{bin,dev,proc,sys,tmp,lib64,modules,build/guest}
	cp "$(command -v busybox)" "$dir/bin/busybox"
	cp "$1"/*.ko "$dir/modules/"
	cp "$build/cetvmm" "$dir/build/"
	cp "$build/guest/msr-loop.bin" "$dir/build/guest/"
	for p in "${programs[@]}"; do
		cp "$build/tests/$p" "$dir/bin/"
		while read -r lib; do
			mkdir -p "$dir$(dirname "$lib")"
			cp -L "$lib" "$dir$lib"
		done < <(ldd "$build/tests/$p" | grep -o '/[^ ]*')
	done
	cat >"$dir/init" <<-'INIT'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		export PATH=/bin V=${V:-}
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t devtmpfs dev /dev
		mount -t tracefs tracefs /sys/kernel/tracing
		dmesg -n 1
		for m in /modules/*.ko; do insmod "$m" || echo "@tcg insmod $m failed"; done
		echo "@tcg boot $(uname -r)"
		cd /
		for t in PROGRAMS; do $t 2>&1; echo "@tcg exit $t $?"; done
		echo "@tcg done"
		sleep 0.2
		reboot -f
	INIT
	sed -i "s/PROGRAMS/${programs[*]##*/}/" "$dir/init"
	chmod 755 "$dir/init"
	(cd "$dir" && find . | cpio -o -H newc --quiet) | gzip -1 >"$2"
}

# judge NAME: a line per check, from what cmocka and the discovery test said.
judge() {
	local log=$work/$1.log ended
	tr -d '\r' <"$log" >"$log.txt"
	sed -nE "s/^\[ +OK \] (.*)/ok tcg-$1-\1/p" "$log.txt"
	sed -nE "s/^(ok|not ok|skip) ((discovery|uevent): .*)/\1 tcg-$1-\2/p" "$log.txt"
	awk -v k="$1" '/^SKIP: / { why = substr($0, 7) }
		/^\[  SKIPPED \] test_/ && !seen[$4]++ { print "skip tcg-" k "-" $4 ": " why }
		/^\[  FAILED  \] test_/ && !seen[$4]++ { print "not ok tcg-" k "-" $4 ": see the log" }' "$log.txt"
	ended=$(grep -c '^@tcg exit' "$log.txt")
	if grep -q '^@tcg done' "$log.txt" && [ "$ended" = ${#programs[@]} ]; then
		echo "ok tcg-$1-boot"
	else
		echo "not ok tcg-$1-boot: did not run to the end"
	fi
	sed -nE 's/^[0-9]+ events passed over.*/# tcg-'"$1"': &/p' "$log.txt"
	cp "$log.txt" "$lab_cache/log/bpf-tcg-$1.log"
	if grep -qE '^\[  FAILED|^not ok|did not run' "$log.txt" || ! grep -q '^@tcg done' "$log.txt"; then
		tail -n 30 "$log.txt" >&2
		say "whole log: $lab_cache/log/bpf-tcg-$1.log"
	fi
}

apt_need qemu-system-x86 busybox-static cpio kmod xz-utils zstd >&2 || exit 1
names=("$@")
[ $# -gt 0 ] || names=(6.1 6.12 7)
out=$work/out
: >"$out"
declare -A pids
for name in "${names[@]}"; do
	[ -n "${kernels[$name]:-}" ] || die "no kernel '$name': known are ${!kernels[*]}"
	if ! kernel_fetch "$name"; then
		echo "not ok tcg-$name-fetch: the kernel could not be had" | tee -a "$out"
		continue
	fi
	say "booting $(basename "$kernel_dir")"
	initramfs "$kernel_dir" "$work/$name.cpio.gz"
	# All at once: they mostly wait.
	boot "$name" "$kernel_dir" &
	pids[$name]=$!
done
for name in "${!pids[@]}"; do
	wait "${pids[$name]}"
	judge "$name" | tee -a "$out"
done
failed=$(grep -c '^not ok' "$out")
echo "$(grep -c '^ok' "$out") passed, $failed failed, $(grep -c '^skip' "$out") skipped"
[ "$failed" = 0 ]
