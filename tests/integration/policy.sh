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
check "good rules are good, and other files are left alone" check_config

if ! have_bpf || ! have_kvm; then
	skip "policies of VMs: need root, BTF and /dev/kvm"
	exit $failed
fi
start_daemon --config "$work/cetd.conf" || {
	not_ok "cetd starts with policies"
	exit 1
}
start_vm web-1 --count 100 --linger 60 "$BUILD/guest/msr-loop.bin"
start_vm other --count 100 --linger 60 "$BUILD/guest/msr-loop.bin"
# policy VM JQ: that part of a VM's policy.
policy() { cetctl dump | jq -r ".vms[] | select(.name == \"$1\") | .policy | $2"; }
is() { [ "$(policy "$1" "$2")" = "$3" ]; }
check "a VM that matches gets the rule" wait_for 20 is web-1 .mode.rule web
equal "with its values" "enforce off throttle 100" \
	"$(policy web-1 '"\(.mode.value) \(.ibt.value) \(.cp_rate.value[0].then) \(.cp_rate.value[0].limit)"')"
match "and the reason" "rule web \(.*/policy.d/10-a.json:5\) is the first that matches" \
	"$(policy web-1 .ibt.reason)"
equal "what no rule sets comes from the next one" "rest true" \
	"$(policy web-1 '"\(.record.rule) \(.record.value)"')"
check "a VM that does not match gets the rest" wait_for 20 is other .mode.rule rest
equal "and keeps its IBT" "keep default" "$(policy other '"\(.ibt.value) \(.ibt.source)"')"
if [ "$(cetctl dump | jq -r .host.coverage.enforcement.state)" = unobservable ]; then
	equal "a kernel without the hook does not enforce" unenforceable "$(policy web-1 .mode.effect)"
	match "and says what would help" "boot a host kernel with kvm_cet_ops" "$(policy web-1 .mode.advice)"
else
	skip "a kernel without the hook does not enforce: this one has it"
fi
equal "the files are shown" "2 2" "$(cetctl dump | jq -r '.policy | "\(.rules) \(.files | length)"')"

# reload: the daemon's answer.
reload() {
	dbus-send --bus="$DBUS_SYSTEM_BUS_ADDRESS" --print-reply=literal --reply-timeout=10000 \
		--dest=org.cetd1 /org/cetd1 org.cetd1.Manager.Reload 2>&1
}
printf '{ "version": 1,\n\n"rules": [ { "id": "web", "ibt": "keep" } ] }' >"$rules/20-b.json"
match "a second rule of the same id is refused" '20-b.json:3: id is "web", which is that of the rule at' "$(reload)"
equal "and the old rules stay" "rest true" "$(policy other '"\(.record.rule) \(.record.value)"')"
printf '{ "version": 1, "rules": [ { "id": "x", "shtsk": "hide" } ] }' >"$rules/20-b.json"
match "an unknown key is refused with the nearest" 'unknown key shtsk, did you mean shstk\?' "$(reload)"
equal "and the old rules stay again" rest "$(policy other .mode.rule)"
rm "$rules"/20-b.json
check "what is good again is taken" reload
equal "and what is gone is gone" "default monitor" "$(policy other '"\(.mode.source) \(.mode.value)"')"
rm "$rules"/10-a.json
check "no rules at all are good" reload
equal "and then there is no policy" "null null" "$(cetctl dump | jq -r '"\(.policy) \(.vms[0].policy)"')"
stop_daemon
exit $failed
