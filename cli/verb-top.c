// SPDX-License-Identifier: GPL-2.0-only
/* cetctl top: the VMs, busiest first, refreshed in place. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "cetd/bus.h"

#include "bus.h"
#include "columns.h"
#include "doc.h"
#include "term.h"
#include "text.h"
#include "view.h"

struct top {
	struct ctl *ctl;
	sd_event *event;
	sd_event_source *timer;
	sd_bus_slot *call;
	struct view view;
	enum exit_code code;
};

static void set_trouble(struct top *top, const char *format, const char *detail)
{
	free(top->view.trouble);
	top->view.trouble = NULL;
	if (format && asprintf(&top->view.trouble, "%s: %s; trying again", format, detail) < 0)
		top->view.trouble = NULL;
}

static int on_snapshot(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	struct top *top = userdata;
	json_object *d = NULL;
	const char *text;

	(void)ret_error;
	top->call = sd_bus_slot_unref(top->call);
	if (error)
		set_trouble(top, "cetd does not answer", error->message ?: error->name);
	else if (sd_bus_message_read(reply, "s", &text) < 0 || !(d = json_tokener_parse(text)) ||
		 !json_object_is_type(doc_get(d, "vms"), json_type_array))
		set_trouble(top, "cetd's answer cannot be read", "not the JSON that cetctl knows");
	else {
		set_trouble(top, NULL, NULL);
		vm_add_rates(d, top->view.snapshot);
		json_object_put(top->view.snapshot);
		top->view.snapshot = d;
		d = NULL;
		top->view.table.now_usec = doc_data_now(top->view.snapshot);
		table_sort(&top->view.table, doc_get(top->view.snapshot, "vms"));
	}
	json_object_put(d);
	view_draw(&top->view);
	return 0;
}

/* Ask without waiting, so that keys keep working; one question at a time. */
static int ask(struct top *top)
{
	int r;

	if (top->call)
		return 0;
	r = sd_bus_call_method_async(top->ctl->bus, &top->call, CETD_BUS_NAME, CETD_BUS_PATH,
				     CETD_BUS_MANAGER, "Describe", on_snapshot, top, NULL);
	if (r < 0) {
		top->code = CETCTL_UNREACHABLE;
		set_trouble(top, "the connection to the bus was lost", strerror(-r));
		return sd_event_exit(top->event, 0);
	}
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct top *top = userdata;
	int r = ask(top);

	(void)usec;
	if (r >= 0)
		r = sd_event_source_set_time_relative(source, top->ctl->options.interval_usec);
	return r;
}

static void sort_by(struct top *top, const char *name, bool is_descending)
{
	for (size_t i = 0; i < n_vm_columns; i++)
		if (!strcmp(vm_columns[i].name, name))
			top->view.table.sort = vm_columns + i;
	top->view.table.is_descending = is_descending;
	top->view.scroll = 0;
}

/* To the shown column that stands left (-1) or right (1) of the one sorted by. */
static void move_sort(struct top *top, int by)
{
	struct table *t = &top->view.table;
	size_t at = 0;

	for (size_t i = 0; i < t->n_shown; i++)
		if (t->shown[i] == t->sort)
			at = i;
	at = (at + t->n_shown + (size_t)by) % t->n_shown;
	sort_by(top, t->shown[at]->name, t->shown[at]->kind != COLUMN_TEXT);
}

static int on_key(struct top *top, int key)
{
	unsigned int width, height, page;

	term_size(&width, &height);
	page = height > 6 ? height - 6 : 1;
	switch (key) {
	case 'q':
	case 'Q':
	case 4: /* ctrl-d */
		return sd_event_exit(top->event, 0);
	case 'c':
		sort_by(top, "cp", true);
		break;
	case 'r':
		sort_by(top, "cp_rate", true);
		break;
	case 'm':
		sort_by(top, "msr", true);
		break;
	case 'n':
		sort_by(top, "name", false);
		break;
	case 'R':
		top->view.table.is_descending = !top->view.table.is_descending;
		break;
	case '<':
	case TERM_KEY_LEFT:
		move_sort(top, -1);
		break;
	case '>':
	case TERM_KEY_RIGHT:
		move_sort(top, 1);
		break;
	case TERM_KEY_UP:
		top->view.scroll -= top->view.scroll > 0;
		break;
	case TERM_KEY_DOWN:
		top->view.scroll++;
		break;
	case TERM_KEY_PAGE_UP:
		top->view.scroll -= top->view.scroll > page ? page : top->view.scroll;
		break;
	case TERM_KEY_PAGE_DOWN:
		top->view.scroll += page;
		break;
	case TERM_KEY_HOME:
		top->view.scroll = 0;
		break;
	case TERM_KEY_END:
		top->view.scroll = SIZE_MAX / 2;
		break;
	case ' ':
		return ask(top);
	}
	return 0;
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct top *top = userdata;
	char keys[256];
	ssize_t n = read(fd, keys, sizeof(keys));
	json_object *vms;
	int r = 0;

	(void)source;
	/* The terminal is gone. */
	if ((n <= 0 && (revents & (EPOLLHUP | EPOLLERR))) ||
	    (n < 0 && errno != EAGAIN && errno != EINTR))
		return sd_event_exit(top->event, 0);
	for (const char *p = keys; n > 0 && p < keys + n && r >= 0;)
		r = on_key(top, term_key(&p, keys + n));
	vms = doc_get(top->view.snapshot, "vms");
	if (vms)
		table_sort(&top->view.table, vms);
	view_draw(&top->view);
	return r;
}

static int on_resize(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	(void)source;
	(void)info;
	view_draw(&((struct top *)userdata)->view);
	return 0;
}

static int on_end(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct top *top = userdata;

	(void)source;
	top->code = (enum exit_code)(128 + info->ssi_signo);
	return sd_event_exit(top->event, 0);
}

/* ctrl-z: give the terminal back, sleep, and take it again when woken. */
static int on_suspend(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	(void)source;
	(void)info;
	term_leave();
	raise(SIGSTOP);
	if (term_enter())
		return -EIO;
	view_draw(&((struct top *)userdata)->view);
	return 0;
}

static int set_up(struct top *top)
{
	static const struct {
		int number;
		sd_event_signal_handler_t handler;
	} signals[] = {
		{SIGWINCH, on_resize}, {SIGTSTP, on_suspend}, {SIGINT, on_end},
		{SIGTERM, on_end},     {SIGHUP, on_end},      {SIGQUIT, on_end},
	};
	sigset_t set;
	int r;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i].number);
	sigprocmask(SIG_BLOCK, &set, NULL);

	r = sd_event_new(&top->event);
	if (r >= 0)
		r = sd_bus_attach_event(top->ctl->bus, top->event, 0);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(signals); i++)
		r = sd_event_add_signal(top->event, NULL, signals[i].number, signals[i].handler,
					top);
	if (r >= 0)
		r = sd_event_add_io(top->event, NULL, STDIN_FILENO, EPOLLIN, on_input, top);
	if (r >= 0)
		r = sd_event_add_time_relative(top->event, &top->timer, CLOCK_MONOTONIC, 0, 0,
					       on_timer, top);
	if (r >= 0)
		r = sd_event_source_set_enabled(top->timer, SD_EVENT_ON);
	return r;
}

static enum exit_code run(struct top *top)
{
	int r = set_up(top);

	if (r >= 0) {
		top->code = term_enter();
		if (!top->code)
			r = sd_event_loop(top->event);
		term_leave();
	}
	if (top->event)
		sd_bus_detach_event(top->ctl->bus);
	sd_bus_slot_unref(top->call);
	sd_event_source_unref(top->timer);
	sd_event_unref(top->event);
	if (r < 0) {
		text_error("the display failed: %s", strerror(-r));
		return CETCTL_FAILURE;
	}
	if (top->code == CETCTL_UNREACHABLE && top->view.trouble)
		text_error("%s", top->view.trouble);
	return top->code;
}

enum exit_code verb_top(struct ctl *ctl, int argc, char **argv)
{
	static const char *const usual =
		"name,vmm,pid,uses_cet,cp,cp_rate,injected,msr,msr_rate,loads_rate";
	struct top top = {.ctl = ctl, .view.options = &ctl->options};
	struct options options = ctl->options;
	enum exit_code code;

	(void)argc;
	(void)argv;
	options.columns = options.columns ?: usual;
	code = table_init(&top.view.table, vm_columns, n_vm_columns, &options, "cp_rate:desc");
	if (code)
		return code;
	if (table_help(&top.view.table, &ctl->options))
		return CETCTL_OK;
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		text_error("top needs a terminal");
		text_hint("for a file or a pipe: cetctl list --sort=cp:desc, or cetctl monitor");
		return CETCTL_FAILURE;
	}
	/* Once and waiting: a daemon that is not there is told of on the normal screen. */
	code = bus_describe(ctl, NULL, &top.view.snapshot);
	if (code)
		return code;
	if (!json_object_is_type(doc_get(top.view.snapshot, "vms"), json_type_array)) {
		json_object_put(top.view.snapshot);
		text_error("the daemon's description has no list \"vms\"");
		return CETCTL_FAILURE;
	}
	vm_add_rates(top.view.snapshot, NULL);
	code = run(&top);
	json_object_put(top.view.snapshot);
	free(top.view.trouble);
	return code;
}
