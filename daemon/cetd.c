// SPDX-License-Identifier: GPL-2.0-only
/* The composition root: owns the loop and wires source to model, and model to export. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "cetd/bus.h"
#include "cetd/names.h"

#include "alarm.h"
#include "cetd.h"
#include "privileges.h"
#include "release.h"
#include "source/held.h"
#include "source/recording.h"
#include "util/clock.h"
#include "util/log.h"
#include "watchdog.h"

static int on_message(void *userdata, const struct cetd_message *message)
{
	struct cetd *c = userdata;
	int r;

	if (c->recorder) {
		recorder_write(c->recorder, message);
		if (message->type == CETD_MESSAGE_SETTLED)
			recorder_flush(c->recorder);
	}
	r = model_apply(c->model, message);
	if (r == -EBADMSG) {
		log_full(c->has_odd_message ? LOG_DEBUG : LOG_ERR, r,
			 "Message of type %u and %u bytes is not valid", message->type,
			 message->size);
		c->has_odd_message = true;
		/* Of a kernel that tells more than is known here, what is known goes on. */
		return c->options.replay ? r : 0;
	}
	if (r < 0)
		return log_error_errno(r, "Failed to take up an event: %m");
	return 0;
}

static void on_vm_added(void *userdata, const struct vm *vm)
{
	struct cetd *c = userdata;

	log_info("VM %s (%s, %s, process %u) %s", vm->identity.id, vm->identity.name,
		 vm->identity.vmm[0] ? vm->identity.vmm : "VMM not known yet", vm->identity.pid,
		 vm->is_provisional ? "shows CET events" : "found");
	if (vm->is_provisional && c->discovery)
		discovery_nudge(c->discovery, vm->identity.key);
	if (c->bus)
		bus_vm_added(c->bus, vm);
	governor_vm_changed(c->governor, vm);
}

static void on_vm_renamed(void *userdata, const struct vm *vm, const char *old_id)
{
	struct cetd *c = userdata;

	log_info("VM %s is %s (%s)", old_id, vm->identity.id, vm->identity.name);
	if (c->bus)
		bus_vm_renamed(c->bus, vm, old_id);
	governor_vm_renamed(c->governor, vm, old_id);
}

static void on_vm_changed(void *userdata, const struct vm *vm)
{
	struct cetd *c = userdata;

	governor_vm_changed(c->governor, vm);
	if (c->freezer)
		freezer_vm_changed(c->freezer, vm);
	if (c->bus)
		bus_vm_changed(c->bus, vm);
}

/* The last that is said of a VM, so say it all. */
static void on_vm_removed(void *userdata, const struct vm *vm)
{
	struct cetd *c = userdata;
	const struct cetd_counters *k = &vm->kernel.counters;

	log_info("VM %s (%s) is gone: %llu #CP, %llu injected, %llu CET MSR accesses",
		 vm->identity.id, vm->identity.name, (unsigned long long)vm_cp_total(vm),
		 (unsigned long long)k->injected, (unsigned long long)vm_msr_total(vm));
	/* Its storms end with it. */
	if (c->enforcement)
		enforcement_forget(c->enforcement, vm);
	if (c->bus)
		bus_vm_removed(c->bus, vm);
	governor_vm_removed(c->governor, vm);
	if (c->freezer)
		freezer_forget(c->freezer, vm);
}

static void on_event(void *userdata, const struct vm *vm, const struct cetd_event *e)
{
	struct cetd *c = userdata;

	governor_event(c->governor, vm, e);
	if (c->bus)
		bus_event(c->bus, vm, e);
}

static void on_host_changed(void *userdata)
{
	struct cetd *c = userdata;

	governor_evaluate(c->governor);
	if (c->bus)
		bus_host_changed(c->bus);
}

static void on_settled(void *userdata)
{
	struct cetd *c = userdata;

	follow_clock(c);
	if (c->enforcement)
		enforcement_refresh(c->enforcement);
	if (c->bus)
		bus_settled(c->bus);
}

static void on_verdict(void *userdata, const struct vm *vm, const struct policy_verdict *verdict)
{
	struct cetd *c = userdata;

	if (c->enforcement)
		enforcement_apply(c->enforcement, vm, verdict);
	if (c->freezer)
		freezer_follow(c->freezer, vm, verdict);
	if (c->bus)
		bus_policy_applied(c->bus, vm);
}

static void on_storm(void *userdata, const struct storms_vm *of, const struct storm *storm)
{
	struct cetd *c = userdata;
	const struct vm *vm = model_find_key(c->model, of->key);
	const char *rule;

	if (!vm)
		return;
	rule = alarm_rule(governor_get_ledger(c->governor), of->key);
	alarm_log(vm, rule, storm);
	if (c->bus)
		bus_storm(c->bus, vm, rule, storm);
	alarm_act(c->acts, vm, rule, storm);
}

/* Once more, as something about it is another. */
static void tell_of_host(struct cetd *c, const struct cetd_host *host)
{
	const struct cetd_message message = {CETD_MESSAGE_HOST, sizeof(*host), c->model->now_ns,
					     host};

	on_message(c, &message);
}

static void on_enforcement_fact(void *userdata, enum cetd_coverage state, const char *reason)
{
	struct cetd *c = userdata;
	struct cetd_host host = c->model->host;

	host_set_fact(&host, CETD_FACT_ENFORCEMENT, state, "%s", reason);
	tell_of_host(c, &host);
}

/* The two clocks are read one after the other: what is less says nothing. */
#define CLOCK_SET_NS (500 * (int64_t)NSEC_PER_MSEC)

void follow_clock(struct cetd *c)
{
	struct cetd_host host;
	int64_t by_ns;

	/* A recording has a clock of its own. */
	if (!c->events || !c->model->has_host)
		return;
	by_ns = (int64_t)(probe_realtime_offset_ns() - c->model->host.realtime_offset_ns);
	if (by_ns > -CLOCK_SET_NS && by_ns < CLOCK_SET_NS)
		return;
	log_notice("The clock was set by %.3f s, or the host slept", (double)by_ns / NSEC_PER_SEC);
	host = c->model->host;
	host.realtime_offset_ns += (uint64_t)by_ns;
	tell_of_host(c, &host);
}

static int before_vm_remove(void *userdata, uint64_t key)
{
	struct cetd *c = userdata;

	return c->events ? events_forget(c->events, key) : 0;
}

/* Need the events of this VM not wait for its name? */
static bool is_vm_found(void *userdata, uint64_t key)
{
	struct cetd *c = userdata;
	const struct vm *vm = model_find_key(c->model, key);

	return (vm && !vm->is_provisional) || (c->discovery && discovery_is_blind(c->discovery));
}

static int on_sighup(sd_event_source *s _unused_, const struct signalfd_siginfo *si _unused_,
		     void *userdata)
{
	_cleanup_(freep) char *message = NULL;
	uint64_t now = 0;
	int r;

	sd_event_now(((struct cetd *)userdata)->event, CLOCK_MONOTONIC, &now);
	sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now);
	r = cmd_reload(userdata, &message);
	sd_notifyf(false, "READY=1\nSTATUS=%s",
		   r < 0 ? "Watching; the last reload was refused, see the log" : "Watching");
	return 0;
}

static void on_replay_done(void *userdata, enum replay_end end, uint64_t messages _unused_)
{
	struct cetd *c = userdata;

	if (c->options.exit_after_replay)
		sd_event_exit(c->event,
			      end == REPLAY_END_CORRUPT ? CETD_EXIT_RECORDING : CETD_EXIT_OK);
}

static int make_loop(struct cetd *c)
{
	sigset_t mask;
	int r;

	/* A scraper or monitor that goes away is an error of write(), not the end. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);

	r = sd_event_default(&c->event);
	if (r >= 0)
		r = sd_event_add_signal(c->event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(c->event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(c->event, NULL, SIGHUP, on_sighup, c);
	if (r >= 0)
		r = watchdog_start(c->event);
	return r < 0 ? log_error_errno(r, "Failed to set up the event loop: %m") : 0;
}

static enum cetd_exit load_settings(struct cetd *c)
{
	_cleanup_(freep) char *message = NULL;
	int r;

	r = settings_init(&c->settings);
	if (r < 0) {
		log_error_errno(r, "Failed to set up the configuration: %m");
		return CETD_EXIT_FAILURE;
	}
	r = settings_load(c->options.config, SETTINGS_FILE, &c->settings, &c->config_path,
			  &message);
	if (r >= 0)
		r = governor_read(c->settings.policy_dir, &c->rules, &message);
	if (r < 0) {
		if (message)
			log_error("%s", message);
		else
			log_error_errno(r, "%s: %m", c->options.config ?: c->settings.policy_dir);
		return CETD_EXIT_CONFIG;
	}
	c->ctx.config_file = c->config_path;
	apply_log_level(c);
	return CETD_EXIT_OK;
}

static enum cetd_exit start_export(struct cetd *c)
{
	const struct bus_commands commands = {
		.refresh = cmd_refresh,
		.reload = cmd_reload,
		.render_metrics = cmd_render_metrics,
		.set_override = cmd_set_override,
		.freeze = cmd_freeze,
		.clear_override = cmd_clear_override,
		.get_policy_state = cmd_get_policy_state,
		.set_monitored = cmd_set_monitored,
		.userdata = c,
	};
	int r, fd = -1;

	if (strcmp(c->options.bus, "none")) {
		r = bus_new(c->event, c->options.bus, c->model, &c->ctx, &commands, &c->bus);
		if (r < 0)
			return CETD_EXIT_NO_BUS;
	}
	if (sd_listen_fds(true) > 0)
		fd = SD_LISTEN_FDS_START;
	if (c->options.metrics && strcmp(c->settings.metrics_listen, CETD_METRICS_DEFAULT))
		log_notice("metrics.listen in %s has no effect: the command line and, under "
			   "systemd, cetd-metrics.socket say where metrics are",
			   c->config_path ?: "the configuration");
	r = start_http(c, &c->settings, fd, &c->http);
	if (r < 0)
		return CETD_EXIT_CONFIG;
	c->ctx.metrics_address = c->http ? http_get_address(c->http) : NULL;
	return CETD_EXIT_OK;
}

static enum cetd_exit start_replay(struct cetd *c)
{
	const struct cetd_sink sink = {on_message, c};

	c->model->is_replayed = true;
	c->ctx.recording = c->options.replay;
	if (replay_new(c->event, c->options.replay, c->options.speed, &sink, on_replay_done, c,
		       &c->replay) < 0)
		return CETD_EXIT_RECORDING;
	log_notice("Replaying %s%s%s: nothing that is shown comes from this host",
		   c->options.replay, replay_get_note(c->replay)[0] ? ", " : "",
		   replay_get_note(c->replay));
	return CETD_EXIT_OK;
}

/* What an operator should know before looking further. */
static void log_host(const struct cetd_host *h)
{
	log_info("Linux %s, %s tracepoints, guest CET %s", h->kernel_release,
		 cetd_family_to_string((int)h->family),
		 cetd_guest_cet_to_string((int)h->guest_cet));
	for (uint32_t i = 0; i < h->n_causes; i++)
		log_info("%s -> %s", h->causes[i].text, h->causes[i].advice);
}

static enum cetd_exit start_live(struct cetd *c)
{
	const struct events_params params = {c->settings.max_vms, c->settings.samples_per_second,
					     c->options.pin_dir};
	const struct discovery_params discovery = {
		.scan_interval_usec = c->settings.scan_interval_sec * USEC_PER_SEC,
		.before_remove = before_vm_remove,
		.userdata = c,
	};
	const struct enforcement_params enforcement = {
		.pin_dir = c->options.pin_dir,
		.max_vms = c->settings.max_vms,
		.lease_sec = c->settings.policy_lease_sec,
		.is_dry_run = c->options.dry_run,
		.is_wanted = !ledger_is_empty(governor_get_ledger(c->governor)),
		.storm = on_storm,
		.fact = on_enforcement_fact,
		.userdata = c,
	};
	const struct cetd_sink model_sink = {on_message, c};
	struct cetd_sink sink = {.send = held_send};
	struct cetd_host host = {};
	struct cetd_message message = {CETD_MESSAGE_HOST, sizeof(host), 0, &host};
	uint64_t now_usec = 0;
	int r;

	r = held_new(c->event, &model_sink, is_vm_found, &c->held);
	if (r < 0) {
		log_error_errno(r, "Failed to set up the event loop: %m");
		return CETD_EXIT_FAILURE;
	}
	sink.userdata = c->held;
	probe_host("/", &host);
	r = events_new(c->event, &params, &sink, &host, &c->events);
	if (r < 0) {
		log_error_errno(r, "This kernel shows nothing of guests' CET to cetd: %m");
		for (uint32_t i = 0; i < host.n_causes; i++)
			log_error("%s -> %s", host.causes[i].text, host.causes[i].advice);
		return CETD_EXIT_UNSUPPORTED;
	}
	r = acts_new(c->event, c->options.dry_run, &c->acts);
	if (r >= 0)
		r = freezer_new(c->governor, c->model, c->acts, &c->freezer);
	if (r >= 0)
		r = enforcement_new(c->event, c->model, &enforcement, &host, &c->enforcement);
	if (r < 0)
		return CETD_EXIT_FAILURE;
	c->ctx.storms = enforcement_get_storms(c->enforcement);
	log_host(&host);
	cmd_set_monitored(c, false);
	sd_event_now(c->event, CLOCK_MONOTONIC, &now_usec);
	message.time_ns = now_usec * NSEC_PER_USEC;
	r = on_message(c, &message);
	/* Counters that were pinned are shown before anybody can ask for them. */
	if (r >= 0)
		r = events_refresh(c->events);
	if (r >= 0 && c->bus)
		bus_take_as_told(c->bus);
	if (r >= 0)
		r = discovery_new(c->event, &discovery, &sink, &c->discovery);
	return r < 0 ? CETD_EXIT_FAILURE : CETD_EXIT_OK;
}

static enum cetd_exit start(struct cetd *c)
{
	const struct model_observer observer = {
		.vm_added = on_vm_added,
		.vm_renamed = on_vm_renamed,
		.vm_changed = on_vm_changed,
		.vm_removed = on_vm_removed,
		.event = on_event,
		.host_changed = on_host_changed,
		.settled = on_settled,
		.userdata = c,
	};
	enum cetd_exit code;
	int r;

	code = load_settings(c);
	if (code != CETD_EXIT_OK || c->options.check_config)
		return code;
	c->ctx.start_usec = clock_usec(CLOCK_REALTIME);
	if (make_loop(c) < 0)
		return CETD_EXIT_FAILURE;
	r = model_new(c->settings.max_vms, &c->model);
	if (r < 0) {
		log_error_errno(r, "Failed to set up the registry: %m");
		return CETD_EXIT_FAILURE;
	}
	if (governor_new(c->event, c->model, on_verdict, c, &c->governor) < 0)
		return CETD_EXIT_FAILURE;
	governor_set_rules(c->governor, c->settings.policy_dir, take_ptr(c->rules));
	/* What is stored is about the VMs of this host, not about those of a recording. */
	if (!c->options.replay)
		governor_open_store(c->governor, c->options.state_dir);
	c->ctx.ledger = governor_get_ledger(c->governor);
	model_set_observer(c->model, &observer);
	if (c->options.record &&
	    recorder_new(c->options.record, c->options.record_note ?: "", &c->recorder) < 0)
		return CETD_EXIT_RECORDING;

	code = start_export(c);
	if (code != CETD_EXIT_OK)
		return code;
	code = c->options.replay ? start_replay(c) : start_live(c);
	/* Programs are loaded later only where a policy may yet want the hook; the BTF of a module is read for it. */
	privileges_drop(enforcement_may_load(c->enforcement) &&
			access("/sys/module/kvm/initstate", F_OK) == 0);
	if (code != CETD_EXIT_OK || !c->bus)
		return code;
	r = bus_claim(c->bus);
	if (r == -EEXIST)
		return CETD_EXIT_NAME_TAKEN;
	return r < 0 ? CETD_EXIT_NO_BUS : CETD_EXIT_OK;
}

static void stop(struct cetd *c)
{
	/* Who waits for the end of an order is told that there is none. */
	c->acts = acts_free(c->acts);
	c->freezer = freezer_free(c->freezer);
	c->bus = bus_free(c->bus);
	c->http = http_free(c->http);
	c->discovery = discovery_free(c->discovery);
	c->replay = replay_free(c->replay);
	c->events = events_free(c->events);
	c->held = held_free(c->held);
	c->recorder = recorder_free(c->recorder);
	c->enforcement = enforcement_free(c->enforcement);
	c->governor = governor_free(c->governor);
	c->rules = policy_set_free(c->rules);
	c->model = model_free(c->model);
	c->event = sd_event_unref(c->event);
	settings_done(&c->settings);
}

int main(int argc, char *argv[])
{
	struct cetd c = {};
	enum cetd_exit code;
	int r;

	switch (options_parse(argc, argv, &c.options)) {
	case OPTIONS_DONE:
		return CETD_EXIT_OK;
	case OPTIONS_USAGE:
		return CETD_EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}

	if (c.options.release)
		return release_pins(c.options.pin_dir) < 0 ? CETD_EXIT_FAILURE : CETD_EXIT_OK;
	code = start(&c);
	if (code == CETD_EXIT_OK && !c.options.check_config) {
		sd_notify(false, "READY=1\nSTATUS=Watching");
		r = sd_event_loop(c.event);
		if (r < 0)
			log_error_errno(r, "The event loop failed: %m");
		sd_notify(false, "STOPPING=1");
		code = r < 0 ? CETD_EXIT_FAILURE : (enum cetd_exit)r;
	}
	stop(&c);
	return code;
}
