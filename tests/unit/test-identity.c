// SPDX-License-Identifier: GPL-2.0-only
/* Who a VM is, from all that is known of its process; what a guest's owner chooses gains nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "source/identity.h"
#include "util/macro.h"
#include "util/utf8.h"

#define UUID "0b2c4d6e-8f10-4a3b-9c5d-7e6f80912a3b"
#define UUID_HEX "0b2c4d6e8f104a3b9c5d7e6f80912a3b"
#define OTHER "11111111-2222-4333-8444-555555555555"
#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LIBVIRT_SCOPE "0::/machine.slice/machine-qemu\\x2d1\\x2dweb.scope\n"

static void resolve(const char *args, const char *cgroup, const struct identity_machine *machine,
		    struct cetd_identity *ret)
{
	static const struct identity_machine none;
	char text[1024];
	size_t size = strlen(args);

	memcpy(text, args, size + 1);
	for (size_t i = 0; i < size; i++)
		if (text[i] == '|')
			text[i] = '\0';
	identity_resolve(
		&(struct identity_process){
			.pid = 77,
			.exe = "",
			.comm = "vmm-by-comm",
			.args = text,
			.args_size = size ? size + 1 : 0,
			.cgroup = cgroup,
		},
		machine ?: &none, ret);
}

static void test_names_and_ids(void **state _unused_)
{
	static const struct {
		const char *what, *args, *cgroup, *machine, *name, *id;
	} samples[] = {
		{"nothing known", "", "", "", "pid-77", "pid-77"},
		{"a name", "qemu-kvm|-name|web", "", "", "web", "web"},
		{"a UUID is the id", "qemu-kvm|-name|web|-uuid|" UUID, "", "", "web", UUID},
		{"the scope's name", "qemu-kvm|-m|1", LIBVIRT_SCOPE, "", "web", "web"},
		{"the scope agrees", "qemu-kvm|-name|guest=web", LIBVIRT_SCOPE, "", "web", "web"},
		{"the scope is believed", "qemu-kvm|-name|guest=db", LIBVIRT_SCOPE, "", "web",
		 "web"},
		{"machined is believed more", "qemu-kvm|-name|guest=db", LIBVIRT_SCOPE,
		 "qemu-9-app", "app", "app"},
		{"the full spelling where they agree", "qemu-kvm|-name|guest=my_web (1)", "",
		 "qemu-1-myweb1", "my_web (1)", "my_web (1)"},
		{"not of libvirt", "qemu-kvm|-m|1", "", "image", "image", "image"},
		{"a container", "crun", "0::/libpod-" HEX64 ".scope\n", "", "0123456789ab",
		 "0123456789ab"},
		{"KubeVirt", "qemu-kvm|-name|guest=default_web", "0::/kubepods.slice/x\n", "",
		 "default/web", "default/web"},
		{"not KubeVirt", "qemu-kvm|-name|guest=default_web", "0::/x\n", "", "default_web",
		 "default_web"},
		{"KubeVirt without a namespace", "qemu-kvm|-name|guest=_web", "0::/kubepods/x\n",
		 "", "_web", "_web"},
		{"a name like another's UUID", "qemu-kvm|-name|" UUID, "", "", UUID, "pid-77"},
		{"the same without dashes", "qemu-kvm|-name|" UUID_HEX, "", "", UUID_HEX, "pid-77"},
		{"a name like another's pid", "qemu-kvm|-name|pid-1", "", "", "pid-1", "pid-77"},
		{"control characters", "qemu-kvm|-name|a\033[2Jb\nc\x7f", "", "", "a?[2Jb?c?",
		 "a?[2Jb?c?"},
		{"not UTF-8", "qemu-kvm|-name|a\xff\xc3", "", "", "a??", "a??"},
		{"UTF-8", "qemu-kvm|-name|\xc3\xa4", "", "", "\xc3\xa4", "\xc3\xa4"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		struct identity_machine machine = {0};
		struct cetd_identity v;

		strcpy(machine.name, samples[i].machine);
		resolve(samples[i].args, samples[i].cgroup, &machine, &v);
		if (strcmp(v.name, samples[i].name) || strcmp(v.id, samples[i].id))
			fail_msg("%s: name '%s' id '%s'", samples[i].what, v.name, v.id);
		assert_int_equal(v.pid, 77);
		assert_int_equal(v.vms_in_process, 1);
	}
}

static void test_machined_is_believed(void **state _unused_)
{
	struct identity_machine machine = {
		.name = "qemu-1-web",
		.uuid = UUID_HEX,
		.unit = "machine-qemu\\x2d1\\x2dweb.scope",
	};
	struct cetd_identity v;

	resolve("qemu-kvm|-name|guest=db|-uuid|" OTHER, "0::/other.service\n", &machine, &v);
	assert_string_equal(v.id, UUID);
	assert_string_equal(v.uuid, UUID);
	assert_string_equal(v.unit, machine.unit);
	assert_string_equal(v.cgroup, "/other.service");
	/* Where it knows no UUID, the command line's stands. */
	strcpy(machine.uuid, "00000000000000000000000000000000");
	resolve("qemu-kvm|-name|guest=db|-uuid|" OTHER, "0::/other.service\n", &machine, &v);
	assert_string_equal(v.id, OTHER);
	*machine.unit = '\0';
	resolve("", "0::/other.service\n", &machine, &v);
	assert_string_equal(v.unit, "other.service");
}

static void test_vmm(void **state _unused_)
{
	struct identity_process process = {
		.pid = 1, .exe = "/opt/own-vmm", .comm = "comm", .args = "", .cgroup = ""};
	struct identity_machine none = {0};
	struct cetd_identity v;

	identity_resolve(&process, &none, &v);
	assert_string_equal(v.vmm, "own-vmm");
	process.exe = "";
	identity_resolve(&process, &none, &v);
	assert_string_equal(v.vmm, "comm");
	process.exe = "/";
	identity_resolve(&process, &none, &v);
	assert_string_equal(v.vmm, "comm");
	process.exe = "/usr/bin/crosvm";
	identity_resolve(&process, &none, &v);
	assert_string_equal(v.vmm, "crosvm");
}

static void test_libvirt_prefix(void **state _unused_)
{
	static const struct {
		const char *machine, *name;
	} samples[] = {
		{"qemu-1-web", "web"},	     {"qemu-12-web-2", "web-2"},
		{"qemu-alice-3-web", "web"}, {"qemu-a-b-3-web", "web"},
		{"lxc-5-box", "box"},	     {"ch-5-box", "box"},
		{"qemu-web", "qemu-web"},    {"qemu-1x-web", "qemu-1x-web"},
		{"qemu-1-", "qemu-1-"},	     {"xqemu-1-web", "xqemu-1-web"},
		{"1-web", "1-web"},	     {"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
		assert_string_equal(identity_strip_libvirt(samples[i].machine), samples[i].name);
}

static void test_machine_names_of_domains(void **state _unused_)
{
	static const struct {
		const char *machine, *domain;
		bool ok;
	} samples[] = {
		{"qemu-1-web", "web", true},
		{"qemu-1-web", "db", false},
		{"qemu-1-web", "web2", false},
		{"qemu-1-web2", "web", false},
		{"qemu-1-myweb", "my_web", true},
		{"qemu-1-my-web", "my-web", true},
		{"web", "web", true},
		{"", "web", false},
		/* Cut at 64: what is left must be the start. */
		{"qemu-1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
		 true},
		{"qemu-1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
		if (identity_is_machine_of(samples[i].machine, samples[i].domain) != samples[i].ok)
			fail_msg("%s of %s: should be %d", samples[i].machine, samples[i].domain,
				 samples[i].ok);
}

/* Whatever bytes come, what leaves is text that fits. */
static void test_hostile_bytes(void **state _unused_)
{
	char args[4096], cgroup[4096];
	uint32_t random = 1;

	for (int round = 0; round < 500; round++) {
		struct identity_machine machine = {0};
		struct identity_process process = {.pid = 5, .exe = "", .comm = "\xff\x01\xc3"};
		struct cetd_identity v;

		memcpy(args, "qemu-kvm\0-name\0", 15);
		for (size_t i = 15; i < sizeof(args); i++)
			args[i] = (char)((random = random * 1664525 + 1013904223) >> 24);
		memcpy(cgroup, "0::/machine-", 12);
		for (size_t i = 12; i < sizeof(cgroup); i++)
			cgroup[i] = (char)((random = random * 1664525 + 1013904223) >> 24 | 1);
		cgroup[sizeof(cgroup) - 1] = '\0';
		memcpy(machine.name, args + 100, 64);
		memcpy(machine.unit, args + 200, 100);
		process.args = args;
		process.args_size = sizeof(args);
		process.cgroup = cgroup;
		identity_resolve(&process, &machine, &v);
		assert_true(utf8_is_valid(v.id, sizeof(v.id)) && *v.id);
		assert_true(utf8_is_valid(v.name, sizeof(v.name)) && *v.name);
		assert_true(utf8_is_valid(v.vmm, sizeof(v.vmm)));
		assert_true(utf8_is_valid(v.unit, sizeof(v.unit)));
		assert_true(utf8_is_valid(v.cgroup, sizeof(v.cgroup)));
		assert_string_equal(v.uuid, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_ids),
		cmocka_unit_test(test_machined_is_believed),
		cmocka_unit_test(test_vmm),
		cmocka_unit_test(test_libvirt_prefix),
		cmocka_unit_test(test_machine_names_of_domains),
		cmocka_unit_test(test_hostile_bytes),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
