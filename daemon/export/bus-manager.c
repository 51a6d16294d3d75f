// SPDX-License-Identifier: GPL-2.0-only
/* org.cetd1.Manager: the host, the list of VMs, and what can be asked for. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "cetd/bus.h"
#include "cetd/names.h"
#include "export/authorize.h"
#include "export/bus-internal.h"
#include "export/bus-policy.h"
#include "export/json.h"

#define METHOD(name) static int name(sd_bus_message *message, void *userdata, sd_bus_error *error)
#define GETTER(name)                                                                   \
	static int name(sd_bus *bus _unused_, const char *path _unused_,               \
			const char *interface _unused_, const char *property _unused_, \
			sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_)

static void refresh(struct bus *b)
{
	b->commands.refresh(b->commands.userdata);
}

static int append_vm(sd_bus_message *reply, const struct model *m, const struct vm *vm)
{
	_cleanup_(freep) char *path = NULL;
	int r;

	r = vm_object_path(vm->identity.id, &path);
	if (r < 0)
		return r;
	return sd_bus_message_append(
		reply, "(sssuto)", vm->identity.id, vm->identity.name, vm->identity.vmm,
		vm->identity.pid,
		model_shows(m, CETD_FACT_HARDWARE_CP) ? vm_cp_total(vm) : NOT_OBSERVABLE, path);
}

METHOD(method_list_vms)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct bus *b = userdata;
	int r;

	(void)error;
	refresh(b);
	r = sd_bus_message_new_method_return(message, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "(sssuto)");
	if (r < 0)
		return r;
	FOREACH_VM (b->model, vm) {
		r = append_vm(reply, b->model, vm);
		if (r < 0)
			return r;
	}
	r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_message_send(reply);
}

static int reply_vm_path(sd_bus_message *message, const struct vm *vm)
{
	_cleanup_(freep) char *path = NULL;
	int r;

	r = vm_object_path(vm->identity.id, &path);
	return r < 0 ? r : sd_bus_reply_method_return(message, "o", path);
}

METHOD(method_get_vm)
{
	const struct vm *vm;
	const char *text;
	int r;

	r = sd_bus_message_read(message, "s", &text);
	if (r >= 0)
		r = bus_find_vm(userdata, text, &vm, error);
	return r < 0 ? r : reply_vm_path(message, vm);
}

METHOD(method_get_vm_by_pid)
{
	const struct bus *b = userdata;
	const struct vm *vm;
	uint32_t pid;
	int r;

	r = sd_bus_message_read(message, "u", &pid);
	if (r < 0)
		return r;
	r = model_find_pid(b->model, pid, &vm);
	if (r == -ENOTUNIQ)
		return sd_bus_error_setf(error, CETD_BUS_ERROR_AMBIGUOUS,
					 "Process %u holds several VMs: use an id from ListVMs",
					 pid);
	if (r == 0)
		return sd_bus_error_setf(error, CETD_BUS_ERROR_NO_SUCH_VM, "Process %u holds no VM",
					 pid);
	return reply_vm_path(message, vm);
}

METHOD(method_describe)
{
	_cleanup_(freep) char *text = NULL;
	_cleanup_(fclosep) FILE *f = NULL;
	struct bus *b = userdata;
	size_t size;
	int r;

	refresh(b);
	f = open_memstream(&text, &size);
	r = f ? json_write_model(f, b->model, b->ctx, false) : -ENOMEM;
	return r < 0 ? r : bus_reply_text(b, message, text, error);
}

static int append_fault(sd_bus_message *reply, const struct model *m, const struct cetd_event *e)
{
	return sd_bus_message_append(
		reply, "(tusuytttbbs)", model_realtime_usec(m, e->time_ns), e->vcpu,
		cetd_kind_to_string(e->kind), (uint32_t)e->error_code, e->cpl, e->rip, e->ssp,
		e->cet, !!(e->flags & CETD_FLAG_NESTED), e->type == CETD_EVENT_INJECTED,
		cetd_action_to_string(e->action));
}

/* Begin the reply of what holds guest addresses: an array to fill. */
static int open_array(sd_bus_message *message, const char *types, sd_bus_message **ret_reply)
{
	int r = sd_bus_message_new_method_return(message, ret_reply);

	return r < 0 ? r : sd_bus_message_open_container(*ret_reply, 'a', types);
}

static int run_get_faults(struct bus *b, sd_bus_message *message, const struct vm *vm,
			  sd_bus_error *error _unused_)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const struct cetd_event *faults[CETD_HISTORY_FAULTS];
	uint32_t max;
	int r;

	r = sd_bus_message_read(message, "su", NULL, &max);
	if (r >= 0)
		r = open_array(message, "(tusuytttbbs)", &reply);
	if (r < 0)
		return r;
	refresh(b);
	max = vm_faults(vm, max, faults);
	for (uint32_t i = 0; i < max && r >= 0; i++)
		r = append_fault(reply, b->model, faults[i]);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_message_send(reply);
}

/* For methods whose first argument is what a VM is called. */
static int authorize_for_vm(struct bus *b, sd_bus_message *message,
			    const struct guarded_method *method, sd_bus_error *error)
{
	const struct vm *vm;
	const char *text;
	int r;

	r = sd_bus_message_read(message, "s", &text);
	if (r >= 0)
		r = bus_find_vm(b, text, &vm, error);
	return r < 0 ? r : authorize(b, message, vm, method, error);
}

METHOD(method_get_faults)
{
	static const struct guarded_method get_faults = {
		AUTHORIZE_INSPECT, "read fault records, which hold guest addresses",
		run_get_faults};

	return authorize_for_vm(userdata, message, &get_faults, error);
}

static int run_get_top_rips(struct bus *b, sd_bus_message *message, const struct vm *vm,
			    sd_bus_error *error _unused_)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct cetd_rip rips[CETD_TOP_RIPS];
	unsigned int n;
	int r;

	r = open_array(message, "(ttt)", &reply);
	if (r < 0)
		return r;
	refresh(b);
	n = vm_top_rips(vm, CETD_TOP_RIPS, rips);
	for (unsigned int i = 0; i < n && r >= 0; i++)
		r = sd_bus_message_append(reply, "(ttt)", rips[i].rip, rips[i].count,
					  rips[i].error);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_message_send(reply);
}

METHOD(method_get_top_rips)
{
	static const struct guarded_method get_top_rips = {
		AUTHORIZE_INSPECT, "read fault records, which hold guest addresses",
		run_get_top_rips};

	return authorize_for_vm(userdata, message, &get_top_rips, error);
}

METHOD(method_metrics)
{
	_cleanup_(freep) char *text = NULL;
	struct bus *b = userdata;
	int r;

	r = b->commands.render_metrics(b->commands.userdata, &text);
	return r < 0 ? r : bus_reply_text(b, message, text, error);
}

static int run_monitor(struct bus *b, sd_bus_message *message, const struct vm *vm,
		       sd_bus_error *error)
{
	_cleanup_(closep) int fd = -1;
	int r;

	r = monitor_new(b, vm ? vm->identity.key : 0, &fd, error);
	return r < 0 ? r : sd_bus_reply_method_return(message, "h", fd);
}

METHOD(method_monitor)
{
	static const struct guarded_method monitor = {
		AUTHORIZE_INSPECT, "watch faults, which hold guest addresses", run_monitor};
	const struct vm *vm = NULL;
	const char *text;
	int r;

	r = sd_bus_message_read(message, "s", &text);
	if (r >= 0 && text[0])
		r = bus_find_vm(userdata, text, &vm, error);
	return r < 0 ? r : authorize(userdata, message, vm, &monitor, error);
}

static int run_reload(struct bus *b, sd_bus_message *message, const struct vm *vm _unused_,
		      sd_bus_error *error)
{
	_cleanup_(freep) char *text = NULL;
	int r = b->commands.reload(b->commands.userdata, &text);

	if (r < 0)
		return sd_bus_error_setf(error, CETD_BUS_ERROR_BAD_CONFIG,
					 "%s (the old configuration stays in force)",
					 text ? text : strerror(-r));
	return sd_bus_reply_method_return(message, NULL);
}

METHOD(method_reload)
{
	static const struct guarded_method reload = {AUTHORIZE_MANAGE, "reload the configuration",
						     run_reload};

	return authorize(userdata, message, NULL, &reload, error);
}

GETTER(get_version)
{
	(void)userdata;
	return sd_bus_message_append(reply, "s", CETD_VERSION);
}

GETTER(get_kernel_release)
{
	return sd_bus_message_append(reply, "s",
				     ((struct bus *)userdata)->model->host.kernel_release);
}

GETTER(get_family)
{
	const struct bus *b = userdata;

	return sd_bus_message_append(reply, "s", cetd_family_to_string((int)b->model->host.family));
}

GETTER(get_guest_cet)
{
	const struct bus *b = userdata;

	return sd_bus_message_append(reply, "s",
				     cetd_guest_cet_to_string((int)b->model->host.guest_cet));
}

GETTER(get_replayed)
{
	return sd_bus_message_append(reply, "b", ((struct bus *)userdata)->model->is_replayed);
}

GETTER(get_vm_count)
{
	return sd_bus_message_append(reply, "u", ((struct bus *)userdata)->model->n_vms);
}

GETTER(get_map_entries)
{
	return sd_bus_message_append(reply, "u", ((struct bus *)userdata)->model->map_entries);
}

GETTER(get_map_capacity)
{
	return sd_bus_message_append(reply, "u",
				     ((struct bus *)userdata)->model->host.map_capacity);
}

GETTER(get_start)
{
	return sd_bus_message_append(reply, "t", ((struct bus *)userdata)->ctx->start_usec);
}

GETTER(get_config_file)
{
	return sd_bus_message_append(reply, "s", ((struct bus *)userdata)->ctx->config_file ?: "");
}

GETTER(get_metrics_address)
{
	return sd_bus_message_append(reply, "s",
				     ((struct bus *)userdata)->ctx->metrics_address ?: "");
}

GETTER(get_coverage)
{
	const struct cetd_host *h = &((struct bus *)userdata)->model->host;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "(sss)");
	for (int f = 0; f < _CETD_FACT_MAX && r >= 0; f++)
		r = sd_bus_message_append(reply, "(sss)", cetd_fact_to_string(f),
					  cetd_coverage_to_string((int)h->facts[f].state),
					  h->facts[f].reason);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_causes)
{
	const struct cetd_host *h = &((struct bus *)userdata)->model->host;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "(sss)");
	for (uint32_t i = 0; i < h->n_causes && r >= 0; i++)
		r = sd_bus_message_append(reply, "(sss)", h->causes[i].code, h->causes[i].text,
					  h->causes[i].advice);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_events_lost)
{
	const struct model *m = ((struct bus *)userdata)->model;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "(st)");
	for (int i = 0; i < _CETD_LOST_MAX && r >= 0; i++)
		r = sd_bus_message_append(reply, "(st)", cetd_lost_to_string(i), m->lost[i]);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

#define OPEN SD_BUS_VTABLE_UNPRIVILEGED
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define CONST SD_BUS_VTABLE_PROPERTY_CONST

/* All methods are open to any caller; those that show addresses or change something check for themselves. */
const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Version", "s", get_version, 0, CONST),
	SD_BUS_PROPERTY("StartTimestamp", "t", get_start, 0, CONST),
	SD_BUS_PROPERTY("Replayed", "b", get_replayed, 0, CONST),
	SD_BUS_PROPERTY("KernelRelease", "s", get_kernel_release, 0, CHANGES),
	SD_BUS_PROPERTY("Family", "s", get_family, 0, CHANGES),
	SD_BUS_PROPERTY("GuestCET", "s", get_guest_cet, 0, CHANGES),
	SD_BUS_PROPERTY("Coverage", "a(sss)", get_coverage, 0, CHANGES),
	SD_BUS_PROPERTY("Causes", "a(sss)", get_causes, 0, CHANGES),
	SD_BUS_PROPERTY("VMCount", "u", get_vm_count, 0, CHANGES),
	SD_BUS_PROPERTY("MapEntries", "u", get_map_entries, 0, CHANGES),
	SD_BUS_PROPERTY("MapCapacity", "u", get_map_capacity, 0, CHANGES),
	SD_BUS_PROPERTY("EventsLost", "a(st)", get_events_lost, 0, CHANGES),
	SD_BUS_PROPERTY("ConfigFile", "s", get_config_file, 0, CHANGES),
	SD_BUS_PROPERTY("MetricsAddress", "s", get_metrics_address, 0, CHANGES),

	SD_BUS_METHOD_WITH_ARGS("ListVMs", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sssuto)", vms),
				method_list_vms, OPEN),
	SD_BUS_METHOD_WITH_ARGS("GetVM", SD_BUS_ARGS("s", vm), SD_BUS_RESULT("o", path),
				method_get_vm, OPEN),
	SD_BUS_METHOD_WITH_ARGS("GetVMByPID", SD_BUS_ARGS("u", pid), SD_BUS_RESULT("o", path),
				method_get_vm_by_pid, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
				method_describe, OPEN),
	SD_BUS_METHOD_WITH_ARGS("GetFaults", SD_BUS_ARGS("s", vm, "u", max),
				SD_BUS_RESULT("a(tusuytttbbs)", faults), method_get_faults, OPEN),
	SD_BUS_METHOD_WITH_ARGS("GetTopRIPs", SD_BUS_ARGS("s", vm), SD_BUS_RESULT("a(ttt)", rips),
				method_get_top_rips, OPEN),
	SD_BUS_METHOD_WITH_ARGS("DumpByFileDescriptor", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", fd),
				bus_dump, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Metrics", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", text), method_metrics,
				OPEN),
	SD_BUS_METHOD_WITH_ARGS("MonitorByFileDescriptor", SD_BUS_ARGS("s", vm),
				SD_BUS_RESULT("h", fd), method_monitor, OPEN),
	SD_BUS_METHOD_WITH_ARGS("GetPolicy", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
				bus_policy_get_all, OPEN),
	SD_BUS_METHOD_WITH_ARGS("CheckPolicy", SD_BUS_ARGS("s", name, "s", text),
				SD_BUS_RESULT("t", rules), bus_policy_check, OPEN),
	SD_BUS_METHOD_WITH_ARGS("ClearOverride", SD_BUS_ARGS("s", vm, "as", settings, "t", flags),
				SD_BUS_NO_RESULT, bus_policy_clear_by_name, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, OPEN),

	SD_BUS_SIGNAL_WITH_ARGS("VMAdded", SD_BUS_ARGS("s", id, "o", path), 0),
	SD_BUS_SIGNAL_WITH_ARGS("VMRemoved", SD_BUS_ARGS("s", id, "o", path), 0),
	SD_BUS_SIGNAL_WITH_ARGS(
		"ControlProtection",
		SD_BUS_ARGS("s", id, "s", kind, "s", privilege, "t", count, "b", injected), 0),
	SD_BUS_SIGNAL_WITH_ARGS("StormStarted",
				SD_BUS_ARGS("s", id, "s", rule, "u", rate, "s", then, "s", mode,
					    "t", since_usec, "t", over),
				0),
	SD_BUS_SIGNAL_WITH_ARGS("StormEnded",
				SD_BUS_ARGS("s", id, "s", rule, "u", rate, "s", then, "s", mode,
					    "t", duration_usec, "t", over, "s", end),
				0),
	SD_BUS_SIGNAL_WITH_ARGS("PolicyApplied",
				SD_BUS_ARGS("s", id, "o", path, "a(sssss)", settings), 0),
	SD_BUS_VTABLE_END,
};
