// SPDX-License-Identifier: GPL-2.0-only
/* cetd.conf and listening addresses: files that are refused with a message or hold together. */
#include "export/listen.h"
#include "fuzz.h"
#include "settings.h"

static void check_address(const char *text)
{
	struct listen_address a, b;
	char again[LISTEN_TEXT_MAX];
	const char *why = NULL;

	if (listen_address_from_string(text, &a, &why) < 0) {
		FUZZ_CHECK(why);
		return;
	}
	if (a.family == AF_UNSPEC)
		return;
	listen_address_to_string(&a, again);
	FUZZ_CHECK(strnlen(again, sizeof(again)) < sizeof(again));
	FUZZ_CHECK(listen_address_from_string(again, &b, NULL) == 0);
	FUZZ_CHECK(a.family == b.family && a.size == b.size &&
		   !memcmp(&a.sockaddr, &b.sockaddr, a.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *message = NULL, *text = fuzz_text(data, size);
	struct settings s;
	int r = settings_init(&s);

	FUZZ_CHECK(r == 0);
	r = settings_read(fuzz_file(data, size), &s, &message);
	FUZZ_CHECK(r == 0 || is_sendable(message));
	FUZZ_CHECK(is_sendable(s.policy_dir) && is_sendable(s.metrics_listen));
	FUZZ_CHECK(s.max_vms && s.metrics_listen && s.log_level && s.policy_dir);
	FUZZ_CHECK(log_level_from_string(s.log_level) >= 0);
	FUZZ_CHECK(listen_address_from_string(s.metrics_listen, &(struct listen_address){}, NULL) ==
		   0);
	settings_done(&s);
	check_address(text);
	return 0;
}
