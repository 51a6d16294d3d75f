#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A real Prometheus scrapes the exporter and answers queries about what it found, hostile names and all.
set -u
cd "$(dirname "$0")/../.."
. tests/lib/apt.sh
. tests/lib/checks.sh
. tests/integration/serve.sh
apt_need curl jq >&2
if ! apt_need prometheus >&2; then
	skip "a real Prometheus" "the package prometheus cannot be installed"
	exit 0
fi

# A port that nobody listens on now.
free_port() {
	local p
	for p in $(shuf -i 20000-32000 -n 50); do
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p" && return; }
	done
	return 1
}

# query EXPRESSION: the result as JSON.
query() {
	curl -sf -m 10 "http://127.0.0.1:$prometheus/api/v1/query" --data-urlencode "query=$1" | jq -c .data.result
}

value() {
	query "$1" | jq -r '.[0].value[1]'
}

is_up() {
	[ "$(value "up{job=\"$1\"}")" = 1 ]
}

has_scraped() {
	[ "$(value "count_over_time(up{job=\"$1\"}[1m])")" -ge "$2" ]
}

serve --vms 50 || exit 1
observed=$port
serve --vms 3 --stock || exit 1
stock=$port
prometheus=$(free_port)

cat >"$scratch/prometheus.yml" <<-EOF2
	global:
	  scrape_interval: 1s
	  scrape_timeout: 1s
	scrape_configs:
	  - job_name: observed
	    static_configs: [{targets: ["127.0.0.1:$observed"]}]
	  - job_name: stock
	    static_configs: [{targets: ["127.0.0.1:$stock"]}]
EOF2
check "promtool takes the configuration" promtool check config "$scratch/prometheus.yml"
start "$scratch/prometheus.log" prometheus --config.file="$scratch/prometheus.yml" \
	--storage.tsdb.path="$scratch/tsdb" --web.listen-address="127.0.0.1:$prometheus"
wait_for 60 curl -sf "http://127.0.0.1:$prometheus/-/ready" || {
	not_ok "Prometheus starts" "$(tail -1 "$scratch/prometheus.log")"
	exit 1
}
for job in observed stock; do
	wait_for 60 is_up $job && wait_for 30 has_scraped $job 3 && ok "the exporter ($job) is scraped" ||
		not_ok "the exporter ($job) is scraped" "$(curl -s "http://127.0.0.1:$prometheus/api/v1/targets" |
			jq -r '.data.activeTargets[].lastError' | tr '\n' ' ')"
done

equal "a #CP counter" "$(value 'cetd_vm_control_protection_faults_total{vm="4dea22b3-1d52-d8f3-2516-000000000002",kind="endbranch",privilege="user"}')" 205
equal "all #CP series" "$(value 'count(cetd_vm_control_protection_faults_total{job="observed"})')" 600
equal "none from the stock kernel" "$(query 'cetd_vm_control_protection_faults_total{job="stock"}')" '[]'
equal "whose coverage says so" \
	"$(value 'cetd_coverage{job="stock",fact="hardware_cp",state="unobservable"}')" 1
equal "names join by vm" "$(query 'cetd_vm_injected_control_protection_total{job="observed"} *
	on(job, vm) group_left(name) cetd_vm_info{name="vm-7"}' | jq -r '.[0].metric.name + " " + .[0].value[1]')" "vm-7 719"
hostile='</td><script>"} 1
cetd_vms 99
# EOF
\'
equal "a hostile name arrives whole" \
	"$(query 'cetd_vm_info{job="observed",vm="4dea22b3-1d52-d8f3-2516-000000000000"}' | jq -r '.[0].metric.name')" "$hostile"
equal "and adds nothing" "$(value 'cetd_vms{job="observed"}')" 50
equal "samples agree with the text" "$(value 'scrape_samples_scraped{job="stock"}')" \
	"$(curl -sf "http://127.0.0.1:$stock/metrics" | grep -vc '^#')"
# The type is metadata, and "info" exists in OpenMetrics alone: it was that format that was scraped.
equal "Prometheus was given OpenMetrics" "$(curl -sf "http://127.0.0.1:$prometheus/api/v1/targets/metadata?metric=cetd_vm" |
	jq -r '.data[0].type')" info
equal "and units" "$(curl -sf "http://127.0.0.1:$prometheus/api/v1/targets/metadata?metric=process_resident_memory_bytes" |
	jq -r '.data[0].unit')" bytes
equal "no scrape failed" "$(value 'min_over_time(up{job="observed"}[1m])')" 1
match "a rate can be had" "$(value 'rate(process_cpu_seconds_total{job="observed"}[1m])')" '^[0-9.e-]+$'
exit $failed
