#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Another version's programs take the place of those that are pinned, and cetd is killed before each pin that it adds
# or removes for that: the next cetd goes on with the counters.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh

have_bpf && have_kvm || {
	skip "cetd killed while it replaces its programs: needs root, BTF and /dev/kvm"
	exit 0
}
own_bpffs "cetd killed while it replaces its programs"
pins=$work/bpf/cetd
start_bus || exit 1
# A name that no other test on this host has.
vm_name=pinned$$
counted() { cetctl show "$vm_name" --json 2>/dev/null | jq '.cet_msr.s_cet.write | .ok + .fault'; }
start_cetd() {
	start_daemon --pin-dir "$pins" --config "$work/conf-$1" || not_ok "$2: cetd starts"
}
# Each of these replaces the programs of the other, as another version's would.
echo '{ "samples_per_second": 500 }' >"$work/conf-0"
echo '{ "samples_per_second": 700 }' >"$work/conf-1"

start_cetd 1 "at first"
start_vm $vm_name --count 1000 --linger 600 "$BUILD/guest/msr-loop.bin"
check "a guest is counted" wait_for 20 eval '[ "$(counted)" = 1000 ]'
stop_daemon
calls=()
for n in $(seq 1 60); do
	"$BUILD/tests/kill-at" "$n" pins "$BUILD/cetd" --bus none --metrics off --state-dir none --pin-dir "$pins" \
		--config "$work/conf-0" >"$work/killed" 2>"$work/killed.log" &
	killed=$!
	wait_for 20 eval '! kill -0 $killed 2>/dev/null || grep -q "$vm_name" "$work/killed.log"'
	if kill -0 $killed 2>/dev/null; then
		# All its pins are there.
		kill $killed && wait $killed 2>/dev/null
		break
	fi
	calls+=("$(sed 's/killed before //' "$work/killed")")
	start_cetd 1 "call $n, ${calls[-1]}"
	! grep -q "begin anew" "$work/cetd.log" ||
		not_ok "call $n, ${calls[-1]}: the counters are dropped: $(grep "begin anew" "$work/cetd.log")"
	wait_for 10 eval '[ "$(counted)" = 1000 ]' || not_ok "call $n, ${calls[-1]}: counted is $(counted)"
	stop_daemon
	[ $failed = 0 ] || break
done
[ $failed = 1 ] || ok "killed before each of ${#calls[@]} calls, the counters are there"
match "links and programs were removed, made anew, and the layout renamed" 'unlinkat .*bpf .*rename$' "${calls[*]}"
equal "nothing is left of a layout that was not put in place" "" "$(ls "$pins" | grep new-)"
exit $failed
