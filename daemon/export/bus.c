// SPDX-License-Identifier: GPL-2.0-only
/* The connection, the objects on it, and the signals, which are gathered for a second. */
#include <errno.h>
#include <string.h>

#include <json-c/json.h>

#include "cetd/bus.h"
#include "cetd/names.h"
#include "export/authorize.h"
#include "export/bus-internal.h"
#include "util/log.h"

#define SIGNAL_INTERVAL_USEC USEC_PER_SEC
#define SIGNALS_PER_TURN 512

int vm_object_path(const char *id, char **ret)
{
	return sd_bus_path_encode(CETD_BUS_VM_PREFIX, id, ret);
}

int bus_find_vm(const struct bus *b, const char *text, const struct vm **ret, sd_bus_error *error)
{
	int r = model_find(b->model, text, ret);

	if (r > 0)
		return 0;
	if (r == -ENOTUNIQ)
		return sd_bus_error_setf(error, CETD_BUS_ERROR_AMBIGUOUS,
					 "Several VMs answer to '%s': use an id from ListVMs",
					 text);
	return sd_bus_error_setf(error, CETD_BUS_ERROR_NO_SUCH_VM,
				 "No VM has the id, name, UUID or pid-N '%s'", text);
}

int bus_reply_text(const struct bus *b, sd_bus_message *message, const char *text,
		   sd_bus_error *error)
{
	if (strlen(text) > b->text_max)
		return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					 "The answer has %zu bytes, more than the %zu that go over "
					 "the bus: there is DumpByFileDescriptor, Describe of one "
					 "VM, and /metrics over HTTP",
					 strlen(text), b->text_max);
	return sd_bus_reply_method_return(message, "s", text);
}

int bus_reply_json(const struct bus *b, sd_bus_message *message, struct json_object *o,
		   sd_bus_error *error)
{
	const char *text;
	int r;

	text = o ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							     JSON_C_TO_STRING_NOSLASHESCAPE)
		 : NULL;
	r = text ? bus_reply_text(b, message, text, error) : -ENOMEM;
	json_object_put(o);
	return r;
}

static void emit_control_protection(struct bus *b, const struct vm *vm, const char *kind,
				    const char *privilege, uint64_t count, bool is_injected)
{
	int r;

	if (!count)
		return;
	r = sd_bus_emit_signal(b->bus, CETD_BUS_PATH, CETD_BUS_MANAGER, "ControlProtection",
			       "ssstb", vm->identity.id, kind, privilege, count, is_injected);
	if (r < 0)
		log_debug_errno(r, "Failed to send ControlProtection for %s: %m", vm->identity.id);
}

static void emit_vm(struct bus *b, struct bus_vm *state, const struct vm *vm)
{
	const struct cetd_counters *now = &vm->kernel.counters;
	_cleanup_(freep) char *path = NULL;

	state->is_dirty = false;
	for (int k = 0; k < _CETD_KIND_MAX; k++)
		for (int p = 0; p < _CETD_PRIVILEGE_MAX; p++)
			emit_control_protection(b, vm, cetd_kind_to_string(k),
						cetd_privilege_to_string(p),
						now->cp[k][p] - state->signalled.cp[k][p], false);
	/* The stock tracepoint tells neither kind nor privilege exactly enough to count by. */
	emit_control_protection(b, vm, "other", "unknown",
				now->injected - state->signalled.injected, true);
	state->signalled = *now;

	if (vm_object_path(vm->identity.id, &path) < 0)
		return;
	if (state->revision != vm->revision)
		sd_bus_emit_properties_changed(b->bus, path, CETD_BUS_VM, "Name", "UUID", "Unit",
					       "VMM", "CGroup", "Attribution", "VMsInProcess",
					       NULL);
	state->revision = vm->revision;
	sd_bus_emit_properties_changed(b->bus, path, CETD_BUS_VM, "LastActivityTimestamp",
				       "ControlProtection", "ControlProtectionTotal",
				       "InjectedControlProtection", "MSRAccesses", "VMCSLoads",
				       "NestedVMCSLoads", "CR4CETWrites", "SamplesDropped",
				       "ThrottleState", "ThrottledUSec", NULL);
}

static bool emit_manager(struct bus *b)
{
	if (b->signalled_map_entries == b->model->map_entries &&
	    !memcmp(b->signalled_lost, b->model->lost, sizeof(b->signalled_lost)))
		return false;
	b->signalled_map_entries = b->model->map_entries;
	memcpy(b->signalled_lost, b->model->lost, sizeof(b->signalled_lost));
	sd_bus_emit_properties_changed(b->bus, CETD_BUS_PATH, CETD_BUS_MANAGER, "EventsLost",
				       "MapEntries", NULL);
	return true;
}

/* Who has been told of goes to the end: where there are more than a turn takes, each has his. */
static int on_signal_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct bus *b = userdata;
	unsigned int sent = emit_manager(b);
	struct bus_vm *state, *next;

	for (state = b->vms; state && sent < SIGNALS_PER_TURN; state = next) {
		const struct vm *vm = model_find_key(b->model, state->key);

		next = state->hh.next;
		if (!state->is_dirty || !vm)
			continue;
		emit_vm(b, state, vm);
		HASH_DELETE(hh, b->vms, state);
		HASH_ADD(hh, b->vms, key, sizeof(state->key), state);
		sent++;
	}
	b->is_timer_set = sent > 0;
	if (!sent)
		return 0;
	sd_event_source_set_time(s, usec + SIGNAL_INTERVAL_USEC);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* The first change is told at once, what follows is gathered. */
static void start_signal_timer(struct bus *b)
{
	uint64_t now = 0;

	if (b->is_timer_set)
		return;
	sd_event_now(b->event, CLOCK_MONOTONIC, &now);
	sd_event_source_set_time(b->timer, now);
	sd_event_source_set_enabled(b->timer, SD_EVENT_ONESHOT);
	b->is_timer_set = true;
}

void bus_settled(struct bus *b)
{
	start_signal_timer(b);
}

static struct bus_vm *find_state(struct bus *b, const struct vm *vm)
{
	struct bus_vm *state;

	HASH_FIND(hh, b->vms, &vm->identity.key, sizeof(vm->identity.key), state);
	return state;
}

void bus_vm_changed(struct bus *b, const struct vm *vm)
{
	struct bus_vm *state = find_state(b, vm);

	if (!state)
		return;
	state->is_dirty = true;
	start_signal_timer(b);
}

static void emit_vm_lifetime(struct bus *b, const char *id, bool is_added)
{
	_cleanup_(freep) char *path = NULL;

	if (vm_object_path(id, &path) < 0)
		return;
	if (is_added)
		sd_bus_emit_object_added(b->bus, path);
	sd_bus_emit_signal(b->bus, CETD_BUS_PATH, CETD_BUS_MANAGER,
			   is_added ? "VMAdded" : "VMRemoved", "so", id, path);
	if (!is_added)
		sd_bus_emit_object_removed(b->bus, path);
	sd_bus_emit_properties_changed(b->bus, CETD_BUS_PATH, CETD_BUS_MANAGER, "VMCount", NULL);
}

void bus_vm_added(struct bus *b, const struct vm *vm)
{
	struct bus_vm *state = calloc(1, sizeof(*state));

	if (state) {
		state->key = vm->identity.key;
		state->revision = vm->revision;
		HASH_ADD(hh, b->vms, key, sizeof(state->key), state);
	}
	emit_vm_lifetime(b, vm->identity.id, true);
}

/* Another object: all its properties are told with it. */
void bus_vm_renamed(struct bus *b, const struct vm *vm, const char *old_id)
{
	struct bus_vm *state = find_state(b, vm);

	if (state)
		state->revision = vm->revision;
	emit_vm_lifetime(b, old_id, false);
	emit_vm_lifetime(b, vm->identity.id, true);
}

void bus_vm_removed(struct bus *b, const struct vm *vm)
{
	struct bus_vm *state = find_state(b, vm);

	if (state) {
		if (state->is_dirty)
			emit_vm(b, state, vm);
		HASH_DELETE(hh, b->vms, state);
		free(state);
	}
	monitors_vm_removed(b, vm->identity.key);
	emit_vm_lifetime(b, vm->identity.id, false);
}

void bus_event(struct bus *b, const struct vm *vm, const struct cetd_event *e)
{
	if (b->n_monitors)
		monitors_send(b, vm, e);
}

void bus_storm(struct bus *b, const struct vm *vm, const char *rule, const struct storm *t)
{
	const char *id = vm->identity.id, *then = cetd_then_to_string(t->then),
		   *mode = cetd_mode_to_string(t->mode);
	int r;

	if (t->ended_ns)
		r = sd_bus_emit_signal(b->bus, CETD_BUS_PATH, CETD_BUS_MANAGER, "StormEnded",
				       "ssusstts", id, rule, (uint32_t)t->rate, then, mode,
				       (t->ended_ns - t->since_ns) / NSEC_PER_USEC, t->over,
				       storm_end_to_string(t->end));
	else
		r = sd_bus_emit_signal(b->bus, CETD_BUS_PATH, CETD_BUS_MANAGER, "StormStarted",
				       "ssusstt", id, rule, (uint32_t)t->rate, then, mode,
				       model_realtime_usec(b->model, t->since_ns), t->over);
	if (r < 0)
		log_debug_errno(r, "Failed to tell of a storm of %s: %m", id);
}

void bus_take_as_told(struct bus *b)
{
	for (struct bus_vm *state = b->vms; state; state = state->hh.next) {
		const struct vm *vm = model_find_key(b->model, state->key);

		if (vm)
			state->signalled = vm->kernel.counters;
	}
}

void bus_host_changed(struct bus *b)
{
	sd_bus_emit_properties_changed(b->bus, CETD_BUS_PATH, CETD_BUS_MANAGER, "Family",
				       "GuestCET", "Coverage", "Causes", "KernelRelease", NULL);
}

void bus_config_changed(struct bus *b)
{
	sd_bus_emit_properties_changed(b->bus, CETD_BUS_PATH, CETD_BUS_MANAGER, "ConfigFile",
				       "MetricsAddress", NULL);
}

DEFINE_CLEANUP(struct bus *, bus_free)

int bus_new(sd_event *event, const char *address, const struct model *model,
	    const struct export_context *ctx, const struct bus_commands *commands, struct bus **ret)
{
	_cleanup_(bus_freep) struct bus *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return log_error_errno(ENOMEM, "Failed to set up D-Bus: %m");
	b->event = sd_event_ref(event);
	b->address = address;
	b->model = model;
	b->ctx = ctx;
	b->commands = *commands;
	b->dump_usec = DUMP_SECONDS * USEC_PER_SEC;
	b->text_max = CETD_BUS_TEXT_MAX;
	b->objects_max = CETD_BUS_OBJECTS_MAX;

	r = authorizer_new(&b->authorizer);
	if (r < 0)
		return log_error_errno(r, "Failed to set up D-Bus: %m");
	r = bus_watch(b);
	if (r >= 0)
		r = bus_connect(b);
	if (r < 0)
		return log_error_errno(r,
				       "Failed to connect to the %s bus: %m (is dbus running? "
				       "--bus=none runs without)",
				       address);
	r = sd_event_add_time(event, &b->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_signal_timer,
			      b);
	if (r >= 0)
		r = sd_event_source_set_enabled(b->timer, SD_EVENT_OFF);
	if (r < 0)
		return log_error_errno(r, "Failed to set up D-Bus: %m");
	FOREACH_VM (model, vm)
		bus_vm_added(b, vm);
	*ret = take_ptr(b);
	return 0;
}

int bus_claim(struct bus *b)
{
	int r = sd_bus_request_name(b->bus, CETD_BUS_NAME, 0);
	if (r == -EEXIST)
		return log_error_errno(r,
				       "Another process owns the bus name %s: stop it first "
				       "(systemctl stop cetd)",
				       CETD_BUS_NAME);
	if (r == -EPERM || r == -EACCES)
		return log_error_errno(r,
				       "Failed to claim the bus name %s: %m (install "
				       "org.cetd1.conf into the bus's system.d and reload the bus)",
				       CETD_BUS_NAME);
	if (r < 0)
		return log_error_errno(r, "Failed to claim the bus name %s: %m", CETD_BUS_NAME);
	return 0;
}

struct bus *bus_free(struct bus *b)
{
	struct bus_vm *state, *next;

	if (!b)
		return NULL;
	authorizer_free(b->authorizer);
	monitors_free(b);
	dumps_free(b);
	HASH_ITER (hh, b->vms, state, next) {
		HASH_DELETE(hh, b->vms, state);
		free(state);
	}
	sd_event_source_disable_unref(b->timer);
	sd_event_source_disable_unref(b->retry);
	sd_bus_flush_close_unref(b->bus);
	sd_event_unref(b->event);
	free(b);
	return NULL;
}
