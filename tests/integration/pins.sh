#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Counters outlive the daemon: killed, ended and started again while a guest runs, it loses no event.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh

have_bpf && have_kvm || {
	skip "pinned counters: needs root, BTF and /dev/kvm"
	exit 0
}
own_bpffs "pinned counters"
pins=$work/bpf/cetd
start_bus || exit 1

programs_are_gone() {
	local id
	for id in $progs; do
		! bpftool prog show id "$id" || return 1
	done
	[ -n "$progs" ]
}
daemon() {
	start_daemon --pin-dir "$pins" "$@" || {
		not_ok "cetd starts"
		exit 1
	}
}
kill_daemon() {
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=""
}
counted() { cetctl show "$1" --json | jq '[.cet_msr[][] | .ok + .fault] | add'; }
# What the guest made of its rounds: as in expect/guests.tsv, a CET MSR access is a #GP here, CR4.CET is one more.
guest_made() { grep '^{' "$work/vm-$1.log" | jq '.vcpus[0].general_protection - 1'; }
guest_is_done() { grep -q '^{' "$work/vm-$1.log"; }
agree() { guest_is_done "$1" && [ "$(counted "$1")" = "$(guest_made "$1")" ]; }
grows() {
	local before
	before=$(counted "$1")
	[ -n "$before" ] || return 1
	wait_for 5 eval "[ \"\$(counted $1)\" -gt $before ]"
}

daemon
if grep -q 'KVM gives guests no CET' <(cetctl probe 2>&1); then :; else
	skip "pinned counters against a guest's own count: guests have CET here, most accesses are unseen"
	exit 0
fi
check "a directory is made for the pins" test -e "$pins/layout-cetd"
[ $failed = 0 ] || {
	cat "$work/cetd.log"
	exit 1
}
match "there are maps, programs and links" 'link-.*map-vms.*prog-' "$(ls "$pins" | tr '\n' ' ')"

start_vm loop --json --linger 3600 --count 150000 "$BUILD/guest/msr-loop.bin"
check "the guest is counted" wait_for 20 grows loop
[ $failed = 0 ] || {
	cat "$work/cetd.log" "$work/vm-loop.log"
	exit 1
}
first=$(counted loop)
kill_daemon
guest_is_done loop && not_ok "the guest still runs when the daemon is killed"
sleep 1
daemon
match "the next daemon says what it does" 'Went on with the programs and counters' "$(cat "$work/cetd.log")"
check "what was counted meanwhile is there" wait_for 5 eval '[ "$(counted loop)" -gt '"$first"' ]'
for i in 1 2 3 4 5 6 7 8; do
	kill_daemon
	daemon
done
stop_daemon
equal "SIGTERM leaves the pins" yes "$([ -e "$pins/layout-cetd" ] && echo yes)"
daemon --log-level debug
check "the guest ends" wait_for 60 guest_is_done loop
check "not one access is missing after 10 restarts" wait_for 10 agree loop
echo "# counted $(counted loop), the guest made $(guest_made loop)"
equal "no event was lost" 0 "$(scrape | awk '/^cetd_events_lost_total/ && !/sample/ && !/ring/ { n += $2 } END { print n + 0 }')"

# Another size of map: the pinned one stays. Another sample budget: other programs on the same counters.
stop_daemon
echo '{ "max_vms": 64, "samples_per_second": 500 }' >"$work/conf"
daemon --config "$work/conf"
match "a new size waits for a release" 'max_vms stays 4096' "$(cat "$work/cetd.log")"
match "programs with other parameters replace the old" "go on with this version's programs: samples_per_second" \
	"$(cat "$work/cetd.log")"
check "on the same counters" wait_for 5 agree loop
start_vm more --json --linger 3600 --count 1000 "$BUILD/guest/msr-loop.bin"
check "which count each event once" wait_for 20 agree more

# Without one of the programs, as after a daemon that was killed while it replaced them: the counters go on.
kill_daemon
rm "$pins"/link-stock_msr
daemon --config "$work/conf"
match "a program that is missing is replaced with the others, and that is said" 'they are replaced: No such file' \
	"$(cat "$work/cetd.log")"
check "on the same counters" wait_for 5 agree loop
start_vm again --json --linger 3600 --count 1000 "$BUILD/guest/msr-loop.bin"
check "which count each event once" wait_for 20 agree again

# Without one of the maps: nobody goes on with that.
kill_daemon
rm "$pins"/map-slots
daemon --config "$work/conf"
match "maps that are not whole are dropped, and that is said" 'begin anew' "$(cat "$work/cetd.log")"
start_vm anew --json --linger 3600 --count 1000 "$BUILD/guest/msr-loop.bin"
check "and counting begins anew" wait_for 20 agree anew

# A layout of another version is replaced as a whole.
kill_daemon
zero=$(bpftool map dump pinned "$pins/layout-cetd" -j | jq -r '.[0].value | .[0] = "0x63" | join(" ")')
# shellcheck disable=SC2086
bpftool map update pinned "$pins/layout-cetd" key hex 00 00 00 00 value hex ${zero//0x/}
daemon --config "$work/conf"
match "a layout of another version is not touched but replaced" "their layout is another version's" \
	"$(cat "$work/cetd.log")"

# One daemon has the pins; another goes on without.
"$BUILD/cetd" --bus none --metrics off --pin-dir "$pins" >"$work/second.log" 2>&1 &
children+=($!)
second=$!
check "a second daemon does without" wait_for 10 grep -q "is another cetd's" "$work/second.log"
kill $second
"$BUILD/cetd" --release --pin-dir "$pins" >"$work/release.log" 2>&1
equal "a release while a daemon runs is refused" 1 $?
match "with a hint" 'stop it first' "$(cat "$work/release.log")"

stop_daemon
equal "programs are attached without a daemon" yes "$([ -n "$(ls "$pins"/link-* 2>/dev/null)" ] && echo yes)"
progs=$(for p in "$pins"/prog-*; do bpftool prog show pinned "$p" | head -1 | cut -d: -f1; done)
"$BUILD/cetd" --release --pin-dir "$pins" >"$work/release.log" 2>&1
equal "a release succeeds" 0 $?
match "and says what it did" 'Removed .* pins' "$(cat "$work/release.log")"
check "the directory is gone" test ! -e "$pins"
check "and so are the programs" wait_for 10 programs_are_gone
"$BUILD/cetd" --release --pin-dir "$pins" >"$work/release.log" 2>&1
equal "a second release has nothing to do" 0 $?

# Not in a BPF file system.
daemon --pin-dir "$work/elsewhere/cetd"
stop_daemon
start_daemon --pin-dir "$work/plain" || not_ok "cetd starts without bpffs"
match "without bpffs it says so and goes on" 'not in a BPF file system' "$(cat "$work/cetd.log")"
stop_daemon
exit $failed
