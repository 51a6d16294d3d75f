#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The AppArmor profile, enforced: cetd does its work under it on Debian's stock kernel, which has AppArmor where the
# kernel that runs this may not, in QEMU's emulation of SVM. What is denied would be in the kernel's log.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/checks.sh
. tests/lib/checks.sh
# shellcheck disable=SC2034
lab_root=$PWD/tests/lab
# shellcheck source=../lab/lib/common.sh
. tests/lab/lib/common.sh
# shellcheck source=../bpf/lib-tcg.sh
. tests/bpf/lib-tcg.sh
boot_seconds=900

# put PROGRAM: into the root, at the path it has here, with its libraries.
put() {
	local file
	for file in "$1" $(ldd "$1" | grep -o '/[^ ]*'); do
		mkdir -p "$root$(dirname "$file")"
		cp -L "$file" "$root$file"
	done
}

root=$work/root
apt_need qemu-system-x86 busybox-static cpio kmod xz-utils zstd apparmor dbus >&2 || exit 1
make -s install DESTDIR="$root" >"$work/install.log" 2>&1 || {
	not_ok "make install: $(tail -n 3 "$work/install.log")"
	exit 1
}
kernel_fetch 6.12 || {
	not_ok "Debian's kernel: could not be had"
	exit 1
}
mkdir -p "$root"/{bin,dev,proc,sys,tmp,run/dbus,root,modules,var/lib/cetd,etc/apparmor.d/local}
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$kernel_dir"/*.ko "$root/modules"
cp "$BUILD/cetvmm" "$BUILD/guest/msr-loop.bin" "$root/root"
cp -r /etc/apparmor.d/{abi,abstractions,tunables} "$root/etc/apparmor.d"
put "$(command -v apparmor_parser)"
put "$(command -v dbus-daemon)"
for program in /usr/sbin/cetd /usr/bin/cetctl; do
	put "$root$program" 2>/dev/null
done
rm -rf "${root:?}$root"
printf 'root:x:0:0::/:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
match "the profile is there in complain mode" 'flags=\(complain,' "$(cat "$root/etc/apparmor.d/usr.sbin.cetd")"
sed -i 's/flags=(complain, /flags=(/' "$root/etc/apparmor.d/usr.sbin.cetd"
cat >"$root/etc/bus.conf" <<-EOT
	<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
	<limit name="auth_timeout">300000</limit>
	<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
	</busconfig>
EOT
cp tests/system/apparmor-init.sh "$root/init"
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$work/apparmor.cpio.gz"
boot apparmor "$kernel_dir"
log=$BUILD/test-logs/apparmor-console.log
mkdir -p "$BUILD/test-logs"
tr -d '\r' <"$work/apparmor.log" >"$log"
grep -E '^(ok|not ok|#) ' "$log"
! grep -q '^not ok' "$log" || failed=1
grep -q '^# the end' "$log" || not_ok "the tests inside end (see $log)"
exit $failed
