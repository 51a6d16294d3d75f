// SPDX-License-Identifier: GPL-2.0-only
/* The table of metric families, and how each is read off the model. */
#include <stdio.h>

#include "cetd/names.h"

#include "export/metrics-internal.h"
#include "util/macro.h"

static const char *const http_codes[_METRICS_HTTP_CODE_MAX] = {"200", "404", "405",
							       "413", "500", "503"};
static const char *const http_drops[_METRICS_HTTP_DROP_MAX] = {"evicted", "deadline", "no_request"};

static void write_build(struct writer *w)
{
	char abi[12];

	snprintf(abi, sizeof(abi), "%d", CETD_ABI_VERSION);
	sample_begin(w, NULL);
	sample_label(w, "version", w->context->version);
	sample_label(w, "abi", abi);
	sample_end(w, 1);
}

static void write_host(struct writer *w)
{
	const struct cetd_host *host = &w->model->host;

	if (!w->model->has_host)
		return;
	sample_begin(w, NULL);
	sample_label(w, "kernel_release", host->kernel_release);
	sample_label(w, "kvm_vendor", host->kvm_vendor);
	sample_word(w, "family", cetd_family_to_string((int)host->family));
	sample_word(w, "guest_cet", cetd_guest_cet_to_string((int)host->guest_cet));
	sample_end(w, 1);
}

static void write_coverage(struct writer *w)
{
	if (!w->model->has_host)
		return;
	for (int fact = 0; fact < _CETD_FACT_MAX; fact++)
		for (int state = 0; state < _CETD_COVERAGE_MAX; state++) {
			sample_begin(w, NULL);
			sample_word(w, "fact", cetd_fact_to_string(fact));
			sample_word(w, "state", cetd_coverage_to_string(state));
			sample_end(w, w->model->host.facts[fact].state == (__u32)state);
		}
}

static void write_replayed(struct writer *w)
{
	sample_value(w, w->model->is_replayed);
}

static void write_vms(struct writer *w)
{
	sample_value(w, w->model->n_vms);
}

static void write_vms_refused(struct writer *w)
{
	sample_value(w, w->model->vms_refused);
}

static void write_events_received(struct writer *w)
{
	sample_value(w, w->model->events);
}

static void write_events_lost(struct writer *w)
{
	for (int reason = 0; reason < _CETD_LOST_MAX; reason++)
		sample_with(w, "reason", cetd_lost_to_string(reason), w->model->lost[reason]);
}

static bool has_maps(const struct writer *w)
{
	return w->model->has_host && w->model->host.family != CETD_FAMILY_NONE;
}

static void write_map_entries(struct writer *w)
{
	if (has_maps(w))
		sample_value(w, w->model->map_entries);
}

static void write_map_capacity(struct writer *w)
{
	if (has_maps(w))
		sample_value(w, w->model->host.map_capacity);
}

static void write_program_run(struct writer *w)
{
	for (size_t i = 0; i < w->context->n_programs; i++) {
		sample_begin(w, NULL);
		sample_label(w, "program", w->context->programs[i].name);
		sample_end_seconds(w, w->context->programs[i].run_ns);
	}
}

static void write_program_runs(struct writer *w)
{
	for (size_t i = 0; i < w->context->n_programs; i++)
		sample_with(w, "program", w->context->programs[i].name,
			    w->context->programs[i].runs);
}

static void write_scrape_duration(struct writer *w)
{
	if (!w->context->http || !w->context->http->scrape_ns)
		return;
	sample_begin(w, NULL);
	sample_end_seconds(w, w->context->http->scrape_ns);
}

static void write_http_connections(struct writer *w)
{
	if (w->context->http)
		sample_value(w, w->context->http->connections);
}

static void write_http_accepted(struct writer *w)
{
	if (w->context->http)
		sample_value(w, w->context->http->accepted);
}

static void write_http_dropped(struct writer *w)
{
	for (int i = 0; w->context->http && i < _METRICS_HTTP_DROP_MAX; i++)
		sample_with(w, "reason", http_drops[i], w->context->http->dropped[i]);
}

static void write_http_responses(struct writer *w)
{
	for (int i = 0; w->context->http && i < _METRICS_HTTP_CODE_MAX; i++)
		sample_with(w, "code", http_codes[i], w->context->http->responses[i]);
}

static void write_process_cpu(struct writer *w)
{
	if (!w->context->process)
		return;
	sample_begin(w, NULL);
	sample_end_seconds(w, w->context->process->cpu_ns);
}

static void write_process_start(struct writer *w)
{
	if (!w->context->process)
		return;
	sample_begin(w, NULL);
	sample_end_seconds(w, w->context->process->start_usec * NSEC_PER_USEC);
}

static void write_process_resident(struct writer *w)
{
	if (w->context->process)
		sample_value(w, w->context->process->resident_bytes);
}

static void write_process_virtual(struct writer *w)
{
	if (w->context->process)
		sample_value(w, w->context->process->virtual_bytes);
}

static void write_process_open_fds(struct writer *w)
{
	if (w->context->process)
		sample_value(w, w->context->process->open_fds);
}

static void write_process_max_fds(struct writer *w)
{
	if (w->context->process && w->context->process->max_fds != UINT64_MAX)
		sample_value(w, w->context->process->max_fds);
}

static void write_vm_info(struct writer *w, const struct labelled_vm *v)
{
	const struct cetd_identity *identity = &v->vm->identity;

	sample_begin(w, v);
	sample_label(w, "name", identity->name);
	sample_label(w, "uuid", identity->uuid);
	sample_label(w, "unit", identity->unit);
	sample_label(w, "vmm", identity->vmm);
	sample_end(w, 1);
}

static void write_vm_attribution(struct writer *w, const struct labelled_vm *v)
{
	sample_begin(w, v);
	sample_word(w, "attribution", cetd_attribution_to_string((int)v->vm->identity.attribution));
	sample_end(w, 1);
}

static void write_vm_cp(struct writer *w, const struct labelled_vm *v)
{
	for (int kind = 0; kind < _CETD_KIND_MAX; kind++)
		for (int privilege = 0; privilege < _CETD_PRIVILEGE_MAX; privilege++) {
			sample_begin(w, v);
			sample_word(w, "kind", cetd_kind_to_string(kind));
			sample_word(w, "privilege", cetd_privilege_to_string(privilege));
			sample_end(w, v->vm->kernel.counters.cp[kind][privilege]);
		}
}

static void write_vm_injected(struct writer *w, const struct labelled_vm *v)
{
	sample_vm_value(w, v, v->vm->kernel.counters.injected);
}

/* 32 combinations, of which a guest that boots uses a few: only those are written. */
static void write_vm_msr(struct writer *w, const struct labelled_vm *v)
{
	const struct cetd_counters *c = &v->vm->kernel.counters;

	for (int msr = 0; msr < _CETD_MSR_MAX; msr++)
		for (int op = 0; op < _CETD_OP_MAX; op++)
			for (int result = 0; result < _CETD_RESULT_MAX; result++) {
				if (!c->msr[msr][op][result])
					continue;
				sample_begin(w, v);
				sample_word(w, "msr", cetd_msr_infos[msr].name);
				sample_word(w, "op", cetd_op_to_string(op));
				sample_word(w, "result", cetd_result_to_string(result));
				sample_end(w, c->msr[msr][op][result]);
			}
}

static void write_vm_host_msr(struct writer *w, const struct labelled_vm *v)
{
	for (int op = 0; op < _CETD_OP_MAX; op++) {
		if (!v->vm->kernel.counters.host_msr[op])
			continue;
		sample_begin(w, v);
		sample_word(w, "op", cetd_op_to_string(op));
		sample_end(w, v->vm->kernel.counters.host_msr[op]);
	}
}

static void write_vm_cr4(struct writer *w, const struct labelled_vm *v)
{
	static const char *const ops[] = {"clear", "set"};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!v->vm->kernel.counters.cr4_cet[i])
			continue;
		sample_begin(w, v);
		sample_word(w, "op", ops[i]);
		sample_end(w, v->vm->kernel.counters.cr4_cet[i]);
	}
}

static void write_vm_vmcs(struct writer *w, const struct labelled_vm *v)
{
	const struct cetd_counters *c = &v->vm->kernel.counters;

	sample_vm_value(w, v, c->vmcs_load[0] + c->vmcs_load[1]);
}

static void write_vm_samples_dropped(struct writer *w, const struct labelled_vm *v)
{
	if (v->vm->kernel.counters.samples_dropped)
		sample_vm_value(w, v, v->vm->kernel.counters.samples_dropped);
}

/* What the kernel keeps of the VM's policy, or NULL. */
static const struct cetd_policy_state *policy_state(const struct writer *w,
						    const struct labelled_vm *v)
{
	const struct storms_vm *s = storms_find(w->context->storms, v->vm->identity.key);

	return s && s->has_state ? &s->state : NULL;
}

static void write_vm_decisions(struct writer *w, const struct labelled_vm *v)
{
	const struct cetd_policy_state *s = policy_state(w, v);

	for (int mode = 0; mode < 2 && s; mode++)
		for (int a = 0; a < _CETD_ACTION_MAX; a++) {
			sample_begin(w, v);
			sample_word(w, "taken", mode ? "did" : "would");
			sample_word(w, "action", cetd_action_to_string(a));
			sample_end(w, s->decision[mode][a]);
		}
}

static void write_vm_throttled(struct writer *w, const struct labelled_vm *v)
{
	const struct cetd_policy_state *s = policy_state(w, v);

	if (!s)
		return;
	sample_begin(w, v);
	sample_end_seconds(w, s->delayed_ns);
}

static void write_vm_storms(struct writer *w, const struct labelled_vm *v)
{
	const struct cetd_policy_state *s = policy_state(w, v);

	for (int mode = 0; mode < _CETD_MODE_MAX && s; mode++)
		for (int then = 0; then < _CETD_THEN_MAX; then++) {
			if (!s->storms[mode][then])
				continue;
			sample_begin(w, v);
			sample_word(w, "mode", cetd_mode_to_string(mode));
			sample_word(w, "then", cetd_then_to_string(then));
			sample_end(w, s->storms[mode][then]);
		}
}

static void write_vm_storms_active(struct writer *w, const struct labelled_vm *v)
{
	if (policy_state(w, v))
		sample_vm_value(
			w, v,
			storms_count_active(storms_find(w->context->storms, v->vm->identity.key)));
}

/* A word a setting; rates by the strongest thing that they lead to. */
static const char *policy_value(const struct policy_values *values, int setting)
{
	unsigned int then = 0;

	switch ((enum policy_setting)setting) {
	case POLICY_SETTING_MODE:
		return cetd_mode_to_string(values->mode);
	case POLICY_SETTING_IBT:
		return cetd_ibt_to_string(values->ibt);
	case POLICY_SETTING_SHSTK:
		return cetd_shstk_to_string(values->shstk);
	case POLICY_SETTING_CP_RATE:
		for (unsigned int i = 0; i < values->n_rates; i++)
			then = MAX(then, values->rates[i].then);
		return values->n_rates ? cetd_then_to_string((int)then) : "none";
	case POLICY_SETTING_RECORD:
		return values->record ? "yes" : "no";
	default:
		return "";
	}
}

static void write_vm_policy(struct writer *w, const struct labelled_vm *v)
{
	const struct ledger *l = w->context->ledger;
	const struct policy_verdict *verdict =
		l && !ledger_is_empty(l) ? ledger_find(l, v->vm->identity.key) : NULL;

	for (int s = 0; s < _POLICY_SETTING_MAX && verdict; s++) {
		const struct policy_decision *d = verdict->decisions + s;

		sample_begin(w, v);
		sample_word(w, "setting", policy_setting_to_string(s));
		sample_word(w, "value", policy_value(&verdict->values, s));
		sample_word(w, "effect", cetd_effect_to_string(d->effect));
		sample_word(w, "source", policy_source_to_string(d->source));
		sample_label(w, "rule", d->rule);
		sample_end(w, 1);
	}
}

static void write_policy_lapsed(struct writer *w)
{
	if (w->context->control)
		sample_value(w, w->context->control->lapsed);
}

static void write_policy_storms_lost(struct writer *w)
{
	if (w->context->control)
		sample_value(w, w->context->control->storms_lost);
}

#define SHOWN(f) .needs_fact = true, .fact = (f)

const struct family metrics_families[] = {
	{"cetd_build", FAMILY_INFO, NULL, "The running cetd: its version and that of its BPF ABI.",
	 .write = write_build},
	{"cetd_host", FAMILY_INFO, NULL,
	 "The host: kernel, kind of KVM, tracepoints in use, and whether KVM offers CET to guests.",
	 .write = write_host},
	{"cetd_replayed", FAMILY_GAUGE, NULL,
	 "1 where all figures come from a recording, 0 where they come from this host.",
	 .write = write_replayed},
	{"cetd_coverage", FAMILY_GAUGE, NULL,
	 "How far this kernel shows a fact: 1 for the state that holds, 0 for the others.",
	 .write = write_coverage},
	{"cetd_vms", FAMILY_GAUGE, NULL, "VMs known.", .write = write_vms},
	{"cetd_vms_refused", FAMILY_COUNTER, NULL,
	 "VMs left out because as many as allowed were known already.", .write = write_vms_refused},
	{"cetd_events_received", FAMILY_COUNTER, NULL,
	 "Events that reached the daemon one by one; counters do not depend on them.",
	 .write = write_events_received},
	{"cetd_events_lost", FAMILY_COUNTER, NULL,
	 "Events, fault records and samples that could not be kept, by reason.",
	 .write = write_events_lost},
	{"cetd_map_entries", FAMILY_GAUGE, NULL, "VMs in the BPF map.", .write = write_map_entries},
	{"cetd_map_capacity", FAMILY_GAUGE, NULL, "VMs that the BPF map has room for.",
	 .write = write_map_capacity},
	{"cetd_bpf_program_run_seconds", FAMILY_COUNTER, "seconds",
	 "Time spent in a BPF program, while the kernel keeps BPF statistics.",
	 .write = write_program_run},
	{"cetd_bpf_program_runs", FAMILY_COUNTER, NULL,
	 "Runs of a BPF program, while the kernel keeps BPF statistics.",
	 .write = write_program_runs},
	{"cetd_vm", FAMILY_INFO, NULL, "What a VM is; join on vm.", .write_vm = write_vm_info},
	{"cetd_vm_attribution", FAMILY_GAUGE, NULL,
	 "How events are told to be of this VM; ambiguous: of all VMs in its process.",
	 .write_vm = write_vm_attribution},
	{"cetd_vm_control_protection_faults", FAMILY_COUNTER, NULL,
	 "Control-protection exceptions raised by the CPU in the guest.", .write_vm = write_vm_cp,
	 SHOWN(CETD_FACT_HARDWARE_CP)},
	{"cetd_vm_injected_control_protection", FAMILY_COUNTER, NULL,
	 "Control-protection exceptions injected by the host.", .write_vm = write_vm_injected,
	 SHOWN(CETD_FACT_INJECTED_CP)},
	{"cetd_vm_cet_msr_accesses", FAMILY_COUNTER, NULL,
	 "Accesses of the guest to CET MSRs; combinations never seen have no series.",
	 .write_vm = write_vm_msr, SHOWN(CETD_FACT_CET_MSR)},
	{"cetd_vm_host_cet_msr_accesses", FAMILY_COUNTER, NULL,
	 "Accesses of the VMM to CET MSRs; no series before the first.",
	 .write_vm = write_vm_host_msr, SHOWN(CETD_FACT_CET_MSR)},
	{"cetd_vm_cr4_cet_writes", FAMILY_COUNTER, NULL,
	 "Writes of CR4 by the guest that set or clear CR4.CET; no series before the first.",
	 .write_vm = write_vm_cr4, SHOWN(CETD_FACT_CR4_CET)},
	{"cetd_vm_vmcs_loads", FAMILY_COUNTER, NULL,
	 "Times that a VMCS of the VM, its own or a nested one, became current on a CPU.",
	 .write_vm = write_vm_vmcs, SHOWN(CETD_FACT_VMCS_LOAD)},
	{"cetd_vm_samples_dropped", FAMILY_COUNTER, NULL,
	 "Events of the VM that were counted but not passed on; no series before the first.",
	 .write_vm = write_vm_samples_dropped},
	{"cetd_vm_policy", FAMILY_INFO, NULL,
	 "What holds for a VM: the value of each setting, what becomes of it here, and by which "
	 "rule.",
	 .write_vm = write_vm_policy},
	{"cetd_vm_policy_decisions", FAMILY_COUNTER, NULL,
	 "Faults of the VM by what its policy would do about them, and by what it did.",
	 .write_vm = write_vm_decisions},
	{"cetd_vm_throttled_seconds", FAMILY_COUNTER, "seconds",
	 "Time that the VM's policy had its vCPUs wait, all together.",
	 .write_vm = write_vm_throttled},
	{"cetd_vm_storms", FAMILY_COUNTER, NULL,
	 "Storms of control-protection exceptions that began; no series before the first.",
	 .write_vm = write_vm_storms},
	{"cetd_vm_storms_active", FAMILY_GAUGE, NULL, "Rates of the VM that have a storm now.",
	 .write_vm = write_vm_storms_active},
	{"cetd_policy_lapsed_faults", FAMILY_COUNTER, NULL,
	 "Faults delivered without a policy because no daemon had renewed the lease.",
	 .write = write_policy_lapsed},
	{"cetd_policy_storm_messages_lost", FAMILY_COUNTER, NULL,
	 "Storms that the kernel had no room to tell of; they show a little later.",
	 .write = write_policy_storms_lost},
	{"cetd_scrape_duration_seconds", FAMILY_GAUGE, "seconds",
	 "Time that the scrape before this one took to prepare.", .write = write_scrape_duration},
	{"cetd_http_connections", FAMILY_GAUGE, NULL, "HTTP connections open now.",
	 .write = write_http_connections},
	{"cetd_http_connections_accepted", FAMILY_COUNTER, NULL, "HTTP connections accepted.",
	 .write = write_http_accepted},
	{"cetd_http_connections_dropped", FAMILY_COUNTER, NULL,
	 "HTTP connections that were cut, or that ended without a sound request, by reason.",
	 .write = write_http_dropped},
	{"cetd_http_responses", FAMILY_COUNTER, NULL, "HTTP responses by status code.",
	 .write = write_http_responses},
	{"process_cpu_seconds", FAMILY_COUNTER, "seconds", "User and system time spent by cetd.",
	 .write = write_process_cpu},
	{"process_resident_memory_bytes", FAMILY_GAUGE, "bytes", "Resident memory of cetd.",
	 .write = write_process_resident},
	{"process_virtual_memory_bytes", FAMILY_GAUGE, "bytes", "Virtual memory of cetd.",
	 .write = write_process_virtual},
	{"process_start_time_seconds", FAMILY_GAUGE, "seconds",
	 "When cetd started, since the epoch.", .write = write_process_start},
	{"process_open_fds", FAMILY_GAUGE, NULL, "File descriptors that cetd has open.",
	 .write = write_process_open_fds},
	{"process_max_fds", FAMILY_GAUGE, NULL, "File descriptors that cetd may have open.",
	 .write = write_process_max_fds},
};

const size_t metrics_n_families = ARRAY_SIZE(metrics_families);
