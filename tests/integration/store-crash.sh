#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A persistent override is being stored, and cetd is killed before each system call of that: what is on disk is the
# old state or the new one, whole, and the next cetd takes it up.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh

have_bpf && have_kvm || {
	skip "cetd killed while it stores: needs root, BTF and /dev/kvm"
	exit 0
}
start_bus || exit 1
state=$work/state
store=$state/overrides.json
# A name that no other test on this host has.
vm_name=crash$$
start_vm $vm_name --count 1 --linger 600 "$BUILD/guest/msr-loop.bin"

# start_killed N: cetd that dies at its N-th call of a change of the store.
start_killed() {
	"$BUILD/tests/kill-at" "$1" "$state" "$BUILD/cetd" --metrics off --pin-dir none --state-dir "$state" \
		>"$work/killed" 2>"$work/cetd.log" &
	daemon_pid=$!
	wait_for 20 eval '"$BUILD/cetctl" list --no-legend --columns=id | grep -qx "$vm_name *"'
}
set_ibt() {
	busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" call org.cetd1 /org/cetd1/vm/$vm_name org.cetd1.VM SetIBT stt "$1" 2 0
}
ibt() { jq -r '.overrides[0].set.ibt' "$store" 2>&1; }
in_force() { busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" get-property org.cetd1 /org/cetd1/vm/$vm_name org.cetd1.VM \
	Overrides | grep -o '"off"\|"keep"' | tr -d '"'; }

old="" new=off calls=()
for n in $(seq 1 60); do
	start_killed "$n" || {
		not_ok "cetd starts before call $n: $(tail -3 "$work/cetd.log")"
		break
	}
	[ "$(in_force)" = "$old" ] || not_ok "call $n: stored is '$old', in force at the start '$(in_force)'"
	! grep -q damaged "$work/cetd.log" || not_ok "call $n: the store is damaged: $(grep damaged "$work/cetd.log")"
	if set_ibt $new 2>"$work/error"; then
		# The whole change went by before call n.
		stop "$daemon_pid" KILL
		equal "what was answered is stored" "$new" "$(ibt)"
		break
	fi
	wait "$daemon_pid"
	calls+=("$(sed 's/killed before //' "$work/killed")")
	if [ ! -e "$store" ]; then
		[ -z "$old" ] || not_ok "call $n, ${calls[-1]}: the store is gone"
		continue
	fi
	case $(ibt) in
	"$new")
		# Taken over: from here on the other value is the new one.
		old=$new
		[ $new = off ] && new=keep || new=off
		;;
	"$old") ;;
	*) not_ok "call $n, ${calls[-1]}: neither the old nor the new state: $(head -c 300 "$store")" ;;
	esac
	[ "$(jq -c '[.version, (.overrides | length)]' "$store")" = "[1,1]" ] ||
		not_ok "call $n, ${calls[-1]}: not whole: $(head -c 300 "$store")"
done
daemon_pid=""
[ $failed = 1 ] || ok "killed before each of ${#calls[@]} calls, the old or the new state, whole"
match "synced before it is renamed, and the directory after" \
	'mkdir openat openat .*write .*fsync .*renameat fsync' "${calls[*]}"
exit $failed
