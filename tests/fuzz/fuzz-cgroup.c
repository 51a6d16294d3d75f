// SPDX-License-Identifier: GPL-2.0-only
/* /proc/PID/cgroup, /proc/PID/stat and uevents: names that others chose, in texts that the kernel made. */
#include "fuzz.h"
#include "model/valid.h"
#include "source/cgroup.h"
#include "source/identity.h"
#include "source/procfs.h"
#include "source/uevent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *text = fuzz_text(data, size);
	const struct identity_process process = {.pid = 42,
						 .exe = "/usr/bin/qemu-system-x86_64",
						 .comm = "qemu",
						 .args = "",
						 .cgroup = text};
	const struct identity_machine none = {0};
	struct cgroup_facts facts;
	struct cetd_identity id;
	struct uevent u;
	uint64_t ticks;

	cgroup_parse(text, &facts);
	FUZZ_CHECK(strnlen(facts.path, sizeof(facts.path)) < sizeof(facts.path));
	FUZZ_CHECK(strnlen(facts.unit, sizeof(facts.unit)) < sizeof(facts.unit));
	FUZZ_CHECK(strnlen(facts.machine, sizeof(facts.machine)) < sizeof(facts.machine));
	FUZZ_CHECK(strnlen(facts.container, sizeof(facts.container)) < sizeof(facts.container));

	identity_resolve(&process, &none, &id);
	id.key = 1;
	const struct cetd_message m = {CETD_MESSAGE_VM_ADD, sizeof(id), 1, &id};

	FUZZ_CHECK(message_validate(&m) == 0);
	uevent_parse((const char *)data, size, &u);
	procfs_parse_start_time(text, &ticks);
	return 0;
}
