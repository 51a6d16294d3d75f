/* SPDX-License-Identifier: GPL-2.0-only */
/* From facts to judgement: is CET offered to guests here, if not why, and what keeps us from seeing. Pure. */
#pragma once

#include "cetd/stream.h"
#include "source/hostfacts.h"

/* Fill kernel_release, kvm_vendor and guest_cet, and add causes. The rest of host is left alone. */
void probe_judge(const struct hostfacts *facts, struct cetd_host *host);
