#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A real Prometheus scrapes the exporter and answers queries about what it found, hostile names and all.
set -u
cd "$(dirname "$0")/../.."
. tests/lib/apt.sh
. tests/lib/checks.sh
. tests/integration/lib-exporter.sh
apt_need curl jq >&2
if ! apt_need prometheus >&2; then
	skip "a real Prometheus: the package prometheus cannot be installed"
	exit 0
fi

serve --vms 50 || exit 1
observed=$port
serve --vms 3 --stock || exit 1
stock=$port

cat >"$work/prometheus.yml" <<-EOF2
	global:
	  scrape_interval: 1s
	  scrape_timeout: 1s
	scrape_configs:
	  - job_name: observed
	    static_configs: [{targets: ["127.0.0.1:$observed"]}]
	  - job_name: stock
	    static_configs: [{targets: ["127.0.0.1:$stock"]}]
EOF2
start_prometheus || exit 1
for job in observed stock; do
	wait_for 90 is_scraped $job && ok "the exporter ($job) is scraped" ||
		not_ok "the exporter ($job) is scraped: $(curl -s "http://127.0.0.1:$prometheus/api/v1/targets" |
			jq -r '.data.activeTargets[].lastError' | tr '\n' ' ')"
done

equal "a #CP counter" 205 "$(value 'cetd_vm_control_protection_faults_total{vm="4dea22b3-1d52-d8f3-2516-000000000002",kind="endbranch",privilege="user"}')"
equal "all #CP series" 600 "$(value 'count(cetd_vm_control_protection_faults_total{job="observed"})')"
equal "none from the stock kernel" '[]' "$(query 'cetd_vm_control_protection_faults_total{job="stock"}')"
equal "whose coverage says so" \
	1 "$(value 'cetd_coverage{job="stock",fact="hardware_cp",state="unobservable"}')"
equal "names join by vm" "vm-7 719" "$(query 'cetd_vm_injected_control_protection_total{job="observed"} *
	on(job, vm) group_left(name) cetd_vm_info{name="vm-7"}' | jq -r '.[0].metric.name + " " + .[0].value[1]')"
hostile=$'</td><script>"} 1\xe2\x80\xa8cetd_vms 99\xe2\x80\xa8# EOF\xe2\x80\xa8\\'
equal "a hostile name arrives whole" \
	"$hostile" "$(query 'cetd_vm_info{job="observed",vm="4dea22b3-1d52-d8f3-2516-000000000000"}' | jq -r '.[0].metric.name')"
equal "and adds nothing" 50 "$(value 'cetd_vms{job="observed"}')"
equal "samples agree with the text" "$(curl -sf "http://127.0.0.1:$stock/metrics" | grep -vc '^#')" \
	"$(value 'scrape_samples_scraped{job="stock"}')"
# The type is metadata, and "info" exists in OpenMetrics alone: it was that format that was scraped.
equal "Prometheus was given OpenMetrics" info "$(curl -sf "http://127.0.0.1:$prometheus/api/v1/targets/metadata?metric=cetd_vm" |
	jq -r '.data[0].type')"
equal "and units" bytes "$(curl -sf "http://127.0.0.1:$prometheus/api/v1/targets/metadata?metric=process_resident_memory_bytes" |
	jq -r '.data[0].unit')"
equal "no scrape failed" 1 "$(value 'min_over_time(up{job="observed"}[1m])')"
match "a rate can be had" '^[0-9.e-]+$' "$(value 'rate(process_cpu_seconds_total{job="observed"}[1m])')"
exit $failed
