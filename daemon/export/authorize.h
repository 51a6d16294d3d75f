/* SPDX-License-Identifier: GPL-2.0-only */
/* Who may call which method on D-Bus. */
#pragma once

#include <systemd/sd-bus.h>

struct bus;
struct vm;

enum authorize_action {
	AUTHORIZE_INSPECT, /* org.cetd1.inspect: read guest addresses */
	AUTHORIZE_MANAGE,  /* org.cetd1.manage: change policies and the configuration in force */
	AUTHORIZE_ENFORCE, /* org.cetd1.enforce: freeze, thaw or end a VM */
	_AUTHORIZE_ACTION_MAX,
};

const char *authorize_action_to_string(int action);

/*
 * The method itself, once its caller may: reads the arguments, replies and returns what a handler of sd-bus does.
 * vm: which VM it is about, NULL for methods that are about none; looked up again where the answer took time.
 */
typedef int (*authorized_t)(struct bus *b, sd_bus_message *message, const struct vm *vm,
			    sd_bus_error *error);

struct guarded_method {
	enum authorize_action action;
	const char *what; /* "Only root may …" */
	authorized_t run;
};

/* For handlers: run the method if the caller may, else refuse. Returns what the handler is to return. */
int authorize(struct bus *b, sd_bus_message *message, const struct vm *vm,
	      const struct guarded_method *method, sd_bus_error *error);

/* 1: the caller is root or the daemon's own user, 0: it is not; a fault with *error set. */
int authorize_is_root(sd_bus_message *message, sd_bus_error *error);
