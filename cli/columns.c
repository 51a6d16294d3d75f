// SPDX-License-Identifier: GPL-2.0-only
/* The columns of a VM's row, and the rates between two snapshots. */
#include <string.h>

#include "columns.h"
#include "doc.h"

#define CP(kind, title)                                               \
	{kind,	title, "control_protection." kind,	COLUMN_ALERT, \
	 false, 0,     "hardware #CP of the kind " kind}

const struct column vm_columns[] = {
	{"name", "NAME", "name", COLUMN_TEXT, true, 0.3, "name for people"},
	{"id", "ID", "id", COLUMN_TEXT, false, 0.3, "stable id: the UUID where there is one"},
	{"uuid", "UUID", "uuid", COLUMN_TEXT, false, 0, "UUID"},
	{"vmm", "VMM", "vmm", COLUMN_TEXT, true, 0, "what runs the VM"},
	{"pid", "PID", "pid", COLUMN_RIGHT, true, 0, "process of the VMM"},
	{"unit", "UNIT", "unit", COLUMN_TEXT, false, 0.2, "systemd unit"},
	{"cgroup", "CGROUP", "cgroup", COLUMN_TEXT, false, 0.3, "control group"},
	{"attribution", "ATTRIBUTION", "attribution", COLUMN_WORD, false, 0,
	 "how events are told apart: process, vm_id, or ambiguous (several VMs share the counts)"},
	{"vms", "VMS", "vms_in_process", COLUMN_RIGHT, false, 0, "VMs in the process"},
	{"kernel_id", "KERNEL-ID", "kernel_vm_id", COLUMN_RIGHT, false, 0, "the kernel's VM id"},
	{"uses_cet", "CET", "uses_cet", COLUMN_WORD, true, 0,
	 "does the guest use CET: yes, attempted (and was refused), or unknown"},
	{"cp", "#CP", "control_protection_total", COLUMN_ALERT, true, 0,
	 "control-protection faults raised by the hardware"},
	CP("near_ret", "NEAR-RET"),
	CP("far_ret", "FAR-RET"),
	CP("endbranch", "ENDBRANCH"),
	CP("rstorssp", "RSTORSSP"),
	CP("setssbsy", "SETSSBSY"),
	CP("other", "OTHER"),
	{"cp_supervisor", "#CP-SUPER", "control_protection.*.supervisor", COLUMN_ALERT, false, 0,
	 "hardware #CP below CPL 3"},
	{"cp_user", "#CP-USER", "control_protection.*.user", COLUMN_ALERT, false, 0,
	 "hardware #CP at CPL 3"},
	{"injected", "INJECTED", "injected_control_protection", COLUMN_ALERT, true, 0,
	 "#CP injected by the host"},
	{"msr", "MSR", "cet_msr", COLUMN_COUNT, true, 0, "accesses of the guest to CET MSRs"},
	{"msr_faults", "MSR-FAULTS", "cet_msr.*.*.fault", COLUMN_ALERT, true, 0,
	 "those that raised #GP"},
	{"msr_host", "MSR-HOST", "cet_msr_host", COLUMN_COUNT, false, 0, "accesses of the VMM"},
	{"cr4", "CR4.CET", "cr4_cet", COLUMN_COUNT, false, 0, "writes of CR4.CET"},
	{"loads", "LOADS", "vmcs_loads", COLUMN_COUNT, false, 0,
	 "VMCS loads, nested ones included"},
	{"nested_loads", "NESTED", "vmcs_loads.nested", COLUMN_COUNT, false, 0,
	 "loads of a nested guest's VMCS"},
	{"delayed", "DELAYED", "decisions.did.delay", COLUMN_COUNT, false, 0,
	 "#CP delayed by policy"},
	{"suppressed", "SUPPRESSED", "decisions.did.suppress", COLUMN_ALERT, false, 0,
	 "#CP suppressed by policy"},
	{"storms", "STORMS", "storms.total", COLUMN_COUNT, false, 0,
	 "storms of #CP that a policy's rates have seen"},
	{"storm", "STORM", "storms.active", COLUMN_ALERT, false, 0, "rates that see a storm now"},
	{"throttled", "THROTTLED", "storms.throttled_usec", COLUMN_COUNT, false, 0,
	 "microseconds that its vCPUs had to wait"},
	{"dropped", "DROPPED", "samples_dropped", COLUMN_ALERT, false, 0,
	 "events counted but not shown by monitor"},
	{"first_seen", "FIRST-SEEN", "first_seen_usec", COLUMN_AGE, false, 0,
	 "when cetd found the VM"},
	{"activity", "ACTIVITY", "last_activity_usec", COLUMN_AGE, true, 0,
	 "when a count last changed"},
	{"cp_rate", "#CP/S", "rate.cp", COLUMN_RATE, false, 0, "hardware #CP a second (top)"},
	{"msr_rate", "MSR/S", "rate.msr", COLUMN_RATE, false, 0, "CET MSR accesses a second (top)"},
	{"injected_rate", "INJ/S", "rate.injected", COLUMN_RATE, false, 0,
	 "injected #CP a second (top)"},
	{"loads_rate", "LOADS/S", "rate.loads", COLUMN_RATE, false, 0, "VMCS loads a second (top)"},
};
const size_t n_vm_columns = ARRAY_SIZE(vm_columns);
_Static_assert(ARRAY_SIZE(vm_columns) <= TABLE_COLUMNS_MAX, "all of them fit on a line");

unsigned int vm_count_storms(json_object *vms)
{
	size_t n = doc_length(vms);
	unsigned int count = 0;

	for (size_t i = 0; i < n; i++)
		count += doc_number(json_object_array_get_idx(vms, i), "storms.active") > 0;
	return count;
}

unsigned int vm_count_uses(json_object *vms, const char *word)
{
	size_t n = doc_length(vms);
	unsigned int count = 0;

	for (size_t i = 0; i < n; i++) {
		const char *uses = doc_text(json_object_array_get_idx(vms, i), "uses_cet");

		count += uses && !strcmp(uses, word);
	}
	return count;
}

static void add_rate(json_object *rate, const char *name, json_object *vm, json_object *before,
		     const char *path, double seconds)
{
	uint64_t now, then;

	if (doc_sum(vm, path, &now) && doc_sum(before, path, &then))
		json_object_object_add(
			rate, name,
			json_object_new_double(now > then ? (double)(now - then) / seconds : 0));
}

void vm_add_rates(json_object *snapshot, json_object *before)
{
	json_object *vms = doc_get(snapshot, "vms"), *old = doc_get(before, "vms");
	uint64_t now = doc_number(snapshot, "now_usec"), then = doc_number(before, "now_usec");
	size_t n = doc_length(vms), n_old = doc_length(old);
	double seconds = now > then ? (double)(now - then) / USEC_PER_SEC : 1;
	_cleanup_doc_ json_object *by_id = json_object_new_object();

	for (size_t i = 0; i < n_old; i++) {
		json_object *vm = json_object_array_get_idx(old, i);

		if (doc_text(vm, "id"))
			json_object_object_add(by_id, doc_text(vm, "id"), json_object_get(vm));
	}
	for (size_t i = 0; i < n; i++) {
		json_object *vm = json_object_array_get_idx(vms, i), *last = NULL;
		json_object *rate;

		if (!json_object_is_type(vm, json_type_object))
			continue;
		rate = json_object_new_object();
		if (doc_text(vm, "id"))
			json_object_object_get_ex(by_id, doc_text(vm, "id"), &last);
		if (last) {
			add_rate(rate, "cp", vm, last, "control_protection_total", seconds);
			add_rate(rate, "msr", vm, last, "cet_msr", seconds);
			add_rate(rate, "injected", vm, last, "injected_control_protection",
				 seconds);
			add_rate(rate, "loads", vm, last, "vmcs_loads", seconds);
		}
		json_object_object_add(vm, "rate", rate);
	}
}
