#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# freeze.sh LEADER DIRECTORY NAME: a cetd on the host freezes VMs by the systemd of the container whose first process is
# LEADER, when it finds DIRECTORY/may-freeze; it ends with DIRECTORY/is-frozen. NAME is in the names of the VMs: the
# host's cetd sees those of other containers as well.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/checks.sh
. tests/lib/checks.sh
leader=$1 shared=$2 frozen=frozen-$3 sharing=sharing-$3
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/proc/$leader/root/run/dbus/system_bus_socket
trap 'touch "$shared/is-frozen"; checks_cleanup' EXIT

manager() { busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" "$@"; }
unit_path() { manager call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager GetUnit s "$1" | cut -d'"' -f2; }
freezer() { manager get-property org.freedesktop.systemd1 "$(unit_path "$1")" org.freedesktop.systemd1.Unit FreezerState | cut -d'"' -f2; }
vm_path() { manager call org.cetd1 /org/cetd1 org.cetd1.Manager GetVM s "$1" | cut -d'"' -f2; }
order() { manager call org.cetd1 "$(vm_path "$1")" org.cetd1.VM "${@:2}"; }
is_known() { "$BUILD/cetctl" show "$1" --json; }
counted() { "$BUILD/cetctl" show "$1" --json | jq '[.cet_msr[][] | .ok + .fault] | add'; }
grows() {
	local vm=$1 before
	before=$(counted "$vm")
	wait_for 10 eval '[ "$(counted "$vm")" -gt "$before" ]'
}

echo "{}" >"$work/conf"
wait_for 200 test -e "$shared/may-freeze" || {
	not_ok "the container comes as far as freezing"
	exit 1
}
# Where the host's cgroups are half of version 1, those that the container has are in a place of their own, and its
# processes are in a cgroup of the other half as well that systemd in there knows nothing of.
if [ -e /sys/fs/cgroup/systemd/cgroup.procs ]; then
	for name in "$frozen" "$sharing"; do
		vmm=$(pgrep -f -- "^qemu-system-x86_64 --name $name ")
		echo "$vmm" >/sys/fs/cgroup/systemd/cgroup.procs
	done
fi
export work
start "$work/cetd.log" unshare -m bash -c '[ ! -d /sys/fs/cgroup/unified ] || mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup
	exec "$BUILD/cetd" --metrics off --pin-dir none --state-dir none --config "$work/conf"'
check "a cetd on the host finds the VM in the container" wait_for 20 is_known "$frozen"
equal "its unit" "vm-$frozen.service" "$(is_known "$frozen" | jq -r .unit)"
check "its guest is at work" grows "$frozen"
check "it is frozen" order "$frozen" Freeze tt 1 0
equal "by the real systemd" frozen "$(freezer "vm-$frozen.service")"
sleep 1.2
still=$(counted "$frozen")
sleep 1.2
equal "the guest stands still" "$still" "$(counted "$frozen")"
equal "D-Bus says so" "b true" "$(manager get-property org.cetd1 "$(vm_path "$frozen")" org.cetd1.VM Frozen)"
check "it is thawed" order "$frozen" Thaw
equal "by systemd" running "$(freezer "vm-$frozen.service")"
check "and works on" grows "$frozen"
check "a VM that shares its unit is known" wait_for 10 is_known "$sharing"
equal "freezing it is refused" 1 "$(order "$sharing" Freeze tt 1 0 >"$work/refused" 2>&1; echo $?)"
equal "and its unit runs on" running "$(freezer "vm-$sharing.service")"
sed 's/^/# refused: /' "$work/refused"
[ $failed = 0 ] || sed 's/^/# cetd: /' "$work/cetd.log"
exit $failed
