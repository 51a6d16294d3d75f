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
echo '{ "metrics": { "listen": "unix:/run/cetd-metrics" } }' >/etc/cetd/cetd.conf
cp /usr/share/doc/cetd/policy-example.json* /etc/cetd/policy.d/
gunzip -f /etc/cetd/policy.d/*.gz 2>/dev/null
check "systemctl reload takes up a good one" systemctl reload cetd.service
check "its policies as well" wait_for 5 eval 'cetctl policy show --json | grep -q storms'
equal "in the same process" "$pid" "$(main_pid)"

# Killed
pid=$(main_pid)
kill -9 "$pid"
check "cetd comes back when it is killed" wait_for 20 began_anew "$pid"
check "with its counters" wait_for 10 id_of "$n"

# Hung
if [ "$(property cetd.service WatchdogUSec)" != 0 ]; then
	pid=$(main_pid)
	kill -STOP "$pid"
	check "the watchdog ends a cetd that hangs, and it comes back" wait_for 100 began_anew "$pid"
	equal "systemd says it was the watchdog" 1 "$(journalctl -q -u cetd.service --no-pager -o cat | grep -c 'Watchdog timeout')"
	check "with its counters once more" wait_for 10 id_of "$n"
else
	skip "watchdog: the unit has none"
fi

# Asked for by nobody, and asked for: by D-Bus.
systemctl stop cetd.service
equal "a stop is clean" success "$(property cetd.service Result)"
check "what is pinned stays" test -e /sys/fs/bpf/cetd/layout-cetd
check "a query on the bus starts it" wait_for 10 answers
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
