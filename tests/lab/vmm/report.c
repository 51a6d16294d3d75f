// SPDX-License-Identifier: GPL-2.0-only
// Print what the guests said, for people or as one JSON object, and judge it.

#include <inttypes.h>
#include <stdio.h>

#include "vmm.h"

static bool vcpu_ok(const struct report *r)
{
	return r->is_done && r->failed_line == 0 && r->why[0] == '\0';
}

bool report_ok(const struct options *o, const struct vm *vms)
{
	for (unsigned int i = 0; i < o->vms; i++) {
		for (unsigned int j = 0; j < o->vcpus; j++) {
			if (!vcpu_ok(&vms[i].vcpus[j].report))
				return false;
		}
	}
	return true;
}

static uint64_t total_rounds(const struct options *o, const struct vm *vms)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < o->vms; i++) {
		for (unsigned int j = 0; j < o->vcpus; j++)
			sum += vms[i].vcpus[j].report.rounds;
	}
	return sum;
}

static const char *base_name(const char *path)
{
	const char *base = path;

	for (; *path; path++) {
		if (*path == '/')
			base = path + 1;
	}
	return base;
}

static void print_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if ((unsigned char)*s < ' ')
			printf("\\u%04x", (unsigned char)*s);
		else
			putchar(*s);
	}
	putchar('"');
}

static void print_faults_json(const struct report *r)
{
	const char *comma = "";

	printf("\"control_protection\":[");
	for (unsigned int kind = 0; kind < CP_KINDS; kind++) {
		for (unsigned int cpl = 0; cpl < 4; cpl++) {
			if (!r->cp[kind][cpl])
				continue;
			printf("%s{\"kind\":\"%s\",\"cpl\":%u,\"count\":%" PRIu64 "}", comma,
			       cp_kind_to_string(kind), cpl, r->cp[kind][cpl]);
			comma = ",";
		}
	}
	printf("]");
}

static void print_vcpu_json(const struct vcpu *v)
{
	const struct report *r = &v->report;

	printf("{\"vm\":%u,\"vcpu\":%u,\"ok\":%s,", v->vm->index, v->index,
	       vcpu_ok(r) ? "true" : "false");
	printf("\"shstk\":%s,\"ibt\":%s,", r->features & FEATURE_SHSTK ? "true" : "false",
	       r->features & FEATURE_IBT ? "true" : "false");
	print_faults_json(r);
	printf(",\"general_protection\":%" PRIu64 ",\"invalid_opcode\":%" PRIu64
	       ",\"other_exceptions\":%" PRIu64 ",\"rounds\":%" PRIu64 ",\"checks\":%" PRIu64
	       ",\"migrations\":%" PRIu64 ",\"injected\":%" PRIu64,
	       r->gp, r->ud, r->other, r->rounds, r->checks, r->migrations, r->injected);
	printf(",\"last_rip\":%" PRIu64 ",\"last_ssp\":%" PRIu64 ",\"ticks\":[", r->last_rip,
	       r->last_ssp);
	for (unsigned int i = 0; i < BENCHES; i++)
		printf("%s%u", i ? "," : "", r->ticks[i]);
	printf("]");
	if (r->failed_line)
		printf(",\"failed_line\":%u", r->failed_line);
	if (r->why[0]) {
		printf(",\"why\":");
		print_string(r->why);
	}
	printf("}");
}

static void print_json(const struct options *o, const struct vm *vms, double seconds)
{
	printf("{\"guest\":");
	print_string(base_name(o->guest));
	if (o->name) {
		printf(",\"name\":");
		print_string(o->name);
	}
	printf(",\"ok\":%s,\"seconds\":%.3f,\"vcpus\":[", report_ok(o, vms) ? "true" : "false",
	       seconds);
	for (unsigned int i = 0; i < o->vms * o->vcpus; i++) {
		if (i)
			putchar(',');
		print_vcpu_json(&vms[i / o->vcpus].vcpus[i % o->vcpus]);
	}
	printf("]}\n");
}

static void print_vcpu(const struct vcpu *v)
{
	const struct report *r = &v->report;

	printf("vm %u vcpu %u: %s, CPUID has%s%s%s", v->vm->index, v->index,
	       vcpu_ok(r) ? "ok" : "FAILED", r->features & FEATURE_SHSTK ? " SHSTK" : "",
	       r->features & FEATURE_IBT ? " IBT" : "",
	       r->features & (FEATURE_SHSTK | FEATURE_IBT) ? "" : " no CET");
	for (unsigned int kind = 0; kind < CP_KINDS; kind++) {
		for (unsigned int cpl = 0; cpl < 4; cpl++) {
			if (r->cp[kind][cpl])
				printf(", %" PRIu64 " #CP %s at CPL %u", r->cp[kind][cpl],
				       cp_kind_to_string(kind), cpl);
		}
	}
	if (r->gp)
		printf(", %" PRIu64 " #GP", r->gp);
	if (r->ud)
		printf(", %" PRIu64 " #UD", r->ud);
	if (r->other)
		printf(", %" PRIu64 " other exceptions", r->other);
	if (r->failed_line)
		printf("; failed at line %u of the guest (last fault %#x at rip %#" PRIx64
		       ", note %#x)",
		       r->failed_line, r->last_fault, r->last_rip, r->note);
	if (r->why[0])
		printf("; %s", r->why);
	putchar('\n');
}

void report_print(const struct options *o, const struct vm *vms, double seconds)
{
	uint64_t rounds = total_rounds(o, vms);

	if (o->json) {
		print_json(o, vms, seconds);
		return;
	}
	for (unsigned int i = 0; i < o->vms * o->vcpus; i++)
		print_vcpu(&vms[i / o->vcpus].vcpus[i % o->vcpus]);
	if (o->rate)
		printf("%" PRIu64 " rounds in %.3f s: %.0f/s\n", rounds, seconds, rounds / seconds);
}
