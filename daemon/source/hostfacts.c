// SPDX-License-Identifier: GPL-2.0-only
/* Read the host's files, ask /dev/kvm and the CPU. */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "source/hostfacts.h"
#include "source/procfs.h"
#include "util/macro.h"

#define CPUINFO_MAX 16384 /* the first CPU's part is some 2 KiB */
#define CPUID_ENTRIES 512 /* KVM has about 100 */
#define MSR_VMX_BASIC 0x480
#define CPUID_7_ECX_SHSTK (1U << 7)
#define CPUID_7_EDX_IBT (1U << 20)

static void make_path(const char *root, const char *file, char *ret, size_t size)
{
	snprintf(ret, size, "%s%s", strcmp(root, "/") ? root : "", file);
}

static bool exists(const char *root, const char *file)
{
	char path[4096];

	make_path(root, file, path, sizeof(path));
	return access(path, F_OK) == 0;
}

/* The start of a file, NUL-terminated; "" where it cannot be read. Returns 0 or -errno. */
static int read_text(const char *root, const char *file, char *ret, size_t size)
{
	_cleanup_(closep) int fd = -1;
	char path[4096];
	size_t n = 0;
	ssize_t r;

	*ret = '\0';
	make_path(root, file, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (n < size - 1 && (r = read(fd, ret + n, size - 1 - n)) != 0) {
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		n += (size_t)r;
	}
	ret[n] = '\0';
	return 0;
}

bool hostfacts_parse_release(const char *release, unsigned int *ret_major, unsigned int *ret_minor)
{
	unsigned int major, minor;

	if (*release < '0' || *release > '9' || sscanf(release, "%3u.%3u", &major, &minor) != 2)
		return false;
	*ret_major = major;
	*ret_minor = minor;
	return true;
}

static void read_release(const char *root, struct hostfacts *f)
{
	if (read_text(root, "/proc/sys/kernel/osrelease", f->release, sizeof(f->release)) < 0)
		return;
	f->release[strcspn(f->release, "\n")] = '\0';
	hostfacts_parse_release(f->release, &f->major, &f->minor);
}

/* Is the word among the blank-separated ones up to the line's end? */
static bool has_word(const char *line, const char *word)
{
	const char *end = line + strcspn(line, "\n");
	size_t n = strlen(word);

	for (const char *s = line; (s = strstr(s, word)) && s + n <= end; s += n)
		if ((s == line || s[-1] == ' ') && (s[n] == ' ' || s[n] == '\n' || !s[n]))
			return true;
	return false;
}

static void read_cpu(const char *root, struct hostfacts *f)
{
	_cleanup_(freep) char *text = malloc(CPUINFO_MAX);
	unsigned int a, b, c, d;
	const char *flags;

	if (text && read_text(root, "/proc/cpuinfo", text, CPUINFO_MAX) >= 0 &&
	    (flags = strstr(text, "\nflags\t"))) {
		f->has_cpu = true;
		flags++;
		/* The kernel shows SHSTK by what it makes of it for processes. */
		f->cpu_shstk = has_word(flags, "shstk") || has_word(flags, "user_shstk");
		f->cpu_ibt = has_word(flags, "ibt");
		f->cpu_vmx = has_word(flags, "vmx");
		f->cpu_svm = has_word(flags, "svm");
		f->cpu_hypervisor = has_word(flags, "hypervisor");
		f->is_cpu_intel = strstr(text, "GenuineIntel") != NULL;
	}

	if (strcmp(root, "/") || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return;
	f->has_cpuid = true;
	f->cpuid_shstk = c & CPUID_7_ECX_SHSTK;
	f->cpuid_ibt = d & CPUID_7_EDX_IBT;
}

static enum hostfacts_switch read_switch(const char *root, const char *file)
{
	char text[8];

	if (read_text(root, file, text, sizeof(text)) < 0)
		return HOSTFACTS_SWITCH_UNKNOWN;
	if (*text == 'Y' || *text == '1')
		return HOSTFACTS_SWITCH_ON;
	return *text == 'N' || *text == '0' ? HOSTFACTS_SWITCH_OFF : HOSTFACTS_SWITCH_UNKNOWN;
}

static void read_modules(const char *root, struct hostfacts *f)
{
	bool has_intel = exists(root, "/sys/module/kvm_intel");
	bool has_amd = exists(root, "/sys/module/kvm_amd");
	const char *vendor = "none";

	/* Built in, both are there on any CPU. */
	if (has_intel && (!has_amd || !f->cpu_svm))
		vendor = "intel";
	else if (has_amd)
		vendor = "amd";
	if (exists(root, "/sys/module/kvm_pvm") && !f->cpu_vmx && !f->cpu_svm)
		vendor = "pvm";
	snprintf(f->vendor, sizeof(f->vendor), "%s", vendor);

	f->has_kvm_module = exists(root, "/sys/module/kvm");
	f->is_kvm_modular = exists(root, "/sys/module/kvm/initstate");
	f->cet = read_switch(root, "/sys/module/kvm_intel/parameters/cet");
	f->ept = read_switch(root, "/sys/module/kvm_intel/parameters/ept");
	f->unrestricted_guest =
		read_switch(root, "/sys/module/kvm_intel/parameters/unrestricted_guest");
	f->smaller_maxphyaddr =
		read_switch(root, "/sys/module/kvm_intel/parameters/allow_smaller_maxphyaddr");
	f->npt = read_switch(root, "/sys/module/kvm_amd/parameters/npt");
}

static void take_cpuid(const struct kvm_cpuid2 *cpuid, struct hostfacts *f)
{
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *e = cpuid->entries + i;

		if (e->function == 7 && e->index == 0) {
			f->kvm_shstk = e->ecx & CPUID_7_ECX_SHSTK;
			f->kvm_ibt = e->edx & CPUID_7_EDX_IBT;
		} else if (e->function == 0xd && e->index == 1)
			f->kvm_xss = (uint64_t)e->edx << 32 | e->ecx;
	}
}

static int ask_kvm(const char *root, struct hostfacts *f)
{
	_cleanup_(freep) struct kvm_cpuid2 *cpuid = NULL;
	_cleanup_(closep) int fd = -1;
	char path[4096];

	make_path(root, "/dev/kvm", path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno;
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return ENOTTY;
	cpuid = calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return ENOMEM;
	cpuid->nent = CPUID_ENTRIES;
	if (ioctl(fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return errno;
	take_cpuid(cpuid, f);
	return 0;
}

static int read_msr(const char *root, uint32_t index, uint64_t *ret)
{
	_cleanup_(closep) int fd = -1;
	char path[4096];
	uint64_t value;

	make_path(root, "/dev/cpu/0/msr", path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (pread(fd, &value, sizeof(value), index) != sizeof(value))
		return errno ?: EIO;
	*ret = value;
	return 0;
}

/* "none [integrity] confidentiality": the word in brackets. */
static void read_lockdown(const char *root, struct hostfacts *f)
{
	char text[64];
	const char *s;

	if (read_text(root, "/sys/kernel/security/lockdown", text, sizeof(text)) < 0)
		return;
	s = strchr(text, '[');
	if (s)
		snprintf(f->lockdown, sizeof(f->lockdown), "%.*s", (int)strcspn(s + 1, "]\n"),
			 s + 1);
}

static void read_own_rights(const char *root, struct hostfacts *f)
{
	char path[4096], text[4096];
	const char *s;

	if (read_text(root, "/proc/self/status", text, sizeof(text)) >= 0 &&
	    (s = strstr(text, "\nCapEff:\t")))
		f->capabilities = strtoull(s + 9, NULL, 16);
	f->sees_processes = read_text(root, "/proc/1/comm", text, sizeof(text)) >= 0;

	make_path(root, "/proc/self/ns/pid", path, sizeof(path));
	f->has_own_pid_namespace = procfs_is_own_pid_namespace(path);
}

void hostfacts_read(const char *root, struct hostfacts *ret)
{
	memset(ret, 0, sizeof(*ret));
	read_release(root, ret);
	read_cpu(root, ret);
	read_modules(root, ret);
	ret->kvm_error = ask_kvm(root, ret);
	errno = 0;
	ret->vmx_basic_error = read_msr(root, MSR_VMX_BASIC, &ret->vmx_basic);
	read_lockdown(root, ret);
	ret->has_vmlinux_btf = exists(root, "/sys/kernel/btf/vmlinux");
	ret->has_kvm_btf = exists(root, "/sys/kernel/btf/kvm");
	read_own_rights(root, ret);
}
