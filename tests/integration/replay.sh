#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Record a live run, replay it without privilege: the same VMs with the same counts, marked as replayed.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh

start_bus || exit 1
recording=$work/run.cetdrec
if have_bpf && have_kvm; then
	start_daemon --record "$recording" --record-note "made by tests/integration/replay.sh" || {
		not_ok "cetd starts with --record"
		exit 1
	}
	start_vm recorded --count 2000 --linger 30 "$BUILD/guest/msr-loop.bin"
	check "the VM is seen" wait_for 20 eval \
		'cetctl list --json | jq -e ".[] | select(.name == \"recorded\" and .cet_msr.s_cet.write.fault == 2000)"'
	cetctl dump | jq -S '.vms' >"$work/live.json"
	stop_daemon
	children=()
	kill "$vm_pid" 2>/dev/null
else
	skip "recording the live kernel: needs root, BTF and /dev/kvm"
	exit 0
fi

# Nobody: no root, no BPF, no KVM.
chmod 755 "$work"
chmod 644 "$recording"
mkdir -m 777 "$work/nobody"
scrape_nobody() { curl -sS --unix-socket "$work/nobody/metrics" "http://cetd/$1"; }
start_replay() {
	setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
		"$BUILD/cetd" --bus=none --metrics "unix:$work/nobody/metrics" --replay "$recording" "$@" \
		>"$work/replay.log" 2>&1 &
	daemon_pid=$!
	wait_for 10 scrape_nobody metrics
}
# Not by check: its subshell would keep the daemon's pid.
start_replay --speed 0
check "a replay runs without privilege" scrape_nobody metrics
equal "it is marked as replayed" "cetd_replayed 1" "$(scrape_nobody metrics | grep '^cetd_replayed')"
check "and in the landing page" eval 'scrape_nobody "" | grep -qi replay'
check "it has the counts" wait_for 10 eval 'scrape_nobody metrics |
	grep -q "^cetd_vm_cet_msr_accesses_total{vm=\"recorded\",msr=\"s_cet\",op=\"write\",result=\"fault\"} 2000$"'
stop_daemon

start_daemon --replay "$recording" --speed 0 || not_ok "cetd replays on the bus"
check "cetctl says that it is replayed" eval 'cetctl status | grep -qi replay'
wait_for 10 eval 'cetctl dump | jq -S .vms >"$work/replayed.json" && cmp "$work/live.json" "$work/replayed.json"'
check "the replayed VMs are the recorded ones" diff "$work/live.json" "$work/replayed.json"
stop_daemon

# At real speed the replay takes as long as the recording did; 20 times as fast, a twentieth.
"$BUILD/cetd" --bus=none --metrics off --replay "$recording" --speed 20 --exit-after-replay 2>"$work/speed.log"
equal "a replay that is over ends the daemon" 0 $?
check "and says how much it was" grep -qE 'all [0-9]+ messages replayed' "$work/speed.log"

head -c $(($(stat -c %s "$recording") - 7)) "$recording" >"$work/cut"
"$BUILD/cetd" --bus=none --metrics off --replay "$work/cut" --speed 0 --exit-after-replay 2>"$work/cut.log"
equal "a cut-off recording is replayed" 0 $?
check "and told" grep -q "is cut off after" "$work/cut.log"
cp "$recording" "$work/bad"
printf 'X' | dd of="$work/bad" bs=1 seek=$(($(stat -c %s "$recording") / 2)) conv=notrunc 2>/dev/null
"$BUILD/cetd" --bus=none --metrics off --replay "$work/bad" --speed 0 --exit-after-replay 2>"$work/bad.log"
equal "a damaged recording ends with 7" 7 $?
check "and is told" grep -q "is damaged at byte" "$work/bad.log"
exit $failed
