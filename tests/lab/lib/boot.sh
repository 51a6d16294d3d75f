# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Make a boot medium and run it in Bochs under a watchdog. Sourced after common.sh and bochs.sh.

# In seconds of CPU time of the emulator, so that a busy machine does not look like a hung guest. A kernel with
# k_slow gets that many times as long.
lab_quiet_seconds=${LAB_QUIET:-100} # no serial output for this long ends a boot
lab_boot_seconds=${LAB_BOOT_LIMIT:-900}
# idle=halt: Bochs misses wake-ups by MWAIT's monitor, and each MONITOR searches its TLBs.
# tsc_early_khz: the emulated second, in thousands of instructions. What runs by the clock should do enough in a second
# to tell something, and no more.
# load_system_certificate_list, jent_mod_init and the tests of ciphers: 800 million instructions, on stock kernels.
boot_khz=300000
boot_cmdline="console=ttyS0,115200 earlyprintk=serial,ttyS0,115200 panic=-1 lpj=1000000 tsc=reliable
tsc_early_khz=$boot_khz no_timer_check idle=halt mitigations=off
cryptomgr.notests initcall_blacklist=load_system_certificate_list,jent_mod_init loglevel=5 rdinit=/init"

# boot_tools: programs of the boot medium, unpacked; sets boot_busybox, boot_isolinux, boot_ldlinux.
boot_tools() {
	local dir=$lab_cache/tools package
	apt_need xorriso cpio || return 1
	for package in busybox-static isolinux syslinux-common; do
		[ -d "$dir/$package" ] || lab_locked "tools-$package" lab_unpack "$package" \
			"$(lab_apt_cache madison "$package" | awk -F' *[|] *' 'NR == 1 { print $2 }')" "$dir/$package" || return 1
	done
	boot_busybox=$(find "$dir/busybox-static" -path '*/bin/busybox')
	boot_isolinux=$dir/isolinux/usr/lib/ISOLINUX/isolinux.bin
	boot_ldlinux=$dir/syslinux-common/usr/lib/syslinux/modules/bios/ldlinux.c32
	[ -e "$boot_busybox" ] && [ -e "$boot_isolinux" ] && [ -e "$boot_ldlinux" ] ||
		die "busybox, isolinux.bin or ldlinux.c32 is not where it was in $dir"
}

# boot_medium KERNEL_DIR ROOT ISO: ROOT is the initramfs as a directory.
boot_medium() {
	local stage
	boot_tools || return 1
	stage=$(mktemp -d "$lab_run/iso.XXXXXX")
	mkdir -p "$2/bin" "$2/lab/modules"
	cp "$boot_busybox" "$2/bin/busybox"
	cp "$lab_root/init/init" "$2/init" && chmod 755 "$2/init"
	cp "$1"/modules/*.ko "$2/lab/modules/" 2>/dev/null
	# Not compressed: the emulated host would spend a tenth of its time on that.
	(cd "$2" && find . -print0 | cpio --quiet -0 -o -H newc -R 0:0) >"$stage/initrd" || return 1
	cp "$1/bzImage" "$stage/kernel"
	cp "$boot_isolinux" "$boot_ldlinux" "$stage/"
	printf 'default lab\nprompt 0\ntimeout 0\nlabel lab\n kernel /kernel\n append initrd=/initrd %s %s\n' \
		"$(tr '\n' ' ' <<<"$boot_cmdline")" "${LAB_CMDLINE:-}" >"$stage/isolinux.cfg"
	xorriso -as mkisofs -quiet -o "$3" -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 \
		-boot-info-table "$stage" >"$3.log" 2>&1 || {
		cat "$3.log" >&2
		return 1
	}
	rm -rf "$stage" "$3.log"
}

# boot_bochsrc ISO CPUS SERIAL LOG. No SMAP (and LASS, which needs it): Bochs would walk the page tables for each byte that
# the kernel copies from or to user space. IA32_MISC_ENABLE says that string instructions are fast, which Bochs' are.
boot_bochsrc() {
	echo '0x1a0 0 00000000 00000001 00000000 00000000 ffffffff ffffffff' >"$4.msrs"
	cat <<EOF
config_interface: textconfig
display_library: nogui
romimage: file=$bochs_dir/BIOS-bochs-latest, options=fastboot
vgaromimage: file=$bochs_dir/vgabios.bin
cpu: model=${LAB_MODEL:-tigerlake}, count=$2, quantum=32, msrs="$4.msrs", ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1, exclude_features="smap, lass"
memory: guest=1024, host=1024
clock: sync=none, time0=946684800
pci: enabled=1, chipset=i440fx
boot: cdrom
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$1, status=inserted
ata1: enabled=0
com1: enabled=1, mode=${5:-file}, dev=$3
log: $4
panic: action=fatal
error: action=${LAB_BOCHS_ERRORS:-report}
info: action=ignore
debug: action=ignore
print_timestamps: enabled=0
EOF
}

# boot_progress LABEL SERIAL FROM: announce the tests that ended since line FROM, print the new line count.
boot_progress() {
	local total
	total=$(wc -l <"$2" 2>/dev/null || echo 0)
	if [ "$total" -gt "$3" ]; then
		sed -n "$(($3 + 1)),${total}p" "$2" | tr -d '\r' |
			sed -nE "s,^@lab end ([^ ]+) (.*),\1: \2,p; s,^@lab boot (.*),booted \1,p" |
			while read -r line; do say "$1: $line"; done
	fi
	echo "$total"
}

# boot_cpu_seconds PID: what it has used so far.
boot_cpu_seconds() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	echo $(((${12} + ${13}) / $(getconf CLK_TCK)))
}

# boot_run LABEL ISO CPUS SERIAL: 0 if the machine powered itself off after its tests, 1 if it was cut off.
boot_run() {
	local label=$1 serial=$4 pid start seen=0 size=0 last=0 used=0 now now_used why=''
	local quiet_limit=$((lab_quiet_seconds * k_slow)) boot_limit=$((lab_boot_seconds * k_slow))
	boot_bochsrc "$2" "$3" "$serial" "$serial.bochs" >"$serial.bochsrc"
	: >"$serial"
	# Huge pages, where they are to be had for the asking: Bochs' memory is large and used all over.
	GLIBC_TUNABLES=glibc.malloc.hugetlb=1 "$bochs_dir/bochs" -q -f "$serial.bochsrc" >"$serial.stdout" 2>&1 </dev/null &
	pid=$!
	trap 'kill -KILL "$pid"; exit 143' TERM INT
	start=$SECONDS
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		now=$(stat -c %s "$serial")
		now_used=$(boot_cpu_seconds "$pid") || break
		used=$now_used
		[ "$now" = "$size" ] || { size=$now last=$used; }
		[ -n "${LAB_SILENT:-}" ] || seen=$(boot_progress "$label" "$serial" "$seen")
		[ $((used - last)) -lt "$quiet_limit" ] || why="no output for $quiet_limit s of its CPU time"
		[ "$used" -lt "$boot_limit" ] || why="not done after $boot_limit s of CPU time"
		[ -z "$why" ] || kill -KILL "$pid"
		[ -z "$why" ] || break
	done
	wait "$pid" 2>/dev/null
	trap - TERM INT
	[ -n "${LAB_SILENT:-}" ] || boot_progress "$label" "$serial" "$seen" >/dev/null
	if grep -q '^@lab done' "$serial"; then
		say "$label: powered off after $((SECONDS - start)) s, $used s of CPU time"
		return 0
	fi
	say "$label: cut off: ${why:-the emulated host died}. End of $serial:"
	tail -n 25 "$serial" >&2
	tail -n 3 "$serial.bochs" >&2
	return 1
}
