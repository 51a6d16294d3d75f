#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A fleet: three cetd (replays) on three loopback addresses behind a real Prometheus with the example configuration,
# the rules as installed, and every query of the dashboards; hosts that come, go and fail; policies checked as in a pipeline.
set -u
cd "$(dirname "$0")/../.."
. tests/lib/apt.sh
. tests/lib/checks.sh
. tests/integration/lib-exporter.sh
. tests/monitoring/names.sh
apt_need curl jq prometheus >&2
dir=daemon/export/monitoring
hosts=(127.0.0.2 127.0.0.3 127.0.0.4)
pids=()

# write_targets HOST...: as a whole, then renamed, as the documentation says.
write_targets() {
	printf '%s\n' "$@" | jq -R "\"\(.):$port\"" | jq -s '[{targets: ., labels: {site: "test"}}]' >"$work/new"
	mv "$work/new" "$work/targets.yml"
}

# reads EXPRESSION VALUE: is it that?
reads() { [ "$(value "$1")" = "$2" ]; }
is_more_than_0() { [ "$(query "($1) > 0" | jq length)" -gt 0 ]; }

# alerts STATE: those that are pending or firing, "name instance vm" each.
alerts() {
	curl -sf -m 10 "http://127.0.0.1:$prometheus/api/v1/alerts" |
		jq -r --arg s "$1" '.data.alerts[] | select(.state == $s) | "\(.labels.alertname) \(.labels.instance) \(.labels.vm)"'
}
has_alert() { alerts "$1" | grep -qE "^$2"; }

# Panels of which a recording has nothing to show; all others must show something.
is_empty_here() {
	grep -qE 'cetd_vm_cr4_cet_writes_total|cetd_vm_(host_)?cet_msr_accesses_total|storm|throttled|decision|polic' <<<"$1"
}

check_dashboards() {
	local dashboard expr answer bad="" empty="" n=0
	for dashboard in "$dir"/grafana-*.json; do
		while read -r expr; do
			[[ $expr != label_values* ]] || continue
			n=$((n + 1))
			expr=${expr//\$job/cetd} expr=${expr//\$instance/.*} expr=${expr//\$vm/db-3}
			answer=$(curl -s -m 10 "http://127.0.0.1:$prometheus/api/v1/query" --data-urlencode "query=$expr")
			[ "$(jq -r .status <<<"$answer")" = success ] || bad+="$expr: $(jq -r .error <<<"$answer"); "
			[[ $expr == changes* || $expr == *instance:cetd_events_lost* ]] || is_empty_here "$expr" ||
				[ "$(jq '.data.result | length' <<<"$answer")" != 0 ] || empty+="$expr; "
		done < <(dashboard_exprs "$dashboard")
	done
	[ -z "$bad" ] && ok "Prometheus answers all $n queries of the dashboards" || not_ok "queries of the dashboards: $bad"
	[ -z "$empty" ] && ok "and those about what was recorded show something" || not_ok "queries that show nothing: $empty"
}

# answers EXPRESSION: anything. A busy machine can make every scrape of a round late, then there is nothing for a second.
answers() { query "$1" >"$work/answer" && [ "$(jq length "$work/answer")" != 0 ]; }

# The queries of the table in the documentation.
check_documented() {
	local expr n=0 bad=""
	while read -r expr; do
		n=$((n + 1))
		[[ $expr == *unobservable* ]] || wait_for 10 answers "$expr" || bad+="$expr; "
	done < <(sed -n '/^| question/,/^$/p' $dir/README.md | sed 1,2d | sed 's/^[^`]*//' | grep -o '`[^`]*`' | tr -d '`')
	[ -z "$bad" ] && [ $n -ge 8 ] && ok "the $n documented queries have answers" || not_ok "documented queries ($n) without an answer: $bad"
}

check_pipeline() {
	mkdir "$work/policy.d"
	cp systemd/policy-example.json "$work/policy.d/10-site.json"
	check "a pipeline takes good policies, without a daemon" "$BUILD/cetctl" policy check "$work/policy.d/"*.json
	printf '{ "version": 1,\n "rules": [ { "id": "a",\n "mode": "enforec" } ] }\n' >"$work/policy.d/20-bad.json"
	"$BUILD/cetctl" policy check "$work/policy.d/"*.json >"$work/refused" 2>&1
	[ $? != 0 ] && ok "and stops at a bad one" || not_ok "and stops at a bad one"
	match "with its place" '20-bad.json:[23]: .*mode' "$(cat "$work/refused")"
}

port=$(free_port)
for host in "${hosts[@]}"; do
	start "$work/cetd-$host.log" "$BUILD/cetd" --bus none --metrics "$host:$port" --replay tests/demo/storm.cetdrec --speed 0.1
	pids+=("$pid")
done
for host in "${hosts[@]}"; do
	check "cetd on $host" wait_for 10 curl -sf -o /dev/null "http://$host:$port/metrics"
done

cp "$dir"/*.rules.yml "$work/"
# As shipped, but at the pace of a test.
sed 's/scrape_interval: 15s/scrape_interval: 1s\n  evaluation_interval: 1s/; s/files: \[targets.yml\]/&\n        refresh_interval: 1s/' \
	"$dir/prometheus.yml" >"$work/prometheus.yml"
sed "s,192.0.2.11:9752,${hosts[0]}:$port," "$dir/targets.yml" >"$work/targets.yml"
(cd "$dir" && promtool check config prometheus.yml) >"$work/check" 2>&1 && ok "promtool takes the example as it is" ||
	not_ok "promtool takes the example as it is: $(tail -2 "$work/check")"
write_targets "${hosts[0]}"
start_prometheus || exit 1
check "the one host in targets.yml is scraped" wait_for 30 reads job:cetd_up:sum 1
write_targets "${hosts[@]}"
check "two that are added are found without a reload" wait_for 30 reads job:cetd_up:sum 3
equal "with the label of their file" 3 "$(value 'count(cetd_build_info{site="test"})')"
check "the fleet's VMs" wait_for 40 reads job:cetd_vms:sum 15
check "their faults are counted from host to fleet" wait_for 40 \
	is_more_than_0 'job_kind:cetd_vm_control_protection_faults:rate5m{kind="endbranch"}'
check "VMs that fault, of the fleet" wait_for 20 is_more_than_0 job:cetd_vm_faulting:sum
check "violations alert, by VM and host" wait_for 30 has_alert firing "CetdShadowStackViolation ${hosts[1]}:$port desktop-4"
check "an alert carries its runbook" eval "curl -sf http://127.0.0.1:$prometheus/api/v1/alerts |
	jq -e '[.data.alerts[] | .annotations.runbook_url | test(\"runbook.md#cetd\")] | all and length > 0'"
check "replays are told" has_alert pending CetdReplayed
check_dashboards
check_documented

stop "${pids[2]}"
check "a host that fails is down" wait_for 20 reads "up{instance=\"${hosts[2]}:$port\"}" 0
check "its alert begins" wait_for 20 has_alert pending "CetdDown ${hosts[2]}:$port"
check "and the fleet counts it out" wait_for 20 reads job:cetd_up:sum 2
write_targets "${hosts[@]:0:2}"
check "a host that is taken out raises nothing" wait_for 20 eval "! has_alert pending 'CetdDown ${hosts[2]}:'"
equal "no rule failed" 0 "$(curl -sf "http://127.0.0.1:$prometheus/api/v1/rules" | jq '[.data.groups[].rules[] | select(.health != "ok")] | length')"
check_pipeline
exit $failed
