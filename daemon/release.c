// SPDX-License-Identifier: GPL-2.0-only
/* Policies go first: then every #CP is delivered while it is still counted. */
#include <stdio.h>

#include "cetd/message-ids.h"

#include "enforcement.h"
#include "release.h"
#include "util/bpffs.h"
#include "util/log.h"

static int release_dir(const char *dir, const char *what)
{
	_cleanup_(closep) int fd = -1;
	int r;

	r = access(dir, F_OK) < 0 ? -errno : bpffs_claim(dir, &fd);
	if (r >= 0)
		r = bpffs_remove(dir);
	if (r == -ENOENT) {
		log_info("No %s are pinned: there is no %s", what, dir);
		return 0;
	}
	if (r == -EBUSY)
		return log_error_errno(r, "A cetd that runs keeps its %s in %s: stop it first",
				       what, dir);
	if (r < 0)
		return log_error_errno(r, "Failed to remove %s: %m", dir);
	log_info("Removed %s: %d pins of %s", dir, r, what);
	return 0;
}

static void log_released(const char *pin_dir)
{
	char where[PATH_MAX + 16];
	const char *const fields[] = {where, NULL};

	snprintf(where, sizeof(where), "CETD_PIN_DIR=%s", pin_dir);
	log_event(LOG_NOTICE, CETD_LOG_RELEASED, fields, "All VMs are let go of");
}

int release_pins(const char *pin_dir)
{
	char policies[ENFORCEMENT_PIN_DIR_SIZE];
	int r;

	r = enforcement_pin_dir(pin_dir, policies, sizeof(policies));
	if (r >= 0)
		r = release_dir(policies, "policies");
	if (r >= 0)
		r = release_dir(pin_dir, "counters");
	if (r >= 0)
		log_released(pin_dir);
	return r;
}
