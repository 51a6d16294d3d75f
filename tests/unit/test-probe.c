// SPDX-License-Identifier: GPL-2.0-only
/* From facts to causes: each cause appears for its fact alone, with a text and advice that fit. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/capability.h>

#include "source/probe.h"
#include "source/source.h"
#include "util/macro.h"
#include "util/utf8.h"

/* A host on which nothing is amiss, and KVM offers CET. */
static const struct hostfacts intel = {
	.release = "6.18.3-amd64",
	.major = 6,
	.minor = 18,
	.vendor = "intel",
	.has_kvm_module = true,
	.kvm_shstk = true,
	.kvm_ibt = true,
	.kvm_xss = 0x1800,
	.has_cpu = true,
	.cpu_shstk = true,
	.cpu_ibt = true,
	.cpu_vmx = true,
	.is_cpu_intel = true,
	.has_cpuid = true,
	.cpuid_shstk = true,
	.cpuid_ibt = true,
	.cet = HOSTFACTS_SWITCH_ON,
	.ept = HOSTFACTS_SWITCH_ON,
	.unrestricted_guest = HOSTFACTS_SWITCH_ON,
	.smaller_maxphyaddr = HOSTFACTS_SWITCH_OFF,
	.vmx_basic = 1ULL << 56,
	.lockdown = "integrity",
	.has_vmlinux_btf = true,
	.capabilities = 1ULL << CAP_BPF | 1ULL << CAP_PERFMON,
	.sees_processes = true,
};

/* The codes of the causes, each followed by a blank. */
static void judge(const struct hostfacts *f, struct cetd_host *host, char *ret_codes)
{
	memset(host, 0, sizeof(*host));
	*ret_codes = '\0';
	probe_judge(f, host);
	for (uint32_t i = 0; i < host->n_causes; i++) {
		const struct cetd_cause *c = host->causes + i;

		strcat(strcat(ret_codes, c->code), " ");
		/* Nothing empty, nothing cut off. */
		assert_true(*c->text && strlen(c->text) < sizeof(c->text) - 1);
		assert_true(*c->advice && strlen(c->advice) < sizeof(c->advice) - 1);
		assert_true(strlen(c->code) < sizeof(c->code) - 1);
		assert_int_equal(c->text[strlen(c->text) - 1], '.');
		assert_int_equal(c->advice[strlen(c->advice) - 1], '.');
	}
}

static void expect(const char *what, const struct hostfacts *f, enum cetd_guest_cet guest_cet,
		   const char *codes)
{
	struct cetd_host host;
	char found[1024];

	judge(f, &host, found);
	if (host.guest_cet != guest_cet || strcmp(found, codes))
		fail_msg("%s: guest CET %u, causes '%s'", what, host.guest_cet, found);
}

/* A variation of the host; OFF: the same without KVM offering CET. */
#define ON(what, codes, ...)                                \
	({                                                  \
		struct hostfacts f = intel;                 \
		__VA_ARGS__;                                \
		expect(what, &f, CETD_GUEST_CET_ON, codes); \
	})
#define OFF(what, codes, ...)                                \
	({                                                   \
		struct hostfacts f = intel;                  \
		f.kvm_shstk = f.kvm_ibt = false;             \
		f.kvm_xss = 0;                               \
		__VA_ARGS__;                                 \
		expect(what, &f, CETD_GUEST_CET_OFF, codes); \
	})
#define UNKNOWN(what, codes, ...)                                \
	({                                                       \
		struct hostfacts f = intel;                      \
		f.kvm_shstk = f.kvm_ibt = false;                 \
		__VA_ARGS__;                                     \
		expect(what, &f, CETD_GUEST_CET_UNKNOWN, codes); \
	})

static void test_all_is_well(void **state _unused_)
{
	ON("all is well", "");
	/* What KVM offers counts, not what one would expect. */
	ON("a patched kernel", "", f.major = 6, f.minor = 12);
	ON("an unknown kernel", "", f.major = 0);
	ON("MSR not readable", "", f.vmx_basic_error = ENOENT, f.vmx_basic = 0);
}

static void test_half_of_it(void **state _unused_)
{
	ON("no IBT", "ibt_missing ", f.kvm_ibt = false);
	ON("no IBT on AMD", "amd_no_ibt ", f.kvm_ibt = false, strcpy(f.vendor, "amd"));
	ON("no shadow stacks", "shstk_missing ", f.kvm_shstk = false);
	ON("no supervisor state", "xss_incomplete ", f.kvm_xss = 0x800);
}

static void test_the_kernel(void **state _unused_)
{
	OFF("no reason to be found", "unexplained ");
	OFF("6.17", "kernel_too_old ", f.minor = 17, f.cet = HOSTFACTS_SWITCH_UNKNOWN);
	OFF("5.19", "kernel_too_old ", f.major = 5, f.minor = 19, f.cet = HOSTFACTS_SWITCH_UNKNOWN);
	OFF("7.0", "unexplained ", f.major = 7, f.minor = 0, f.cet = HOSTFACTS_SWITCH_UNKNOWN);
	OFF("6.12 with the parameter is patched", "unexplained ", f.minor = 12);
	OFF("no release", "unexplained ", f.major = 0, f.cet = HOSTFACTS_SWITCH_UNKNOWN);
}

static void test_kvm_intel(void **state _unused_)
{
	OFF("cet=0", "kvm_intel_cet_off ", f.cet = HOSTFACTS_SWITCH_OFF);
	OFF("ept=0", "ept_off ", f.ept = HOSTFACTS_SWITCH_OFF);
	OFF("ept=0 has consequences, no causes", "ept_off ", f.ept = HOSTFACTS_SWITCH_OFF,
	    f.unrestricted_guest = HOSTFACTS_SWITCH_OFF,
	    f.smaller_maxphyaddr = HOSTFACTS_SWITCH_ON);
	OFF("unrestricted_guest=0", "unrestricted_guest_off ",
	    f.unrestricted_guest = HOSTFACTS_SWITCH_OFF);
	OFF("allow_smaller_maxphyaddr=1", "smaller_maxphyaddr ",
	    f.smaller_maxphyaddr = HOSTFACTS_SWITCH_ON);
	OFF("bit 56", "vmx_basic_bit56 ", f.vmx_basic = ~(1ULL << 56));
	OFF("bit 56 not to be read", "vmx_basic_unknown ", f.vmx_basic_error = ENOENT);
	OFF("several", "kvm_intel_cet_off unrestricted_guest_off vmx_basic_bit56 ",
	    f.cet = f.unrestricted_guest = HOSTFACTS_SWITCH_OFF, f.vmx_basic = 0);
	OFF("on AMD they mean nothing", "unexplained ", strcpy(f.vendor, "amd"),
	    f.cet = f.ept = f.unrestricted_guest = HOSTFACTS_SWITCH_OFF, f.vmx_basic = 0);
	OFF("npt=0", "npt_off ", strcpy(f.vendor, "amd"), f.npt = HOSTFACTS_SWITCH_OFF);
	OFF("npt=0 of a module that is not used", "unexplained ", f.npt = HOSTFACTS_SWITCH_OFF);
}

static void test_the_cpu(void **state _unused_)
{
	/* Then kvm_intel clears cet itself, and VMX_BASIC does not matter. */
	OFF("no CET", "cpu_no_cet ", f.cpu_shstk = f.cpu_ibt = f.cpuid_shstk = f.cpuid_ibt = false,
	    f.cet = HOSTFACTS_SWITCH_OFF, f.vmx_basic = 0);
	OFF("no CET, CPU not asked", "cpu_no_cet ", f.cpu_shstk = f.cpu_ibt = f.has_cpuid = false);
	OFF("not used by the kernel", "cpu_cet_disabled ", f.cpu_shstk = f.cpu_ibt = false);
	OFF("in a VM", "nested ", f.cpu_shstk = f.cpu_ibt = f.cpuid_shstk = f.cpuid_ibt = false,
	    f.cpu_hypervisor = true);
	OFF("in a VM with CET", "unexplained ", f.cpu_hypervisor = true);
	OFF("PVM", "pvm ", strcpy(f.vendor, "pvm"));
	OFF("no CPU flags to be read", "unexplained ",
	    f.has_cpu = f.cpu_shstk = f.cpu_ibt = f.cpu_vmx = false, f.vmx_basic = 0);
}

static void test_dev_kvm(void **state _unused_)
{
	OFF("no KVM", "kvm_absent ", f.kvm_error = ENOENT, f.has_kvm_module = false,
	    strcpy(f.vendor, "none"));
	OFF("no VMX either", "virtualization_off ", f.kvm_error = ENOENT, f.has_kvm_module = false,
	    f.cpu_vmx = false, strcpy(f.vendor, "none"));
	UNKNOWN("no device", "kvm_hidden ", f.kvm_error = ENOENT);
	UNKNOWN("not allowed", "kvm_no_permission ", f.kvm_error = EACCES);
	UNKNOWN("not allowed by a device policy", "kvm_no_permission ", f.kvm_error = EPERM);
	UNKNOWN("something else", "kvm_unusable ", f.kvm_error = ENOTTY);
	/* What rules CET out whatever KVM would say. */
	OFF("not allowed, too old", "kvm_no_permission kernel_too_old ", f.kvm_error = EACCES,
	    f.minor = 12, f.cet = HOSTFACTS_SWITCH_UNKNOWN);
	OFF("not allowed, no CET", "kvm_no_permission cpu_no_cet ", f.kvm_error = EACCES,
	    f.cpu_shstk = f.cpu_ibt = f.has_cpuid = false);
	UNKNOWN("too old, but AMD's has no parameter to tell by",
		"kvm_no_permission kernel_too_old ", f.kvm_error = EACCES, f.minor = 12,
		f.cet = HOSTFACTS_SWITCH_UNKNOWN, strcpy(f.vendor, "amd"));
}

static void test_what_keeps_us_from_seeing(void **state _unused_)
{
	ON("no BTF", "btf_missing ", f.has_vmlinux_btf = false);
	ON("no BTF of kvm.ko", "module_btf_capability kvm_btf_missing ", f.is_kvm_modular = true);
	ON("BTF of kvm.ko", "", f.is_kvm_modular = f.has_kvm_btf = true,
	   f.capabilities |= 1ULL << CAP_SYS_ADMIN);
	ON("BTF of kvm.ko, not for us", "module_btf_capability ",
	   f.is_kvm_modular = f.has_kvm_btf = true);
	ON("confidentiality", "lockdown ", strcpy(f.lockdown, "confidentiality"));
	ON("lockdown unknown", "", strcpy(f.lockdown, ""));
	ON("no capability", "capability_missing ", f.capabilities = 0);
	ON("CAP_BPF alone", "capability_missing ", f.capabilities = 1ULL << CAP_BPF);
	ON("CAP_PERFMON alone", "capability_missing ", f.capabilities = 1ULL << CAP_PERFMON);
	ON("CAP_SYS_ADMIN is both", "", f.capabilities = 1ULL << CAP_SYS_ADMIN);
	ON("a PID namespace", "pid_namespace ", f.has_own_pid_namespace = true);
	ON("hidepid", "proc_hidden ", f.sees_processes = false);
}

static void test_texts_name_what_was_found(void **state _unused_)
{
	struct hostfacts f = intel;
	struct cetd_host host;
	char codes[1024];

	f.kvm_shstk = f.kvm_ibt = false;
	f.minor = 12;
	strcpy(f.release, "6.12.95");
	f.cet = HOSTFACTS_SWITCH_UNKNOWN;
	f.vmx_basic = 0x12345;
	f.capabilities = 1ULL << CAP_PERFMON;
	judge(&f, &host, codes);
	assert_string_equal(codes, "kernel_too_old vmx_basic_bit56 capability_missing ");
	assert_non_null(strstr(host.causes[0].text, "6.12.95"));
	assert_non_null(strstr(host.causes[1].text, "0x12345"));
	assert_non_null(strstr(host.causes[2].text, "CAP_BPF:"));
	assert_string_equal(host.kernel_release, "6.12.95");
	assert_string_equal(host.kvm_vendor, "intel");
}

/* All at once fit, with the longest things to be named. */
static void test_the_worst_host(void **state _unused_)
{
	struct hostfacts f = intel;
	struct cetd_host host;
	char codes[1024];

	f.kvm_error = EOPNOTSUPP;
	memset(f.release, 'r', sizeof(f.release) - 1);
	f.release[0] = '\xff';
	f.major = 5;
	f.cet = HOSTFACTS_SWITCH_UNKNOWN;
	f.unrestricted_guest = HOSTFACTS_SWITCH_OFF;
	f.smaller_maxphyaddr = HOSTFACTS_SWITCH_ON;
	f.vmx_basic_error = EOPNOTSUPP;
	f.capabilities = 0;
	f.has_vmlinux_btf = false;
	strcpy(f.lockdown, "confidentiality");
	f.has_own_pid_namespace = true;
	f.sees_processes = false;
	judge(&f, &host, codes);
	assert_true(host.n_causes == 10 && host.n_causes < CETD_CAUSES_MAX);
	for (uint32_t i = 0; i < host.n_causes; i++)
		assert_true(utf8_is_valid(host.causes[i].text, sizeof(host.causes[i].text)));
}

static void test_the_live_host_can_be_probed(void **state _unused_)
{
	struct cetd_host host = {0};

	probe_host("/", &host);
	assert_true(*host.kernel_release && *host.kvm_vendor);
	assert_true(host.guest_cet < _CETD_GUEST_CET_MAX);
	assert_true(host.guest_cet == CETD_GUEST_CET_ON || host.n_causes > 0);
	assert_true(host.realtime_offset_ns > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_is_well),
		cmocka_unit_test(test_half_of_it),
		cmocka_unit_test(test_the_kernel),
		cmocka_unit_test(test_kvm_intel),
		cmocka_unit_test(test_the_cpu),
		cmocka_unit_test(test_dev_kvm),
		cmocka_unit_test(test_what_keeps_us_from_seeing),
		cmocka_unit_test(test_texts_name_what_was_found),
		cmocka_unit_test(test_the_worst_host),
		cmocka_unit_test(test_the_live_host_can_be_probed),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
