// SPDX-License-Identifier: GPL-2.0-only
/* Command lines of VMMs: what names a VM is taken, what only looks like it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "source/cmdline.h"
#include "util/macro.h"

#define UUID "0b2c4d6e-8f10-4a3b-9c5d-7e6f80912a3b"
#define OTHER "11111111-2222-4333-8444-555555555555"

struct sample {
	const char *what;
	const char *exe, *comm;
	const char *args; /* separated by '|' */
	const char *vmm, *name, *uuid;
};

static void run(const struct sample *samples, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct sample *s = samples + i;
		struct cmdline_facts f;
		char args[1024];
		size_t size = strlen(s->args);

		memcpy(args, s->args, size + 1);
		for (size_t c = 0; c < size; c++)
			if (args[c] == '|')
				args[c] = '\0';
		cmdline_parse(s->exe, s->comm, args, size ? size + 1 : 0, &f);
		if (strcmp(f.vmm, s->vmm) || strcmp(f.name, s->name) || strcmp(f.uuid, s->uuid))
			fail_msg("%s: vmm '%s' name '%s' uuid '%s'", s->what, f.vmm, f.name,
				 f.uuid);
	}
}

static void test_qemu(void **state _unused_)
{
	static const struct sample samples[] = {
		{"libvirt", "/usr/bin/qemu-system-x86_64", "qemu-system-x86",
		 "/usr/bin/qemu-system-x86_64|-name|guest=web,debug-threads=on|-S|-uuid|" UUID,
		 "qemu", "web", UUID},
		{"plain", "/usr/bin/qemu-system-x86_64", "x", "qemu-system-x86_64|-name|web",
		 "qemu", "web", ""},
		{"implied and others", "", "x", "qemu-kvm|-name|web,process=p", "qemu", "web", ""},
		{"two dashes", "", "x", "qemu-system-x86_64|--name|web|--uuid|" UUID, "qemu", "web",
		 UUID},
		{"a comma in the name", "", "x", "qemu-kvm|-name|guest=a,,b,debug-threads=on",
		 "qemu", "a,b", ""},
		{"a comma in an implied name", "", "x", "qemu-kvm|-name|a,,b=c", "qemu", "a,b=c",
		 ""},
		{"Proxmox", "/usr/bin/qemu-system-x86_64", "kvm",
		 "/usr/bin/kvm|-id|100|-name|web,debug-threads=on|-smbios|type=1,uuid=" UUID,
		 "qemu", "web", UUID},
		{"-uuid before -smbios", "", "x",
		 "qemu-kvm|-uuid|" UUID "|-smbios|type=1,uuid=" OTHER, "qemu", "", UUID},
		{"an updated program", "/usr/bin/qemu-system-x86_64 (deleted)", "x", "x|-name|web",
		 "qemu", "web", ""},
		{"by comm alone", "", "qemu-system-x86", "", "qemu", "", ""},
		/* The rejected twins. */
		{"no name", "", "x", "qemu-kvm|-m|512", "qemu", "", ""},
		{"no value", "", "x", "qemu-kvm|-m|512|-name", "qemu", "", ""},
		{"other keys only", "", "x", "qemu-kvm|-name|debug-threads=on", "qemu", "", ""},
		{"a longer option", "", "x", "qemu-kvm|-names|web", "qemu", "", ""},
		{"the option inside a value", "", "x", "qemu-kvm|-append|-name web", "qemu", "",
		 ""},
		{"not a UUID", "", "x", "qemu-kvm|-uuid|0b2c4d6e", "qemu", "", ""},
		{"the nil UUID", "", "x", "qemu-kvm|-uuid|00000000-0000-0000-0000-000000000000",
		 "qemu", "", ""},
		{"another program", "/usr/bin/python3", "python3", "python3|-name|web", "", "", ""},
		{"a name like it", "/usr/bin/qemu-img", "qemu-img", "qemu-img|-name|web", "", "",
		 ""},
	};

	run(samples, ARRAY_SIZE(samples));
}

/* A guest's owner chooses what stands behind -append; the manager's own options come before. */
static void test_the_first_option_counts(void **state _unused_)
{
	static const struct sample samples[] = {
		{"a second name", "", "x",
		 "qemu-kvm|-name|guest=mine|-uuid|" UUID "|-append|-name|guest=yours|-uuid|" OTHER,
		 "qemu", "mine", UUID},
	};

	run(samples, ARRAY_SIZE(samples));
}

static void test_others(void **state _unused_)
{
	static const struct sample samples[] = {
		{"cloud-hypervisor", "/usr/bin/cloud-hypervisor", "cloud-hyperviso",
		 "cloud-hypervisor|--api-socket|/run/ch/"
		 "web.sock|--platform|num_pci_segments=1,uuid=" UUID,
		 "cloud-hypervisor", "web", UUID},
		{"its socket with a key", "", "x",
		 "cloud-hypervisor|--api-socket=path=/run/ch/web.sock", "cloud-hypervisor", "web",
		 ""},
		{"its socket by number", "", "x", "cloud-hypervisor|--api-socket|fd=3",
		 "cloud-hypervisor", "", ""},
		{"Kata's socket", "", "x",
		 "cloud-hypervisor|--api-socket|/run/vc/vm/abc123/clh-api.sock", "cloud-hypervisor",
		 "abc123", ""},
		{"a comm cut short", "", "cloud-hyperviso", "", "cloud-hypervisor", "", ""},
		{"a comm that is shorter still", "", "cloud-hyper", "", "", "", ""},
		{"firecracker", "/firecracker", "firecracker",
		 "firecracker|--id|web|--api-sock|/run/a.sock", "firecracker", "web", ""},
		{"firecracker, one word", "", "x", "firecracker|--id=web", "firecracker", "web",
		 ""},
		{"firecracker by its socket", "", "x", "firecracker|--api-sock|/run/web.socket",
		 "firecracker", "web", ""},
		{"a socket that says nothing", "", "x",
		 "firecracker|--api-sock|/firecracker.socket", "firecracker", "", ""},
		{"firecracker, not -id", "", "x", "firecracker|-id|web", "firecracker", "", ""},
		{"crosvm", "/usr/bin/crosvm", "crosvm", "crosvm|run|--name|web|-s|/run/x.sock",
		 "crosvm", "web", ""},
		{"crosvm by its socket", "", "x", "crosvm|run|-s|/run/vms/web.sock", "crosvm",
		 "web", ""},
		{"crosvm, socket in one word", "", "x", "crosvm|run|--socket=/run/vms/web.sock",
		 "crosvm", "web", ""},
		{"no = after one dash", "", "x", "crosvm|run|-s=/run/vms/web.sock", "crosvm", "",
		 ""},
		{"libkrun", "/usr/bin/crun", "krun", "/bin/sh", "libkrun", "", ""},
		{"kvmtool", "", "x", "lkvm|run|--name|web", "kvmtool", "web", ""},
		{"stratovirt", "", "x", "stratovirt|-name|web|-uuid|" UUID, "stratovirt", "web",
		 UUID},
	};

	run(samples, ARRAY_SIZE(samples));
}

static void test_a_cut_argument_is_left_out(void **state _unused_)
{
	static const char args[] = "qemu-kvm\0-name\0guest=web";
	struct cmdline_facts f;

	cmdline_parse("", "", args, sizeof(args), &f);
	assert_string_equal(f.name, "web");
	cmdline_parse("", "", args, sizeof(args) - 1, &f);
	assert_string_equal(f.name, "");
	cmdline_parse("", "", args, 0, &f);
	assert_string_equal(f.vmm, "");
}

static void test_long_values_are_cut(void **state _unused_)
{
	char args[1024] = "qemu-kvm\0-name\0", value[16];
	struct cmdline_facts f;

	memset(args + 15, 'n', 900);
	cmdline_parse("", "", args, 15 + 901, &f);
	assert_int_equal(strlen(f.name), sizeof(f.name) - 1);
	assert_true(cmdline_get_value("k=0123456789abcdefgh", "k", NULL, value, sizeof(value)));
	assert_string_equal(value, "0123456789abcde");
}

static void test_values(void **state _unused_)
{
	static const struct {
		const char *text, *key, *implied, *value; /* NULL: none */
	} samples[] = {
		{"a=1,b=2", "b", NULL, "2"},	  {"a=1,b=2", "c", NULL, NULL},
		{"x,b=2", "a", "a", "x"},	  {"x,b=2", "a", NULL, NULL},
		{"a=1,x", "a", NULL, "1"},	  {"b=2,x", "a", "a", NULL},
		{"a=1,,2,b=3", "a", NULL, "1,2"}, {"a=1,,b=3", "b", NULL, NULL},
		{"a=,b=2", "b", NULL, "2"},	  {"a=,b=2", "a", NULL, NULL},
		{"ab=1", "ab", NULL, "1"},	  {"ab=1", "a", NULL, NULL},
		{"a=b=c", "a", NULL, "b=c"},	  {"", "a", "a", NULL},
		{",a=1", "a", NULL, "1"},	  {",,,", "a", NULL, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		char value[32] = "untouched";
		bool found = cmdline_get_value(samples[i].text, samples[i].key, samples[i].implied,
					       value, sizeof(value));

		if (found != (samples[i].value != NULL) ||
		    strcmp(value, samples[i].value ?: "untouched"))
			fail_msg("%s in '%s': %s '%s'", samples[i].key, samples[i].text,
				 found ? "found" : "none", value);
	}
}

static void test_uuids(void **state _unused_)
{
	static const struct {
		const char *text;
		bool ok;
	} samples[] = {
		{UUID, true},
		{"0B2C4D6E-8F10-4A3B-9C5D-7E6F80912A3B", true},
		{"0b2c4d6e8f104a3b9c5d7e6f80912a3b", true},
		{"", false},
		{"0b2c4d6e-8f10-4a3b-9c5d-7e6f80912a3", false},
		{"0b2c4d6e-8f10-4a3b-9c5d-7e6f80912a3b0", false},
		{"0b2c4d6e-8f10-4a3b-9c5d-7e6f80912a3g", false},
		{"0b2c4d6e8-f10-4a3b-9c5d-7e6f80912a3b", false},
		{"0b2c4d6e_8f10-4a3b-9c5d-7e6f80912a3b", false},
		{"0b2c4d6e-8f104a3b9c5d7e6f80912a3b", false},
		{"{0b2c4d6e-8f10-4a3b-9c5d-7e6f80912a3}", false},
		{"00000000000000000000000000000000", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		char uuid[40] = "";

		if (cmdline_parse_uuid(samples[i].text, uuid) != samples[i].ok)
			fail_msg("'%s' should be %s", samples[i].text,
				 samples[i].ok ? "taken" : "refused");
		assert_string_equal(uuid, samples[i].ok ? UUID : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_qemu),
		cmocka_unit_test(test_the_first_option_counts),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_a_cut_argument_is_left_out),
		cmocka_unit_test(test_long_values_are_cut),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_uuids),
	};

	return cmocka_run_group_tests_name("cmdline", tests, NULL, NULL);
}
