// SPDX-License-Identifier: GPL-2.0-only
/* The names of the enums in cetd/event.h, policy.h and stream.h; also linked into cetctl. */
#include "cetd/names.h"

#define DEFINE_TO_STRING(name, max, ...)                                       \
	static const char *const name##_names[] = {__VA_ARGS__};               \
	_Static_assert(sizeof(name##_names) / sizeof(char *) == (max), #name); \
	const char *name##_to_string(int v)                                    \
	{                                                                      \
		return v >= 0 && v < (max) ? name##_names[v] : NULL;           \
	}

const struct cetd_msr_info cetd_msr_infos[_CETD_MSR_MAX] = {
	[CETD_MSR_U_CET] = {"u_cet", 0x6a0},
	[CETD_MSR_S_CET] = {"s_cet", 0x6a2},
	[CETD_MSR_PL0_SSP] = {"pl0_ssp", 0x6a4},
	[CETD_MSR_PL1_SSP] = {"pl1_ssp", 0x6a5},
	[CETD_MSR_PL2_SSP] = {"pl2_ssp", 0x6a6},
	[CETD_MSR_PL3_SSP] = {"pl3_ssp", 0x6a7},
	[CETD_MSR_INT_SSP_TAB] = {"int_ssp_tab", 0x6a8},
	[CETD_MSR_XSS] = {"xss", 0xda0},
};

DEFINE_TO_STRING(cetd_kind, _CETD_KIND_MAX, "near_ret", "far_ret", "endbranch", "rstorssp",
		 "setssbsy", "other")
DEFINE_TO_STRING(cetd_privilege, _CETD_PRIVILEGE_MAX, "supervisor", "user")
DEFINE_TO_STRING(cetd_op, _CETD_OP_MAX, "read", "write")
DEFINE_TO_STRING(cetd_result, _CETD_RESULT_MAX, "ok", "fault")
DEFINE_TO_STRING(cetd_action, _CETD_ACTION_MAX, "deliver", "delay", "suppress")
DEFINE_TO_STRING(cetd_event_type, _CETD_EVENT_MAX, "control_protection", "injected", "msr", "cr4",
		 "vmcs_load")
DEFINE_TO_STRING(cetd_lost, _CETD_LOST_MAX, "ring_full", "vms_full", "sample_budget",
		 "program_busy")
DEFINE_TO_STRING(cetd_fact, _CETD_FACT_MAX, "hardware_cp", "injected_cp", "cet_msr", "cr4_cet",
		 "vmcs_load", "enforcement")
DEFINE_TO_STRING(cetd_coverage, _CETD_COVERAGE_MAX, "unobservable", "partial", "observed")
DEFINE_TO_STRING(cetd_family, _CETD_FAMILY_MAX, "none", "stock", "patched")
DEFINE_TO_STRING(cetd_guest_cet, _CETD_GUEST_CET_MAX, "unknown", "off", "on")
DEFINE_TO_STRING(cetd_attribution, _CETD_ATTRIBUTION_MAX, "process", "vm_id", "ambiguous")
DEFINE_TO_STRING(cetd_mode, _CETD_MODE_MAX, "monitor", "enforce")
DEFINE_TO_STRING(cetd_ibt, _CETD_IBT_MAX, "keep", "off")
DEFINE_TO_STRING(cetd_shstk, _CETD_SHSTK_MAX, "keep", "hide")
DEFINE_TO_STRING(cetd_then, _CETD_THEN_MAX, "alert", "throttle", "freeze", "terminate")
DEFINE_TO_STRING(cetd_effect, _CETD_EFFECT_MAX, "in_force", "monitored", "next_start",
		 "unenforceable", "moot")
