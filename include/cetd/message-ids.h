/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MESSAGE_ID of journal entries, as systemd.journal-fields(7) has them; systemd/cetd.catalog explains each. With
 * them go CETD_VM, CETD_VM_NAME and what the comment names.
 */
#pragma once

/* CETD_RULE, CETD_RATE, CETD_THEN, CETD_MODE, CETD_OVER; CETD_RIP, CETD_VCPU, CETD_ERROR_CODE where known. */
#define CETD_LOG_STORM_STARTED "46825476e7c842599021eac70df1fba0"
/* CETD_RULE, CETD_RATE, CETD_THEN, CETD_MODE, CETD_OVER, CETD_DURATION_USEC, CETD_END. */
#define CETD_LOG_STORM_ENDED "db7d28278b5b4d3cae1ddc9a38f7b6fa"
/* CETD_ACTION (freeze, thaw, terminate), CETD_BY. */
#define CETD_LOG_VM_ACTED_ON "2d0a5b43460e4d51bfe0865dcf70172d"
/* Likewise, and CETD_REASON. */
#define CETD_LOG_VM_NOT_ACTED_ON "f19789f75e514b71a8964d300a8a1eb4"
/* CETD_POLICY_DIR, CETD_RULES. Not of a VM, as those below. */
#define CETD_LOG_POLICY_LOADED "e1d6c4191766490f9539e1768c60c762"
/* CETD_REASON. */
#define CETD_LOG_POLICY_REFUSED "a186e4800920460fb8159ea8ec3c05c0"
/* None. */
#define CETD_LOG_ENFORCEMENT_ATTACHED "d0f5d55043654828ab9dcd13a76a1d85"
/* CETD_REASON. */
#define CETD_LOG_ENFORCEMENT_FAILED "3fb6d35faa1a48fd99838519c646ee43"
/* CETD_PIN_DIR. */
#define CETD_LOG_RELEASED "c8dc371149734812925b300f260234e3"
/* CETD_REASON. */
#define CETD_LOG_STORE_DAMAGED "814b3b0f953e4b39a10f3782c601bd9b"
