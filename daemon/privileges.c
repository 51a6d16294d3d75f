// SPDX-License-Identifier: GPL-2.0-only
/* Capabilities: what is left once the programs run. */
#include <errno.h>

#include <cap-ng.h>

#include "privileges.h"
#include "util/log.h"
#include "util/macro.h"

void privileges_drop(bool may_load_for_module)
{
	static const unsigned int needed[] = {CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE,
					      CAP_DAC_READ_SEARCH};
	const capng_type_t both = CAPNG_EFFECTIVE | CAPNG_PERMITTED;
	bool had[ARRAY_SIZE(needed)], had_admin;
	int r;

	if (capng_get_caps_process() < 0) {
		log_warning("Capabilities cannot be read, all are kept");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		had[i] = capng_have_capability(CAPNG_PERMITTED, needed[i]);
	had_admin = capng_have_capability(CAPNG_PERMITTED, CAP_SYS_ADMIN);

	capng_clear(CAPNG_SELECT_CAPS);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (had[i])
			capng_update(CAPNG_ADD, both, needed[i]);
	if (had_admin && may_load_for_module)
		capng_update(CAPNG_ADD, both, CAP_SYS_ADMIN);
	r = capng_apply(CAPNG_SELECT_CAPS);
	if (r < 0)
		log_warning("Capabilities that are not needed any more cannot be given up (%d)", r);
}
