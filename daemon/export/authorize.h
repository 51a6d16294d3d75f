/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may call which method on D-Bus: root (and the daemon's own user) may all, for others polkit is asked. That can
 * take as long as a person needs to find a password, so a method runs when the answer is there.
 */
#pragma once

#include <systemd/sd-bus.h>

struct authorizer;
struct bus;
struct vm;

enum authorize_action {
	AUTHORIZE_INSPECT, /* org.cetd1.inspect: read guest addresses */
	AUTHORIZE_MANAGE,  /* org.cetd1.manage: change policies and the configuration in force */
	AUTHORIZE_ENFORCE, /* org.cetd1.enforce: freeze, thaw or end a VM */
	_AUTHORIZE_ACTION_MAX,
};

const char *authorize_action_to_string(int action);

/* Calls that wait for polkit: in all, of one user. Until it is known whose a call is, it could be root's, who never
 * waits: of those there may be more, but few of one connection. */
#define AUTHORIZE_MAX 128
#define AUTHORIZE_MAX_USER 32
#define AUTHORIZE_MAX_SENDER 8
#define AUTHORIZE_MAX_UNKNOWN 4096

/*
 * The method itself, once its caller may: reads the arguments, replies and returns what a handler of sd-bus does.
 * vm: which VM it is about, NULL for methods that are about none. Its end while the answer was awaited is an error
 * to the caller, and the method does not run.
 */
typedef int (*authorized_t)(struct bus *b, sd_bus_message *message, const struct vm *vm,
			    sd_bus_error *error);

struct guarded_method {
	enum authorize_action action;
	const char *what; /* "Only root may …" */
	authorized_t run;
	authorized_t run_denied; /* what to do where the caller may not; NULL: refuse */
};

int authorizer_new(struct authorizer **ret);

/* Whoever still waits gets no reply any more. */
void authorizer_forget(struct authorizer *a);
struct authorizer *authorizer_free(struct authorizer *a);

/*
 * For handlers: run the method as soon as it is known that the caller may, else refuse. Returns what the handler is
 * to return. A person is asked only if the call allows it; the question is withdrawn when the caller leaves the bus.
 */
int authorize(struct bus *b, sd_bus_message *message, const struct vm *vm,
	      const struct guarded_method *method, sd_bus_error *error);
