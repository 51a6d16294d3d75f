// SPDX-License-Identifier: GPL-2.0-only
/* Serves made-up VMs over HTTP with the daemon's exporter, for the tests of it: no root, no BPF. */
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "../lib/sample-model.h"
#include "export/http.h"
#include "export/landing.h"
#include "export/metrics.h"
#include "util/log.h"

struct server {
	struct model *model;
	struct http *http;
	struct process_stats process;
	bool is_failing;
};

static const struct option options[] = {
	{"listen", required_argument, NULL, 'l'}, {"vms", required_argument, NULL, 'n'},
	{"stock", no_argument, NULL, 's'},	  {"remote", no_argument, NULL, 'r'},
	{"idle", required_argument, NULL, 'i'},	  {"deadline", required_argument, NULL, 'd'},
	{"inherit", no_argument, NULL, 'I'},	  {"fail", no_argument, NULL, 'f'},
	{"debug", no_argument, NULL, 'D'},	  {0},
};

static int on_render(void *userdata, enum http_page page, unsigned int number, char **ret_text,
		     size_t *ret_size)
{
	struct server *s = userdata;
	struct metrics_context context = {
		.version = CETD_VERSION, .process = &s->process, .http = http_get_stats(s->http)};
	int r = s->is_failing ? -EIO : process_stats_read(&s->process);

	if (r < 0)
		return r;
	if (page == HTTP_PAGE_INDEX)
		return landing_render(s->model, &context, number, ret_text, ret_size);
	return metrics_render(s->model, &context,
			      page == HTTP_PAGE_METRICS_TEXT ? METRICS_FORMAT_TEXT
							     : METRICS_FORMAT_OPENMETRICS,
			      ret_text, ret_size);
}

/* n VMs with counters, the first of them named by an enemy, with all that the model takes: U+2028 for line breaks. */
static int build_model(unsigned int n, bool is_stock, struct model **ret)
{
	enum cetd_coverage states[_CETD_FACT_MAX];
	int r;

	for (int f = 0; f < _CETD_FACT_MAX; f++)
		states[f] = CETD_COVERAGE_OBSERVED;
	if (is_stock) {
		states[CETD_FACT_HARDWARE_CP] = CETD_COVERAGE_UNOBSERVABLE;
		states[CETD_FACT_VMCS_LOAD] = CETD_COVERAGE_UNOBSERVABLE;
	}
	r = model_new(n + 1, ret);
	if (r >= 0)
		r = sample_host(*ret, states, is_stock ? CETD_FAMILY_STOCK : CETD_FAMILY_PATCHED);
	for (unsigned int i = 0; i < n && r >= 0; i++) {
		struct cetd_identity id = sample_identity(i);

		if (i == 0)
			snprintf(id.name, sizeof(id.name), "%s",
				 "</td><script>\"} 1\u2028cetd_vms 99\u2028# EOF\u2028\\");
		r = sample_vm(*ret, &id);
		if (r >= 0)
			r = sample_counters(*ret, id.key, i * 100);
	}
	return r < 0 ? r : sample_lost(*ret, n);
}

static int serve(struct server *s, const struct http_params *params)
{
	sd_event *event = NULL;
	sigset_t mask;
	int r;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	r = sd_event_default(&event);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = http_new(event, params, &s->http);
	if (r >= 0) {
		printf("listening on %s\n", s->http ? http_get_address(s->http) : "nothing");
		fflush(stdout);
		r = s->http ? sd_event_loop(event) : 0;
	}
	http_free(s->http);
	sd_event_unref(event);
	return r;
}

int main(int argc, char **argv)
{
	struct server s = {0};
	struct http_params params = {
		.address = "127.0.0.1:0", .listen_fd = -1, .render = on_render, .userdata = &s};
	unsigned int n = 3;
	bool is_stock = false;
	int c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'l':
			params.address = optarg;
			break;
		case 'n':
			n = (unsigned int)atoi(optarg);
			break;
		case 's':
			is_stock = true;
			break;
		case 'r':
			params.may_be_remote = true;
			break;
		case 'i':
			params.idle_seconds = (unsigned int)atoi(optarg);
			break;
		case 'd':
			params.request_seconds = (unsigned int)atoi(optarg);
			break;
		case 'I':
			params.listen_fd = sd_listen_fds(1) == 1 ? SD_LISTEN_FDS_START : -1;
			break;
		case 'f':
			s.is_failing = true;
			break;
		case 'D':
			log_set_max_level(LOG_DEBUG);
			break;
		default:
			return 2;
		}
	r = build_model(n, is_stock, &s.model);
	if (r >= 0)
		r = serve(&s, &params);
	model_free(s.model);
	return r < 0 ? 1 : 0;
}
