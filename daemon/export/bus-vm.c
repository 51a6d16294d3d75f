// SPDX-License-Identifier: GPL-2.0-only
/* org.cetd1.VM: one object a VM, read straight from the model. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "cetd/bus.h"
#include "cetd/names.h"
#include "export/bus-internal.h"
#include "export/bus-policy.h"
#include "export/json.h"

int vm_object_find(sd_bus *bus _unused_, const char *path, const char *interface _unused_,
		   void *userdata, void **ret_found, sd_bus_error *error _unused_)
{
	const struct bus *b = userdata;
	_cleanup_(freep) char *id = NULL;
	struct vm *vm;
	int r;

	r = sd_bus_path_decode(path, CETD_BUS_VM_PREFIX, &id);
	if (r <= 0)
		return r;
	vm = model_find_id(b->model, id);
	if (!vm)
		return 0;
	*ret_found = vm;
	return 1;
}

struct bus *bus_of_vm(sd_bus *bus)
{
	return sd_bus_slot_get_userdata(sd_bus_get_current_slot(bus));
}

int vm_node_enumerator(sd_bus *bus, const char *prefix _unused_, void *userdata, char ***ret_nodes,
		       sd_bus_error *error)
{
	sd_bus_message *message = sd_bus_get_current_message(bus);
	const struct bus *b = userdata;
	char **nodes;
	size_t n = 0;

	/* The names alone, for Introspect, are short. */
	if (b->model->n_vms > b->objects_max &&
	    sd_bus_message_is_method_call(message, "org.freedesktop.DBus.ObjectManager",
					  "GetManagedObjects"))
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					 "There are %u VMs, and one message holds the objects of "
					 "%u: there is ListVMs, and DumpByFileDescriptor",
					 b->model->n_vms, b->objects_max);
	nodes = calloc(b->model->n_vms + 1, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	FOREACH_VM (b->model, vm)
		if (vm_object_path(vm->identity.id, &nodes[n]) >= 0)
			n++;
	*ret_nodes = nodes;
	return 1;
}

/* The interfaces of sd_bus_property_get_t, without the arguments that a getter does not use. */
#define GETTER(name)                                                                   \
	static int name(sd_bus *bus _unused_, const char *path _unused_,               \
			const char *interface _unused_, const char *property _unused_, \
			sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_)

/* A char array in place, where sd-bus itself would expect a pointer to a string. */
GETTER(get_text)
{
	return sd_bus_message_append(reply, "s", (const char *)userdata);
}

GETTER(get_attribution)
{
	return sd_bus_message_append(reply, "s",
				     cetd_attribution_to_string(*(const __u32 *)userdata));
}

GETTER(get_first_seen)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(reply, "t", model_realtime_usec(vm->model, vm->first_seen_ns));
}

GETTER(get_last_activity)
{
	const struct vm *vm = userdata;

	return sd_bus_message_append(reply, "t",
				     model_realtime_usec(vm->model, vm->last_activity_ns));
}

static int append_count(sd_bus_message *reply, const struct vm *vm, enum cetd_fact fact,
			uint64_t count)
{
	return sd_bus_message_append(reply, "t",
				     model_shows(vm->model, fact) ? count : NOT_OBSERVABLE);
}

GETTER(get_cp_total)
{
	return append_count(reply, userdata, CETD_FACT_HARDWARE_CP, vm_cp_total(userdata));
}

GETTER(get_injected)
{
	const struct vm *vm = userdata;

	return append_count(reply, vm, CETD_FACT_INJECTED_CP, vm->kernel.counters.injected);
}

GETTER(get_vmcs_loads)
{
	const struct vm *vm = userdata;

	return append_count(reply, vm, CETD_FACT_VMCS_LOAD, vm->kernel.counters.vmcs_load[0]);
}

GETTER(get_nested_vmcs_loads)
{
	const struct vm *vm = userdata;

	return append_count(reply, vm, CETD_FACT_VMCS_LOAD, vm->kernel.counters.vmcs_load[1]);
}

GETTER(get_control_protection)
{
	const struct vm *vm = userdata;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "(sst)");
	for (int k = 0; k < _CETD_KIND_MAX && model_shows(vm->model, CETD_FACT_HARDWARE_CP); k++)
		for (int p = 0; p < _CETD_PRIVILEGE_MAX && r >= 0; p++)
			r = sd_bus_message_append(reply, "(sst)", cetd_kind_to_string(k),
						  cetd_privilege_to_string(p),
						  vm->kernel.counters.cp[k][p]);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* Only what was accessed: 8 MSRs x 2 x 2 are mostly zero. */
GETTER(get_msr_accesses)
{
	const struct vm *vm = userdata;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "(ssst)");
	for (int i = 0; i < _CETD_MSR_MAX * _CETD_OP_MAX * _CETD_RESULT_MAX && r >= 0; i++) {
		int result = i % _CETD_RESULT_MAX, op = i / _CETD_RESULT_MAX % _CETD_OP_MAX;
		int msr = i / _CETD_RESULT_MAX / _CETD_OP_MAX;

		if (vm->kernel.counters.msr[msr][op][result])
			r = sd_bus_message_append(reply, "(ssst)", cetd_msr_infos[msr].name,
						  cetd_op_to_string(op),
						  cetd_result_to_string(result),
						  vm->kernel.counters.msr[msr][op][result]);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_cr4_writes)
{
	const struct vm *vm = userdata;

	if (!model_shows(vm->model, CETD_FACT_CR4_CET))
		return sd_bus_message_append(reply, "a(st)", 0);
	return sd_bus_message_append(reply, "a(st)", 2, "set", vm->kernel.counters.cr4_cet[1],
				     "clear", vm->kernel.counters.cr4_cet[0]);
}

static int method_describe(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct bus *b = bus_of_vm(sd_bus_message_get_bus(message));
	const struct vm *vm = userdata;

	b->commands.refresh(b->commands.userdata);
	return bus_reply_json(b, message, json_from_vm(vm, b->ctx, false), error);
}

#define TEXT(name, field, flags) \
	SD_BUS_PROPERTY(name, "s", get_text, offsetof(struct vm, identity.field), flags)
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define CONST SD_BUS_VTABLE_PROPERTY_CONST
#define OPEN SD_BUS_VTABLE_UNPRIVILEGED /* who may is decided by authorize() */

const sd_bus_vtable vm_vtable[] = {
	SD_BUS_VTABLE_START(0),
	TEXT("Id", id, CONST),
	TEXT("Name", name, CHANGES),
	TEXT("UUID", uuid, CHANGES),
	TEXT("Unit", unit, CHANGES),
	TEXT("VMM", vmm, CHANGES),
	TEXT("CGroup", cgroup, CHANGES),
	SD_BUS_PROPERTY("Attribution", "s", get_attribution,
			offsetof(struct vm, identity.attribution), CHANGES),
	SD_BUS_PROPERTY("PID", "u", NULL, offsetof(struct vm, identity.pid), CONST),
	SD_BUS_PROPERTY("VMsInProcess", "u", NULL, offsetof(struct vm, identity.vms_in_process),
			CHANGES),
	SD_BUS_PROPERTY("KernelVMID", "t", NULL, offsetof(struct vm, identity.vm_id), CONST),
	SD_BUS_PROPERTY("FirstSeenTimestamp", "t", get_first_seen, 0, CONST),
	SD_BUS_PROPERTY("LastActivityTimestamp", "t", get_last_activity, 0, CHANGES),
	SD_BUS_PROPERTY("ControlProtection", "a(sst)", get_control_protection, 0, CHANGES),
	SD_BUS_PROPERTY("ControlProtectionTotal", "t", get_cp_total, 0, CHANGES),
	SD_BUS_PROPERTY("InjectedControlProtection", "t", get_injected, 0, CHANGES),
	SD_BUS_PROPERTY("MSRAccesses", "a(ssst)", get_msr_accesses, 0, CHANGES),
	SD_BUS_PROPERTY("VMCSLoads", "t", get_vmcs_loads, 0, CHANGES),
	SD_BUS_PROPERTY("NestedVMCSLoads", "t", get_nested_vmcs_loads, 0, CHANGES),
	SD_BUS_PROPERTY("CR4CETWrites", "a(st)", get_cr4_writes, 0, CHANGES),
	SD_BUS_PROPERTY("SamplesDropped", "t", NULL,
			offsetof(struct vm, kernel.counters.samples_dropped), CHANGES),
	SD_BUS_PROPERTY("DesiredPolicy", "a{sv}", bus_policy_get_desired, 0, CHANGES),
	SD_BUS_PROPERTY("EffectivePolicy", "a{sv}", bus_policy_get_effective, 0, CHANGES),
	SD_BUS_PROPERTY("PendingPolicy", "a{sv}", bus_policy_get_pending, 0, CHANGES),
	SD_BUS_PROPERTY("PolicyDecisions", "a(sssssst)", bus_policy_get_decisions, 0, CHANGES),
	SD_BUS_PROPERTY("Overrides", "a(ssst)", bus_policy_get_overrides, 0, CHANGES),
	SD_BUS_PROPERTY("Frozen", "b", bus_policy_get_frozen, 0, CHANGES),
	SD_BUS_PROPERTY("ThrottleState", "s", bus_policy_get_throttle_state, 0, CHANGES),
	SD_BUS_PROPERTY("ThrottledUSec", "t", bus_policy_get_throttled, 0, CHANGES),
	SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
				method_describe, OPEN),
	SD_BUS_METHOD_WITH_ARGS("SetMode", SD_BUS_ARGS("s", mode, "t", flags, "t", for_usec),
				SD_BUS_NO_RESULT, bus_policy_set_mode, OPEN),
	SD_BUS_METHOD_WITH_ARGS("SetIBT", SD_BUS_ARGS("s", ibt, "t", flags, "t", for_usec),
				SD_BUS_NO_RESULT, bus_policy_set_ibt, OPEN),
	SD_BUS_METHOD_WITH_ARGS("SetRateLimit",
				SD_BUS_ARGS("s", cp_rate_json, "t", flags, "t", for_usec),
				SD_BUS_NO_RESULT, bus_policy_set_rate_limit, OPEN),
	SD_BUS_METHOD_WITH_ARGS("SetPolicy",
				SD_BUS_ARGS("s", settings_json, "t", flags, "t", for_usec),
				SD_BUS_NO_RESULT, bus_policy_set, OPEN),
	SD_BUS_METHOD_WITH_ARGS("ClearOverride", SD_BUS_ARGS("as", settings, "t", flags),
				SD_BUS_NO_RESULT, bus_policy_clear, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Freeze", SD_BUS_ARGS("t", flags, "t", for_usec), SD_BUS_NO_RESULT,
				bus_policy_freeze, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Thaw", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, bus_policy_thaw, OPEN),
	SD_BUS_VTABLE_END,
};
