/* SPDX-License-Identifier: GPL-2.0-only */
/* The names of the enums in event.h and stream.h, the same in D-Bus, metrics, JSON and the command line. */
#pragma once

#include <stddef.h>

#include "cetd/event.h"
#include "cetd/policy.h"
#include "cetd/stream.h"

struct cetd_msr_info {
	const char *name;
	unsigned int index; /* SDM vol. 4 */
};

extern const struct cetd_msr_info cetd_msr_infos[_CETD_MSR_MAX];

/* Each returns NULL for a value outside its enum. */
const char *cetd_kind_to_string(int kind);
const char *cetd_privilege_to_string(int privilege);
const char *cetd_op_to_string(int op);
const char *cetd_result_to_string(int result);
const char *cetd_action_to_string(int action);
const char *cetd_event_type_to_string(int type);
const char *cetd_lost_to_string(int reason);
const char *cetd_fact_to_string(int fact);
const char *cetd_coverage_to_string(int state);
const char *cetd_family_to_string(int family);
const char *cetd_guest_cet_to_string(int state);
const char *cetd_attribution_to_string(int attribution);
const char *cetd_mode_to_string(int mode);
const char *cetd_ibt_to_string(int ibt);
const char *cetd_shstk_to_string(int shstk);
const char *cetd_then_to_string(int then);
const char *cetd_effect_to_string(int effect);
