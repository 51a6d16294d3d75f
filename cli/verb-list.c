// SPDX-License-Identifier: GPL-2.0-only
/* cetctl list: the VMs, one a line. */
#include "bus.h"
#include "columns.h"
#include "doc.h"
#include "text.h"

enum exit_code verb_list(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_doc_ json_object *snapshot = NULL;
	const struct options *o = &ctl->options;
	json_object *vms;
	struct table t;
	enum exit_code code;

	(void)argc;
	(void)argv;
	code = table_init(&t, vm_columns, n_vm_columns, o, "name");
	if (code)
		return code;
	if (table_help(&t, o))
		return CETCTL_OK;
	code = bus_describe(ctl, NULL, &snapshot);
	if (code)
		return code;

	vms = doc_get(snapshot, "vms");
	if (!json_object_is_type(vms, json_type_array)) {
		text_error("the daemon's description has no list \"vms\"");
		return CETCTL_FAILURE;
	}
	t.now_usec = doc_data_now(snapshot);
	table_sort(&t, vms);
	if (doc_is_true(snapshot, "replayed"))
		bus_print_replayed(ctl, doc_text(snapshot, "recording"));
	if (o->json != JSON_OFF)
		return doc_print(stdout, vms, o->json);
	if (doc_length(vms)) {
		code = table_print(stdout, &t, o, vms, 0, SIZE_MAX, 0);
		if (code)
			return code;
	}
	if (o->has_legend)
		printf("%s%zu VM%s.\n", doc_length(vms) ? "\n" : "", doc_length(vms),
		       doc_length(vms) == 1 ? "" : "s");
	if (o->has_legend && vm_count_storms(vms))
		printf("%u with a storm of #CP: cetctl list "
		       "--columns=name,storm,storms,throttled\n",
		       vm_count_storms(vms));
	return CETCTL_OK;
}
