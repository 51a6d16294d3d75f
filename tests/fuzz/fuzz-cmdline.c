// SPDX-License-Identifier: GPL-2.0-only
/* A VMM's command line, program and cgroup to an identity that is fit for every view. Input: EXE NUL COMM NUL ARGS. */
#include "fuzz.h"
#include "model/valid.h"
#include "source/cmdline.h"
#include "source/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *text = fuzz_text(data, size);
	const char *exe = text, *comm, *args;
	size_t n = strlen(text) + 1;
	struct identity_machine machine = {0};
	struct cetd_identity id;
	struct cmdline_facts facts;
	char uuid[40];

	comm = text + MIN(n, size);
	n += strlen(comm) + 1;
	n = MIN(n, size);
	args = text + n;
	cmdline_parse(exe, comm, args, size - n, &facts);
	FUZZ_CHECK(strnlen(facts.name, sizeof(facts.name)) < sizeof(facts.name));
	FUZZ_CHECK(strnlen(facts.vmm, sizeof(facts.vmm)) < sizeof(facts.vmm));
	FUZZ_CHECK(!facts.uuid[0] ||
		   (cmdline_parse_uuid(facts.uuid, uuid) && !strcmp(uuid, facts.uuid)));

	const struct identity_process process = {.pid = 42,
						 .exe = exe,
						 .comm = comm,
						 .args = args,
						 .args_size = size - n,
						 .cgroup = comm};

	/* A machine's name is the text of somebody else. */
	if (size & 1)
		memcpy(machine.name, text, MIN(size, sizeof(machine.name) - 1));
	identity_resolve(&process, &machine, &id);
	const struct cetd_message m = {CETD_MESSAGE_VM_ADD, sizeof(id), 1, &id};

	id.key = 1;
	FUZZ_CHECK(message_validate(&m) == 0);
	FUZZ_CHECK(id.id[0] && id.name[0]);
	for (const char *p = id.name; *p; p++)
		FUZZ_CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
	return 0;
}
