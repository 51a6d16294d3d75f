#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Freezing and thawing real VMs on D-Bus: for a time, over restarts, refused; with a stand-in for systemd.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
# shellcheck source=lib-bus.sh
. tests/integration/lib-bus.sh

have_bpf && have_kvm || {
	skip "freezing of VMs: needs root, BTF and /dev/kvm"
	exit 0
}
cat >"$work/own.conf" <<-'EOT'
	<busconfig><policy user="root">
	<allow own="org.freedesktop.machine1"/><allow own="org.freedesktop.systemd1"/>
	<allow send_destination="org.freedesktop.machine1"/><allow send_destination="org.freedesktop.systemd1"/>
	</policy></busconfig>
EOT
start_bus "$work/own.conf" || exit 1
state=$work/state
# A name that no other test on this host has.
vm_name=web$$
web=/org/cetd1/vm/$vm_name
bus() { busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" "$@" 2>&1; }
vm() { bus call org.cetd1 $web org.cetd1.VM "$@"; }
is_seen() { "$BUILD/cetctl" list --no-legend --columns=id | grep -qx "$1 *"; }
frozen() { bus get-property org.cetd1 $web org.cetd1.VM Frozen; }
orders() { tr '\n' ' ' <"$work/orders"; }
start_cetd() {
	start_daemon --state-dir "$state" "$@" || not_ok "cetd starts"
	wait_for 20 is_seen $vm_name || not_ok "the VM is found"
}

# No systemd that could do it: nothing is done, and nothing is set.
start_vm $vm_name --count 10 --linger 600 "$BUILD/guest/msr-loop.bin"
start_cetd
match "a VM that runs in no unit of its own is not frozen" "The VM cannot be frozen: " "$(vm Freeze tt 1 0)"
equal "and not said to be" "b false" "$(frozen)"
check "which is logged, with who asked" grep -q "freeze, asked for by user 0, was refused or failed" "$work/cetd.log"
stop_daemon

start "$work/orders" "$BUILD/tests/fake-machine" $vm_name "$work/refuse"
stand_in=$pid
wait_for 10 eval 'bus list | grep -q "^org.freedesktop.systemd1 .*fake"' || not_ok "the stand-in starts"
unit=machine-$vm_pid.scope
start_cetd --dry-run
equal "a dry run" "" "$(vm Freeze tt 1 0)"
check "says what it would do" grep -q "Dry run: would freeze" "$work/cetd.log"
equal "and does nothing" "" "$(orders)"
stop_daemon
start_cetd
equal "Freeze" "" "$(vm Freeze tt 1 0)"
equal "is ordered" "FreezeUnit $unit " "$(orders)"
equal "and shown" "b true" "$(frozen)"
equal "frozen anew, the order goes out again" "" "$(vm Freeze tt 1 0)"
equal "Thaw" "" "$(vm Thaw)"
equal "is ordered, too" "FreezeUnit $unit FreezeUnit $unit ThawUnit $unit " "$(orders)"
equal "and shown" "b false" "$(frozen)"
equal "Thaw of what another has frozen" "" "$(vm Thaw)"
equal "is ordered all the same" 2 "$(grep -c ThawUnit "$work/orders")"
for call in "Freeze tt 0 0" "Freeze tt 3 0" "Freeze tt 1 18446744073709551615"; do
	# shellcheck disable=SC2086
	match "refused: $call" "valid are" "$(vm $call)"
done
for call in "Freeze tt 1 0" Thaw; do
	# shellcheck disable=SC2086
	match "nobody: ${call%% *}" "Access denied" "$(as_nobody busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" \
		call org.cetd1 $web org.cetd1.VM $call 2>&1)"
done
equal "none of which was ordered" 4 "$(wc -l <"$work/orders")"

touch "$work/refuse"
match "what systemd refuses is told" "The VM cannot be frozen: .*does not want to" "$(vm Freeze tt 2 0)"
equal "and not said to be frozen" "b false" "$(frozen)"
equal "nor stored" 0 "$(jq '.overrides | length' "$state/overrides.json")"
rm "$work/refuse"

: >"$work/orders"
equal "for a second" "" "$(vm Freeze tt 1 1000000)"
equal "it is frozen" "FreezeUnit $unit " "$(orders)"
check "then it is thawed" wait_for 5 eval '[ "$(orders)" = "FreezeUnit '"$unit"' ThawUnit '"$unit"' " ]'
equal "and shown so" "b false" "$(frozen)"

# Persistent: its end is kept over a restart, and a VM that comes back is frozen again.
: >"$work/orders"
equal "persistent, for five seconds" "" "$(vm Freeze tt 2 5000000)"
equal "is stored" "$vm_name true" "$(jq -r '.overrides[] | "\(.vm) \(.frozen)"' "$state/overrides.json")"
stop_daemon
equal "the end of cetd does not thaw" "FreezeUnit $unit " "$(orders)"
start_cetd
check "the restarted cetd thaws at the end" wait_for 10 grep -q "ThawUnit $unit" "$work/orders"
check "and forgets" wait_for 5 jq -e '.overrides == []' "$state/overrides.json"
equal "persistent, for half a second" "" "$(vm Freeze tt 2 500000)"
stop_daemon
sleep 0.6
: >"$work/orders"
start_cetd
check "what ended while there was no cetd is made up for" wait_for 5 grep -q "ThawUnit $unit" "$work/orders"
equal "without freezing" "ThawUnit $unit " "$(orders)"
equal "persistent, without end" "" "$(vm Freeze tt 2 0)"
stop "$vm_pid"
wait_for 10 eval '! is_seen $vm_name' || not_ok "the VM ends"
start_vm $vm_name --count 10 --linger 600 "$BUILD/guest/msr-loop.bin"
check "a VM that comes back is frozen" wait_for 20 grep -q "FreezeUnit machine-$vm_pid.scope" "$work/orders"
equal "until it is thawed" "" "$(vm Thaw)"
check "by an order" grep -q "ThawUnit machine-$vm_pid.scope" "$work/orders"

# A VM that ends while it is asked how to freeze it: that failed, and it is not frozen when it comes back.
kill -STOP "$stand_in"
vm Freeze tt 2 0 >"$work/late" &
late=$!
check "what is persistent is stored before the order goes out" wait_for 5 \
	jq -e '.overrides | length == 1' "$state/overrides.json"
stop "$vm_pid"
wait_for 10 eval '! is_seen $vm_name' || not_ok "the VM ends"
kill -CONT "$stand_in"
wait $late
match "a VM that ends meanwhile is not frozen" "The VM cannot be frozen: its process has ended" "$(cat "$work/late")"
check "and nothing of it is left" wait_for 5 jq -e '.overrides == []' "$state/overrides.json"
stop_daemon

# The VMs of a recording are not here: units of their names are others'.
start_daemon --replay tests/demo/storm.cetdrec --speed 0 || not_ok "a replay starts"
path=$(bus tree --list org.cetd1 | grep '/vm/' | head -1)
: >"$work/orders"
match "nothing of a recording is frozen" "not of this host" "$(bus call org.cetd1 "$path" org.cetd1.VM Freeze tt 1 0)"
equal "nothing is ordered" "" "$(orders)"
stop_daemon
exit $failed
