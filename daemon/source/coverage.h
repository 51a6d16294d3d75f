/* SPDX-License-Identifier: GPL-2.0-only */
/* What can be seen of CET on this kernel, and why not more: from the programs' fate to words for people. */
#pragma once

#include "source/programs.h"

/* Fill family, facts and causes of host from state and from what host says already (kernel_release, kvm_vendor,
 * guest_cet). Quiet; no I/O. */
void coverage_fill(const struct programs_state *state, struct cetd_host *host);

/* The same where programs_load() failed with error, a negative errno. */
void coverage_fill_failed(int error, struct cetd_host *host);
