// SPDX-License-Identifier: GPL-2.0-only
/* What the daemon can be asked for, on D-Bus, by signal or by HTTP. */
#include <errno.h>
#include <string.h>

#include "cetd/message-ids.h"

#include "cetd.h"
#include "export/landing.h"
#include "export/listen.h"
#include "export/metrics.h"
#include "util/log.h"

/* Faults are sampled always, the rest only while somebody watches or records. */
#define SAMPLE_FAULTS (1U << CETD_EVENT_CP | 1U << CETD_EVENT_INJECTED)
#define SAMPLE_ALL ((1U << _CETD_EVENT_MAX) - 1)

int cmd_refresh(void *userdata)
{
	struct cetd *c = userdata;

	follow_clock(c);
	if (c->enforcement)
		enforcement_refresh(c->enforcement);
	return c->events ? events_refresh(c->events) : 0;
}

int cmd_set_override(void *userdata, const struct vm *vm, const struct bus_override *o,
		     char **ret_message)
{
	struct cetd *c = userdata;

	return governor_set(c->governor, vm, o->lifetime, &o->values, o->for_usec, ret_message);
}

int cmd_clear_override(void *userdata, const char *id, uint32_t lifetimes, uint32_t settings,
		       char **ret_message)
{
	struct cetd *c = userdata;

	return governor_clear(c->governor, id, lifetimes, settings, ret_message);
}

int cmd_freeze(void *userdata, const struct vm *vm, const struct bus_freeze *order,
	       char **ret_message)
{
	const struct freezer_order o = {order->by, order->done, order->userdata};
	struct cetd *c = userdata;

	*ret_message = NULL;
	if (!c->freezer) {
		*ret_message = strdup("it is not of this host, but of a recording");
		return -EOPNOTSUPP;
	}
	if (!order->override)
		return freezer_thaw(c->freezer, vm, &o, ret_message);
	return freezer_freeze(c->freezer, vm, order->override->lifetime, order->override->for_usec,
			      &o, ret_message);
}

int cmd_get_policy_state(void *userdata, uint64_t key, struct cetd_policy_state *ret)
{
	struct cetd *c = userdata;

	return c->enforcement ? enforcement_get_state(c->enforcement, key, ret) : -ENOENT;
}

void cmd_set_monitored(void *userdata, bool is_monitored)
{
	struct cetd *c = userdata;

	if (c->events)
		events_set_sampling(c->events,
				    is_monitored || c->recorder ? SAMPLE_ALL : SAMPLE_FAULTS);
}

static int cmd_render(void *userdata, enum http_page page, unsigned int number, char **ret_text,
		      size_t *ret_size)
{
	struct cetd *c = userdata;
	struct events_program costs[EVENTS_PROGRAMS_MAX];
	struct metrics_program programs[EVENTS_PROGRAMS_MAX];
	struct metrics_context context = {.version = CETD_VERSION, .programs = programs};
	size_t n = 0;

	cmd_refresh(c);
	context.ledger = c->ctx.ledger;
	context.storms = c->ctx.storms;
	context.control = c->enforcement ? enforcement_get_control(c->enforcement) : NULL;
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
		return landing_render(c->model, &context, number, ret_text, ret_size);
	return metrics_render(c->model, &context,
			      page == HTTP_PAGE_METRICS_OPENMETRICS ? METRICS_FORMAT_OPENMETRICS
								    : METRICS_FORMAT_TEXT,
			      ret_text, ret_size);
}

int cmd_render_metrics(void *userdata, char **ret_text)
{
	size_t size;

	return cmd_render(userdata, HTTP_PAGE_METRICS_TEXT, 1, ret_text, &size);
}

void apply_log_level(const struct cetd *c)
{
	log_set_max_level(c->options.log_level >= 0 ? c->options.log_level
						    : log_level_from_string(c->settings.log_level));
}

static const char *metrics_address(const struct cetd *c, const struct settings *s)
{
	return c->options.metrics ?: s->metrics_listen;
}

/* Logging. */
int start_http(struct cetd *c, const struct settings *s, int inherited_fd, struct http **ret)
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

static void tell_restart_needed(const struct settings *old, const struct settings *next)
{
	if (old->max_vms != next->max_vms)
		log_notice("max_vms is %u after the next restart", next->max_vms);
	if (old->scan_interval_sec != next->scan_interval_sec)
		log_notice("scan_interval_sec is %u after the next restart",
			   next->scan_interval_sec);
	if (old->samples_per_second != next->samples_per_second)
		log_notice("samples_per_second is %u after the next restart",
			   next->samples_per_second);
}

static void log_refused(const char *why)
{
	char reason[1024];
	const char *const fields[] = {reason, NULL};

	snprintf(reason, sizeof(reason), "CETD_REASON=%s", why);
	log_event(LOG_ERR, CETD_LOG_POLICY_REFUSED, fields,
		  "Failed to reload, the old configuration stays in force: %s", why);
}

int cmd_reload(void *userdata, char **ret_message)
{
	struct cetd *c = userdata;
	_cleanup_(policy_set_freep) struct policy_set *rules = NULL;
	const char *path = NULL;
	struct settings next;
	int r;

	*ret_message = NULL;
	r = settings_init(&next);
	if (r >= 0)
		r = settings_load(c->options.config, SETTINGS_FILE, &next, &path, ret_message);
	if (r >= 0)
		r = governor_read(next.policy_dir, &rules, ret_message);
	if (r >= 0)
		r = reload_http(c, &next);
	if (r < 0) {
		if (!*ret_message && asprintf(ret_message, "%s: %s",
					      c->options.config ?: SETTINGS_FILE, strerror(-r)) < 0)
			*ret_message = NULL;
		log_refused(*ret_message ?: strerror(-r));
		settings_done(&next);
		return r;
	}
	tell_restart_needed(&c->settings, &next);
	settings_done(&c->settings);
	c->settings = next;
	c->config_path = c->ctx.config_file = path;
	apply_log_level(c);
	if (c->enforcement)
		enforcement_set_lease(c->enforcement, c->settings.policy_lease_sec);
	governor_set_rules(c->governor, c->settings.policy_dir, take_ptr(rules));
	if (c->bus)
		bus_config_changed(c->bus);
	log_info("Configuration read again from %s", c->config_path ?: "the built-in defaults");
	return 0;
}
