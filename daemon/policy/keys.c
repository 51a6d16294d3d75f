// SPDX-License-Identifier: GPL-2.0-only
/* The table of the keys of policy files. */
#include <ctype.h>
#include <string.h>

#include "cetd/names.h"
#include "policy/keys.h"
#include "util/macro.h"

static const char *uses_cet_to_string(int value)
{
	static const char *const names[] = {"yes", "attempted", "unknown"};

	return value >= 0 && value < (int)ARRAY_SIZE(names) ? names[value] : NULL;
}

/* 32 hexadecimal digits in any case, dashes anywhere between them, to lower case with dashes. */
static bool normalise_uuid(char *text)
{
	char digits[33], *to = digits;

	for (const char *s = text; *s; s++) {
		if (*s == '-' && s != text && s[1])
			continue;
		if (!isxdigit((unsigned char)*s) || to == digits + 32)
			return false;
		*to++ = (char)tolower((unsigned char)*s);
	}
	if (to != digits + 32)
		return false;
	*to = 0;
	sprintf(text, "%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12, digits + 16,
		digits + 20);
	return true;
}

static bool is_path(char *text)
{
	return text[0] == '/';
}

#define MATCH(which) offsetof(struct policy_rule, patterns[which])
static const struct policy_key match_keys[] = {
	{.name = "name",
	 .type = POLICY_KEY_PATTERNS,
	 .offset = MATCH(POLICY_MATCH_NAME),
	 .about = "Shell pattern on the VM's name."},
	{.name = "uuid",
	 .type = POLICY_KEY_PATTERNS,
	 .offset = MATCH(POLICY_MATCH_UUID),
	 .normalise = normalise_uuid,
	 .valid = "a UUID, 32 hexadecimal digits with or without dashes",
	 .about = "The VM's UUID."},
	{.name = "unit",
	 .type = POLICY_KEY_PATTERNS,
	 .offset = MATCH(POLICY_MATCH_UNIT),
	 .about = "Shell pattern on the systemd unit, such as machine-qemu*.scope."},
	{.name = "slice",
	 .type = POLICY_KEY_PATTERNS,
	 .offset = MATCH(POLICY_MATCH_SLICE),
	 .about = "Shell pattern on any slice that the VM is in, such as machine.slice."},
	{.name = "cgroup",
	 .type = POLICY_KEY_PATTERNS,
	 .offset = MATCH(POLICY_MATCH_CGROUP),
	 .normalise = is_path,
	 .valid = "a path that begins with /",
	 .about = "Shell pattern on the cgroup's path or that of a parent."},
	{.name = "vmm",
	 .type = POLICY_KEY_PATTERNS,
	 .offset = MATCH(POLICY_MATCH_VMM),
	 .about = "The kind of VMM: qemu, cloud-hypervisor, firecracker, crosvm, libkrun, or the "
		  "process's name."},
	{.name = "uses_cet",
	 .type = POLICY_KEY_PATTERNS,
	 .offset = MATCH(POLICY_MATCH_USES_CET),
	 .to_string = uses_cet_to_string,
	 .about = "Whether the guest was seen to use CET."},
};

const struct policy_object policy_match_object = {"match", match_keys, ARRAY_SIZE(match_keys)};

#define DELAY_MAX_MS ((uint32_t)(CETD_POLICY_DELAY_MAX_NS / NSEC_PER_MSEC))
#define INTERVAL_MAX_MS ((uint32_t)(CETD_POLICY_INTERVAL_MAX_NS / NSEC_PER_MSEC))

/* A start and an end are told of: a guest is not to have that as often as it likes. */
#define QUIET_MIN_MS 1000

static const struct policy_key rate_keys[] = {
	[POLICY_RATE_KINDS] = {.name = "kinds",
			       .type = POLICY_KEY_ENUM_SET,
			       .offset = offsetof(struct policy_rate_text, kinds),
			       .to_string = cetd_kind_to_string,
			       .about = "The kinds of #CP that count; all unless given."},
	[POLICY_RATE_PRIVILEGES] = {.name = "privileges",
				    .type = POLICY_KEY_ENUM_SET,
				    .offset = offsetof(struct policy_rate_text, privileges),
				    .to_string = cetd_privilege_to_string,
				    .about = "Whose faults count; everyone's unless given."},
	[POLICY_RATE_LIMIT] = {.name = "limit",
			       .type = POLICY_KEY_U32,
			       .offset = offsetof(struct policy_rate_text, limit),
			       .max = CETD_POLICY_COUNT_MAX,
			       .is_required = true,
			       .about = "Faults per interval; 0 acts on the first."},
	[POLICY_RATE_INTERVAL] = {.name = "interval_ms",
				  .type = POLICY_KEY_U32,
				  .offset = offsetof(struct policy_rate_text, interval_ms),
				  .min = 1,
				  .max = INTERVAL_MAX_MS,
				  .about = "What the limit is per; 1000 unless given."},
	[POLICY_RATE_BURST] = {.name = "burst",
			       .type = POLICY_KEY_U32,
			       .offset = offsetof(struct policy_rate_text, burst),
			       .max = CETD_POLICY_COUNT_MAX,
			       .about =
				       "Faults at once that are not yet too many; the limit unless "
				       "given. At least 1, but 0 with a limit of 0."},
	[POLICY_RATE_THEN] = {.name = "then",
			      .type = POLICY_KEY_ENUM,
			      .offset = offsetof(struct policy_rate_text, then),
			      .to_string = cetd_then_to_string,
			      .is_required = true,
			      .about = "What to do about faults over the limit."},
	[POLICY_RATE_MIN_DELAY] =
		{.name = "min_delay_ms",
		 .type = POLICY_KEY_U32,
		 .offset = offsetof(struct policy_rate_text, min_delay_ms),
		 .min = 1,
		 .max = DELAY_MAX_MS,
		 .about = "Throttle: the first delay, which doubles while the storm "
			  "lasts; 1 unless given."},
	[POLICY_RATE_MAX_DELAY] =
		{.name = "max_delay_ms",
		 .type = POLICY_KEY_U32,
		 .offset = offsetof(struct policy_rate_text, max_delay_ms),
		 .min = 1,
		 .max = DELAY_MAX_MS,
		 .about = "Throttle: the longest delay. Freeze and terminate: how long "
			  "the vCPU is held until that is done. 1000 unless given."},
	[POLICY_RATE_QUIET] =
		{.name = "quiet_ms",
		 .type = POLICY_KEY_U32,
		 .offset = offsetof(struct policy_rate_text, quiet_ms),
		 .min = QUIET_MIN_MS,
		 .max = 2 * INTERVAL_MAX_MS,
		 .about = "The storm is over after so long without a fault over the "
			  "limit; at least the interval and twice the longest delay. 10000, "
			  "or the least that is valid, unless given."},
};

const struct policy_object policy_rate_object = {"rate", rate_keys, ARRAY_SIZE(rate_keys)};

/* cp_rate: into a list that the parser keeps. */
static const struct policy_key rule_keys[] = {
	{.name = "id",
	 .type = POLICY_KEY_ID,
	 .offset = offsetof(struct policy_rule, id),
	 .is_required = true,
	 .about = "Names the rule in all that comes of it; no other rule may have it."},
	{.name = "description", .type = POLICY_KEY_TEXT, .about = "For people; not used."},
	{.name = "match",
	 .type = POLICY_KEY_OBJECT,
	 .object = &policy_match_object,
	 .about = "The VMs that the rule is for: all keys must match, of several values one. All "
		  "VMs "
		  "unless given."},
	{.name = "mode",
	 .type = POLICY_KEY_ENUM,
	 .offset = offsetof(struct policy_rule, values.mode),
	 .to_string = cetd_mode_to_string,
	 .about = "monitor counts what would be done and does nothing."},
	{.name = "ibt",
	 .type = POLICY_KEY_ENUM,
	 .offset = offsetof(struct policy_rule, values.ibt),
	 .to_string = cetd_ibt_to_string,
	 .about = "off lets branches go where no ENDBRANCH is."},
	{.name = "shstk",
	 .type = POLICY_KEY_ENUM,
	 .offset = offsetof(struct policy_rule, values.shstk),
	 .to_string = cetd_shstk_to_string,
	 .about = "hide takes shadow stacks from the VM at its next start."},
	{.name = "cp_rate",
	 .type = POLICY_KEY_ONE_OR_LIST,
	 .object = &policy_rate_object,
	 .max = CETD_POLICY_RATES_MAX,
	 .about = "How many #CP are too many; an empty array: none ever are."},
	{.name = "record",
	 .type = POLICY_KEY_BOOL,
	 .offset = offsetof(struct policy_rule, values.record),
	 .about = "Write the VM's faults to the log."},
};

const struct policy_object policy_rule_object = {"rule", rule_keys, ARRAY_SIZE(rule_keys)};

_Static_assert(ARRAY_SIZE(rule_keys) == POLICY_RULE_FIRST_SETTING + _POLICY_SETTING_MAX,
	       "settings");

const struct policy_object policy_settings_object = {
	"settings", rule_keys + POLICY_RULE_FIRST_SETTING, _POLICY_SETTING_MAX};

static const struct policy_key file_keys[] = {
	{.name = "version",
	 .type = POLICY_KEY_VERSION,
	 .is_required = true,
	 .about = "Of this format."},
	{.name = "description", .type = POLICY_KEY_TEXT, .about = "For people; not used."},
	{.name = "rules",
	 .type = POLICY_KEY_LIST,
	 .object = &policy_rule_object,
	 .max = POLICY_RULES_MAX,
	 .is_required = true,
	 .about = "In order: for each setting the first rule that matches and sets it wins."},
};

const struct policy_object policy_file_object = {"policy file", file_keys, ARRAY_SIZE(file_keys)};

static void add_words(const struct policy_key *key, char *buffer, size_t size)
{
	size_t n = strlen(buffer);

	for (int i = 0; key->to_string(i) && n < size; i++)
		n += (size_t)snprintf(buffer + n, size - n, "%s\"%s\"",
				      !i		      ? ""
				      : key->to_string(i + 1) ? ", "
							      : " or ",
				      key->to_string(i));
}

void policy_key_valid(const struct policy_key *key, char *buffer, size_t size)
{
	if (key->valid) {
		snprintf(buffer, size, "%s", key->valid);
		return;
	}
	switch (key->type) {
	case POLICY_KEY_VERSION:
		snprintf(buffer, size, "%d", POLICY_FILE_VERSION);
		break;
	case POLICY_KEY_ID:
		snprintf(buffer, size, "1 to %d letters, digits, dots, dashes or underscores",
			 POLICY_ID_SIZE - 1);
		break;
	case POLICY_KEY_TEXT:
		snprintf(buffer, size, "a string");
		break;
	case POLICY_KEY_BOOL:
		snprintf(buffer, size, "true or false");
		break;
	case POLICY_KEY_U32:
		snprintf(buffer, size, "a number from %u to %u", key->min, key->max);
		break;
	case POLICY_KEY_ENUM:
		snprintf(buffer, size, "%s", "");
		add_words(key, buffer, size);
		break;
	case POLICY_KEY_ENUM_SET:
		snprintf(buffer, size, "an array of at least one of ");
		add_words(key, buffer, size);
		break;
	case POLICY_KEY_PATTERNS:
		snprintf(buffer, size, "%s",
			 key->to_string ? "" : "a string that is not empty, or an array of them");
		if (key->to_string)
			add_words(key, buffer, size);
		break;
	case POLICY_KEY_OBJECT:
		snprintf(buffer, size, "an object");
		break;
	case POLICY_KEY_LIST:
		snprintf(buffer, size, "an array of at most %u objects", key->max);
		break;
	case POLICY_KEY_ONE_OR_LIST:
		snprintf(buffer, size, "an object or an array of at most %u", key->max);
		break;
	case _POLICY_KEY_TYPE_MAX:
		snprintf(buffer, size, "%s", "");
		break;
	}
}
