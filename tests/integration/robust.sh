#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What goes wrong around cetd hurts nobody else: clients that do not read, samples that nobody fetches, VMs that end
# under a monitor, a BPF file system that goes away.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
# What AddressSanitizer keeps of freed memory would be taken for a leak.
export ASAN_OPTIONS=quarantine_size_mb=8
have_bpf && have_kvm || {
	skip "mishaps of a cetd that watches VMs: needs root, BTF and /dev/kvm"
	exit 0
}
start_bus || exit 1
own_bpffs "mishaps of a cetd that watches VMs"
start_daemon --pin-dir "$work/bpf/cetd" || {
	not_ok "cetd starts"
	exit 1
}
client=$BUILD/tests/bus-client
rss_kb() { awk '/^VmRSS:/ { print $2 }' "/proc/$daemon_pid/status"; }
injected() { cetctl show "$1" --json 2>/dev/null | jq .injected_control_protection; }
lost() { scrape | awk '/^cetd_events_lost_total/ { n += $2 } END { print n + 0 }'; }
is_stopped() { grep -q "^State:.*T (stopped)" "/proc/$1/status"; }
# inject COUNT: from a VM that has been found; pid is its process, vm its id.
inject() {
	start "$work/inject.log" "$BUILD/tests/inject" "$1" stop
	vm=pid-$pid
	wait_for 20 is_stopped "$pid" && wait_for 20 cetctl show "$vm" || not_ok "a VM is found"
}

# A monitor ends with its VM.
inject 5
start "$work/monitor.log" "$client" monitor "$(cetctl show "$vm" --json | jq -r .id)"
monitor=$pid
wait_for 5 grep -q open "$work/monitor.log" || not_ok "a monitor opens: $(cat "$work/monitor.log")"
injector=${vm#pid-}
kill -CONT "$injector"
check "the faults are counted" wait_for 10 eval '[ "$(injected "$vm")" = 5 ]'
kill "$injector"
check "the pipe of a monitor is closed when its VM has ended" wait_for 10 grep -q "^end" "$work/monitor.log"
check "with all that was to be seen" eval '[ "$(sed -n "s/^end //p" "$work/monitor.log")" -ge 5 ]'
wait "$monitor" 2>/dev/null

# Nobody fetches samples: the ring buffer runs full, counters are exact, and what is lost is counted.
start_vm full --json --linger 600 --count 20000 "$BUILD/guest/msr-loop.bin"
guest=$vm_pid
check "a VM is found" wait_for 20 cetctl show full
start "$work/all.log" "$client" monitor ""
wait_for 5 grep -q open "$work/all.log"
inject 300
injector=${vm#pid-}
kill -STOP "$daemon_pid"
kill -CONT "$injector"
check "guests run on while cetd stands" wait_for 60 grep -q "injected 300" "$work/inject.log"
check "each of them" wait_for 60 grep -q "^{" "$work/vm-full.log"
kill -CONT "$daemon_pid"
check "not one injected #CP is missing" wait_for 10 eval '[ "$(injected "$vm")" = 300 ]'
equal "nor an access of the other VM" "$(sed -n '/^{/p' "$work/vm-full.log" | jq '.vcpus[0].general_protection - 1')" \
	"$(cetctl show full --json | jq '[.cet_msr[][] | .ok + .fault] | add')"
check "what was lost of the samples is counted" eval '[ "$(lost)" -gt 0 ]'
kill "$injector" "$guest"

# Clients that do not read.
before=$(rss_kb)
for i in 1 2 3; do
	start "$work/flood-$i.log" setpriv --reuid=65534 --regid=65534 --clear-groups "$client" flood 5000
	floods[i]=$pid
done
# answers_within MS: a call of somebody else.
answers_within() {
	local begin end
	begin=$(date +%s%N)
	cetctl version --json | grep -q daemon || return 1
	end=$(date +%s%N)
	[ $(((end - begin) / 1000000)) -le "$1" ]
}
late=0
for i in $(seq 20); do answers_within 10000 || late=$((late + 1)); done
equal "15000 calls whose answers nobody reads: 20 others wait their turn, and have it within 10 s" 0 $late
check "metrics are served" eval 'scrape | grep -q "^cetd_coverage"'
check "memory is bounded" wait_for 60 eval '[ $(($(rss_kb) - before)) -lt 65536 ]'
echo "# $before kB before, $(rss_kb) kB now"
for i in 1 2 3; do stop "${floods[i]}" KILL; done
check "all is quiet when they are gone" wait_for 60 answers_within 500

# The BPF file system goes away below a cetd that runs.
start_vm after --count 1000 --linger 600 "$BUILD/guest/msr-loop.bin"
umount -l "$work/bpf"
start_vm later --count 1000 --linger 600 "$BUILD/guest/msr-loop.bin"
check "without its pins cetd goes on to count" wait_for 20 eval \
	'[ "$(cetctl show later --json 2>/dev/null | jq .cet_msr.s_cet.write.fault)" = 1000 ]'
stop_daemon
equal "and ends well" 0 $?
start_daemon --pin-dir "$work/bpf/cetd" || not_ok "cetd starts without a BPF file system"
match "the next one says that there is none" "is not in a BPF file system" "$(cat "$work/cetd.log")"
stop_daemon
exit $failed
