// SPDX-License-Identifier: GPL-2.0-only
/* cetctl explain: what happened to a VM, what it means, and what to do. */
#include <string.h>

#include "cetd/event.h"

#include "bus.h"
#include "diagnose.h"
#include "doc.h"
#include "explain.h"
#include "faults.h"
#include "symfile.h"
#include "text.h"

/* Addresses are for root only: for others they stay NULL, and the counts are explained. */
static enum exit_code get_addresses(struct ctl *ctl, const char *id, json_object **ret_faults,
				    json_object **ret_rips)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	const char *what = "GetFaults";
	int r = faults_get(ctl->bus, id, CETD_HISTORY_FAULTS, &error, ret_faults);

	if (r >= 0) {
		what = "GetTopRIPs";
		r = faults_get_rips(ctl->bus, id, &error, ret_rips);
	}
	if (r >= 0 || bus_is_denied(&error))
		return CETCTL_OK;
	return bus_fail(ctl, &error, r, what);
}

static size_t collect(json_object *array, uint64_t *addresses, size_t n, size_t max)
{
	size_t length = doc_length(array);

	for (size_t i = 0; i < length && n < max; i++) {
		const char *rip = doc_text(json_object_array_get_idx(array, i), "rip");

		if (rip)
			addresses[n++] = strtoull(rip, NULL, 0);
	}
	return n;
}

/* Addresses tell of KASLR's offset only if they are all of one kernel. */
static enum exit_code get_symbols(const struct options *o, struct diagnosis_input *in,
				  struct symbols **ret)
{
	uint64_t addresses[CETD_HISTORY_FAULTS + CETD_TOP_RIPS];
	enum exit_code code;
	size_t n = 0;

	if (!o->symbols)
		return CETCTL_OK;
	code = symfile_load(o->symbols, ret);
	if (code)
		return code;
	if (!diagnose_is_hypervisor(in)) {
		n = collect(in->faults, addresses, n, CETD_HISTORY_FAULTS);
		n = collect(in->rips, addresses, n, ARRAY_SIZE(addresses));
	}
	in->symbols = *ret;
	return symbols_set_offset(*ret, o->kaslr, addresses, n);
}

enum exit_code verb_explain(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_doc_ json_object *daemon = NULL, *vm = NULL, *faults = NULL, *rips = NULL,
				  *report = NULL;
	_cleanup_(symbols_freep) struct symbols *symbols = NULL;
	_cleanup_(freep) char *path = NULL, *id = NULL;
	const struct options *o = &ctl->options;
	struct diagnosis_input in;
	enum exit_code code;
	const char *reason;

	(void)argc;
	if (o->kaslr && !o->symbols) {
		text_error("--kaslr says how far the symbols are off, and needs --symbols");
		return CETCTL_USAGE;
	}
	code = bus_get_vm(ctl, argv[0], &path, &id);
	if (!code)
		code = bus_describe(ctl, path, &vm);
	if (!code)
		code = bus_describe(ctl, NULL, &daemon);
	if (!code)
		code = get_addresses(ctl, id, &faults, &rips);
	in = (struct diagnosis_input){daemon, vm, faults, rips, argv[0], NULL, o->symbols};
	if (!code)
		code = get_symbols(o, &in, &symbols);
	if (code)
		return code;
	report = diagnose(&in);
	if (!report) {
		text_error("out of memory");
		return CETCTL_FAILURE;
	}
	if (doc_is_true(daemon, "replayed"))
		bus_print_replayed(ctl, doc_text(daemon, "recording"));
	if (o->json != JSON_OFF)
		code = doc_print(stdout, report, o->json);
	else
		explain_print(stdout, o, report);
	if (code || !diagnose_is_blind(&in, &reason))
		return code;
	text_error("this kernel does not show hardware #CP: %s", reason);
	text_hint("`cetctl probe` says what to do about it");
	return CETCTL_UNOBSERVABLE;
}
