// SPDX-License-Identifier: GPL-2.0-only
/* Reading a host: from a directory that holds the files of one. */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "source/hostfacts.h"
#include "util/macro.h"

static char root[64];

static int setup(void **state _unused_)
{
	strcpy(root, "/tmp/cetd-test-root-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st _unused_, int type _unused_,
		      struct FTW *ftw _unused_)
{
	return remove(path);
}

static int teardown(void **state _unused_)
{
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_parents(char *path)
{
	for (char *s = path + strlen(root) + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		mkdir(path, 0755);
		*s = '/';
	}
}

static void put(const char *file, const void *content, size_t size)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, file);
	make_parents(path);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(content, 1, size, f), size);
	fclose(f);
}

static void put_text(const char *file, const char *content)
{
	put(file, content, strlen(content));
}

static void put_link(const char *file, const char *target)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s", root, file);
	make_parents(path);
	assert_int_equal(symlink(target, path), 0);
}

static void test_an_empty_root(void **state _unused_)
{
	struct hostfacts f;

	hostfacts_read(root, &f);
	assert_string_equal(f.release, "");
	assert_string_equal(f.vendor, "none");
	assert_int_equal(f.major, 0);
	assert_int_equal(f.kvm_error, ENOENT);
	assert_int_equal(f.vmx_basic_error, ENOENT);
	assert_int_equal(f.cet, HOSTFACTS_SWITCH_UNKNOWN);
	assert_string_equal(f.lockdown, "");
	assert_false(f.has_kvm_module || f.has_cpu || f.has_cpuid || f.has_vmlinux_btf ||
		     f.sees_processes || f.has_own_pid_namespace);
	assert_int_equal(f.capabilities, 0);
}

static void test_an_intel_host(void **state _unused_)
{
	static const uint64_t msrs[0x481] = {[0x480] = 1ULL << 56 | 0x12};
	struct hostfacts f;

	put_text("/proc/sys/kernel/osrelease", "6.18.3-amd64\n");
	put_text("/proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\n"
				  "flags\t\t: fpu vmx ibt user_shstk\nbugs\t\t: x\n\n"
				  "processor\t: 1\nflags\t\t: hypervisor\n");
	put_text("/sys/module/kvm/initstate", "live\n");
	put_text("/sys/module/kvm_intel/parameters/cet", "Y\n");
	put_text("/sys/module/kvm_intel/parameters/ept", "N\n");
	put_text("/sys/module/kvm_intel/parameters/unrestricted_guest", "1\n");
	put_text("/sys/module/kvm_intel/parameters/allow_smaller_maxphyaddr", "0\n");
	put("/dev/cpu/0/msr", msrs, 0x480);
	put_text("/dev/kvm", "");
	put_text("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	put_text("/sys/kernel/btf/vmlinux", "");
	put_text("/proc/self/status", "Name:\tx\nCapPrm:\t0\nCapEff:\t000000c000000000\n");
	put_text("/proc/1/comm", "systemd\n");
	put_link("/proc/self/ns/pid", "pid:[4026531836]");

	hostfacts_read(root, &f);
	assert_string_equal(f.release, "6.18.3-amd64");
	assert_int_equal(f.major, 6);
	assert_int_equal(f.minor, 18);
	assert_string_equal(f.vendor, "intel");
	assert_true(f.has_cpu && f.cpu_vmx && f.cpu_ibt && f.cpu_shstk && f.is_cpu_intel);
	assert_false(f.cpu_svm || f.cpu_hypervisor); /* the other CPU's flags do not count */
	assert_true(f.has_kvm_module && f.is_kvm_modular);
	assert_int_equal(f.cet, HOSTFACTS_SWITCH_ON);
	assert_int_equal(f.ept, HOSTFACTS_SWITCH_OFF);
	assert_int_equal(f.unrestricted_guest, HOSTFACTS_SWITCH_ON);
	assert_int_equal(f.smaller_maxphyaddr, HOSTFACTS_SWITCH_OFF);
	assert_int_equal(f.kvm_error, ENOTTY);	  /* a file is not KVM */
	assert_int_equal(f.vmx_basic_error, EIO); /* the file ends before the MSR */
	assert_string_equal(f.lockdown, "integrity");
	assert_true(f.has_vmlinux_btf && !f.has_kvm_btf && f.sees_processes);
	assert_int_equal(f.capabilities, 0xc000000000);
	assert_false(f.has_own_pid_namespace);
}

static void test_the_msr_is_read_where_it_stands(void **state _unused_)
{
	unsigned char image[0x488] = {0};
	uint64_t value = 1ULL << 56 | 0x12;
	struct hostfacts f;

	/* As the msr driver has it, the file position is the MSR's index. */
	memcpy(image + 0x480, &value, sizeof(value));
	put("/dev/cpu/0/msr", image, sizeof(image));
	hostfacts_read(root, &f);
	assert_int_equal(f.vmx_basic_error, 0);
	assert_int_equal(f.vmx_basic, value);
}

static void test_vendors(void **state _unused_)
{
	static const struct {
		const char *modules, *flags, *vendor;
	} samples[] = {
		{"i", "vmx", "intel"}, {"a", "svm", "amd"},    {"p", "fpu", "pvm"},
		{"ia", "svm", "amd"},  {"ia", "vmx", "intel"}, {"ip", "vmx", "intel"},
		{"ip", "fpu", "pvm"},  {"", "vmx", "none"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		struct hostfacts f;
		char text[64];

		setup(NULL);
		snprintf(text, sizeof(text), "x\nflags\t\t: %s\n", samples[i].flags);
		put_text("/proc/cpuinfo", text);
		if (strchr(samples[i].modules, 'i'))
			put_text("/sys/module/kvm_intel/x", "");
		if (strchr(samples[i].modules, 'a'))
			put_text("/sys/module/kvm_amd/x", "");
		if (strchr(samples[i].modules, 'p'))
			put_text("/sys/module/kvm_pvm/x", "");
		hostfacts_read(root, &f);
		teardown(NULL);
		assert_string_equal(f.vendor, samples[i].vendor);
	}
	setup(NULL);
}

static void test_own_pid_namespace(void **state _unused_)
{
	struct hostfacts f;

	put_link("/proc/self/ns/pid", "pid:[4026532001]");
	hostfacts_read(root, &f);
	assert_true(f.has_own_pid_namespace);
}

static void test_flags_are_whole_words(void **state _unused_)
{
	struct hostfacts f;

	put_text("/proc/cpuinfo", "x\nflags\t\t: xvmx vmxy ibtx user_shstk2\n");
	hostfacts_read(root, &f);
	assert_true(f.has_cpu);
	assert_false(f.cpu_vmx || f.cpu_ibt || f.cpu_shstk);
	put_text("/proc/cpuinfo", "x\nflags\t\t: vmx_ept vmx ibt\nother\t: shstk\n");
	hostfacts_read(root, &f);
	assert_true(f.cpu_vmx && f.cpu_ibt);
	assert_false(f.cpu_shstk);
}

static void test_releases(void **state _unused_)
{
	static const struct {
		const char *release;
		bool ok;
		unsigned int major, minor;
	} samples[] = {
		{"6.12.95+deb13-amd64", true, 6, 12},
		{"6.18", true, 6, 18},
		{"10.0-rc1", true, 10, 0},
		{"", false, 0, 0},
		{"6", false, 0, 0},
		{"x6.1", false, 0, 0},
		{"-6.1", false, 0, 0},
		{" 6.1", false, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		unsigned int major = 0, minor = 0;

		if (hostfacts_parse_release(samples[i].release, &major, &minor) != samples[i].ok ||
		    major != samples[i].major || minor != samples[i].minor)
			fail_msg("'%s': %u.%u", samples[i].release, major, minor);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_empty_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_intel_host, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_msr_is_read_where_it_stands, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_vendors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_pid_namespace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flags_are_whole_words, setup, teardown),
		cmocka_unit_test(test_releases),
	};

	return cmocka_run_group_tests_name("hostfacts", tests, NULL, NULL);
}
