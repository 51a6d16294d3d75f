// SPDX-License-Identifier: GPL-2.0-only
/* The store of overrides: what is read is what is written back and read again; what is refused leaves nothing. */
#include <errno.h>
#include <fcntl.h>

#include "fuzz.h"
#include "policy-store.h"
#include "util/utf8.h"

DEFINE_CLEANUP(struct ledger *, ledger_free)

static char dir[] = "/dev/shm/cetd-fuzz-XXXXXX";
static char path[sizeof(dir) + sizeof("/" POLICY_STORE_FILE)];

static void remove_store(void)
{
	unlink(path);
	rmdir(dir);
}

static void make_store(void)
{
	FUZZ_CHECK(mkdtemp(dir) && atexit(remove_store) == 0);
	snprintf(path, sizeof(path), "%s/" POLICY_STORE_FILE, dir);
}

static void write_input(const uint8_t *data, size_t size)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
}

static void check_layer(const struct policy_layer *a, const struct policy_layer *b)
{
	FUZZ_CHECK(a->values.sets == b->values.sets);
	for (int s = 0; s < POLICY_OVERRIDABLE_MAX; s++)
		FUZZ_CHECK(!(a->values.sets & 1U << s) || a->until_usec[s] == b->until_usec[s]);
	FUZZ_CHECK(!(a->values.sets & 1U << POLICY_SETTING_MODE) ||
		   a->values.mode == b->values.mode);
	FUZZ_CHECK(!(a->values.sets & 1U << POLICY_SETTING_IBT) || a->values.ibt == b->values.ibt);
	if (!(a->values.sets & 1U << POLICY_SETTING_CP_RATE))
		return;
	FUZZ_CHECK(a->values.n_rates == b->values.n_rates);
	FUZZ_CHECK(!memcmp(a->values.rates, b->values.rates,
			   sizeof(*a->values.rates) * a->values.n_rates));
}

static void check_read_again(const struct ledger *l)
{
	_cleanup_(ledger_freep) struct ledger *again = NULL;
	const struct policy_override *a, *b;
	_cleanup_(freep) char *message = NULL;
	const char *id = NULL;

	FUZZ_CHECK(policy_store_write(dir, l) == 0 && ledger_new(&again) == 0);
	FUZZ_CHECK(policy_store_read(dir, again, &message) == 0);
	FUZZ_CHECK(ledger_count_overrides(l) == ledger_count_overrides(again));
	while ((a = ledger_next_override(l, id, &id))) {
		b = ledger_find_override(again, id);
		FUZZ_CHECK(b && *id && utf8_is_valid(id, strlen(id) + 1));
		FUZZ_CHECK(!policy_override_is_empty(a) && !a->layers[POLICY_RUNTIME].values.sets);
		check_layer(a->layers + POLICY_PERSISTENT, b->layers + POLICY_PERSISTENT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ledger_freep) struct ledger *l = NULL;
	_cleanup_(freep) char *message = NULL;
	int r;

	if (!*path)
		make_store();
	write_input(data, size);
	FUZZ_CHECK(ledger_new(&l) == 0);
	r = policy_store_read(dir, l, &message);
	FUZZ_CHECK(r == 0 || (r == -EBADMSG && message && !strncmp(message, path, strlen(path))));
	if (r == 0)
		check_read_again(l);
	else
		FUZZ_CHECK(ledger_is_empty(l));
	return 0;
}
