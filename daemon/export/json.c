// SPDX-License-Identifier: GPL-2.0-only
/* The snapshot as JSON, built from the model. */
#include <errno.h>
#include <string.h>

#include "cetd/names.h"
#include "export/json-policy.h"
#include "export/json.h"
#include "util/clock.h"

static void add_string(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, json_object_new_string(value));
}

static void add_string_or_null(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, value && value[0] ? json_object_new_string(value) : NULL);
}

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static void add_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

static void add_hex(struct json_object *o, const char *key, uint64_t value)
{
	char text[19];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
	add_string(o, key, text);
}

static struct json_object *add_object(struct json_object *o, const char *key)
{
	struct json_object *child = json_object_new_object();

	json_object_object_add(o, key, child);
	return child;
}

static void add_two(struct json_object *o, const char *key, const char *first, uint64_t a,
		    const char *second, uint64_t b)
{
	struct json_object *child = add_object(o, key);

	add_u64(child, first, a);
	add_u64(child, second, b);
}

static struct json_object *cp_to_json(const struct cetd_counters *c)
{
	struct json_object *o = json_object_new_object();

	for (int k = 0; k < _CETD_KIND_MAX; k++)
		add_two(o, cetd_kind_to_string(k), "supervisor",
			c->cp[k][CETD_PRIVILEGE_SUPERVISOR], "user", c->cp[k][CETD_PRIVILEGE_USER]);
	return o;
}

static struct json_object *msr_to_json(const struct cetd_counters *c)
{
	struct json_object *o = json_object_new_object();

	for (int m = 0; m < _CETD_MSR_MAX; m++) {
		struct json_object *msr = add_object(o, cetd_msr_infos[m].name);

		for (int op = 0; op < _CETD_OP_MAX; op++)
			add_two(msr, cetd_op_to_string(op), "ok", c->msr[m][op][CETD_RESULT_OK],
				"fault", c->msr[m][op][CETD_RESULT_FAULT]);
	}
	return o;
}

/* What was done is counted where every fault is, what would have been where the policy is. */
static void add_decisions(struct json_object *o, const struct vm *vm, const struct storms *storms)
{
	const struct storms_vm *of = storms_find(storms, vm->identity.key);
	const __u64 *would = of ? of->state.decision[0] : vm->kernel.counters.decision[0];
	const __u64 *did = vm->kernel.counters.decision[1];
	struct json_object *decisions = add_object(o, "decisions");

	for (int mode = 0; mode < 2; mode++) {
		struct json_object *d = add_object(decisions, mode ? "did" : "would");

		for (int a = 0; a < _CETD_ACTION_MAX; a++)
			add_u64(d, cetd_action_to_string(a), mode ? did[a] : would[a]);
	}
}

static void add_counters(struct json_object *o, const struct vm *vm, const struct storms *storms)
{
	const struct cetd_counters *c = &vm->kernel.counters;
	const struct model *m = vm->model;
	bool has_cp = model_shows(m, CETD_FACT_HARDWARE_CP);

	json_object_object_add(o, "control_protection", has_cp ? cp_to_json(c) : NULL);
	json_object_object_add(o, "control_protection_total",
			       has_cp ? json_object_new_uint64(vm_cp_total(vm)) : NULL);
	json_object_object_add(
		o, "injected_control_protection",
		model_shows(m, CETD_FACT_INJECTED_CP) ? json_object_new_uint64(c->injected) : NULL);
	json_object_object_add(o, "cet_msr",
			       model_shows(m, CETD_FACT_CET_MSR) ? msr_to_json(c) : NULL);
	/* Only our own tracepoint tells the VMM's accesses from the guest's. */
	if (m->host.family == CETD_FAMILY_PATCHED)
		add_two(o, "cet_msr_host", "read", c->host_msr[CETD_OP_READ], "write",
			c->host_msr[CETD_OP_WRITE]);
	else
		json_object_object_add(o, "cet_msr_host", NULL);
	if (model_shows(m, CETD_FACT_CR4_CET))
		add_two(o, "cr4_cet", "set", c->cr4_cet[1], "clear", c->cr4_cet[0]);
	else
		json_object_object_add(o, "cr4_cet", NULL);
	if (model_shows(m, CETD_FACT_VMCS_LOAD))
		add_two(o, "vmcs_loads", "own", c->vmcs_load[0], "nested", c->vmcs_load[1]);
	else
		json_object_object_add(o, "vmcs_loads", NULL);

	add_decisions(o, vm, storms);
	add_u64(o, "samples_dropped", c->samples_dropped);
}

static void add_addresses(struct json_object *o, const struct model *m, const struct vm *vm)
{
	const struct cetd_event *faults[CETD_HISTORY_FAULTS];
	struct cetd_rip rips[CETD_TOP_RIPS];
	struct json_object *array;
	unsigned int n;

	array = json_object_new_array();
	n = vm_faults(vm, CETD_HISTORY_FAULTS, faults);
	for (unsigned int i = 0; i < n; i++)
		json_object_array_add(array, json_from_event(m, vm, faults[i]));
	json_object_object_add(o, "faults", array);

	array = json_object_new_array();
	n = vm_top_rips(vm, CETD_TOP_RIPS, rips);
	for (unsigned int i = 0; i < n; i++) {
		struct json_object *rip = json_object_new_object();

		add_hex(rip, "rip", rips[i].rip);
		add_u64(rip, "count", rips[i].count);
		add_u64(rip, "error", rips[i].error);
		json_object_array_add(array, rip);
	}
	json_object_object_add(o, "top_rips", array);
}

struct json_object *json_from_vm(const struct vm *vm, const struct export_context *ctx,
				 bool with_addresses)
{
	const struct model *m = vm->model;
	const struct cetd_identity *i = &vm->identity;
	struct json_object *o = json_object_new_object();

	add_string(o, "id", i->id);
	add_string(o, "name", i->name);
	add_string_or_null(o, "uuid", i->uuid);
	add_string_or_null(o, "unit", i->unit);
	add_string_or_null(o, "vmm", i->vmm);
	add_u64(o, "pid", i->pid);
	add_string_or_null(o, "cgroup", i->cgroup);
	add_string(o, "attribution", cetd_attribution_to_string((int)i->attribution));
	add_u64(o, "vms_in_process", i->vms_in_process);
	json_object_object_add(o, "kernel_vm_id",
			       i->vm_id ? json_object_new_uint64(i->vm_id) : NULL);
	add_u64(o, "first_seen_usec", model_realtime_usec(m, vm->first_seen_ns));
	json_object_object_add(o, "last_activity_usec",
			       vm->last_activity_ns ? json_object_new_uint64(model_realtime_usec(
							      m, vm->last_activity_ns))
						    : NULL);
	add_string(o, "uses_cet", vm_uses_cet(vm));
	add_counters(o, vm, ctx->storms);
	add_bool(o, "frozen", json_policy_is_frozen(ctx->ledger, vm));
	json_object_object_add(o, "policy", json_from_policy(ctx->ledger, vm));
	json_object_object_add(o, "storms", json_from_storms(ctx->storms, vm));
	if (with_addresses)
		add_addresses(o, m, vm);
	return o;
}

static void add_msr_event(struct json_object *o, const struct cetd_event *e)
{
	add_string(o, "msr", cetd_msr_infos[e->msr].name);
	add_string(o, "op",
		   cetd_op_to_string(e->flags & CETD_FLAG_WRITE ? CETD_OP_WRITE : CETD_OP_READ));
	add_string(o, "result",
		   cetd_result_to_string(e->flags & CETD_FLAG_FAULT ? CETD_RESULT_FAULT
								    : CETD_RESULT_OK));
	add_hex(o, "data", e->data);
}

static void add_fault_event(struct json_object *o, const struct cetd_event *e)
{
	bool has_address = e->flags & CETD_FLAG_ADDRESS;

	add_string(o, "kind", cetd_kind_to_string(e->kind));
	add_u64(o, "error_code", e->error_code);
	json_object_object_add(o, "cpl",
			       e->cpl == CETD_CPL_UNKNOWN ? NULL : json_object_new_int(e->cpl));
	if (has_address) {
		add_hex(o, "rip", e->rip);
		add_hex(o, "ssp", e->ssp);
		add_hex(o, "cet", e->cet);
	} else {
		json_object_object_add(o, "rip", NULL);
		json_object_object_add(o, "ssp", NULL);
		json_object_object_add(o, "cet", NULL);
	}
	add_string(o, "action", cetd_action_to_string(e->action));
}

struct json_object *json_from_event(const struct model *m, const struct vm *vm,
				    const struct cetd_event *e)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(
		o, "time_usec",
		e->time_ns ? json_object_new_uint64(model_realtime_usec(m, e->time_ns)) : NULL);
	add_string_or_null(o, "vm", vm ? vm->identity.id : NULL);
	add_string(o, "type", cetd_event_type_to_string(e->type));
	json_object_object_add(
		o, "vcpu", e->vcpu == CETD_VCPU_UNKNOWN ? NULL : json_object_new_int64(e->vcpu));
	add_u64(o, "tid", e->tid);
	add_bool(o, "nested", e->flags & CETD_FLAG_NESTED);
	add_bool(o, "host", e->flags & CETD_FLAG_HOST);

	switch ((enum cetd_event_type)e->type) {
	case CETD_EVENT_CP:
	case CETD_EVENT_INJECTED:
		add_fault_event(o, e);
		break;
	case CETD_EVENT_MSR:
		add_msr_event(o, e);
		break;
	case CETD_EVENT_CR4:
		add_hex(o, "data", e->data);
		break;
	case CETD_EVENT_VMCS_LOAD:
		add_u64(o, "cpu", e->data & UINT32_MAX);
		json_object_object_add(o, "prev_cpu",
				       json_object_new_int64((int32_t)(e->data >> 32)));
		break;
	case _CETD_EVENT_MAX:
		break;
	}
	return o;
}

static struct json_object *host_to_json(const struct cetd_host *h)
{
	struct json_object *o = json_object_new_object(), *coverage, *causes;

	add_string(o, "kernel_release", h->kernel_release);
	add_string(o, "kvm_vendor", h->kvm_vendor);
	add_string(o, "family", cetd_family_to_string((int)h->family));
	add_string(o, "guest_cet", cetd_guest_cet_to_string((int)h->guest_cet));

	coverage = add_object(o, "coverage");
	for (int f = 0; f < _CETD_FACT_MAX; f++) {
		struct json_object *fact = add_object(coverage, cetd_fact_to_string(f));

		add_string(fact, "state", cetd_coverage_to_string((int)h->facts[f].state));
		add_string(fact, "reason", h->facts[f].reason);
	}

	causes = json_object_new_array();
	for (uint32_t i = 0; i < h->n_causes; i++) {
		struct json_object *cause = json_object_new_object();

		add_string(cause, "code", h->causes[i].code);
		add_string(cause, "text", h->causes[i].text);
		add_string(cause, "advice", h->causes[i].advice);
		json_object_array_add(causes, cause);
	}
	json_object_object_add(o, "causes", causes);
	return o;
}

/* All but the VMs. */
static struct json_object *json_from_host(const struct model *m, const struct export_context *ctx)
{
	struct json_object *o = json_object_new_object(), *lost;

	add_string(o, "version", CETD_VERSION);
	add_u64(o, "pid", (uint64_t)getpid());
	add_u64(o, "start_usec", ctx->start_usec);
	add_u64(o, "now_usec", clock_usec(CLOCK_REALTIME));
	/* What "now" is to the data: in a replay, the time of the recording. */
	add_u64(o, "data_usec",
		m->is_replayed ? model_realtime_usec(m, m->now_ns) : clock_usec(CLOCK_REALTIME));
	add_bool(o, "replayed", m->is_replayed);
	add_string_or_null(o, "recording", ctx->recording);
	add_string_or_null(o, "config_file", ctx->config_file);
	add_string_or_null(o, "metrics_address", ctx->metrics_address);
	json_object_object_add(o, "host", host_to_json(&m->host));
	json_object_object_add(o, "policy", json_from_ledger(ctx->ledger));
	add_two(o, "maps", "entries", m->map_entries, "capacity", m->host.map_capacity);
	add_u64(o, "vms_refused", m->vms_refused);
	lost = add_object(o, "events_lost");
	for (int i = 0; i < _CETD_LOST_MAX; i++)
		add_u64(lost, cetd_lost_to_string(i), m->lost[i]);
	return o;
}

/* Without its last bytes, `cut` of them; takes the reference. */
static int write_object(FILE *f, struct json_object *o, size_t cut)
{
	size_t n = 0;
	const char *text =
		o ? json_object_to_json_string_length(
			    o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n)
		  : NULL;

	if (text)
		fwrite(text, 1, n - cut, f);
	json_object_put(o);
	return text ? 0 : -ENOMEM;
}

int json_write_model(FILE *f, const struct model *m, const struct export_context *ctx,
		     bool with_addresses)
{
	const char *before = ",\"vms\":[";
	int r = write_object(f, json_from_host(m, ctx), strlen("}"));

	FOREACH_VM (m, vm) {
		if (r < 0)
			return r;
		fputs(before, f);
		before = ",";
		r = write_object(f, json_from_vm(vm, ctx, with_addresses), 0);
	}
	fputs(m->n_vms ? "]}" : ",\"vms\":[]}", f);
	if (r >= 0 && (ferror(f) || fflush(f) != 0))
		r = -EIO;
	return r;
}
