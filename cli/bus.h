/* SPDX-License-Identifier: GPL-2.0-only */
/* Talking to the daemon: the connection, calls, and what its errors mean for the person at the terminal. */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "cetctl.h"

static inline void bus_message_unrefp(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}

/* All logging. Connect as the options say; a second call is a no-op. */
enum exit_code bus_open(struct ctl *ctl);
void bus_close(struct ctl *ctl);

/* Would another user have been let? */
bool bus_is_denied(const sd_bus_error *error);

/* Say what the error means, with a hint, and return the exit code for it. */
enum exit_code bus_fail(struct ctl *ctl, const sd_bus_error *error, int r, const char *what);

/* Call a method of the manager; arguments as sd_bus_message_append(). */
enum exit_code bus_call(struct ctl *ctl, sd_bus_message **ret, const char *member,
			const char *types, ...);

/* A method that changes something and returns nothing: of a VM, or of the manager where path is NULL. Make the call,
 * append the arguments, send it; a person may be asked for a password meanwhile. */
enum exit_code bus_new_change(struct ctl *ctl, const char *path, const char *member,
			      sd_bus_message **ret);
enum exit_code bus_send_change(struct ctl *ctl, sd_bus_message *m);

/* A method without arguments that returns JSON text, of the manager or (Describe) of a VM. */
enum exit_code bus_describe(struct ctl *ctl, const char *path, json_object **ret);

/* What the user calls a VM, resolved by the daemon: its object path and its id, owned by the caller. */
enum exit_code bus_get_vm(struct ctl *ctl, const char *vm, char **ret_path, char **ret_id);

/* What a method of the manager without arguments returns as JSON text. */
enum exit_code bus_get_json(struct ctl *ctl, const char *member, json_object **ret);

/* {"FACT":{"state","reason"}…} from the manager's property; the same shape as in Describe. */
enum exit_code bus_get_coverage(struct ctl *ctl, json_object **ret);

/* A string property of the manager. */
enum exit_code bus_get_string(struct ctl *ctl, const char *name, char **ret);

/* Data that is replayed from a recording must be seen to be: on stdout with the legend, else on stderr. */
enum exit_code bus_mark_replayed(struct ctl *ctl);

/* The description of a VM that is called by name, id, UUID or pid-N; a replay is marked first. */
enum exit_code bus_describe_vm(struct ctl *ctl, const char *name, json_object **ret);
void bus_print_replayed(struct ctl *ctl, const char *recording);

/* The snapshot that DumpByFileDescriptor gave. */
enum exit_code bus_read_dump(int fd, json_object **ret);

/* A method that returns a file descriptor; owned by the caller. Needs ctl->may_pass_fds. */
enum exit_code bus_call_fd(struct ctl *ctl, const char *member, const char *vm, int *ret);
