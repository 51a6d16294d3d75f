// SPDX-License-Identifier: GPL-2.0-only
/* The terminal as a screen: keys without echo, the alternate screen, and back again whatever happens. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "term.h"
#include "text.h"

/* Alternate screen, no cursor, no wrapping of long lines; and all of that undone. */
static const char enter_screen[] = "\033[?1049h\033[?25l\033[?7l";
static const char leave_screen[] = "\033[?7h\033[?25h\033[?1049l";

/* The one mutable state of cetctl outside its options: a signal handler has no other way to reach it. */
static struct {
	struct termios before;
	volatile sig_atomic_t is_entered;
} screen;

static void put(const char *s, size_t n)
{
	while (n) {
		ssize_t r = write(STDOUT_FILENO, s, n);

		if (r < 0 && errno != EINTR)
			return;
		if (r > 0) {
			s += r;
			n -= (size_t)r;
		}
	}
}

/* Calls only what is safe in a signal handler. */
void term_leave(void)
{
	if (!screen.is_entered)
		return;
	screen.is_entered = 0;
	put(leave_screen, sizeof(leave_screen) - 1);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &screen.before);
}

/* SA_RESETHAND: raised again, the signal does what it always does. */
static void on_fatal(int number)
{
	int saved = errno;

	term_leave();
	raise(number);
	errno = saved;
}

enum exit_code term_enter(void)
{
	static const int fatal[] = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,	SIGABRT, SIGTRAP,
				    SIGSYS,  SIGALRM, SIGXCPU, SIGUSR1, SIGUSR2, SIGPIPE};
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &screen.before) < 0) {
		text_error("cannot read the terminal's settings: %s", strerror(errno));
		return CETCTL_FAILURE;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		sigaction(
			fatal[i],
			&(struct sigaction){.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND},
			NULL);
	atexit(term_leave);

	/* Signals by key stay: ctrl-c and ctrl-z mean what they always mean. */
	raw = screen.before;
	raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	raw.c_iflag &= (tcflag_t) ~(IXON);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	screen.is_entered = 1;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) < 0) {
		screen.is_entered = 0;
		text_error("cannot change the terminal's settings: %s", strerror(errno));
		return CETCTL_FAILURE;
	}
	put(enter_screen, sizeof(enter_screen) - 1);
	return CETCTL_OK;
}

void term_size(unsigned int *ret_columns, unsigned int *ret_rows)
{
	struct winsize size = {};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row)
		size = (struct winsize){.ws_col = 80, .ws_row = 24};
	*ret_columns = size.ws_col;
	*ret_rows = size.ws_row;
}

int term_key(const char **p, const char *end)
{
	static const struct {
		const char *sequence;
		int key;
	} keys[] = {
		{"[A", TERM_KEY_UP},	     {"[B", TERM_KEY_DOWN}, {"[C", TERM_KEY_RIGHT},
		{"[D", TERM_KEY_LEFT},	     {"OA", TERM_KEY_UP},   {"OB", TERM_KEY_DOWN},
		{"OC", TERM_KEY_RIGHT},	     {"OD", TERM_KEY_LEFT}, {"[5~", TERM_KEY_PAGE_UP},
		{"[6~", TERM_KEY_PAGE_DOWN}, {"[H", TERM_KEY_HOME}, {"[F", TERM_KEY_END},
		{"[1~", TERM_KEY_HOME},	     {"[4~", TERM_KEY_END},
	};
	size_t left;

	if (**p != '\033')
		return (unsigned char)*(*p)++;
	(*p)++;
	left = (size_t)(end - *p);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		size_t n = strlen(keys[i].sequence);

		if (n <= left && !memcmp(*p, keys[i].sequence, n)) {
			*p += n;
			return keys[i].key;
		}
	}
	/* A sequence that means nothing here: up to its final byte (ECMA-48, control sequences). */
	if (left && **p == '[')
		for ((*p)++; *p < end && (**p < 0x40 || **p > 0x7e);)
			(*p)++;
	if (*p < end)
		(*p)++;
	return TERM_KEY_NONE;
}
