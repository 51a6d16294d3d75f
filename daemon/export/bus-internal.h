/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files bus*.c and authorize.c only. */
#pragma once

#include "export/bus.h"

#define MONITORS_MAX 8

/* Dumps for whom may not see addresses: in all, of one user, and for how long they can be read. */
#define DUMPS_MAX 32
#define DUMPS_MAX_USER 4
#define DUMP_SECONDS 30

/* What a property shows where this kernel cannot show the fact. */
#define NOT_OBSERVABLE UINT64_MAX

struct dump;
struct json_object;
struct monitor;

/* What was last signalled of a VM. */
struct bus_vm {
	uint64_t key;
	struct cetd_counters signalled;
	uint32_t revision; /* of its identity */
	bool is_dirty;
	UT_hash_handle hh;
};

struct bus {
	sd_bus *bus;
	sd_event *event;
	sd_event_source *timer;
	sd_event_source *retry; /* connecting again */
	const char *address;
	bool is_lost;	 /* the connection, and not got back yet */
	bool is_refused; /* the name, since then */
	bool is_timer_set;
	const struct model *model;
	const struct export_context *ctx;
	struct bus_commands commands;
	struct bus_vm *vms;
	uint64_t signalled_lost[_CETD_LOST_MAX];
	uint32_t signalled_map_entries;
	struct authorizer *authorizer;
	uint32_t caller_uid; /* of the guarded method that runs */
	struct monitor *monitors;
	unsigned int n_monitors;
	struct dump *dumps;
	uint64_t dump_usec; /* that one can be read */
	size_t text_max;    /* CETD_BUS_TEXT_MAX, and CETD_BUS_OBJECTS_MAX */
	uint32_t objects_max;
};

extern const sd_bus_vtable manager_vtable[];
extern const sd_bus_vtable vm_vtable[];
extern const sd_bus_vtable log_control_vtable[];

int vm_object_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
		   void **ret_found, sd_bus_error *error);
int vm_node_enumerator(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
		       sd_bus_error *error);

/* For handlers of a VM's object, which get the VM: what the VMs were registered with. */
struct bus *bus_of_vm(sd_bus *bus);

/* The object path of a VM, to be freed. */
int vm_object_path(const char *id, char **ret);

/* The VM that an argument names: 0, or a set error that says what to do. */
int bus_find_vm(const struct bus *b, const char *text, const struct vm **ret, sd_bus_error *error);

/* Reply with a text, or a JSON object, taking its reference; or refuse what is too long for a message. */
int bus_reply_text(const struct bus *b, sd_bus_message *message, const char *text,
		   sd_bus_error *error);
int bus_reply_json(const struct bus *b, sd_bus_message *message, struct json_object *o,
		   sd_bus_error *error);

/* Open a monitor of one VM (its key) or of all (0); ret_fd is the caller's read end. */
int monitor_new(struct bus *b, uint64_t key, int *ret_fd, sd_bus_error *error);
void monitors_send(struct bus *b, const struct vm *vm, const struct cetd_event *e);
void monitors_vm_removed(struct bus *b, uint64_t key);
void monitors_free(struct bus *b);

/* DumpByFileDescriptor. */
int bus_dump(sd_bus_message *message, void *userdata, sd_bus_error *error);
void dumps_free(struct bus *b);

/* To be ready for the loss of a connection, then connect to b->address and put the objects there. Quiet. */
int bus_watch(struct bus *b);
int bus_connect(struct bus *b);
