#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What is served at /metrics: sound by promtool's rules, complete, and silent on what cannot be seen.
set -u
cd "$(dirname "$0")/../.."
. tests/lib/apt.sh
. tests/lib/checks.sh
. tests/integration/lib-exporter.sh
apt_need curl >&2

# family NAME: how many series it has.
family() {
	curl -sf -m 10 "$url/metrics" | grep -c "^$1[{ ]"
}

serve --vms 3 || exit 1
equal "the first scrape has no duration to tell" 0 "$(family cetd_scrape_duration_seconds)"
equal "the second has" 1 "$(family cetd_scrape_duration_seconds)"
lint "promtool finds nothing, all facts observed"
equal "12 #CP series a VM" 36 "$(family cetd_vm_control_protection_faults_total)"
equal "a #CP counter" 205 "$(metric 'cetd_vm_control_protection_faults_total{vm="4dea22b3-1d52-d8f3-2516-000000000002",kind="endbranch",privilege="user"}')"
equal "MSR series only where counted" 9 "$(family cetd_vm_cet_msr_accesses_total)"
equal "one VMCS series a VM" 3 "$(family cetd_vm_vmcs_loads_total)"
equal "18 coverage series" 18 "$(family cetd_coverage)"
equal "a name full of newlines makes no series" 3 "$(metric cetd_vms)"
match "own memory is told" '^[1-9][0-9]{5,}$' "$(metric process_resident_memory_bytes)"
stop $pid

serve --vms 3 --stock || exit 1
lint "promtool finds nothing, stock kernel"
equal "no BPF statistics, no series of them" 0 "$(family cetd_bpf_program_runs_total)"
equal "no #CP series where #CP cannot be seen" 0 "$(family cetd_vm_control_protection_faults_total)"
equal "no VMCS series where loads cannot be seen" 0 "$(family cetd_vm_vmcs_loads_total)"
equal "coverage says why" 1 "$(metric 'cetd_coverage{fact="hardware_cp",state="unobservable"}')"
equal "injected #CP is there" 3 "$(family cetd_vm_injected_control_protection_total)"
stop $pid

serve --vms 0 || exit 1
lint "promtool finds nothing, no VM"
equal "no VM, no VM series" 0 "$(curl -sf "$url/metrics" | grep -c '^cetd_vm_')"
stop $pid
exit $failed
