#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# cetd with no more than its unit gives it, in the host's PID namespace, which a container has not: three capabilities
# and no network, and VMs are found as they come, with the names of another user's.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
have_bpf && have_kvm || {
	skip "cetd in a sandbox: needs root, BTF and /dev/kvm"
	exit 0
}
start_bus || exit 1
# A scan finds nothing for an hour: uevents have to.
echo '{ "scan_interval_sec": 3600 }' >"$work/conf"
cat >"$work/confined" <<-EOT
	#!/bin/sh
	exec unshare -n setpriv --bounding-set=-all,+bpf,+perfmon,+sys_ptrace --inh-caps=-all --no-new-privs $PWD/$BUILD/cetd "\$@"
EOT
chmod +x "$work/confined"
"$work/confined" --metrics "unix:$work/metrics" --pin-dir none --config "$work/conf" >"$work/cetd.log" 2>&1 &
daemon_pid=$!
answers() { cetctl version --json | grep -q daemon; }
check "cetd starts with three capabilities and no network" wait_for 20 answers
[ $failed = 0 ] || cat "$work/cetd.log"
capabilities() { sed -n 's/^CapEff:\t//p' "/proc/$1/status"; }
confined=$(printf '%016x' $((1 << 19 | 1 << 38 | 1 << 39)))
equal "which are all it has" "$confined" "$(capabilities "$daemon_pid")"

# A VM of another user that touches no CET MSR: known by its uevent only, its name by its command line. The program is
# where he can read, and a /dev/kvm of his own where he looks.
cp "$BUILD/cetvmm" "$BUILD/guest/proper.bin" "$work"
mknod "$work/kvm" c "$((0x$(stat -c %t /dev/kvm)))" "$((0x$(stat -c %T /dev/kvm)))"
chmod 755 "$work" "$work/cetvmm" && chmod 644 "$work/proper.bin" && chmod 666 "$work/kvm"
# shellcheck disable=SC2016
start "$work/vm.log" unshare -m bash -c 'mount --bind "$1/kvm" /dev/kvm &&
	exec -a qemu-system-x86_64 setpriv --reuid=65534 --regid=65534 --clear-groups bash -c \
		"exec -a qemu-system-x86_64 $1/cetvmm --name foreign --linger 600 $1/proper.bin"' sh "$work"
vm=$pid
is_there() { cetctl list --json | jq -e '.[] | select(.name == "foreign")'; }
is_gone() { ! is_there; }
check "a VM of another user is found as it comes, with its name" wait_for 10 is_there
equal "it is his" nobody "$(stat -c %U "/proc/$vm")"
stop "$vm" KILL
check "and its end is noticed" wait_for 10 is_gone
start_vm counted --count 500 --linger 600 "$BUILD/guest/msr-loop.bin"
check "a VM is counted" wait_for 20 eval '[ "$(cetctl show counted --json | jq .cet_msr.s_cet.write.fault)" = 500 ]'
check "the scrape works on a socket of the file system" eval 'scrape | grep -q "^cetd_coverage"'
stop_daemon

# Run by hand as root: what it does not need it gives up.
start_daemon || not_ok "cetd starts"
keeps=$(printf '%016x' $((1 << 2 | 1 << 19 | 1 << 38 | 1 << 39)))
equal "root's capabilities are given up but for four" "$keeps" "$(capabilities "$daemon_pid")"
stop_daemon
exit $failed
