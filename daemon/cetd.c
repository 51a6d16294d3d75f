// SPDX-License-Identifier: GPL-2.0-only
/* The composition root: owns the loop and wires source to model, and model to export. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/utsname.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "cetd/names.h"

#include "acts.h"
#include "enforcement.h"
#include "export/bus.h"
#include "export/http.h"
#include "export/landing.h"
#include "export/listen.h"
#include "export/metrics.h"
#include "governor.h"
#include "options.h"
#include "release.h"
#include "settings.h"
#include "source/recording.h"
#include "source/source.h"
#include "util/log.h"

/* Faults are sampled always, the rest only while somebody watches or records. */
#define SAMPLE_FAULTS (1U << CETD_EVENT_CP | 1U << CETD_EVENT_INJECTED)
#define SAMPLE_ALL ((1U << _CETD_EVENT_MAX) - 1)

struct cetd {
	struct options options;
	struct settings settings;
	const char *config_path;
	struct export_context ctx;
	struct process_stats process;
	sd_event *event;
	struct model *model;
	struct policy_set *rules; /* read, not yet in force */
	struct governor *governor;
	struct enforcement *enforcement;
	struct acts *acts; /* NULL in a replay: its VMs are not here */
	struct events *events;
	struct discovery *discovery;
	struct recorder *recorder;
	struct replay *replay;
	struct bus *bus;
	struct http *http;
};

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
	if (r == -EBADMSG)
		return log_error_errno(r, "Message of type %u and %u bytes is not valid",
				       message->type, message->size);
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
	if (c->bus)
		bus_vm_removed(c->bus, vm);
	governor_vm_removed(c->governor, vm);
	if (c->enforcement)
		enforcement_forget(c->enforcement, vm);
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

	if (c->bus)
		bus_settled(c->bus);
}

static void on_verdict(void *userdata, const struct vm *vm, const struct policy_verdict *verdict)
{
	struct cetd *c = userdata;

	if (c->enforcement)
		enforcement_apply(c->enforcement, vm, verdict);
	if (c->bus)
		bus_policy_applied(c->bus, vm);
}

static int before_vm_remove(void *userdata, uint64_t key)
{
	struct cetd *c = userdata;

	return c->events ? events_forget(c->events, key) : 0;
}

static int cmd_refresh(void *userdata)
{
	struct cetd *c = userdata;

	return c->events ? events_refresh(c->events) : 0;
}

static int cmd_set_override(void *userdata, const struct vm *vm, const struct bus_override *o,
			    char **ret_message)
{
	struct cetd *c = userdata;

	return governor_set(c->governor, vm, o->lifetime, &o->values, o->for_usec, ret_message);
}

static int cmd_clear_override(void *userdata, const char *id, uint32_t lifetimes, uint32_t settings,
			      char **ret_message)
{
	struct cetd *c = userdata;

	return governor_clear(c->governor, id, lifetimes, settings, ret_message);
}

static int cmd_get_policy_state(void *userdata, uint64_t key, struct cetd_policy_state *ret)
{
	struct cetd *c = userdata;

	return c->enforcement ? enforcement_get_state(c->enforcement, key, ret) : -ENOENT;
}

static void cmd_set_monitored(void *userdata, bool is_monitored)
{
	struct cetd *c = userdata;

	if (c->events)
		events_set_sampling(c->events,
				    is_monitored || c->recorder ? SAMPLE_ALL : SAMPLE_FAULTS);
}

static int cmd_render(void *userdata, enum http_page page, char **ret_text, size_t *ret_size)
{
	struct cetd *c = userdata;
	struct events_program costs[EVENTS_PROGRAMS_MAX];
	struct metrics_program programs[EVENTS_PROGRAMS_MAX];
	struct metrics_context context = {.version = CETD_VERSION, .programs = programs};
	size_t n = 0;

	cmd_refresh(c);
	if (process_stats_read(&c->process) >= 0)
		context.process = &c->process;
	if (c->http)
		context.http = http_get_stats(c->http);
	if (c->events)
		n = events_get_programs(c->events, costs);
	for (size_t i = 0; i < n; i++)
		/* No runs: the kernel keeps no statistics, and nothing is said. */
		if (costs[i].runs)
			programs[context.n_programs++] = (struct metrics_program){
				costs[i].hook, costs[i].run_ns, costs[i].runs};
	if (page == HTTP_PAGE_INDEX)
		return landing_render(c->model, &context, ret_text, ret_size);
	return metrics_render(c->model, &context,
			      page == HTTP_PAGE_METRICS_OPENMETRICS ? METRICS_FORMAT_OPENMETRICS
								    : METRICS_FORMAT_TEXT,
			      ret_text, ret_size);
}

static int cmd_render_metrics(void *userdata, char **ret_text)
{
	size_t size;

	return cmd_render(userdata, HTTP_PAGE_METRICS_TEXT, ret_text, &size);
}

static void apply_log_level(const struct cetd *c)
{
	log_set_max_level(c->options.log_level >= 0 ? c->options.log_level
						    : log_level_from_string(c->settings.log_level));
}

static const char *metrics_address(const struct cetd *c, const struct settings *s)
{
	return c->options.metrics ?: s->metrics_listen;
}

/* Logging. */
static int start_http(struct cetd *c, const struct settings *s, int inherited_fd, struct http **ret)
{
	const struct http_params params = {
		.address = metrics_address(c, s),
		.listen_fd = inherited_fd,
		.may_be_remote = s->metrics_allow_remote,
		.priority = SD_EVENT_PRIORITY_NORMAL + 10,
		.render = cmd_render,
		.userdata = c,
	};

	return http_new(c->event, &params, ret);
}

static bool is_local(const char *address)
{
	struct listen_address a;

	return listen_address_from_string(address, &a, NULL) >= 0 && listen_address_is_local(&a);
}

/* The exporter moves only if the new address can be had; otherwise the old one goes on. */
static int reload_http(struct cetd *c, const struct settings *next)
{
	struct http *http = NULL;
	int r;

	/* The same address cannot be had twice: it stays, unless it may no longer be served, which is refused. */
	if (!strcmp(metrics_address(c, next), metrics_address(c, &c->settings)) &&
	    (next->metrics_allow_remote || is_local(metrics_address(c, next))))
		return 0;
	r = start_http(c, next, -1, &http);
	if (r < 0)
		return r;
	http_free(c->http);
	c->http = http;
	c->ctx.metrics_address = http ? http_get_address(http) : NULL;
	return 0;
}

static int cmd_reload(void *userdata, char **ret_message)
{
	struct cetd *c = userdata;
	_cleanup_(policy_set_freep) struct policy_set *rules = NULL;
	struct settings next;
	int r;

	*ret_message = NULL;
	r = settings_init(&next);
	if (r >= 0 && c->config_path)
		r = settings_read(c->config_path, &next, ret_message);
	if (r >= 0)
		r = governor_read(next.policy_dir, &rules, ret_message);
	if (r >= 0)
		r = reload_http(c, &next);
	if (r < 0) {
		if (!*ret_message && asprintf(ret_message, "%s: %s",
					      c->config_path ?: "the defaults", strerror(-r)) < 0)
			*ret_message = NULL;
		log_error("Failed to reload, the old configuration stays in force: %s",
			  *ret_message ?: strerror(-r));
		settings_done(&next);
		return r;
	}
	settings_tell_restart_needed(&c->settings, &next);
	settings_done(&c->settings);
	c->settings = next;
	apply_log_level(c);
	governor_set_rules(c->governor, c->settings.policy_dir, take_ptr(rules));
	log_info("Configuration read again from %s", c->config_path ?: "the built-in defaults");
	return 0;
}

static int on_sighup(sd_event_source *s _unused_, const struct signalfd_siginfo *si _unused_,
		     void *userdata)
{
	_cleanup_(freep) char *message = NULL;
	uint64_t now = 0;

	sd_event_now(((struct cetd *)userdata)->event, CLOCK_MONOTONIC, &now);
	sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now);
	cmd_reload(userdata, &message);
	sd_notify(false, "READY=1");
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
		r = sd_event_set_watchdog(c->event, true);
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
	c->config_path = c->options.config ?: SETTINGS_FILE;
	r = settings_read(c->config_path, &c->settings, &message);
	if (r == -ENOENT && !c->options.config) {
		c->config_path = NULL;
		r = 0;
	}
	if (r >= 0)
		r = governor_read(c->settings.policy_dir, &c->rules, &message);
	if (r < 0) {
		if (message)
			log_error("%s", message);
		else
			log_error_errno(r, "%s: %m", c->config_path ?: c->settings.policy_dir);
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
	};
	const struct cetd_sink sink = {on_message, c};
	struct cetd_host host = {};
	struct cetd_message message = {CETD_MESSAGE_HOST, sizeof(host), 0, &host};
	uint64_t now_usec = 0;
	int r;

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
		r = enforcement_new(c->event, c->model, &enforcement, &host, &c->enforcement);
	if (r < 0)
		return CETD_EXIT_FAILURE;
	log_host(&host);
	cmd_set_monitored(c, false);
	sd_event_now(c->event, CLOCK_MONOTONIC, &now_usec);
	message.time_ns = now_usec * NSEC_PER_USEC;
	r = on_message(c, &message);
	/* Counters that were pinned are shown before anybody can ask for them. */
	if (r >= 0)
		r = events_refresh(c->events);
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
	c->ctx.start_usec = now_realtime_usec();
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
	if (code != CETD_EXIT_OK || !c->bus)
		return code;
	r = bus_claim(c->bus);
	if (r == -EEXIST)
		return CETD_EXIT_NAME_TAKEN;
	return r < 0 ? CETD_EXIT_NO_BUS : CETD_EXIT_OK;
}

static void stop(struct cetd *c)
{
	c->bus = bus_free(c->bus);
	c->http = http_free(c->http);
	c->discovery = discovery_free(c->discovery);
	c->replay = replay_free(c->replay);
	c->events = events_free(c->events);
	c->recorder = recorder_free(c->recorder);
	c->acts = acts_free(c->acts);
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
