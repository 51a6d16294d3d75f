#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What cetd tells the service manager: ready, reloads, its watchdog, the end; and the socket it is handed.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
start_bus || exit 1

start "$work/notify.log" "$BUILD/tests/notify-socket" "$work/notify"
wait_for 5 test -S "$work/notify"
export NOTIFY_SOCKET=$work/notify
mkdir "$work/policy.d"
echo '{ "policy_dir": "'"$work"'/policy.d" }' >"$work/conf"
# As the service manager would: the pid is that of the process itself.
WATCHDOG_USEC=300000 start_daemon --replay tests/demo/storm.cetdrec --speed 0 --config "$work/conf" || {
	not_ok "cetd starts"
	exit 1
}
told() { grep -c "$1" "$work/notify.log"; }
match "ready is told" "READY=1" "$(cat "$work/notify.log")"
check "the watchdog is fed" wait_for 5 eval '[ "$(told "^WATCHDOG=1$")" -ge 5 ]'
kill -STOP "$daemon_pid"
sleep 0.3
before=$(told "^WATCHDOG=1$")
sleep 0.5
equal "not while the loop stands" "$before" "$(told "^WATCHDOG=1$")"
kill -CONT "$daemon_pid"
check "and again when it turns" wait_for 5 eval '[ "$(told "^WATCHDOG=1$")" -gt '"$before"' ]'

# A flood of calls: the loop has much to do, and is alive.
for i in 1 2 3; do
	start "$work/flood.log" bash -c 'while :; do busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" call org.cetd1 /org/cetd1 \
		org.cetd1.Manager Describe >/dev/null 2>&1; done'
	floods+=("$pid")
done
before=$(told "^WATCHDOG=1$")
check "a flood of calls does not starve it" wait_for 5 eval '[ "$(told "^WATCHDOG=1$")" -ge '$((before + 10))' ]'
for pid in "${floods[@]}"; do stop "$pid"; done

kill -HUP "$daemon_pid"
check "a reload is told" wait_for 5 grep -q "^RELOADING=1 MONOTONIC_USEC=[0-9]*$" "$work/notify.log"
check "with its end" wait_for 5 grep -q "^READY=1 STATUS=Watching$" "$work/notify.log"
echo '{' >"$work/policy.d/bad.json"
kill -HUP "$daemon_pid"
check "a refused one has a status that says so" wait_for 5 grep -q "STATUS=Watching; the last reload was refused" "$work/notify.log"
rm "$work/policy.d/bad.json"
kill -HUP "$daemon_pid"
check "until the next good one" wait_for 5 eval 'tail -n 3 "$work/notify.log" | grep -q "READY=1 STATUS=Watching$"'
stop_daemon
equal "cetd ends well" 0 $?
check "the end is told" wait_for 5 grep -q "^STOPPING=1" "$work/notify.log"

# Without a watchdog there are no pings.
: >"$work/notify.log"
start_daemon --replay tests/demo/storm.cetdrec --speed 0 || not_ok "cetd starts again"
sleep 0.5
equal "no watchdog, no pings" 0 "$(told WATCHDOG)"
stop_daemon
unset NOTIFY_SOCKET

# The exporter by a socket that is handed over, though the command line turns it off: as the unit does.
start "$work/activate.log" systemd-socket-activate -l "$work/handed" \
	-E DBUS_SYSTEM_BUS_ADDRESS="$DBUS_SYSTEM_BUS_ADDRESS" \
	"$BUILD/cetd" --metrics off --replay tests/demo/storm.cetdrec --speed 0 --config "$work/conf"
wait_for 5 test -S "$work/handed"
handed() { curl -sS --max-time 10 --unix-socket "$work/handed" http://cetd/metrics; }
match "a scrape starts cetd and is answered" "cetd_build_info|cetd_coverage" "$(handed)"
kill -HUP "$pid"
check "a reload leaves the socket alone" wait_for 5 grep -q "Configuration read again" "$work/activate.log"
match "it is served still" "cetd_coverage" "$(handed)"
exit $failed
