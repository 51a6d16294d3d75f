#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Overrides of real VMs on D-Bus: each method, what it refuses, how long it holds, and what is stored.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
# shellcheck source=lib-bus.sh
. tests/integration/lib-bus.sh

have_bpf && have_kvm || {
	skip "overrides of VMs: need root, BTF and /dev/kvm"
	exit 0
}
start_bus || exit 1
state=$work/state
rules=$work/policy.d
mkdir "$rules"
printf '{ "version": 1, "rules": [ { "id": "web", "match": { "name": "web*" }, "mode": "enforce" } ] }' \
	>"$rules/10-a.json"
printf '{ "policy_dir": "%s" }' "$rules" >"$work/cetd.conf"
start_cetd() { start_daemon --config "$work/cetd.conf" --state-dir "$state" "$@" || not_ok "cetd starts"; }

bus() { busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" "$@" 2>&1; }
manager() { bus call org.cetd1 /org/cetd1 org.cetd1.Manager "$@"; }
# A name that no other test on this host has.
vm_name=web$$
web=/org/cetd1/vm/$vm_name
vm() { bus call org.cetd1 $web org.cetd1.VM "$@"; }
get() { bus get-property org.cetd1 "${2:-$web}" org.cetd1.VM "$1"; }
policy() { "$BUILD/cetctl" dump | jq -r ".vms[] | select(.name == \"$1\") | .policy | $2"; }
is_seen() { "$BUILD/cetctl" list --no-legend --columns=id | grep -qx "$1 *"; }
value() { get DesiredPolicy | grep -o "\"$1\" [sb] [^ ]*" | cut -d' ' -f3 | tr -d '"'; }
# refused NAME PATTERN MEMBER ARGUMENT...: by the VM's method, and nothing has changed.
refused() {
	local name=$1 pattern=$2 before after
	shift 2
	before=$(get Overrides)
	match "$name" "$pattern" "$(vm "$@")"
	after=$(get Overrides)
	[ "$before" = "$after" ] || not_ok "$name: and yet it changed something: $before, $after"
}

start_cetd
start_vm $vm_name --count 10 --linger 600 "$BUILD/guest/msr-loop.bin"
web_pid=$vm_pid
"$BUILD/tests/inject" 1 >"$work/inject.log" 2>&1 &
nameless=$!
children+=($nameless)
check "the VM is found" wait_for 20 is_seen $vm_name
check "and a nameless one" wait_for 20 is_seen "pid-$nameless"
dbus-monitor --address "$DBUS_SYSTEM_BUS_ADDRESS" "sender='org.cetd1',member='PolicyApplied'" >"$work/signals" 2>&1 &
children+=($!)
wait_for 5 grep -q NameAcquired "$work/signals"
# Only our VM's: others come and go on this host as well.
signals() { grep -A1 'member=PolicyApplied' "$work/signals" | grep -c "string \"$vm_name\""; }
# What was signalled before, when the monitor has caught up.
signals_so_far() {
	local n=""
	until [ "$n" = "$(signals)" ]; do
		n=$(signals)
		sleep 0.5
	done
	echo "$n"
}

# Each method, and its twins that are refused.
equal "before, a rule has the mode" "enforce web" "$(policy $vm_name '"\(.mode.value) \(.mode.rule)"')"
before=$(signals_so_far)
equal "SetMode" "" "$(vm SetMode stt monitor 1 0)"
equal "holds at once" "monitor runtime" "$(policy $vm_name '"\(.mode.value) \(.mode.source)"')"
check "and is signalled" wait_for 5 eval '[ "$(signals)" = $((before + 1)) ]'
match "with the setting, its value and the reason" 'string "mode" +string "monitor" +string "in_force" +string "" +string "set for this VM until cetd ends"' \
	"$(grep -A40 "string \"$vm_name\"" "$work/signals" | tail -41 | tr -s '\n ' ' ')"
refused "a mode that is none" 'mode is "enforec", valid is "monitor" or "enforce"' SetMode stt enforec 1 0
refused "no flag" "flags is 0, valid are 1 \(runtime\) and 2" SetMode stt monitor 0 0
refused "both flags" "flags is 3, valid are" SetMode stt monitor 3 0
refused "an unknown flag" "flags is 4, valid are" SetMode stt monitor 4 0
refused "a time that is too long" "for_usec is 18446744073709551615, valid are 0 \(without end\) to" \
	SetMode stt monitor 1 18446744073709551615
refused "arguments of other types" "Invalid arguments" SetMode s monitor
equal "SetIBT" "" "$(vm SetIBT stt off 1 0)"
equal "is desired" off "$(value ibt)"
refused "an ibt that is none" 'ibt is "of", valid is "keep" or "off"' SetIBT stt of 1 0
refused "a hostile one" 'ibt is ".*, valid is' SetIBT stt $'off"}\e[31m%n' 1 0
equal "SetRateLimit" "" "$(vm SetRateLimit stt '{"limit": 5, "then": "throttle"}' 1 0)"
equal "is desired" "5 throttle" "$(policy $vm_name '.cp_rate.value[0] | "\(.limit) \(.then)"')"
equal "SetRateLimit of none" "" "$(vm SetRateLimit stt '[]' 1 0)"
refused "a rate without an action" "then is missing in the rate" SetRateLimit stt '{"limit": 5}' 1 0
refused "a rate that is no JSON" "not JSON|in the middle" SetRateLimit stt '{"limit": ' 1 0
refused "a rate that goes on with another key" "cp_rate is more than one value" SetRateLimit stt '[], "ibt": "keep"' 1 0
equal "SetPolicy, several at once" "" "$(vm SetPolicy stt '{"shstk": "hide", "record": true}' 1 0)"
equal "are desired" "hide true" "$(value shstk) $(value record)"
refused "one of several is wrong" 'settings:2: unknown key shtsk, did you mean shstk\?' \
	SetPolicy stt $'{"ibt": "keep",\n"shtsk": "hide"}' 1 0
refused "no setting" "nothing is set" SetPolicy stt '{}' 1 0
refused "no object" "must hold one JSON object" SetPolicy stt '[]' 1 0
refused "a text too large" "more than 65536 bytes" SetPolicy stt "$(printf '%*s' 65537 '')" 1 0
if [ "$("$BUILD/cetctl" dump | jq -r .host.coverage.enforcement.state)" = unobservable ]; then
	equal "what cannot be done is not said to be" 's "monitor" s "keep" s "keep"' \
		"$(get EffectivePolicy | grep -oE 's "(monitor|enforce|keep|off|hide)"' | xargs -d'\n')"
	equal "throttling is not to be seen here" 's "unobservable" t 18446744073709551615' \
		"$(get ThrottleState) $(get ThrottledUSec)"
else
	skip "effective policy without the hook: this kernel has it"
fi
equal "each override is listed" 5 "$(get Overrides | grep -o '"runtime"' | wc -l)"
match "with its value" '"runtime" "ibt" "off" 0' "$(get Overrides)"
match "each decision has its effect and source" '"ibt" "(monitored|moot)" "runtime" "" "set for this VM until cetd ends"' \
	"$(get PolicyDecisions)"
refused "ClearOverride of no setting" "'ib' is no setting, valid are mode" ClearOverride ast 1 ib 3
refused "ClearOverride without a flag" "flags is 0, valid are 1" ClearOverride ast 0 0
refused "ClearOverride of what is not set" "no such override is set" ClearOverride ast 1 ibt 2
equal "ClearOverride of one" "" "$(vm ClearOverride ast 1 ibt 1)"
equal "leaves the others" "keep hide" "$(value ibt) $(value shstk)"
equal "ClearOverride of all" "" "$(vm ClearOverride ast 0 3)"
equal "and the rule holds again" "enforce web" "$(policy $vm_name '"\(.mode.value) \(.mode.rule)"')"
refused "ClearOverride when there is none" "no such override" ClearOverride ast 0 3
match "a path that is no VM" "Unknown object" "$(bus call org.cetd1 /org/cetd1/vm/none org.cetd1.VM SetMode stt monitor 1 0)"

# The same by cetctl.
match "cetctl policy set shows what became of it" "ibt +off +(monitored|moot|next_start|in_force)" \
	"$(cetctl policy set $vm_name ibt=off cp_rate='{"limit": 3, "then": "alert"}' --for 1h 2>&1)"
match "cetctl policy list shows what is set" "$vm_name +runtime +cp_rate +3 in 1000 ms: alert" "$(cetctl policy list)"
match "and the rule" "web +name=web\* +mode=enforce +.*/10-a.json:1" "$(cetctl policy list)"
match "cetctl policy explain" "mode is enforce: rule web .*ibt is off: set for this VM until cetd ends or the time is over, until 20" \
	"$(cetctl policy explain $vm_name | tr '\n' ' ')"
match "what is wrong is told with the nearest" "unknown key itb, did you mean ibt" "$(cetctl policy set $vm_name itb=off 2>&1)"
equal "cetctl policy clear" "" "$(cetctl policy clear $vm_name 2>&1)"
match "once" "no such override is set for $vm_name.*cetctl policy list" "$(cetctl policy clear $vm_name 2>&1 | tr '\n' ' ')"

# Others than root: everything that changes something is refused, what is to be seen is not.
for call in "SetMode stt monitor 1 0" "SetIBT stt off 1 0" "SetRateLimit stt [] 1 0" "SetPolicy stt {} 1 0" \
	"ClearOverride ast 0 3"; do
	# shellcheck disable=SC2086
	match "nobody: ${call%% *}" "Access denied" "$(as_nobody busctl \
		--address="$DBUS_SYSTEM_BUS_ADDRESS" call org.cetd1 $web org.cetd1.VM $call 2>&1)"
done
for call in "CheckPolicy ss a {}" "ClearOverride sast $vm_name 0 3" Reload; do
	# shellcheck disable=SC2086
	match "nobody: Manager.${call%% *}" "Access denied" "$(as_nobody busctl \
		--address="$DBUS_SYSTEM_BUS_ADDRESS" call org.cetd1 /org/cetd1 org.cetd1.Manager $call 2>&1)"
done
equal "and nothing has changed" "a(ssst) 0" "$(get Overrides)"
check "nobody sees the policy" as_nobody busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" get-property org.cetd1 $web \
	org.cetd1.VM DesiredPolicy

# CheckPolicy takes nothing up.
equal "CheckPolicy of good rules" "t 1" "$(manager CheckPolicy ss x.json '{"version": 1, "rules": [{"id": "a", "ibt": "off"}]}')"
match "CheckPolicy of bad ones: place and key" 'x.json:2: rules.ibt is "of", valid is "keep" or "off"' \
	"$(manager CheckPolicy ss x.json $'{"version": 1,\n"rules": [{"id": "a", "ibt": "of"}]}')"
match "CheckPolicy of what a bus cannot carry: it is not quoted as it is" 'x.json:1: rules.id is .*[?]' \
	"$(manager CheckPolicy ss x.json '{"version": 1, "rules": [{"id": "\ufffe\u001b[2J"}]}')"
match "CheckPolicy of an id that is there twice" 'x.json:1: id is "a", which is that of' \
	"$(manager CheckPolicy ss x.json '{"version": 1, "rules": [{"id": "a", "ibt": "off"}, {"id": "a", "ibt": "off"}]}')"
all() { dbus-send --bus="$DBUS_SYSTEM_BUS_ADDRESS" --print-reply=literal --dest=org.cetd1 /org/cetd1 org.cetd1.Manager.GetPolicy; }
equal "GetPolicy has the rules" "web web* enforce 1" "$(all | jq -r '.rules[] | "\(.id) \(.match.name[0]) \(.mode) \(.line)"')"

# For a time.
before=$(signals_so_far)
equal "for a second" "" "$(vm SetIBT stt off 1 1000000)"
equal "it holds" off "$(value ibt)"
check "its end is told" eval '[ "$(policy $vm_name .ibt.until_usec)" -gt "$(($(date +%s) * 1000000 - 1000000))" ]'
check "then it is over" wait_for 5 eval '[ "$(value ibt)" = keep ]'
check "and both changes are signalled" wait_for 5 eval '[ "$(signals)" = $((before + 2)) ]'

# Persistent ones.
match "persistent, of a VM that only has a number" "is no id that would be the VM's again" \
	"$(bus call org.cetd1 "/org/cetd1/vm/pid_2d$nameless" org.cetd1.VM SetIBT stt off 2 0)"
equal "but at run time" "" "$(bus call org.cetd1 "/org/cetd1/vm/pid_2d$nameless" org.cetd1.VM SetIBT stt off 1 0)"
equal "persistent" "" "$(vm SetIBT stt off 2 0)"
equal "a persistent one for a time" "" "$(vm SetMode stt monitor 2 3600000000)"
equal "at run time over it" "" "$(vm SetIBT stt keep 1 0)"
equal "the latter wins" "keep runtime" "$(policy $vm_name '"\(.ibt.value) \(.ibt.source)"')"
equal "GetPolicy lists all" "pid-$nameless runtime ibt, $vm_name persistent ibt, $vm_name persistent mode, $vm_name runtime ibt" \
	"$(all | jq -r '[.overrides[] | "\(.vm) \(.lifetime) \(.setting)"] | sort | join(", ")')"
equal "the store has what is persistent" "$vm_name ibt off, $vm_name mode monitor" \
	"$(jq -r '[.overrides[] | "\(.vm) \(.set | keys[0]) \(.set[])"] | sort | join(", ")' "$state/overrides.json")"
equal "and is root's" "700 600" "$(stat -c %a "$state" "$state/overrides.json" | xargs)"
stop_daemon
start_cetd
wait_for 20 is_seen $vm_name
equal "after a restart what is persistent holds" "off persistent, monitor persistent" \
	"$(policy $vm_name '"\(.ibt.value) \(.ibt.source), \(.mode.value) \(.mode.source)"')"
kill $web_pid
wait_for 10 eval '! is_seen $vm_name' || not_ok "the VM ends"
match "ClearOverride of a VM that is gone, in part" "^$" "$(manager ClearOverride sast $vm_name 1 mode 3)"
match "of no VM at all" "No VM has the id" "$(manager ClearOverride sast "web-7%n" 0 3)"
start_vm $vm_name --count 10 --linger 600 "$BUILD/guest/msr-loop.bin"
wait_for 20 is_seen $vm_name
equal "the VM comes back to its override" "off persistent, enforce rule" \
	"$(policy $vm_name '"\(.ibt.value) \(.ibt.source), \(.mode.value) \(.mode.source)"')"

# A disk that is full, or cannot be written to: the caller is told, and the old state stays.
stop_daemon
mount -t tmpfs -o size=16k,mode=700 cetd-test "$state" && trap 'umount "$state"; live_cleanup' EXIT
start_cetd
wait_for 20 is_seen $vm_name
equal "a first one finds room" "" "$(vm SetIBT stt off 2 0)"
head -c 1M /dev/zero >"$state/full" 2>/dev/null
refused "the disk is full" "it cannot be stored in .*state: No space left" SetIBT stt keep 2 0
refused "nor can it be cleared then" "No space left" ClearOverride ast 0 3
equal "the old one holds" "off persistent" "$(policy $vm_name '"\(.ibt.value) \(.ibt.source)"')"
equal "and is stored" off "$(jq -r '.overrides[0].set.ibt' "$state/overrides.json")"
equal "at run time all goes on" "" "$(vm SetIBT stt keep 1 0)"
rm "$state/full"
equal "with room again" "" "$(vm SetRateLimit stt '{"limit": 0, "then": "freeze"}' 2 0)"
mount -o remount,ro "$state"
refused "a directory that cannot be written to" "Read-only file system" SetMode stt monitor 2 0
mount -o remount,rw "$state"

# Damage: put aside, named, and nothing of it is taken.
stop_daemon
printf '{"version": 1, "overrides": [{"vm": "%s", "until_usec": 0, "set": {"ibt": "off"}}, {"vm": "x"}]}' \
	"$vm_name" >"$state/overrides.json"
start_cetd
wait_for 20 is_seen $vm_name
match "a damaged store is named" "overrides.json: override 2: its keys are not vm, until_usec and set or frozen" \
	"$(<"$work/cetd.log")"
equal "and put aside" 1 "$(ls "$state"/overrides.json.damaged-* | wc -l)"
check "which is logged" grep -q "kept as $(ls "$state"/overrides.json.damaged-*)" "$work/cetd.log"
equal "nothing of it holds" "keep default" "$(policy $vm_name '"\(.ibt.value) \(.ibt.source)"')"
equal "and new ones are stored" "" "$(vm SetIBT stt off 2 0)"
stop_daemon
echo garbage >"$state/overrides.json"
mount -o remount,ro "$state"
start_cetd
wait_for 20 is_seen $vm_name
refused "damage that cannot be put aside is not written over" "nothing can be stored: Read-only file system" \
	SetIBT stt off 2 0
mount -o remount,rw "$state"
refused "also later" "nothing can be stored" SetIBT stt off 2 0
equal "it is still there" garbage "$(<"$state/overrides.json")"
stop_daemon

# A replay has other VMs: it neither reads nor writes what is stored.
start_daemon --state-dir "$state" --replay tests/demo/storm.cetdrec --speed 0 || not_ok "a replay starts"
path=$(bus tree --list org.cetd1 | grep '/vm/' | head -1)
match "a replay stores nothing" "nothing can be stored" \
	"$(bus call org.cetd1 "$path" org.cetd1.VM SetIBT stt off 2 0)"
equal "but shows what would hold" "" "$(bus call org.cetd1 "$path" org.cetd1.VM SetIBT stt off 1 0)"
equal "the store is as it was" garbage "$(<"$state/overrides.json")"
stop_daemon
exit $failed
