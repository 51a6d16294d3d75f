// SPDX-License-Identifier: GPL-2.0-only
/* Run the iterator over all files, or read /proc where that is not allowed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "source/procfs.h"
#include "source/scan.h"
#include "util/log.h"
#include "util/macro.h"

#include "scan.skel.h"

#define RECORDS_MAX (1U << 20) /* files of VMs on the host: 65536 VMs with 16 vCPUs each */
#define CHUNK_RECORDS 2048

struct scan {
	struct scan_bpf *skel; /* NULL: read /proc */
	struct bpf_link *link; /* over all processes */
	struct cetd_scan *records;
	size_t n, allocated;
	bool had_kvm; /* when the program was loaded */
};

static bool has_kvm(void)
{
	return access("/sys/module/kvm", F_OK) == 0;
}

static int load(struct scan *s)
{
	struct scan_bpf *skel;
	struct bpf_link *link;
	int r;

	s->had_kvm = has_kvm();
	skel = scan_bpf__open_and_load();
	if (!skel)
		return -errno;
	link = bpf_program__attach_iter(skel->progs.scan_files, NULL);
	if (!link) {
		r = -errno;
		scan_bpf__destroy(skel);
		return r;
	}

	bpf_link__destroy(s->link);
	scan_bpf__destroy(s->skel);
	s->link = link;
	s->skel = skel;
	return 0;
}

int scan_new(struct scan **ret)
{
	struct scan *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return log_error_errno(-ENOMEM, "Failed to start the scan for VMs: %m");
	r = load(s);
	if (r < 0)
		log_warning_errno(r, "Failed to load the BPF program that finds VMs: %m. Reading "
				     "/proc instead: VMs of processes that may not be looked into "
				     "stay unknown.");
	*ret = s;
	return 0;
}

struct scan *scan_free(struct scan *s)
{
	if (!s)
		return NULL;
	bpf_link__destroy(s->link);
	scan_bpf__destroy(s->skel);
	free(s->records);
	free(s);
	return NULL;
}

bool scan_is_complete(const struct scan *s)
{
	return s->skel != NULL;
}

/* Room for n more records. */
static int reserve(struct scan *s, size_t n)
{
	size_t want = MAX(s->allocated * 2, s->n + n);
	struct cetd_scan *records;

	if (s->n + n <= s->allocated)
		return 0;
	if (s->n + n > RECORDS_MAX)
		return -ENOBUFS;
	records = reallocarray(s->records, want, sizeof(*records));
	if (!records)
		return -ENOMEM;
	s->records = records;
	s->allocated = want;
	return 0;
}

static int read_records(struct scan *s, int fd)
{
	size_t have = 0; /* bytes of a record cut in two by read() */
	ssize_t n;
	int r;

	for (;;) {
		r = reserve(s, CHUNK_RECORDS);
		if (r < 0)
			return r;
		n = read(fd, (char *)(s->records + s->n) + have,
			 CHUNK_RECORDS * sizeof(*s->records) - have);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return have ? -EIO : 0;
		have += (size_t)n;
		s->n += have / sizeof(*s->records);
		have %= sizeof(*s->records);
	}
}

static int scan_files(struct scan *s, uint32_t tgid)
{
	union bpf_iter_link_info info = {.task.pid = tgid};
	DECLARE_LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info,
			    .link_info_len = sizeof(info));
	struct bpf_link *one = NULL;
	int fd, r;

	/* Kernels before 6.1 know no way to ask for one process: take all. */
	if (tgid)
		one = bpf_program__attach_iter(s->skel->progs.scan_files, &opts);
	fd = bpf_iter_create(bpf_link__fd(one ?: s->link));
	if (fd < 0) {
		r = -errno;
		bpf_link__destroy(one);
		return r;
	}
	r = read_records(s, fd);
	close(fd);
	bpf_link__destroy(one);
	return r;
}

/* Add n VMs of a process, told apart by nothing but their number. */
static int add_numbered(struct scan *s, uint32_t tgid, unsigned int first, unsigned int n)
{
	int r;

	r = reserve(s, n);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < n; i++)
		s->records[s->n++] = (struct cetd_scan){
			.vm = first + i,
			.tgid = tgid,
			.vcpu = CETD_VCPU_UNKNOWN,
		};
	return 0;
}

static int scan_proc_one(struct scan *s, uint32_t tgid)
{
	unsigned int n;

	/* Gone meanwhile, or not to be looked into. */
	if (procfs_count_vms(tgid, &n) < 0)
		return 0;
	return add_numbered(s, tgid, 1, n);
}

static int scan_proc(struct scan *s)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	uint32_t tgid;
	int r = 0;

	if (!dir)
		return -errno;
	while (r >= 0 && (d = readdir(dir)))
		if (procfs_parse_pid(d->d_name, &tgid) >= 0)
			r = scan_proc_one(s, tgid);
	closedir(dir);
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct cetd_scan *x = a, *y = b;

	if (x->tgid != y->tgid)
		return x->tgid < y->tgid ? -1 : 1;
	if (x->vm_id != y->vm_id)
		return x->vm_id < y->vm_id ? -1 : 1;
	return x->vm < y->vm ? -1 : x->vm > y->vm;
}

size_t scan_normalize(struct cetd_scan *records, size_t n)
{
	size_t kept = 0;

	if (n == 0)
		return 0;
	qsort(records, n, sizeof(*records), compare);
	for (size_t i = 0; i < n; i++) {
		if (kept && !compare(records + i, records + kept - 1))
			continue;
		records[kept] = records[i];
		records[kept++].vcpu = CETD_VCPU_UNKNOWN;
	}
	return kept;
}

/* The program knew of a VM, not of which: let the process's files tell how many there are. */
static int expand_unknown(struct scan *s)
{
	size_t n_records = s->n;
	unsigned int n;
	int r;

	for (size_t i = 0; i < n_records; i++) {
		if (s->records[i].vm || procfs_count_vms(s->records[i].tgid, &n) < 0 || n == 0)
			continue;
		s->records[i].vm = 1;
		r = add_numbered(s, s->records[i].tgid, 2, n - 1);
		if (r < 0)
			return r;
	}
	s->n = scan_normalize(s->records, s->n);
	return 0;
}

/* An older kernel was asked for one process and gave all. */
static void keep_only(struct scan *s, uint32_t tgid)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->records[i].tgid == tgid)
			s->records[kept++] = s->records[i];
	s->n = kept;
}

int scan_run(struct scan *s, uint32_t tgid, const struct cetd_scan **ret_records, size_t *ret_n)
{
	int r;

	/* The program learns KVM's layout as it is loaded, and KVM may have come since. */
	if (s->skel && !s->had_kvm && has_kvm()) {
		r = load(s);
		if (r < 0)
			return r;
	}

	s->n = 0;
	if (s->skel)
		r = scan_files(s, tgid);
	else if (tgid)
		r = scan_proc_one(s, tgid);
	else
		r = scan_proc(s);
	if (r < 0)
		return r;
	if (tgid)
		keep_only(s, tgid);
	s->n = scan_normalize(s->records, s->n);
	r = expand_unknown(s);
	if (r < 0)
		return r;
	*ret_records = s->records;
	*ret_n = s->n;
	return 0;
}
