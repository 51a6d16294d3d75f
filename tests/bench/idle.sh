#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# CPU time of the daemon on a host without CET activity, beside that of bpftrace with the same tracepoint, in
# the same seconds: first without a VM, then with one that exits all the time. Prints; judges nothing.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
seconds=${SECONDS_PER_ROUND:-30}

have_bpf && have_kvm || {
	echo "bench-idle: needs root, BTF and /dev/kvm" >&2
	exit 1
}

switches() { awk '/ctxt_switches/ { n += $2 } END { print n }' /proc/"$1"/task/*/status; }

# figures NAME PID CPU_NS SWITCHES: since those.
figures() {
	awk -v name="$1" -v ns=$(($(cpu_ns "$2") - $3)) -v switches=$(($(switches "$2") - $4)) -v s="$seconds" 'BEGIN {
		printf "  %-9s %9.1f us CPU a second (%.4f %%), woken %.2f times a second\n",
			name, ns / 1000 / s, ns / s / 1e7, switches / s }'
}

round() {
	local cetd=$daemon_pid bpftrace=$bpftrace_pid
	local c_ns c_switches b_ns b_switches
	c_ns=$(cpu_ns "$cetd") c_switches=$(switches "$cetd")
	b_ns=$(cpu_ns "$bpftrace") b_switches=$(switches "$bpftrace")
	sleep "$seconds"
	echo "$1"
	figures cetd "$cetd" "$c_ns" "$c_switches"
	figures bpftrace "$bpftrace" "$b_ns" "$b_switches"
}

start_bus || exit 1
start_daemon || exit 1
# bpftrace finds tracepoints in debugfs, which this host need not have mounted.
unshare --mount sh -c 'mount -t debugfs none /sys/kernel/debug && exec bpftrace -e "$1"' sh \
	'tracepoint:kvm:kvm_msr /args->ecx >= 0x6a0 && args->ecx <= 0x6a8/
	{ @[pid, args->ecx, args->write, args->exception] = count(); }' >"$work/bpftrace.log" 2>&1 &
bpftrace_pid=$!
children+=("$bpftrace_pid")
wait_for 30 grep -q Attaching "$work/bpftrace.log" || {
	cat "$work/bpftrace.log" >&2
	exit 1
}
sleep 3

echo "idle: $seconds s a round, load $(cut -d' ' -f1 /proc/loadavg), $(nproc) CPUs, Linux $(uname -r)"
round "no VM:"
start_vm quiet --rate --count 100000000000 --seconds $((seconds + 4)) "$BUILD/guest/quiet-loop.bin"
wait_for 10 eval 'cetctl list --json | jq -e ".[] | select(.name == \"quiet\")" >/dev/null' || exit 1
sleep 2
round "one VM, two exits a round, none for CET:"
wait "$vm_pid"
sed 's/^/  /' "$work/vm-quiet.log"
