#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Faults as they happen: real #CP injected by KVM, on D-Bus signals, in fault records and in a monitor.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
# shellcheck source=lib-bus.sh
. tests/integration/lib-bus.sh

have_bpf && have_kvm || {
	skip "signals of real injected #CP: needs root, BTF and /dev/kvm"
	exit 0
}
start_bus || exit 1
start_daemon || {
	not_ok "cetd starts"
	exit 1
}
dbus-monitor --address "$DBUS_SYSTEM_BUS_ADDRESS" "sender='org.cetd1'" >"$work/signals" 2>&1 &
children+=($!)
"$BUILD/cetctl" monitor --json >"$work/monitor" 2>"$work/monitor.log" &
monitor=$!
children+=($monitor)
wait_for 5 grep -q NameAcquired "$work/signals"
wait_for 10 has_pipe $monitor

"$BUILD/tests/inject" 50 >"$work/inject.log" 2>&1 &
vm_pid=$!
children+=("$vm_pid")
check "50 #CP are injected" wait_for 20 grep -q "injected 50" "$work/inject.log"
ours() { jq -c "select(.type == \"injected\" and .vm == \"pid-$vm_pid\")" "$work/monitor"; }
injected() { cetctl list --json | jq ".[] | select(.pid == $vm_pid) | .injected_control_protection"; }
check "all are counted" wait_for 5 eval '[ "$(injected)" = 50 ]'

id=$(cetctl list --json | jq -r ".[] | select(.pid == $vm_pid) | .id")
# ControlProtection: id, kind, privilege, count, injected; counts of a VM's signals add up.
signal_sum() { grep -A5 'member=ControlProtection' "$work/signals" | grep -A3 "\"$id\"" |
	awk '$1 == "uint64" { n += $2 } END { print n + 0 }'; }
check "the signals' counts add up" wait_for 5 eval '[ "$(signal_sum)" = 50 ]'
check "in a few signals, not 50" eval '[ "$(grep -c member=ControlProtection "$work/signals")" -le 10 ]'
check "VMAdded came before" grep -q 'member=VMAdded' "$work/signals"
check "the VM's properties changed" eval \
	'grep -A3 "member=PropertiesChanged" "$work/signals" | grep -q "org.cetd1.VM"'
check "no signal holds an address" eval '! grep -A5 "member=ControlProtection" "$work/signals" | grep -q 0x'

faults=$(call /org/cetd1 org.cetd1.Manager.GetFaults "string:$id" uint32:100)
equal "50 fault records" 50 "$(grep -o endbranch <<<"$faults" | wc -l)"
equal "of the newest 3, 3" 3 "$(call /org/cetd1 org.cetd1.Manager.GetFaults "string:$id" uint32:3 | grep -o endbranch | wc -l)"
check "the monitor saw them" wait_for 5 eval '[ "$(ours | wc -l)" = 50 ]'
equal "with their kind" 50 "$(ours | grep -c '"kind":"endbranch"')"

kill "$vm_pid"
check "VMRemoved comes at its end" wait_for 10 grep -q 'member=VMRemoved' "$work/signals"

# Monitors are bounded: the ninth is refused with a reason, and a place becomes free again.
pids=()
for i in 1 2 3 4 5 6 7; do
	"$BUILD/cetctl" monitor >/dev/null 2>"$work/monitor-$i" &
	pids+=($!)
done
children+=("${pids[@]}")
wait_for 10 eval '[ "$(cat "$work"/monitor-* | grep -c "note:")" = 7 ]'
check "a monitor too many is refused" wait_for 5 eval \
	'timeout 1 "$BUILD/cetctl" monitor 2>&1 | grep -q "monitors are open already"'
kill "${pids[@]}"
check "a place becomes free" wait_for 5 eval \
	'timeout 1 "$BUILD/cetctl" monitor >/dev/null 2>"$work/again"; ! grep -q "open already" "$work/again"'
stop_daemon
exit $failed
