// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request a call: first the bus is asked whose connection it came from, then polkit whether he may, and then the
 * method runs. Nothing here waits.
 */
#include <errno.h>
#include <string.h>

#include "cetd/bus.h"
#include "export/authorize.h"
#include "export/bus-internal.h"
#include "util/log.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_AUTHORITY "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_ALLOW_USER_INTERACTION 1U /* of its CheckAuthorizationFlags */

/* polkit's rules may run programs; a person has to find the password. */
#define RULES_USEC (30 * USEC_PER_SEC)
#define PERSON_USEC (5 * 60 * USEC_PER_SEC)

#define UID_NONE ((uint32_t)-1)

static const char *const names[] = {
	[AUTHORIZE_INSPECT] = "org.cetd1.inspect",
	[AUTHORIZE_MANAGE] = "org.cetd1.manage",
	[AUTHORIZE_ENFORCE] = "org.cetd1.enforce",
};
_Static_assert(ARRAY_SIZE(names) == _AUTHORIZE_ACTION_MAX, "names of actions");

enum answer {
	ANSWER_GRANTED,
	ANSWER_DENIED,
	ANSWER_PASSWORD, /* a person could grant it, and was not asked */
	ANSWER_NO_POLKIT,
	ANSWER_UNKNOWN,
	_ANSWER_MAX,
};

struct request {
	struct bus *bus;
	sd_bus_message *message;
	const struct guarded_method *method;
	uint64_t vm_key; /* 0: about no VM */
	char vm_id[sizeof(((struct cetd_identity *)NULL)->id)];
	uint32_t uid;		/* UID_NONE until the bus has told */
	sd_bus_slot *departure; /* tells that the caller has left the bus */
	sd_bus_slot *question;
	char cancellation_id[24]; /* empty until polkit has been asked; unique in the connection */
	struct request *next;
};

struct authorizer {
	uint64_t last_id;
	struct request *requests;
};

const char *authorize_action_to_string(int action)
{
	return action >= 0 && action < _AUTHORIZE_ACTION_MAX ? names[action] : NULL;
}

int authorizer_new(struct authorizer **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void request_free(struct request *q)
{
	struct request **at = &q->bus->authorizer->requests;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	sd_bus_slot_unref(q->departure);
	sd_bus_slot_unref(q->question);
	sd_bus_message_unref(q->message);
	free(q);
}

void authorizer_forget(struct authorizer *a)
{
	while (a->requests)
		request_free(a->requests);
}

struct authorizer *authorizer_free(struct authorizer *a)
{
	if (a)
		authorizer_forget(a);
	free(a);
	return NULL;
}

/* polkit asks on, unless told that nobody waits any more. */
static void withdraw(const struct request *q)
{
	if (q->cancellation_id[0])
		sd_bus_call_method_async(q->bus->bus, NULL, POLKIT_NAME, POLKIT_PATH,
					 POLKIT_AUTHORITY, "CancelCheckAuthorization", NULL, NULL,
					 "s", q->cancellation_id);
}

static int refuse(const struct guarded_method *method, enum answer answer, sd_bus_error *error)
{
	switch (answer) {
	case ANSWER_PASSWORD:
		return sd_bus_error_setf(
			error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
			"polkit wants a password for %s (to %s), and nobody can be "
			"asked for it",
			names[method->action], method->what);
	case ANSWER_NO_POLKIT:
		return sd_bus_error_setf(
			error, SD_BUS_ERROR_ACCESS_DENIED,
			"Only root may %s: there is no polkit that could let others", method->what);
	case ANSWER_UNKNOWN:
		return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
					 "Only root may %s: it cannot be found out who else may",
					 method->what);
	default:
		return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
					 "Only root may %s, and whom polkit grants %s",
					 method->what, names[method->action]);
	}
}

/* Run or refuse it; what the handler would have returned goes to the caller. */
static int conclude(struct request *q, enum answer answer, sd_bus_error *error)
{
	const struct guarded_method *method = q->method;
	authorized_t run = answer == ANSWER_GRANTED ? method->run : method->run_denied;
	const struct vm *vm = NULL;
	int r;

	if (!run)
		return refuse(method, answer, error);
	if (q->vm_key) {
		vm = model_find_key(q->bus->model, q->vm_key);
		if (!vm || strcmp(vm->identity.id, q->vm_id))
			return sd_bus_error_setf(
				error, CETD_BUS_ERROR_NO_SUCH_VM,
				"VM %s ended, or is another now, while it was asked "
				"whether the caller may %s",
				q->vm_id, method->what);
	}
	q->bus->caller_uid = q->uid;
	/* The handler may have read which VM it is about. */
	r = sd_bus_message_rewind(q->message, true);
	return r < 0 ? r : run(q->bus, q->message, vm, error);
}

static void settle(struct request *q, enum answer answer)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = conclude(q, answer, &error);

	if (r < 0)
		sd_bus_reply_method_errno(q->message, r, &error);
	request_free(q);
}

static int on_departure(sd_bus_message *m _unused_, void *userdata, sd_bus_error *error _unused_)
{
	struct request *q = userdata;

	log_debug("%s left the bus before it was known whether it may %s",
		  sd_bus_message_get_sender(q->message), q->method->what);
	withdraw(q);
	request_free(q);
	return 0;
}

/* Whose departure would not be seen does not get to ask. */
static int on_departure_watched(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	struct request *q = userdata;

	if (!sd_bus_message_is_method_error(m, NULL))
		return 0;
	withdraw(q);
	settle(q, ANSWER_UNKNOWN);
	return 0;
}

static bool starts_with(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* Not installed, masked, or failing to start: all the same to the caller. */
static bool is_absence(const char *error)
{
	return !strcmp(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	       !strcmp(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
	       starts_with(error, "org.freedesktop.systemd1.") ||
	       starts_with(error, "org.freedesktop.DBus.Error.Spawn.");
}

static int on_polkit(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);
	struct request *q = userdata;
	int is_authorized, is_challenge;

	if (e) {
		log_warning("polkit does not say whether user %u may %s: %s", q->uid,
			    q->method->what, e->message ?: e->name);
		/* Where it only took too long. */
		withdraw(q);
		settle(q, is_absence(e->name) ? ANSWER_NO_POLKIT : ANSWER_UNKNOWN);
	} else if (sd_bus_message_enter_container(m, 'r', "bba{ss}") < 0 ||
		   sd_bus_message_read(m, "bb", &is_authorized, &is_challenge) < 0) {
		settle(q, ANSWER_UNKNOWN);
	} else {
		settle(q, is_authorized	 ? ANSWER_GRANTED
			  : is_challenge ? ANSWER_PASSWORD
					 : ANSWER_DENIED);
	}
	return 0;
}

/* For polkit's rules, and for the sentence that a person gets to see: agents are told no details. */
static int append_details(sd_bus_message *m, const struct request *q)
{
	int r = sd_bus_message_open_container(m, 'a', "{ss}");

	if (r >= 0)
		r = sd_bus_message_append(m, "{ss}{ss}", "method",
					  sd_bus_message_get_member(q->message), "what",
					  q->method->what);
	if (r >= 0 && q->vm_key)
		r = sd_bus_message_append(m, "{ss}", "vm", q->vm_id);
	if (r >= 0)
		r = sd_bus_message_append(
			m, "{ss}", "polkit.message",
			q->vm_key ? "Authentication is required to $(what) (VM $(vm))."
				  : "Authentication is required to $(what).");
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int ask_polkit(struct request *q)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	bool may_prompt = sd_bus_message_get_allow_interactive_authorization(q->message) > 0;
	int r;

	snprintf(q->cancellation_id, sizeof(q->cancellation_id), "%llu",
		 (unsigned long long)++q->bus->authorizer->last_id);
	r = sd_bus_message_new_method_call(q->bus->bus, &m, POLKIT_NAME, POLKIT_PATH,
					   POLKIT_AUTHORITY, "CheckAuthorization");
	if (r >= 0)
		r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s",
					  sd_bus_message_get_sender(q->message),
					  names[q->method->action]);
	if (r >= 0)
		r = append_details(m, q);
	if (r >= 0)
		r = sd_bus_message_append(m, "us", may_prompt ? POLKIT_ALLOW_USER_INTERACTION : 0,
					  q->cancellation_id);
	if (r >= 0)
		r = sd_bus_call_async(q->bus->bus, &q->question, m, on_polkit, q,
				      may_prompt ? PERSON_USEC : RULES_USEC);
	if (r >= 0)
		log_debug("polkit is asked whether user %u may %s", q->uid, q->method->what);
	return r;
}

/* Those whose caller is known wait for polkit. */
static bool has_room(const struct authorizer *a, uint32_t uid)
{
	unsigned int n = 0, n_user = 0;

	for (const struct request *q = a->requests; q; q = q->next) {
		n += q->uid != UID_NONE;
		n_user += q->uid == uid;
	}
	return n < AUTHORIZE_MAX && n_user < AUTHORIZE_MAX_USER;
}

static int on_user(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	struct request *q = userdata;
	uint32_t uid;

	q->question = sd_bus_slot_unref(q->question);
	if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "u", &uid) < 0) {
		settle(q, ANSWER_UNKNOWN);
		return 0;
	}
	if (uid != 0 && uid != geteuid() && !has_room(q->bus->authorizer, uid)) {
		sd_bus_reply_method_errorf(q->message, CETD_BUS_ERROR_LIMIT,
					   "%d calls of user %u wait to be authorized already, or "
					   "%d in all",
					   AUTHORIZE_MAX_USER, uid, AUTHORIZE_MAX);
		request_free(q);
		return 0;
	}
	q->uid = uid;
	if (uid == 0 || uid == geteuid())
		settle(q, ANSWER_GRANTED);
	else if (ask_polkit(q) < 0)
		settle(q, ANSWER_UNKNOWN);
	return 0;
}

/* Watched before it is asked about, so that it cannot leave unseen in between. */
static int ask_user(struct request *q)
{
	const char *sender = sd_bus_message_get_sender(q->message);
	_cleanup_(freep) char *rule = NULL;
	int r;

	if (asprintf(&rule,
		     "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
		     "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='%s',arg2=''",
		     sender) < 0) {
		rule = NULL;
		return -ENOMEM;
	}
	r = sd_bus_add_match_async(q->bus->bus, &q->departure, rule, on_departure,
				   on_departure_watched, q);
	return r < 0 ? r
		     : sd_bus_call_method_async(q->bus->bus, &q->question, "org.freedesktop.DBus",
						"/org/freedesktop/DBus", "org.freedesktop.DBus",
						"GetConnectionUnixUser", on_user, q, "s", sender);
}

static bool is_full(const struct authorizer *a, const char *sender)
{
	unsigned int n_unknown = 0, n_sender = 0;

	for (const struct request *q = a->requests; q; q = q->next) {
		n_unknown += q->uid == UID_NONE;
		n_sender += !strcmp(sd_bus_message_get_sender(q->message), sender);
	}
	return n_unknown >= AUTHORIZE_MAX_UNKNOWN || n_sender >= AUTHORIZE_MAX_SENDER;
}

int authorize(struct bus *b, sd_bus_message *message, const struct vm *vm,
	      const struct guarded_method *method, sd_bus_error *error)
{
	const char *sender = sd_bus_message_get_sender(message);
	struct request *q;
	int r;

	if (!sender)
		return refuse(method, ANSWER_UNKNOWN, error);
	if (is_full(b->authorizer, sender))
		return sd_bus_error_set(error, CETD_BUS_ERROR_LIMIT,
					"Too many calls wait to be authorized already");
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->bus = b;
	q->message = sd_bus_message_ref(message);
	q->method = method;
	q->uid = UID_NONE;
	if (vm) {
		q->vm_key = vm->identity.key;
		memcpy(q->vm_id, vm->identity.id, sizeof(q->vm_id));
	}
	q->next = b->authorizer->requests;
	b->authorizer->requests = q;
	r = ask_user(q);
	if (r < 0) {
		request_free(q);
		return sd_bus_error_set_errnof(error, r, "Failed to find out who is asking: %m");
	}
	return 1;
}
