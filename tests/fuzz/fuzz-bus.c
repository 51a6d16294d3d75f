// SPDX-License-Identifier: GPL-2.0-only
/*
 * D-Bus: calls with any arguments to the API as cetd registers it. The bus is played by a process of its own, which
 * also says who the caller is and answers for polkit. Each call is answered once. Input: METHOD CALLER ARGUMENT...
 */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "../lib/sample-model.h"
#include "cetd/bus.h"
#include "export/bus.h"
#include "fuzz.h"
#include "util/utf8.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"

static const struct {
	const char *interface, *member, *signature;
} methods[] = {
	{CETD_BUS_MANAGER, "ListVMs", ""},
	{CETD_BUS_MANAGER, "GetVM", "s"},
	{CETD_BUS_MANAGER, "GetVMByPID", "u"},
	{CETD_BUS_MANAGER, "Describe", ""},
	{CETD_BUS_MANAGER, "GetFaults", "su"},
	{CETD_BUS_MANAGER, "GetTopRIPs", "s"},
	{CETD_BUS_MANAGER, "DumpByFileDescriptor", ""},
	{CETD_BUS_MANAGER, "Metrics", ""},
	{CETD_BUS_MANAGER, "MonitorByFileDescriptor", "s"},
	{CETD_BUS_MANAGER, "GetPolicy", ""},
	{CETD_BUS_MANAGER, "CheckPolicy", "ss"},
	{CETD_BUS_MANAGER, "ClearOverride", "sAt"},
	{CETD_BUS_MANAGER, "Reload", ""},
	{CETD_BUS_VM, "Describe", ""},
	{CETD_BUS_VM, "SetMode", "stt"},
	{CETD_BUS_VM, "SetIBT", "stt"},
	{CETD_BUS_VM, "SetRateLimit", "stt"},
	{CETD_BUS_VM, "SetPolicy", "stt"},
	{CETD_BUS_VM, "ClearOverride", "At"},
	{CETD_BUS_VM, "Freeze", "tt"},
	{CETD_BUS_VM, "Thaw", ""},
	{PROPERTIES, "Get", "ss"},
	{PROPERTIES, "GetAll", "s"},
	{PROPERTIES, "Set", "ssv"},
	{"org.freedesktop.DBus.Introspectable", "Introspect", ""},
	{"org.freedesktop.DBus.ObjectManager", "GetManagedObjects", ""},
};

#define INPUT_MAX 16384

/* Of cetd's side. */
static sd_event *event;
static struct bus *bus;
static struct model *model;
static int to_peer = -1; /* an input to it, a byte back when the call is answered */
static bool is_answered;

/* Of the other. */
static sd_bus *peer;
static int to_cetd = -1;
static uint64_t called; /* the call that waits for an answer, 0: none */
static uint8_t caller;	/* odd: root; bit 1: polkit says yes; bit 2: it is not there */

static int set_override(void *userdata _unused_, const struct vm *vm, const struct bus_override *o,
			char **ret_message)
{
	FUZZ_CHECK(vm && o->values.sets && o->values.n_rates <= CETD_POLICY_RATES_MAX);
	FUZZ_CHECK(o->for_usec <= CETD_BUS_FOR_MAX_USEC);
	*ret_message = strdup("no");
	return o->for_usec & 1 ? -EOPNOTSUPP : (freep(ret_message), *ret_message = NULL, 0);
}

static int clear_override(void *userdata _unused_, const char *id, uint32_t lifetimes,
			  uint32_t settings, char **ret_message)
{
	FUZZ_CHECK(id && lifetimes && !(lifetimes & ~3U) && settings);
	*ret_message = NULL;
	return 0;
}

/* Refused, done, or failed on its way. */
static int freeze(void *userdata _unused_, const struct vm *vm, const struct bus_freeze *order,
		  char **ret_message)
{
	uint64_t pick = order->override ? order->override->for_usec % 3 : 1;

	FUZZ_CHECK(vm && order->by && order->done);
	*ret_message = pick ? NULL : strdup("it is shared");
	if (!pick)
		return -EOPNOTSUPP;
	order->done(order->userdata, pick == 1 ? 0 : -EIO, pick == 1 ? NULL : "no");
	return 0;
}

static int do_nothing(void *userdata _unused_)
{
	return 0;
}

static int reload(void *userdata _unused_, char **ret_message)
{
	*ret_message = strdup("refused");
	return -EBADMSG;
}

static int render(void *userdata _unused_, char **ret_text)
{
	*ret_text = strdup("# nothing\n");
	return 0;
}

static int no_state(void *userdata _unused_, uint64_t key _unused_,
		    struct cetd_policy_state *ret _unused_)
{
	return -ENOENT;
}

static void set_monitored(void *userdata _unused_, bool is_monitored _unused_)
{
}

static int answer_credentials(sd_bus_message *m)
{
	sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(m, &reply);

	if (r >= 0)
		r = sd_bus_message_append(reply, "a{sv}", 2, "UnixUserID", "u",
					  caller & 1 ? 0U : 1000U, "ProcessID", "u", 1U);
	if (r >= 0)
		r = sd_bus_send(peer, reply, NULL);
	sd_bus_message_unref(reply);
	return r;
}

static void on_answer(sd_bus_message *m)
{
	uint64_t cookie = 0;

	sd_bus_message_get_reply_cookie(m, &cookie);
	FUZZ_CHECK(called && cookie == called);
	called = 0;
	FUZZ_CHECK(send(to_cetd, "", 1, MSG_NOSIGNAL) == 1);
}

/* What a bus and polkit would say. */
static int on_peer(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
	const char *member = sd_bus_message_get_member(m);
	uint8_t type;

	sd_bus_message_get_type(m, &type);
	if (type != SD_BUS_MESSAGE_METHOD_CALL) {
		if (type != SD_BUS_MESSAGE_SIGNAL)
			on_answer(m);
		return 1;
	}
	if (!strcmp(member, "Hello")) {
		/* Only after this may anything else be said to it. */
		FUZZ_CHECK(sd_bus_reply_method_return(m, "s", ":1.1") >= 0);
		return send(to_cetd, "", 1, MSG_NOSIGNAL) == 1;
	}
	if (!strcmp(member, "GetConnectionCredentials"))
		return answer_credentials(m);
	if (!strcmp(member, "GetConnectionUnixUser"))
		return sd_bus_reply_method_return(m, "u", caller & 1 ? 0U : 1000U);
	if (!strcmp(member, "CheckAuthorization"))
		return caller & 4
			       ? sd_bus_reply_method_errorf(m, SD_BUS_ERROR_SERVICE_UNKNOWN, "none")
			       : sd_bus_reply_method_return(m, "(bba{ss})", !!(caller & 2),
							    !!(caller & 8), 0);
	if (!strcmp(member, "AddMatch") || !strcmp(member, "RemoveMatch"))
		return sd_bus_reply_method_return(m, NULL);
	return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_METHOD, "%s", member);
}

static void fill_model(void)
{
	const enum cetd_coverage states[_CETD_FACT_MAX] = {
		CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED,
		CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED};

	FUZZ_CHECK(model_new(4, &model) == 0 &&
		   sample_host(model, states, CETD_FAMILY_PATCHED) == 0);
	for (unsigned int i = 0; i < 3; i++) {
		struct cetd_identity id = sample_identity(i);
		struct cetd_history_message h = sample_make_history(id.key);

		snprintf(id.id, sizeof(id.id), "%s", i == 2 ? "vm-2" : id.uuid);
		snprintf(id.name, sizeof(id.name), "vm-%u", i ? 1 : 0); /* one name twice */
		FUZZ_CHECK(sample_vm(model, &id) == 0 && sample_counters(model, id.key, i) == 0);
		FUZZ_CHECK(sample_send(model, CETD_MESSAGE_HISTORY, sizeof(h), &h) == 0);
	}
}

/* A piece of the input as D-Bus would let it through: a length, then that many bytes. */
static void take_string(struct fuzz_bytes *b, char *ret, size_t size)
{
	_cleanup_(freep) char *text = NULL;
	size_t n = (size_t)fuzz_take(b, 2) % size;

	n = MIN(n, b->size);
	text = fuzz_text(b->data, n);

	b->data += n;
	b->size -= n;
	utf8_sanitize(text, ret, size);
}

static int append(sd_bus_message *m, char type, struct fuzz_bytes *b)
{
	static char text[16384];
	int r = 0;

	switch (type) {
	case 's':
		take_string(b, text, sizeof(text));
		return sd_bus_message_append(m, "s", text);
	case 'u':
		return sd_bus_message_append(m, "u", (uint32_t)fuzz_take(b, 4));
	case 't':
		/* Small ones are flags and times that are valid. */
		return sd_bus_message_append(m, "t", fuzz_take(b, fuzz_take(b, 1) % 9));
	case 'v':
		take_string(b, text, sizeof(text));
		return sd_bus_message_append(m, "v", "s", text);
	default: /* 'A': a few strings */
		r = sd_bus_message_open_container(m, 'a', "s");
		for (unsigned int n = fuzz_take(b, 1) % 8; n && r >= 0; n--)
			r = append(m, 's', b);
		return r < 0 ? r : sd_bus_message_close_container(m);
	}
}

/* The object: of cetd, of its log, or of a VM that may or may not be there. */
static const char *take_path(struct fuzz_bytes *b, const char *interface)
{
	static char path[128];
	unsigned int pick = (unsigned int)fuzz_take(b, 1);

	if (!strcmp(interface, CETD_BUS_MANAGER) ||
	    (strcmp(interface, CETD_BUS_VM) && pick % 4 == 0))
		return CETD_BUS_PATH;
	if (strcmp(interface, CETD_BUS_VM) && pick % 4 == 1)
		return "/org/freedesktop/LogControl1";
	snprintf(path, sizeof(path), CETD_BUS_VM_PREFIX "/%s",
		 pick % 8 == 7	 ? "_nothing"
		 : pick % 8 == 6 ? "vm_2d9"
				 : "vm_2d2");
	return path;
}

/* An input has come: make its call. */
static int on_input(sd_event_source *source _unused_, int fd, uint32_t revents _unused_,
		    void *userdata _unused_)
{
	static uint8_t data[INPUT_MAX];
	ssize_t n = recv(fd, data, sizeof(data), 0);
	struct fuzz_bytes b = {data, (size_t)n};
	sd_bus_message *m = NULL;
	size_t i;
	int r;

	if (n <= 0)
		_exit(0);
	i = (size_t)fuzz_take(&b, 1) % ARRAY_SIZE(methods);
	caller = (uint8_t)fuzz_take(&b, 1);
	FUZZ_CHECK(sd_bus_message_new_method_call(peer, &m, CETD_BUS_NAME,
						  take_path(&b, methods[i].interface),
						  methods[i].interface, methods[i].member) >= 0);
	r = sd_bus_message_set_sender(m, ":1.2");
	for (const char *s = methods[i].signature; *s && r >= 0; s++)
		r = append(m, *s, &b);
	/* The cookie is asked for, so that an answer is wanted. */
	FUZZ_CHECK(r >= 0 && sd_bus_send(peer, m, &called) >= 0);
	sd_bus_message_unref(m);
	return 0;
}

/* The process that plays the bus; the socket listens, and cetd connects to it as to any other. */
static void play_bus(int listening)
{
	const sd_id128_t id = {.bytes = {1}};
	sd_event *loop = NULL;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	FUZZ_CHECK(fd >= 0 && sd_event_new(&loop) >= 0 && sd_bus_new(&peer) >= 0);
	FUZZ_CHECK(sd_bus_set_fd(peer, fd, fd) >= 0 && sd_bus_set_server(peer, true, id) >= 0);
	FUZZ_CHECK(sd_bus_negotiate_fds(peer, true) >= 0 && sd_bus_start(peer) >= 0);
	FUZZ_CHECK(sd_bus_attach_event(peer, loop, 0) >= 0);
	FUZZ_CHECK(sd_bus_add_filter(peer, NULL, on_peer, NULL) >= 0);
	FUZZ_CHECK(sd_event_add_io(loop, NULL, to_cetd, EPOLLIN, on_input, NULL) >= 0);
	sd_event_loop(loop);
	_exit(1);
}

static int on_byte(sd_event_source *source _unused_, int fd, uint32_t revents _unused_,
		   void *userdata _unused_)
{
	char byte;

	FUZZ_CHECK(recv(fd, &byte, 1, 0) ==
		   1); /* else the other process has failed, and said why */
	is_answered = true;
	return 0;
}

static void wait_for_byte(void)
{
	is_answered = false;
	for (int n = 0; n < 20000 && !is_answered; n++)
		FUZZ_CHECK(sd_event_run(event, USEC_PER_MSEC) >= 0);
	FUZZ_CHECK(is_answered);
}

/* The child is made while there is one thread only: it would keep whatever lock another holds, for ever. */
int LLVMFuzzerInitialize(int *argc _unused_, char ***argv _unused_)
{
	static struct ledger *ledger;
	static struct export_context ctx;
	const struct bus_commands commands = {
		.refresh = do_nothing,
		.reload = reload,
		.render_metrics = render,
		.set_override = set_override,
		.clear_override = clear_override,
		.freeze = freeze,
		.get_policy_state = no_state,
		.set_monitored = set_monitored,
	};
	struct sockaddr_un_name {
		sa_family_t family;
		char name[64];
	} name = {.family = AF_UNIX};
	socklen_t size = sizeof(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), pair[2];
	char address[128];

	log_set_max_level(LOG_EMERG);
	fill_model();
	FUZZ_CHECK(ledger_new(&ledger) == 0);
	ctx.ledger = ledger;
	FUZZ_CHECK(sd_event_new(&event) >= 0);
	FUZZ_CHECK(bind(fd, (struct sockaddr *)&name, sizeof(sa_family_t)) == 0 &&
		   listen(fd, 1) == 0);
	FUZZ_CHECK(getsockname(fd, (struct sockaddr *)&name, &size) == 0);
	snprintf(address, sizeof(address), "unix:abstract=%.*s",
		 (int)(size - sizeof(sa_family_t) - 1), name.name + 1);
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	to_peer = pair[0];
	to_cetd = pair[1];
	fflush(NULL);
	if (!fork()) {
		close(to_peer);
		play_bus(fd);
	}
	close(to_cetd);
	close(fd);
	FUZZ_CHECK(bus_new(event, address, model, &ctx, &commands, &bus) >= 0);
	FUZZ_CHECK(sd_event_add_io(event, NULL, to_peer, EPOLLIN, on_byte, NULL) >= 0);
	wait_for_byte();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size || size > INPUT_MAX)
		return 0;
	FUZZ_CHECK(send(to_peer, data, size, MSG_NOSIGNAL) == (ssize_t)size);
	wait_for_byte();
	log_set_max_level(LOG_EMERG);
	return 0;
}
