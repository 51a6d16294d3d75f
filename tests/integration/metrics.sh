#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What is served at /metrics: sound by promtool's rules, complete, and silent on what cannot be seen.
set -u
cd "$(dirname "$0")/../.."
. tests/lib/apt.sh
. tests/lib/checks.sh
. tests/integration/serve.sh
apt_need curl >&2

have_promtool=1
apt_need prometheus >&2 || have_promtool=

lint() {
	local report
	if [ -z "$have_promtool" ]; then
		skip "$1" "promtool (package prometheus) is not installed"
		return
	fi
	report=$(curl -sf -m 10 "$url/metrics" | promtool check metrics 2>&1) && [ -z "$report" ] &&
		ok "$1" || not_ok "$1" "$(tr '\n' ' ' <<<"$report")"
}

# family NAME: how many series it has.
family() {
	curl -sf -m 10 "$url/metrics" | grep -c "^$1[{ ]"
}

serve --vms 3 || exit 1
equal "the first scrape has no duration to tell" "$(family cetd_scrape_duration_seconds)" 0
equal "the second has" "$(family cetd_scrape_duration_seconds)" 1
lint "promtool finds nothing, all facts observed"
equal "12 #CP series a VM" "$(family cetd_vm_control_protection_faults_total)" 36
equal "a #CP counter" "$(metric 'cetd_vm_control_protection_faults_total{vm="4dea22b3-1d52-d8f3-2516-000000000002",kind="endbranch",privilege="user"}')" 205
equal "MSR series only where counted" "$(family cetd_vm_cet_msr_accesses_total)" 9
equal "one VMCS series a VM" "$(family cetd_vm_vmcs_loads_total)" 3
equal "18 coverage series" "$(family cetd_coverage)" 18
equal "a name full of newlines makes no series" "$(metric cetd_vms)" 3
match "own memory is told" "$(metric process_resident_memory_bytes)" '^[1-9][0-9]{5,}$'
stop $pid

serve --vms 3 --stock || exit 1
lint "promtool finds nothing, stock kernel"
equal "no BPF statistics, no series of them" "$(family cetd_bpf_program_runs_total)" 0
equal "no #CP series where #CP cannot be seen" "$(family cetd_vm_control_protection_faults_total)" 0
equal "no VMCS series where loads cannot be seen" "$(family cetd_vm_vmcs_loads_total)" 0
equal "coverage says why" "$(metric 'cetd_coverage{fact="hardware_cp",state="unobservable"}')" 1
equal "injected #CP is there" "$(family cetd_vm_injected_control_protection_total)" 3
stop $pid

serve --vms 0 || exit 1
lint "promtool finds nothing, no VM"
equal "no VM, no VM series" "$(curl -sf "$url/metrics" | grep -c '^cetd_vm_')" 0
stop $pid
exit $failed
