#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Nothing grows: a day of simulated events (SOAK_HOURS), then SOAK_VMS real VMs that come and go, each touching CET MSRs;
# clients ask all the while. Memory, file descriptors, VMs, map entries, pins' maps and D-Bus objects are compared.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
vms=${SOAK_VMS:-10000} hours=${SOAK_HOURS:-24} jobs=${SOAK_JOBS:-4}

resident_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$daemon_pid/status"; }
fds() { find "/proc/$daemon_pid/fd" -mindepth 1 2>/dev/null | wc -l; }
objects() { busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" --list tree org.cetd1 2>/dev/null | grep -c '^/org/cetd1/vm/'; }
figure() { scrape | awk -v m="$1" '$1 == m { print $2 }'; }

# Clients as they are in life: a scraper, a browser, cetctl; for as long as the file is there.
clients() {
	while [ -e "$work/ask" ]; do
		scrape metrics >/dev/null
		scrape "" >/dev/null
		cetctl list >/dev/null
		cetctl dump >/dev/null
		sleep 1
	done 2>/dev/null
}

start_clients() {
	touch "$work/ask"
	clients &
	asker=$!
}

stop_clients() {
	rm "$work/ask"
	wait "$asker"
}

# same and no_growth WHAT BEFORE AFTER: memory in KiB may differ by an eighth or 2 MiB, whichever is more; all else not at all.
same() { equal "$1: as many as before" "$2" "$3"; }
no_growth() {
	local slack=$(($2 / 8 > 2048 ? $2 / 8 : 2048))
	[ "$3" -le $(($2 + slack)) ] && ok "$1: no growth ($2 to $3 KiB)" || not_ok "$1 grew from $2 to $3 KiB"
}

# is_empty: no VM left anywhere.
is_empty() { [ "$(figure cetd_vms)" = 0 ] && [ "$(objects)" = 0 ]; }

simulate() {
	local before after files
	"$BUILD/tests/make-day" "$work/hour.cetdrec" 1 && "$BUILD/tests/make-day" "$work/day.cetdrec" "$hours" || {
		not_ok "the recordings are written"
		return
	}
	# The hour shows what cetd needs at all for such a host.
	start_daemon --replay "$work/hour.cetdrec" --speed 0 || return
	check "an hour is replayed" wait_for 120 grep -q 'messages replayed' "$work/cetd.log"
	scrape metrics >/dev/null && scrape "" >/dev/null && cetctl dump >/dev/null
	before=$(resident_kib) files=$(fds)
	stop_daemon
	start_daemon --replay "$work/day.cetdrec" --speed 0 || return
	start_clients
	check "$hours hours are replayed" wait_for 1200 grep -q 'messages replayed' "$work/cetd.log"
	stop_clients
	check "no VM is left of them" wait_for 10 is_empty
	after=$(resident_kib)
	no_growth "memory, $hours hours against one" "$before" "$after"
	same "file descriptors" "$files" "$(fds)"
	stop_daemon
	check "cetd ended cleanly" [ $? = 0 ]
}

# cycle FROM TO: VMs one after the other in each of the jobs.
cycle() {
	local i
	for i in $(seq "$1" "$jobs" "$2"); do
		(exec -a qemu-system-x86_64 "$BUILD/cetvmm" --name "soak-$i" --count 3 "$BUILD/guest/msr-loop.bin") >/dev/null 2>&1 || echo "$i"
	done
}

run_vms() {
	local job pids=()
	for job in $(seq "$jobs"); do
		cycle $(($1 + job - 1)) "$2" >>"$work/failed" &
		pids+=($!)
	done
	wait "${pids[@]}"
}

live() {
	local warm=$((vms / 10)) memory files seen
	if ! have_bpf || ! have_kvm; then
		skip "VMs that come and go: need root, BTF and /dev/kvm"
		return
	fi
	start_daemon || return
	start_vm there --count 3 --linger 60 "$BUILD/guest/msr-loop.bin"
	check "a VM that is there is counted" wait_for 20 eval '[ "$(objects) $(figure cetd_vms)" = "1 1" ]'
	stop "$vm_pid"
	start_clients
	run_vms 1 $warm
	check "the first $warm VMs are gone" wait_for 60 is_empty
	memory=$(resident_kib) files=$(fds)
	run_vms $((warm + 1)) "$vms"
	stop_clients
	check "$vms VMs came and went" wait_for 60 is_empty
	check "all of them ran" [ ! -s "$work/failed" ]
	seen=$(grep -c 'is gone: .* CET MSR accesses' "$work/cetd.log")
	[ "$seen" -ge $((vms * 9 / 10)) ] && ok "cetd saw $seen of them" || not_ok "cetd saw only $seen of $vms"
	no_growth "memory" "$memory" "$(resident_kib)"
	check "file descriptors: as many as before" wait_for 15 eval "[ \$(fds) -le $files ]"
	equal "map entries" 0 "$(figure cetd_map_entries)"
	equal "VMs without room" 0 "$(figure 'cetd_events_lost_total{reason="vms_full"}')"
	stop_daemon
	check "cetd ended cleanly" [ $? = 0 ]
}

start_bus || exit 1
simulate
live
exit $failed
