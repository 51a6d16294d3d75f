// SPDX-License-Identifier: GPL-2.0-only
/* /proc/PID/cgroup under systemd, libvirt, container runtimes, v1, v2 and both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "source/cgroup.h"
#include "util/macro.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_paths(void **state _unused_)
{
	static const struct {
		const char *what, *text, *path;
	} samples[] = {
		{"v2", "0::/a.slice/b.service\n", "/a.slice/b.service"},
		{"v1", "3:cpu,cpuacct:/x\n1:name=systemd:/a.slice\n", "/a.slice"},
		{"hybrid", "2:pids:/x\n1:name=systemd:/a.slice\n0::/a.slice/b\n", "/a.slice"},
		{"hybrid, systemd's unused", "9:name=systemd:/\n4:memory:/x\n0::/b\n", "/b"},
		{"nothing but roots", "9:name=systemd:/\n0::/\n", "/"},
		{"a colon in the path", "0::/a:b/c:d\n", "/a:b/c:d"},
		{"a removed cgroup", "0::/a.slice/b.service (deleted)\n", "/a.slice/b.service"},
		{"outside our namespace", "0::/../../x.slice\n", "/../../x.slice"},
		{"no last line break", "0::/a", "/a"},
		{"named otherwise", "1:name=elogind:/a\n", ""},
		{"a controller that sounds like it", "1:xname=systemd:/a\n", ""},
		{"ten is not nought", "10::/a\n", ""},
		{"no path", "0::a\n", ""},
		{"empty", "", ""},
		{"rubbish", "\n\n:::\n0:\n", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		struct cgroup_facts f;

		cgroup_parse(samples[i].text, &f);
		if (strcmp(f.path, samples[i].path))
			fail_msg("%s: '%s'", samples[i].what, f.path);
	}
}

static void test_components(void **state _unused_)
{
	static const struct {
		const char *what, *path, *unit, *machine, *container;
		bool is_kubernetes;
	} samples[] = {
		{"libvirt's machine scope",
		 "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/emulator",
		 "machine-qemu\\x2d1\\x2dweb.scope", "qemu-1-web", "", false},
		{"a service", "/system.slice/vm@web.service", "vm@web.service", "", "", false},
		{"a user's", "/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope",
		 "user@1000.service", "", "", false},
		{"libvirt's own cgroup", "/machine/qemu-1-web.libvirt-qemu/emulator", "",
		 "qemu-1-web", "", false},
		{"an escaped kernel name", "/_cgroup.service/x", "cgroup.service", "", "", false},
		{"podman", "/machine.slice/libpod-" HEX64 ".scope/container",
		 "libpod-" HEX64 ".scope", "", "0123456789ab", false},
		{"docker on cgroupfs", "/docker/" HEX64, "", "", "0123456789ab", false},
		{"kubernetes",
		 "/kubepods.slice/kubepods-burstable.slice/cri-containerd-" HEX64 ".scope",
		 "cri-containerd-" HEX64 ".scope", "", "0123456789ab", true},
		/* The rejected twins. */
		{"a slice is no unit", "/machine.slice", "", "", "", false},
		{"only a suffix", "/.service", "", "", "", false},
		{"a bad character", "/a b.service", "", "", "", false},
		{"another suffix", "/a.servicex", "", "", "", false},
		{"a machine without a name", "/machine-.scope", "machine-.scope", "", "", false},
		{"no scope", "/machine-web.service", "machine-web.service", "", "", false},
		{"a short id", "/docker/0123456789ab", "", "", "", false},
		{"an id with a tail", "/docker/x" HEX64, "", "", "", false},
		{"nearly kubernetes", "/kubepod/x", "", "", "", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		struct cgroup_facts f;
		char text[512] = "0::";

		strncat(text, samples[i].path, sizeof(text) - 5);
		strcat(text, "\n");
		cgroup_parse(text, &f);
		if (strcmp(f.unit, samples[i].unit) || strcmp(f.machine, samples[i].machine) ||
		    strcmp(f.container, samples[i].container) ||
		    f.is_kubernetes != samples[i].is_kubernetes)
			fail_msg("%s: unit '%s' machine '%s' container '%s'%s", samples[i].what,
				 f.unit, f.machine, f.container,
				 f.is_kubernetes ? " kubernetes" : "");
	}
}

static void test_escapes(void **state _unused_)
{
	static const struct {
		const char *scope, *machine;
	} samples[] = {
		{"machine-a\\x2db.scope", "a-b"},	  {"machine-a\\x2Db.scope", "a-b"},
		{"machine-\\xc3\\xa4.scope", "\xc3\xa4"}, {"machine-a-b.scope", "a-b"},
		{"machine-a\\x2.scope", "a\\x2"},	  {"machine-a\\x2g.scope", "a\\x2g"},
		{"machine-a\\x00b.scope", "a\\x00b"},	  {"machine-a\\.scope", "a\\"},
		{"machine-a\\y2d.scope", "a\\y2d"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		struct cgroup_facts f;
		char text[128] = "0::/";

		strcat(strcat(text, samples[i].scope), "\n");
		cgroup_parse(text, &f);
		if (strcmp(f.machine, samples[i].machine))
			fail_msg("%s: '%s'", samples[i].scope, f.machine);
	}
}

static void test_long_paths_are_cut(void **state _unused_)
{
	struct cgroup_facts f;
	char text[4096] = "0::/";

	memset(text + 4, 'a', 3000);
	strcat(text, ".service/machine-");
	memset(text + strlen(text), 'b', 500);
	strcat(text, ".scope\n");
	cgroup_parse(text, &f);
	assert_int_equal(strlen(f.path), sizeof(f.path) - 1);
	assert_string_equal(f.unit, ""); /* systemd would not make one of that length */
	assert_int_equal(strlen(f.machine), sizeof(f.machine) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_components),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_long_paths_are_cut),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
