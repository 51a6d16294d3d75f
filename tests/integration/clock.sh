#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The wall clock jumps, forward and back: what depends on it follows, the rest does not notice.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
start_bus || exit 1
echo 0 >"$work/shift"
mkdir "$work/policy.d"
echo '{ "policy_dir": "'"$work"'/policy.d" }' >"$work/conf"
CLOCK_SHIFT=$work/shift LD_PRELOAD=$PWD/$BUILD/tests/clock-shift.so \
	start_daemon --replay tests/demo/storm.cetdrec --speed 0 --config "$work/conf" || {
	not_ok "cetd starts"
	exit 1
}
bus() { busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" --timeout=10 "$@" 2>&1; }
vm=$(cetctl list --json 2>/dev/null | jq -r '.[0].id')
path=$(bus call org.cetd1 /org/cetd1 org.cetd1.Manager GetVM s "$vm" | cut -d'"' -f2)
vms() { cetctl list --json 2>/dev/null | jq -c 'map({id, control_protection})'; }
overrides() { bus get-property org.cetd1 "$path" org.cetd1.VM Overrides | cut -d' ' -f2; }
# jump SECONDS: and have everything looked at.
jump() {
	echo "$1" >"$work/shift"
	bus call org.cetd1 /org/cetd1 org.cetd1.Manager Reload
}
before=$(vms)
check "an override for two hours" bus call org.cetd1 "$path" org.cetd1.VM SetIBT stt off 1 7200000000
equal "is in force" 1 "$(overrides)"
jump -86400 >/dev/null
equal "a day back: it is still" 1 "$(overrides)"
equal "and nothing is counted twice" "$before" "$(vms)"
jump 3600 >/dev/null
equal "an hour forward: it is still" 1 "$(overrides)"
jump 86400 >/dev/null
equal "a day forward: it is over" 0 "$(overrides)"
equal "and nothing is lost" "$before" "$(vms)"
jump 0 >/dev/null
equal "what is over stays over when the clock is set back" 0 "$(overrides)"
check "a new one can be set" bus call org.cetd1 "$path" org.cetd1.VM SetIBT stt off 1 7200000000
jump -1000000000 >/dev/null
check "decades back, metrics are served" eval 'scrape | grep -q "^cetd_coverage"'
check "and the VM is shown" cetctl show "$vm"
jump 0 >/dev/null
stop_daemon
equal "cetd ends well" 0 $?

# Of this host: what happened is shown by the clock as it is now, as when it was wrong until the network came up.
have_bpf && have_kvm || {
	skip "the wall clock of a cetd that watches VMs: needs root, BTF and /dev/kvm"
	exit $failed
}
CLOCK_SHIFT=$work/shift LD_PRELOAD=$PWD/$BUILD/tests/clock-shift.so start_daemon || not_ok "cetd starts on this host"
vm_name=clock$$
start_vm $vm_name --count 10 --linger 600 "$BUILD/guest/msr-loop.bin"
first_seen() { cetctl show $vm_name --json 2>/dev/null | jq -e '.first_seen_usec / 1000000 | floor'; }
check "a VM is found" wait_for 20 first_seen
before=$(first_seen)
echo 86400 >"$work/shift"
equal "a day forward: it was seen a day later" 86400 $(($(first_seen) - before))
echo -86400 >"$work/shift"
equal "a day back: a day earlier" -86400 $(($(first_seen) - before))
check "which is told" grep -qE "The clock was set by -(172800.0|172799.9)[0-9]+ s" "$work/cetd.log"
echo 0 >"$work/shift"
equal "and back again" 0 $(($(first_seen) - before))
stop_daemon
exit $failed
