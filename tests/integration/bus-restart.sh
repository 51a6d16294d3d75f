#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The bus ends and comes back: the same cetd is on it again, with all it had.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
start_bus || exit 1
start_daemon --replay tests/demo/storm.cetdrec --speed 0 || {
	not_ok "cetd starts"
	exit 1
}
pid=$daemon_pid
vm=$(cetctl list --json 2>/dev/null | jq -r '.[0].id')
vms() { cetctl list --json 2>/dev/null | jq -c 'map({id, control_protection})'; }
bus_call() { busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" --timeout=5 call org.cetd1 "$@" 2>&1; }
path=$(bus_call /org/cetd1 org.cetd1.Manager GetVM s "$vm" | cut -d'"' -f2)
check "an override is set" bus_call "$path" org.cetd1.VM SetIBT stt off 1 0
overrides() { busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" get-property org.cetd1 "$path" org.cetd1.VM Overrides; }
before=$(vms) had=$(overrides)
match "and shown" '"ibt"' "$had"
fds() { ls "/proc/$pid/fd" | wc -l; }
n_fds=$(fds)

stop_bus() {
	kill "$bus_pid"
	wait "$bus_pid" 2>/dev/null
	rm -f "$work/bus"
}
answers() { cetctl version --json | grep -q daemon; }
for i in 1 2 3; do
	stop_bus
	check "$i: its loss is noticed" wait_for 5 eval '[ "$(grep -c "The bus is gone" "$work/cetd.log")" = '"$i ]"
	check "$i: metrics are served without it" eval 'scrape | grep -q "^cetd_coverage"'
	check "$i: cetd runs" kill -0 "$pid"
	[ $i != 2 ] || sleep 2.5
	start_bus || exit 1
	check "$i: cetd is on the new one" wait_for 10 answers
done
equal "which is said once each time" 3 "$(grep -c "On the bus again" "$work/cetd.log")"
equal "with all VMs and counters" "$before" "$(vms)"
equal "and overrides" "$had" "$(overrides)"
check "no descriptor is lost on the way" wait_for 5 eval '[ "$(fds)" -le '"$n_fds ]"

# Signals come as before, and guarded methods work.
check "guarded methods work" bus_call /org/cetd1 org.cetd1.Manager GetFaults su "$vm" 1
start "$work/signals.log" busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" --match="type='signal',sender='org.cetd1'" monitor
wait_for 5 grep -q -i monitor "$work/signals.log"
sleep 0.2
bus_call "$path" org.cetd1.VM SetIBT stt keep 1 0 >/dev/null
check "signals come" wait_for 5 grep -q "PolicyApplied\|PropertiesChanged" "$work/signals.log"

# A new bus that does not let cetd have its name, at first.
stop_bus
sed '/org.cetd1.conf/d' "$work/bus.conf" >"$work/other-bus.conf"
start "$work/other-bus.log" dbus-daemon --config-file="$work/other-bus.conf" --nofork --nopidfile
other=$pid
check "a bus that refuses the name is told of" wait_for 10 grep -q "Failed to claim the bus name org.cetd1 again" "$work/cetd.log"
sleep 2
equal "once" 1 "$(grep -c "Failed to claim the bus name org.cetd1 again" "$work/cetd.log")"
stop "$other"
rm -f "$work/bus"
start_bus || exit 1
check "one that allows it gets it" wait_for 10 answers

# A bus that accepts, and never says anything.
stop_bus
start "$work/mute.log" systemd-socket-activate --accept -l "$work/bus" sleep 1000
mute=$pid
sleep 3
check "a mute bus does not hold cetd" eval 'scrape | grep -q "^cetd_coverage"'
stop "$mute"
rm -f "$work/bus"
start_bus || exit 1
check "cetd comes back from it" wait_for 10 answers
stop_daemon
equal "cetd ends well" 0 $?
exit $failed
