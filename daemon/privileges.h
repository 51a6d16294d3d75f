/* SPDX-License-Identifier: GPL-2.0-only */
/* Capabilities: what is left once the programs run. Part of the composition root. */
#pragma once

#include <stdbool.h>

/*
 * Give up, for good, all capabilities but those that a running cetd uses: BPF and PERFMON for the maps and for scans,
 * SYS_PTRACE and DAC_READ_SEARCH for processes, files and configuration of other users; SYS_ADMIN too if programs may
 * be loaded later that need the BTF of a module. Logging; what cannot be given up is kept.
 */
void privileges_drop(bool may_load_for_module);
