# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Debian's stock kernels, booted in QEMU's emulation of SVM. Sourced after the lab's common.sh; needs work, a directory
# with NAME.cpio.gz for a boot of NAME.
boot_seconds=420

# suite, package of the image, package of the modules if they are apart ("-" if not)
declare -A kernels=(
	[6.1]='bookworm linux-image-6[.]1[.]0-[0-9]+-cloud-amd64 -'
	[6.12]='trixie linux-image-6[.]12[.][0-9]+[+]deb13-cloud-amd64 -'
	[7]='trixie-backports linux-binary-7[.][0-9]+[.][0-9]+[+]deb13-cloud-amd64 linux-modules-'
)
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
