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

# suite, package of the image, package of the modules if they are apart ("-" if not)
declare -A kernels=(
	[6.1]='bookworm linux-image-6[.]1[.]0-[0-9]+-cloud-amd64 -'
	[6.12]='trixie linux-image-6[.]12[.][0-9]+[+]deb13-cloud-amd64 -'
	[7]='trixie-backports linux-binary-7[.][0-9]+[.][0-9]+[+]deb13-cloud-amd64 linux-modules-'
)
programs=(bpf/test-programs bpf/test-live discovery) # of $build/tests
boot_seconds=420

work=$(mktemp -d "${TMPDIR:-/tmp}/cetd-tcg.XXXXXX")
trap 'rm -rf "$work"' EXIT

# kernel_fetch NAME: sets kernel_dir, with bzImage, release, and modules in the order of their loading.
kernel_fetch() {
	local suite image modules package release version tmp root_dir ko n=0
	read -r suite image modules <<<"${kernels[$1]}"
	# A week old is new enough, and spares a minute of asking apt.
	kernel_dir=$(find "$lab_cache/tcg" -mindepth 2 -maxdepth 2 -path "$lab_cache/tcg/$1.*/release" \
		-mtime -7 2>/dev/null | sort -V | tail -1)
	kernel_dir=${kernel_dir%/release}
	[ -z "$kernel_dir" ] || return 0
	apt_suite "$suite" >&2 || return 1
	package=$(apt-cache pkgnames linux- | grep -xE "$image" | sort -V | tail -1)
	[ -n "$package" ] || { say "no package like $image in $suite"; return 1; }
	release=$(sed -E 's/^linux-(image|binary)-//' <<<"$package")
	version=$(lab_version "$package" "$suite")
	# Security updates come from another archive, and are in no suite's index of that name.
	[ -n "$version" ] || version=$(apt-cache policy "$package" | awk '$1 == "Candidate:" { print $2 }')
	kernel_dir=$lab_cache/tcg/$release-$version
	[ ! -e "$kernel_dir/release" ] || return 0
	tmp=$(mktemp -d "$lab_cache/.tcg.XXXXXX")
	lab_unpack "$package" "$version" "$tmp/image" || return 1
	root_dir=$tmp/image
	if [ "$modules" != - ]; then
		lab_unpack "$modules$release" "$version" "$tmp/modules" || return 1
		root_dir=$tmp/modules
	fi
	# depmod looks for modules in lib/, where usr/lib/ has them.
	[ -e "$root_dir/lib/modules" ] || ln -s usr/lib "$root_dir/lib"
	depmod -b "$root_dir" "$release" || return 1
	mkdir -p "$tmp/out"
	cp "$(find "$tmp" -name 'vmlinuz*' | head -1)" "$tmp/out/bzImage" || return 1
	while read -r _ ko; do
		n=$((n + 1))
		cp "$ko" "$tmp/out/$(printf %02d $n)-$(basename "$ko")" || return 1
	done < <(modprobe -S "$release" -d "$root_dir" --show-depends kvm-amd | sed 's/ *$//')
	[ $n -gt 0 ] || { say "$package has no kvm-amd"; return 1; }
	xz -d "$tmp"/out/*.xz 2>/dev/null
	zstd -q --rm -d "$tmp"/out/*.zst 2>/dev/null
	echo "$release" >"$tmp/out/release"
	mkdir -p "$lab_cache/tcg"
	rm -rf "$kernel_dir" && mv "$tmp/out" "$kernel_dir" && rm -rf "$tmp"
}

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

# boot NAME DIR: run the tests on that kernel, the serial log in $work/NAME.log. A machine that is busy with other
# things can make an emulated kernel give up on its clocks before /init, and the emulator can break the kernel's
# patching of its own code: what ends in neither is tried once more, and that is said.
boot() {
	boot_once "$@"
	grep -q '^@tcg boot' "$work/$1.log" && ! grep -q 'Kernel panic' "$work/$1.log" && return
	say "$1 died in the emulator, once more"
	boot_once "$@"
}

# QEMU 7.2 leaves garbage in EFLAGS if an interrupt follows CMPXCHG16B, which dies as a double fault: hide it. With a
# thread a CPU it lets one CPU run what another is just patching (Linux's jump labels): one thread.
boot_once() {
	timeout "$boot_seconds" qemu-system-x86_64 -accel tcg,thread=single -cpu max,cx16=off -smp 2 -m 1024 \
		-display none -monitor none -serial "file:$work/$1.log" -no-reboot -nodefaults \
		-kernel "$2/bzImage" -initrd "$work/$1.cpio.gz" </dev/null \
		-append "console=ttyS0 panic=-1 quiet no_timer_check rdinit=/init" >"$work/$1.qemu" 2>&1
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
