#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Policies in the whole daemon: read, evaluated for real VMs, reloaded, refused. Nothing is enforced here.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
start_bus || exit 1

rules=$work/policy.d
printf '{ "policy_dir": "%s" }' "$rules" >"$work/cetd.conf"
check_config() { "$BUILD/cetd" --config "$work/cetd.conf" --check-config 2>&1; }

match "a policy_dir that is not there is refused" "policy.d: there is no such directory" "$(check_config)"
ln -s "$work/nowhere" "$rules"
match "and is not the same as a link to nowhere" "policy.d: cannot be read: No such file" "$(check_config)"
rm "$rules"
mkdir "$rules"
check "an empty one is good" check_config
printf '{ "version": 1,\n"rules": [ { "id": "a", "mode": "enforec" } ] }' >"$rules/10-a.json"
match "a bad rule is refused with its place" \
	'policy.d/10-a.json:2: rules.mode is "enforec", valid is "monitor" or "enforce"' "$(check_config)"
cat >"$rules/10-a.json" <<-'EOT'
	// By name, with everything.
	{
		"version": 1,
		"rules": [
			{
				"id": "web",
				"match": { "name": "web*" },
				"mode": "enforce",
				"ibt": "off",
				"cp_rate": { "limit": 100, "then": "throttle", "kinds": ["endbranch"] }
			}
		]
	}
EOT
printf '{ "version": 1, "rules": [ { "id": "rest", "record": true, "mode": "monitor" } ] }' >"$rules/20-b.json"
echo 'not JSON' >"$rules/.30-hidden.json"
echo 'not JSON' >"$rules/30-other.txt"
ln -s "$work/nowhere" "$rules/50-link.json"
match "a link to nowhere is no file that is left out" "50-link.json: is a link to what is not there" "$(check_config)"
rm "$rules/50-link.json"
check "good rules are good, and other files are left alone" check_config

check "cetctl checks files without a daemon" cetctl policy check "$rules"/*.json
check "the example that is installed is good" cetctl policy check systemd/policy-example.json
printf '{ "version": 1,\n"rules": [ { "id": "web", "ibt": "off" } ] }' >"$work/twice.json"
match "and them together" 'twice.json:2: id is "web", which is that of' \
	"$(cetctl policy check "$rules"/*.json "$work/twice.json" 2>&1)"
match "a file that is not there is refused" "none.json: cannot be read: No such file" \
	"$(cetctl policy check "$work/none.json" 2>&1)"
equal "the schema is JSON of the rules" object "$(cetctl policy schema | jq -r .properties.rules.items.type)"
match "an unknown action is refused" "did you mean .cetctl policy check" "$(cetctl policy chek 2>&1)"

if ! have_bpf || ! have_kvm; then
	skip "policies of VMs: need root, BTF and /dev/kvm"
	exit $failed
fi
start_daemon --config "$work/cetd.conf" || {
	not_ok "cetd starts with policies"
	exit 1
}
# Names that no other test on this host has.
web=web$$ other=other$$
start_vm $web --count 100 --linger 60 "$BUILD/guest/msr-loop.bin"
start_vm $other --count 100 --linger 60 "$BUILD/guest/msr-loop.bin"
# policy VM JQ: that part of a VM's policy.
policy() { cetctl dump | jq -r ".vms[] | select(.name == \"$1\") | .policy | $2"; }
is() { [ "$(policy "$1" "$2")" = "$3" ]; }
check "a VM that matches gets the rule" wait_for 20 is $web .mode.rule web
equal "with its values" "enforce off throttle 100" \
	"$(policy $web '"\(.mode.value) \(.ibt.value) \(.cp_rate.value[0].then) \(.cp_rate.value[0].limit)"')"
match "and the reason" "rule web \(.*/policy.d/10-a.json:5\) is the first that matches" \
	"$(policy $web .ibt.reason)"
equal "what no rule sets comes from the next one" "rest true" \
	"$(policy $web '"\(.record.rule) \(.record.value)"')"
check "a VM that does not match gets the rest" wait_for 20 is $other .mode.rule rest
equal "and keeps its IBT" "keep default" "$(policy $other '"\(.ibt.value) \(.ibt.source)"')"
if [ "$(cetctl dump | jq -r .host.coverage.enforcement.state)" = unobservable ]; then
	equal "a kernel without the hook does not enforce" unenforceable "$(policy $web .mode.effect)"
	match "and says what would help" "boot a host kernel with kvm_cet_ops" "$(policy $web .mode.advice)"
else
	skip "a kernel without the hook does not enforce: this one has it"
fi
match "cetctl shows a VM's settings" 'ibt +off .*rule web \(' "$(cetctl policy show $web)"
check "and all VMs'" eval '[ "$(cetctl policy show --json | jq length)" -ge 2 ]' # the host may have others
# Real #CP, which KVM injects; the VM has no name, so only the rest is for it.
injected="" # the VMs' pids, separated by |
# inject: three of them, once the VM is known; pid is the VM's. Its first samples could come before it otherwise.
inject() {
	start "$work/inject.log" "$BUILD/tests/inject" 3 stop
	injected+=${injected:+|}$pid
	wait_for 20 eval 'cetctl list --json | jq -e ".[] | select(.pid == $pid)"' &&
		wait_for 5 grep -q "^State:.*T (stopped)" "/proc/$pid/status" && kill -CONT "$pid"
}
recorded() { grep -Ec "VM pid-($injected) .*injected #CP .*\(rule rest\)" "$work/cetd.log"; }
inject || not_ok "a VM to inject into is found"
check "faults of a VM with record are in the log" wait_for 20 eval '[ "$(recorded)" = 3 ]'
equal "the files are shown" "2 2" "$(cetctl dump | jq -r '.policy | "\(.rules) \(.files | length)"')"

# reload: the daemon's answer.
reload() {
	dbus-send --bus="$DBUS_SYSTEM_BUS_ADDRESS" --print-reply=literal --reply-timeout=10000 \
		--dest=org.cetd1 /org/cetd1 org.cetd1.Manager.Reload 2>&1
}
printf '{ "version": 1,\n\n"rules": [ { "id": "web", "ibt": "keep" } ] }' >"$rules/20-b.json"
match "a second rule of the same id is refused" '20-b.json:3: id is "web", which is that of the rule at' "$(reload)"
equal "and the old rules stay" "rest true" "$(policy $other '"\(.record.rule) \(.record.value)"')"
printf '{ "version": 1, "rules": [ { "id": "x", "shtsk": "hide" } ] }' >"$rules/20-b.json"
match "an unknown key is refused with the nearest" 'unknown key shtsk, did you mean shstk\?' "$(reload)"
equal "and the old rules stay again" rest "$(policy $other .mode.rule)"
rm "$rules"/20-b.json

# Names of files are bytes; D-Bus takes text, and leaves without an answer who asks for anything else.
odd=$rules/40-$'\xff\e'.json
cp "$rules/10-a.json" "$odd"
match "a file with an odd name is refused like any" '40-\?\?.json:[0-9]*: id is "web", which is that of' "$(reload)"
ln -sf "$work/nowhere" "$odd"
match "one that cannot be read as well" '40-\?\?.json: is a link to what is not there' "$(reload)"
rm "$odd"
printf '{ "version": 1, "rules": [ { "id": "odd", "match": { "name": "other*" }, "mode": "monitor" } ] }' >"$odd"
check "and one that is good is taken" reload
equal "and shown" "odd 40-??.json" "$(policy $other '.mode | "\(.rule) \(.reason)"' | sed -n 's/^\(odd\) .*\(40-..\.json\).*/\1 \2/p')"
equal "also as properties" 0 "$(dbus-send --bus="$DBUS_SYSTEM_BUS_ADDRESS" --print-reply --dest=org.cetd1 /org/cetd1 \
	org.freedesktop.DBus.ObjectManager.GetManagedObjects >"$work/objects" 2>&1; echo $?)"
rm "$odd"
check "what is good again is taken" reload
equal "and what is gone is gone" "default monitor" "$(policy $other '"\(.mode.source) \(.mode.value)"')"
rm "$rules"/10-a.json
check "no rules at all are good" reload
equal "and then there is no policy" "null null" "$(cetctl dump | jq -r '"\(.policy) \(.vms[0].policy)"')"
inject || not_ok "another VM to inject into is found"
check "more faults are counted" wait_for 20 eval \
	'cetctl list --json | jq -e ".[] | select(.pid == $pid and .injected_control_protection == 3)"'
equal "but without record not in the log" 3 "$(recorded)"
equal "cetctl says so" "No policy is in force." "$(cetctl policy show $other)"
stop_daemon

# A dry run is told what is in force, does nothing, and counts nothing.
printf '{ "version": 1, "rules": [ { "id": "web", "match": { "name": "web*" }, "mode": "enforce", "ibt": "off" } ] }' >"$rules/10-a.json"
start_daemon --config "$work/cetd.conf" --dry-run || not_ok "a dry run starts"
check "a dry run says what it would do" wait_for 20 grep -q "Dry run: the policy of VM .* would be to turn off IBT" "$work/cetd.log"
equal "but shows no counts as if it had" null "$(cetctl dump | jq -c ".vms[] | select(.name == \"$web\") | .storms")"
equal "nor are there metrics" 0 "$(scrape | grep -c '^cetd_vm_policy_decisions_total')"
equal "what should hold is there" "enforce rule web" "$(scrape | sed -nE \
	's/^cetd_vm_policy_info\{.*setting="mode",value="([a-z]*)",effect="[a-z_]*",source="([a-z]*)",rule="web"\} 1$/\1 \2 web/p')"
printf '{ "policy_dir": "%s", "policy_lease_sec": 90 }' "$rules" >"$work/cetd.conf"
check "another lease is read" reload
check "and taken up at once" grep -q "Policies end 90 s after the last cetd from now on" "$work/cetd.log"
stop_daemon
exit $failed
