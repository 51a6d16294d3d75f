/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of what outlives the daemon. */
#pragma once

/* Remove the pins of counters and policies: the host is as if cetd had never run. Refused, -EBUSY, while a daemon
 * uses them. Logging. */
int release_pins(const char *pin_dir);
