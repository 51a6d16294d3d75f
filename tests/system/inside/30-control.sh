# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Reload, kill, hang, stop: counters go on through all of it.
. ./lib.sh
n=$(cat /run/first-count)

# Reload
pid=$(main_pid)
echo '{ "max_vms": "many" }' >/etc/cetd/cetd.conf
systemctl reload cetd.service
check "a reload of a bad configuration says where" wait_for 5 eval 'messages | grep -q "/etc/cetd/cetd.conf:1: max_vms"'
check "and leaves cetd running" wait_for 5 answers
echo '{ "scan_interval_sec": 30 }' >/etc/cetd/cetd.conf
cp /usr/share/doc/cetd/policy-example.json* /etc/cetd/policy.d/
gunzip -f /etc/cetd/policy.d/*.gz 2>/dev/null
check "systemctl reload takes up a good one" systemctl reload cetd.service
check "its policies as well" wait_for 5 eval 'cetctl policy show --json | grep -q rest'
equal "in the same process" "$pid" "$(main_pid)"

# Killed
pid=$(main_pid)
kill -9 "$pid"
check "cetd comes back when it is killed" wait_for 20 began_anew "$pid"
check "with its counters" wait_for 10 id_of "$n"

# What the journal has is explained
check "journalctl -x explains an entry" eval 'journalctl -q -x -u cetd.service --no-pager | grep -q "Defined-By: cetd"'

# Hung
mkdir -p /run/systemd/system/cetd.service.d
printf '[Service]\nWatchdogSec=5\n' >/run/systemd/system/cetd.service.d/test.conf
systemctl daemon-reload
systemctl restart cetd.service
pid=$(main_pid)
sleep 6
equal "the watchdog leaves a cetd alone that works" "$pid" "$(main_pid)"
kill -STOP "$pid"
check "it ends one that hangs, which comes back" wait_for 30 began_anew "$pid"
match "systemd says it was the watchdog" 'Watchdog timeout' "$(messages -p warning)"
check "the counters are there once more" wait_for 10 id_of "$n"
rm -r /run/systemd/system/cetd.service.d
systemctl daemon-reload

# Started by who asks
systemctl stop cetd.service
equal "a stop is clean" success "$(property cetd.service Result)"
check "what is pinned stays" test -e /sys/fs/bpf/cetd/layout-cetd
check "a query on the bus starts it" wait_for 10 answers
check "as the unit" is_active cetd.service
systemctl stop cetd.service
check "a scrape starts it, and is answered" eval \
	'curl -sSf --max-time 20 http://127.0.0.1:9752/metrics | grep -q "^cetd_build_info"'
check "as the unit" is_active cetd.service

# Stopped while a guest keeps it busy
loud=$((200000 + RANDOM % 50000))
start_vm loud $loud
wait_for 10 eval '[ "$(cetctl list --json | jq "map(select(.cet_msr.s_cet.write.fault > 6000)) | length")" -gt 0 ]'
begin=$SECONDS
systemctl stop cetd.service
equal "a stop under load is clean" success "$(property cetd.service Result)"
check "and quick" test $((SECONDS - begin)) -le 10
systemctl start cetd.service
check "the loud guest ends" wait_for 60 is_done loud
check "not one of its accesses is missing" wait_for 10 id_of $loud
equal "nor one too many" "$(guest_made loud)" "$(counted "$(id_of $loud)")"
exit $failed
