// SPDX-License-Identifier: GPL-2.0-only
/* What the policy did, what else is to be known, and the next steps, with commands that can be pasted. */
#include <inttypes.h>
#include <string.h>

#include "advice.h"
#include "doc.h"
#include "text.h"

#define HARMLESS                                                         \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" \
	"_.,:/@-"

/* A word for a shell; owned by the caller. */
static char *quote(const char *word)
{
	char *out, *o;

	if (*word && *word != '-' && strspn(word, HARMLESS) == strlen(word))
		return strdup(word);
	out = malloc(strlen(word) * 4 + 3);
	if (!out)
		return NULL;
	o = out;
	*o++ = '\'';
	for (; *word; word++)
		if (*word == '\'')
			o = stpcpy(o, "'\\''");
		else
			*o++ = *word;
	strcpy(o, "'");
	return out;
}

/* What the caller typed, if it can be typed again as it is shown; else the process, which always can. */
static char *name_of(const struct diagnosis_input *in)
{
	const char *words[] = {in->name, doc_text(in->vm, "id")};
	char *text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i] && *words[i] && *words[i] != '-' &&
		    strspn(words[i], HARMLESS) == strlen(words[i]))
			return strdup(words[i]);
	return asprintf(&text, "pid-%" PRIu64, doc_number(in->vm, "pid")) < 0 ? NULL : text;
}

static char *word_of(const struct diagnosis_input *in, const char *key, size_t n,
		     const uint64_t *rip)
{
	const char *unit = doc_text(in->vm, "unit");
	uint64_t offset = 0;
	char *text = NULL;
	int r = -1;

	if (!strncmp(key, "{vm}", n))
		return name_of(in);
	if (!strncmp(key, "{unit}", n))
		return unit ? quote(unit) : NULL;
	if (!strncmp(key, "{pid}", n))
		r = asprintf(&text, "%" PRIu64, doc_number(in->vm, "pid"));
	/* A running kernel's code is read where it runs; a program's in its file, by the file's addresses. */
	if (rip && !strncmp(key, "{file}", n))
		return strdup(*rip >> 63 ? "/proc/kcore" : "FILE");
	if (rip && in->symbols && !(*rip >> 63))
		symbols_offset(in->symbols, &offset);
	if (rip && !strncmp(key, "{rip}", n))
		r = asprintf(&text, "0x%" PRIx64, *rip - offset);
	if (rip && !strncmp(key, "{rip_end}", n))
		r = asprintf(&text, "0x%" PRIx64, *rip - offset + 16);
	return r < 0 ? NULL : text;
}

char *advice_command(const struct diagnosis_input *in, const char *pattern, const uint64_t *rip)
{
	char *command = NULL;
	size_t size;
	FILE *f;

	if (!pattern)
		return NULL;
	f = open_memstream(&command, &size);
	if (!f)
		return NULL;
	while (*pattern) {
		size_t n = strcspn(pattern, "{"), key = n;
		_cleanup_(freep) char *word = NULL;

		fwrite(pattern, 1, n, f);
		if (pattern[n]) {
			key = n + strcspn(pattern + n, "}") + 1;
			word = word_of(in, pattern + n, key - n, rip);
			if (!word) {
				fclose(f);
				free(command);
				return NULL;
			}
			fputs(word, f);
		}
		pattern += key;
	}
	fclose(f);
	return command;
}

const char *advice_where(const char *pattern)
{
	if (!pattern)
		return NULL;
	return strstr(pattern, "{vm}") || strstr(pattern, "{unit}") || strstr(pattern, "{pid}") ||
			       !strncmp(pattern, "cetctl", 6)
		       ? "host"
		       : "guest";
}

void advice_add_symbols(json_object *report, const struct diagnosis_input *in)
{
	static const char *const assumed[_SYMBOLS_OFFSET_MAX] = {
		[SYMBOLS_OFFSET_GIVEN] = "the offset is the one given",
		[SYMBOLS_OFFSET_SYMBOL] = "the offset follows from the symbol's address given",
		[SYMBOLS_OFFSET_NONE] =
			"the file's addresses are taken for the guest's as they are",
		[SYMBOLS_OFFSET_ONLY] =
			"no other offset that Linux chooses from has all these addresses in the "
			"kernel's code; the file is taken for the guest kernel's own",
	};
	json_object *o;
	uint64_t offset;
	char text[160];
	int how;

	if (!in->symbols) {
		json_object_object_add(report, "symbols", NULL);
		return;
	}
	how = symbols_offset(in->symbols, &offset);
	o = json_object_new_object();
	json_object_object_add(o, "file", json_object_new_string(in->symbol_file));
	json_object_object_add(
		o, "kind",
		json_object_new_string(symbols_kind_to_string(symbols_kind(in->symbols))));
	json_object_object_add(o, "count", json_object_new_uint64(symbols_count(in->symbols)));
	json_object_object_add(o, "offset_from",
			       json_object_new_string(symbols_offset_to_string(how)));
	snprintf(text, sizeof(text), "0x%" PRIx64, offset);
	json_object_object_add(o, "offset",
			       how == SYMBOLS_OFFSET_UNKNOWN ? NULL : json_object_new_string(text));
	if (symbols_kind(in->symbols) == SYMBOLS_MOVABLE)
		snprintf(text, sizeof(text),
			 "where the file is loaded is not known: give its base with --kaslr");
	else if (!symbols_fitting(in->symbols))
		snprintf(text, sizeof(text),
			 "the KASLR offset is not known: give it with --kaslr, 0 for nokaslr");
	else
		snprintf(text, sizeof(text),
			 "the kernel's KASLR offset is not known (%u offsets fit): give it with "
			 "--kaslr, 0 for nokaslr",
			 symbols_fitting(in->symbols));
	json_object_object_add(o, "assumed", json_object_new_string(assumed[how] ?: text));
	json_object_object_add(report, "symbols", o);
}

static void say_decisions(json_object *said, json_object *vm)
{
	uint64_t deliver = doc_number(vm, "decisions.did.deliver"),
		 delay = doc_number(vm, "decisions.did.delay"),
		 suppress = doc_number(vm, "decisions.did.suppress"),
		 would_delay = doc_number(vm, "decisions.would.delay"),
		 would_suppress = doc_number(vm, "decisions.would.suppress");

	if (!deliver && !delay && !suppress) {
		doc_say(said, "It has had nothing to decide on.");
	} else if (!delay && !suppress) {
		doc_say(said, "All %" PRIu64 " faults were given to the guest at once.", deliver);
	} else {
		doc_say(said,
			"%" PRIu64 " given to the guest at once, %" PRIu64 " delayed, %" PRIu64
			" suppressed.",
			deliver, delay, suppress);
	}
	if (would_delay > delay || would_suppress > suppress)
		doc_say(said,
			"In enforce mode all along, %" PRIu64
			" would have been delayed and %" PRIu64 " suppressed.",
			would_delay, would_suppress);
}

static void say_storms(json_object *said, json_object *storms)
{
	json_object *latest = doc_get(storms, "latest");
	char since[64];

	if (!json_object_is_type(latest, json_type_array) || !doc_number(storms, "total"))
		return;
	doc_say(said, "Storms: %" PRIu64 " so far; its vCPUs had to wait %.3f s in all.",
		doc_number(storms, "total"), (double)doc_number(storms, "throttled_usec") / 1e6);
	for (size_t i = 0; i < doc_length(latest); i++) {
		json_object *storm = json_object_array_get_idx(latest, i);

		if (doc_get(storm, "ended_usec"))
			continue;
		text_time(since, sizeof(since), doc_number(storm, "since_usec"), false);
		doc_say(said,
			"One goes on since %s: %" PRIu64 " faults over rate %" PRIu64 ", so %s%s.",
			since, doc_number(storm, "over"), doc_number(storm, "rate"),
			doc_text(storm, "then") ?: "-",
			strcmp(doc_text(storm, "mode") ?: "", "enforce") ? " (monitored only)"
									 : "");
	}
}

/* The daemon's own words, a line for each setting that is not just the default; the mode always. */
static void say_policy(json_object *said, json_object *policy)
{
	json_object_object_foreach (policy, setting, o) {
		json_object *value = doc_get(o, "value");
		const char *source = doc_text(o, "source"), *effect = doc_text(o, "effect"),
			   *reason = doc_text(o, "reason"), *advice = doc_text(o, "advice");
		bool is_list = json_object_is_type(value, json_type_array);
		char count[32];

		if (!value || (strcmp(setting, "mode") && (!source || !strcmp(source, "default"))))
			continue;
		snprintf(count, sizeof(count), "%zu rate(s)", doc_length(value));
		doc_say(said, "%s: %s%s%s%s.%s%s%s%s", setting,
			is_list ? count : json_object_get_string(value), effect ? " (" : "",
			effect ?: "", effect ? ")" : "", reason ? " " : "", reason ?: "",
			advice ? " " : "", advice ?: "");
	}
}

void advice_add_policy(json_object *report, const struct diagnosis_input *in)
{
	json_object *coverage = doc_get(in->daemon, "host.coverage.enforcement");
	json_object *policy = doc_get(in->vm, "policy"), *o = json_object_new_object(),
		    *said = json_object_new_array();
	bool is_shown = doc_shows(doc_get(in->daemon, "host.coverage"), "enforcement");

	json_object_object_add(o, "enforcement", json_object_get(coverage));
	json_object_object_add(o, "decisions", json_object_get(doc_get(in->vm, "decisions")));
	json_object_object_add(o, "policy", json_object_get(policy));
	json_object_object_add(o, "storms", json_object_get(doc_get(in->vm, "storms")));
	json_object_object_add(o, "text", said);
	if (is_shown) {
		say_decisions(said, in->vm);
		say_storms(said, doc_get(in->vm, "storms"));
	} else {
		doc_say(said,
			"Nothing: no policy can act on this kernel (%s). Every fault goes to the "
			"guest.",
			doc_text(coverage, "reason") ?: "no reason given");
	}
	if (json_object_is_type(policy, json_type_object))
		say_policy(said, policy);
	json_object_object_add(report, "policy", o);
}

/* What bears on the report and is no fault. */
void advice_add_notes(json_object *report, const struct diagnosis_input *in)
{
	json_object *notes = json_object_new_array(), *causes = doc_get(in->daemon, "host.causes");
	const char *uses = doc_text(in->vm, "uses_cet"), *id = doc_text(in->vm, "attribution");
	uint64_t refused;
	const char *guest_cet = doc_text(in->daemon, "host.guest_cet");
	size_t n = doc_length(causes);

	json_object_object_add(report, "notes", notes);
	if (uses && !strcmp(uses, "yes"))
		doc_say(notes, "The guest uses CET.");
	else if (uses && !strcmp(uses, "attempted"))
		doc_say(notes, "The guest tried to use CET and was not seen to succeed.");
	else
		doc_say(notes, "The guest was not seen to use CET.");
	if (doc_sum(in->vm, "cet_msr.*.*.fault", &refused) && refused)
		doc_say(notes, "%" PRIu64 " of its accesses to CET MSRs were refused with #GP.",
			refused);
	if (guest_cet && !strcmp(guest_cet, "off"))
		for (size_t i = 0; i < n; i++) {
			json_object *cause = json_object_array_get_idx(causes, i);

			doc_say(notes, "%s %s", doc_text(cause, "text") ?: "",
				doc_text(cause, "advice") ?: "");
		}
	if (id && !strcmp(id, "ambiguous"))
		doc_say(notes,
			"Its process has several VMs that this kernel cannot tell apart: the "
			"counts and faults are of all of them.");
	if (in->symbols && diagnose_is_hypervisor(in))
		doc_say(notes,
			"The VM has nested guests. Names of their addresses are right only where "
			"the symbol file is theirs, too.");
}

static void step(json_object *array, const struct diagnosis_input *in, const char *text,
		 const char *pattern)
{
	_cleanup_(freep) char *command = advice_command(in, pattern, NULL);
	json_object *o = json_object_new_object();

	json_object_object_add(o, "text", json_object_new_string(text));
	json_object_object_add(o, "command", command ? json_object_new_string(command) : NULL);
	json_object_object_add(o, "where", command ? json_object_new_string("host") : NULL);
	json_object_array_add(array, o);
}

/* Is there a fault of the guest's kernel without a symbol, and one that may be an attack? */
static void survey(json_object *findings, bool *ret_nameless, bool *ret_attack)
{
	size_t n = doc_length(findings);

	*ret_nameless = *ret_attack = false;
	for (size_t i = 0; i < n; i++) {
		json_object *f = json_object_array_get_idx(findings, i), *rips = doc_get(f, "rips"),
			    *causes = doc_get(f, "causes");
		const char *privilege = doc_text(f, "privilege");

		if (privilege && !strcmp(privilege, "supervisor") && doc_length(rips) &&
		    !doc_get(json_object_array_get_idx(rips, 0), "symbol"))
			*ret_nameless = true;
		for (size_t c = 0; c < 2 && c < doc_length(causes); c++) {
			const char *id = doc_text(json_object_array_get_idx(causes, c), "id");

			*ret_attack |= !strcmp(id, "exploit");
		}
	}
}

void advice_add_next(json_object *report, const struct diagnosis_input *in)
{
	json_object *next = json_object_new_array(), *findings = doc_get(report, "findings");
	const char *unit = doc_text(in->vm, "unit"), *reason;
	bool is_nameless, is_attack, is_blind = diagnose_is_blind(in, &reason);

	json_object_object_add(report, "next", next);
	survey(findings, &is_nameless, &is_attack);
	if (is_attack && unit && !strncmp(unit, "machine-qemu", 12))
		step(next, in,
		     "Save the guest's memory before anybody restarts it; an attack is among the "
		     "first two causes. NAME is the VM's name in libvirt, which pauses it for the "
		     "time.",
		     "virsh dump --memory-only NAME FILE");
	else if (is_attack)
		step(next, in,
		     "Save the guest's memory by the VMM's means before anybody restarts it; an "
		     "attack is among the first two causes.",
		     NULL);
	if (!in->faults)
		step(next, in, "Ask as root, for the addresses and times.",
		     "sudo cetctl explain {vm}");
	if (is_nameless && !in->symbols)
		step(next, in,
		     "Put names to the addresses of the guest's kernel: copy its /proc/kallsyms "
		     "here, read as root.",
		     "cetctl explain {vm} --symbols kallsyms");
	else if (is_nameless && symbols_kind(in->symbols) == SYMBOLS_LINUX)
		step(next, in,
		     "Find out how far KASLR moved the guest's kernel: in the guest, as root, grep "
		     "' _text$' /proc/kallsyms; then",
		     "cetctl explain {vm} --symbols FILE --kaslr _text=ADDRESS");
	if (doc_length(findings) && in->faults)
		step(next, in, "See the single faults, with shadow-stack pointers.",
		     "cetctl faults {vm}");
	if (is_blind)
		step(next, in, "See what this host lacks to show more.", "cetctl probe");
	else
		step(next, in, "Watch for new ones (root).", "cetctl monitor {vm}");
}
