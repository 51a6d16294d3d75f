// SPDX-License-Identifier: GPL-2.0-only
/* The faults of a VM, put together by kind. */
#include <string.h>

#include "cetd/names.h"

#include "causes.h"
#include "doc.h"
#include "finding.h"

/* Bit 15 of the error code, ENCL: the fault was in an enclave. SDM vol. 3, "Interrupt 21". */
#define ERROR_CODE_ENCLAVE 0x8000U
#define YOUNG_USEC (30 * USEC_PER_SEC)
#define STORM_PER_SEC 10
#define MANY_RIPS 4

/* Linux, Documentation/arch/x86/x86_64/mm.rst; with KASLR compiled in, on or off. */
#define LINUX_IMAGE 0xffffffff80000000ULL
#define LINUX_MODULES 0xffffffffc0000000ULL
#define LINUX_MODULES_END 0xffffffffff000000ULL

static const char *privilege_name(uint64_t cpl)
{
	return cetd_privilege_to_string(cpl == 3 ? CETD_PRIVILEGE_USER : CETD_PRIVILEGE_SUPERVISOR);
}

static const char *known_kind(const char *kind)
{
	for (int k = 0; kind && k < _CETD_KIND_MAX; k++)
		if (!strcmp(kind, cetd_kind_to_string(k)))
			return cetd_kind_to_string(k);
	return cetd_kind_to_string(CETD_KIND_OTHER);
}

/* Those the host injected are one finding: they tell of the host, not of the guest. */
static struct finding *find(struct findings *all, bool is_injected, const char *kind,
			    const char *privilege)
{
	struct finding *f;

	for (size_t i = 0; i < all->n; i++) {
		f = all->list + i;
		if (f->is_injected == is_injected &&
		    (is_injected || (f->kind == kind && f->privilege == privilege)))
			return f;
	}
	if (all->n == FINDINGS_MAX)
		return NULL;
	f = all->list + all->n++;
	*f = (struct finding){.is_injected = is_injected, .kind = kind, .privilege = privilege};
	return f;
}

static void add_rip(struct finding *f, uint64_t rip)
{
	unsigned int i = 0;

	while (i < f->n_rips && f->rips[i].rip != rip)
		i++;
	if (i == f->n_rips)
		f->rips[f->n_rips++].rip = rip;
	f->rips[i].count++;
	for (; i > 0 && f->rips[i - 1].count < f->rips[i].count; i--) {
		struct finding_rip swap = f->rips[i];

		f->rips[i] = f->rips[i - 1];
		f->rips[i - 1] = swap;
	}
}

static void add_vcpu(struct finding *f, uint32_t vcpu)
{
	unsigned int at = 0;

	while (at < f->n_vcpus && f->vcpus[at] < vcpu)
		at++;
	if (at < f->n_vcpus && f->vcpus[at] == vcpu)
		return;
	memmove(f->vcpus + at + 1, f->vcpus + at, (f->n_vcpus - at) * sizeof(*f->vcpus));
	f->vcpus[at] = vcpu;
	f->n_vcpus++;
}

/* Records come newest first. */
static void add_record(struct findings *all, json_object *fault)
{
	const char *type = doc_text(fault, "type"), *rip = doc_text(fault, "rip");
	const char *action = doc_text(fault, "action"), *privilege = "unknown";
	uint64_t cpl = doc_number(fault, "cpl"), usec = doc_number(fault, "time_usec");
	bool is_injected = type && !strcmp(type, "injected");
	struct finding *f;

	if (!is_injected && (!type || strcmp(type, "control_protection")))
		return;
	if (doc_get(fault, "cpl") && cpl <= 3)
		privilege = privilege_name(cpl);
	f = find(all, is_injected, known_kind(doc_text(fault, "kind")), privilege);
	if (!f)
		return;
	f->n++;
	f->n_nested += doc_is_true(fault, "nested");
	f->n_enclave += !!(doc_number(fault, "error_code") & ERROR_CODE_ENCLAVE);
	if (doc_get(fault, "cpl") && cpl <= 3)
		f->n_cpl[cpl]++;
	if (usec && (!f->first_usec || usec < f->first_usec))
		f->first_usec = usec;
	if (usec > f->last_usec)
		f->last_usec = usec;
	if (rip)
		add_rip(f, strtoull(rip, NULL, 0));
	if (json_object_is_type(doc_get(fault, "vcpu"), json_type_int))
		add_vcpu(f, (uint32_t)doc_number(fault, "vcpu"));
	for (int a = 0; action && a < _CETD_ACTION_MAX; a++)
		f->n_action[a] += !strcmp(action, cetd_action_to_string(a));
}

static void add_counts(struct findings *all, json_object *vm)
{
	json_object *cp = doc_get(vm, "control_protection");
	uint64_t count;

	for (int k = 0; k < _CETD_KIND_MAX; k++)
		for (int p = 0; p < _CETD_PRIVILEGE_MAX; p++) {
			const char *kind = cetd_kind_to_string(k),
				   *privilege = cetd_privilege_to_string(p);
			struct finding *f;

			if (!doc_sum(doc_get(cp, kind), privilege, &count) || !count)
				continue;
			f = find(all, false, kind, privilege);
			f->has_count = true;
			f->count = count;
		}
	if (doc_sum(vm, "injected_control_protection", &count) && count) {
		struct finding *f = find(all, true, known_kind(NULL), "unknown");

		f->has_count = true;
		f->count = count;
	}
}

static int compare(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	if (x->is_injected != y->is_injected)
		return x->is_injected ? 1 : -1;
	if (finding_count(x) != finding_count(y))
		return finding_count(x) > finding_count(y) ? -1 : 1;
	return x->last_usec > y->last_usec ? -1 : x->last_usec < y->last_usec;
}

void findings_collect(json_object *vm, json_object *faults, struct findings *ret)
{
	size_t n = doc_length(faults);

	ret->n = 0;
	for (size_t i = 0; i < n && i < CETD_HISTORY_FAULTS; i++)
		add_record(ret, json_object_array_get_idx(faults, i));
	add_counts(ret, vm);
	qsort(ret->list, ret->n, sizeof(*ret->list), compare);
}

uint64_t finding_count(const struct finding *f)
{
	return f->has_count ? f->count : f->n;
}

bool finding_is_complete(const struct finding *f)
{
	return f->has_count && f->n >= f->count;
}

double finding_rate(const struct finding *f)
{
	if (f->n < 2 || f->last_usec <= f->first_usec)
		return 0;
	return (f->n - 1) * (double)USEC_PER_SEC / (double)(f->last_usec - f->first_usec);
}

static bool lies_in(const struct finding *f, uint64_t first, uint64_t end)
{
	for (unsigned int i = 0; i < f->n_rips; i++)
		if (f->rips[i].rip < first || f->rips[i].rip >= end)
			return false;
	return f->n_rips > 0;
}

static unsigned int place_clues(const struct finding *f, const struct symbols *symbols)
{
	unsigned int clues = 0;
	uint64_t offset;

	if (f->n_rips == 1 && f->n > 1)
		clues |= CLUE_BIT(CLUE_ONE_RIP);
	if (f->n_rips >= MANY_RIPS)
		clues |= CLUE_BIT(CLUE_MANY_RIPS);
	if (f->n_vcpus == 1 && f->n > 1)
		clues |= CLUE_BIT(CLUE_ONE_VCPU);
	if (f->n_vcpus > 1)
		clues |= CLUE_BIT(CLUE_MANY_VCPUS);
	if (lies_in(f, LINUX_MODULES, LINUX_MODULES_END))
		clues |= CLUE_BIT(CLUE_MODULE_AREA);
	if (lies_in(f, LINUX_IMAGE, LINUX_MODULES))
		clues |= CLUE_BIT(CLUE_KERNEL_IMAGE);
	/* Only of an indirect branch is RIP the target. */
	if (f->n_rips && !strcmp(f->kind, "endbranch") &&
	    symbols_find(symbols, f->rips[0].rip, &offset))
		clues |= CLUE_BIT(offset ? CLUE_FUNCTION_INSIDE : CLUE_FUNCTION_START);
	return clues;
}

unsigned int finding_clues(const struct finding *f, uint64_t since_usec,
			   const struct symbols *symbols)
{
	unsigned int clues = place_clues(f, symbols);

	if (!strcmp(f->privilege, "supervisor"))
		clues |= CLUE_BIT(CLUE_SUPERVISOR);
	if (!strcmp(f->privilege, "user"))
		clues |= CLUE_BIT(CLUE_USER);
	if (finding_count(f) == 1)
		clues |= CLUE_BIT(CLUE_ONCE);
	/* At once is a storm too, if it is more than a pair. */
	if (finding_rate(f) >= STORM_PER_SEC ||
	    (f->n >= STORM_PER_SEC && f->last_usec == f->first_usec))
		clues |= CLUE_BIT(CLUE_STORM);
	if (since_usec && finding_is_complete(f) && f->first_usec >= since_usec &&
	    f->first_usec - since_usec < YOUNG_USEC)
		clues |= CLUE_BIT(CLUE_YOUNG);
	if (f->n && f->n_nested == f->n)
		clues |= CLUE_BIT(CLUE_NESTED);
	if (f->n && f->n_enclave == f->n)
		clues |= CLUE_BIT(CLUE_ENCLAVE);
	return clues;
}
