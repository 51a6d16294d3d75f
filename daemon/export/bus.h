/* SPDX-License-Identifier: GPL-2.0-only */
/* The D-Bus API, org.cetd1, on sd-bus: objects over the model, signals as it changes. */
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "export/context.h"
#include "model/model.h"

struct bus;

/* What to set of a VM. */
struct bus_override {
	enum policy_lifetime lifetime;
	struct policy_values values;
	uint64_t for_usec; /* 0: without end */
};

/* The end of an order: 0, or -errno with a reason for people. */
typedef void (*bus_done_t)(void *userdata, int error, const char *message);

/* To freeze a VM, or to thaw it. */
struct bus_freeze {
	const struct bus_override *override; /* how long to keep it frozen; NULL: thaw */
	const char *by;			     /* on whose behalf, for the log */
	bus_done_t done;
	void *userdata;
};

/* What the API asks of the daemon; implemented by cetd.c. */
struct bus_commands {
	/* Bring the model up to date with the maps; quiet. */
	int (*refresh)(void *userdata);
	/* Read the configuration again. On failure the old one stays in force and *ret_message, to be freed,
	 * says what is wrong. */
	int (*reload)(void *userdata, char **ret_message);
	/* The Prometheus text, to be freed. */
	int (*render_metrics)(void *userdata, char **ret_text);
	/* Set or clear overrides, lifetimes and settings as a bit each. On failure nothing has changed and
	 * *ret_message, to be freed, says why: -EINVAL, -EOPNOTSUPP, -E2BIG, -ENOENT or what a disk fails with. */
	int (*set_override)(void *userdata, const struct vm *vm, const struct bus_override *o,
			    char **ret_message);
	int (*clear_override)(void *userdata, const char *id, uint32_t lifetimes, uint32_t settings,
			      char **ret_message);
	/* done is told of the end, once, and not before this returns. As above, and -EBUSY; done is not told
	 * then. */
	int (*freeze)(void *userdata, const struct vm *vm, const struct bus_freeze *order,
		      char **ret_message);
	/* What the kernel keeps of a VM's policy; -ENOENT: nothing. */
	int (*get_policy_state)(void *userdata, uint64_t key, struct cetd_policy_state *ret);
	/* Somebody (or nobody any more) wants samples of all event types. */
	void (*set_monitored)(void *userdata, bool is_monitored);
	void *userdata;
};

/*
 * Connect to address ("system", "user" or a D-Bus address) and register the objects. Logging. The model, the
 * context and the address outlive the bus. A bus that ends is waited for.
 */
int bus_new(sd_event *event, const char *address, const struct model *model,
	    const struct export_context *ctx, const struct bus_commands *commands,
	    struct bus **ret);
struct bus *bus_free(struct bus *b);

/* Take the name org.cetd1, once there is something to answer with. Logging; -EEXIST where another cetd has it. */
int bus_claim(struct bus *b);

/* For the model's observer. Signals about a VM are sent at most once a second. */
void bus_vm_added(struct bus *b, const struct vm *vm);
void bus_vm_renamed(struct bus *b, const struct vm *vm, const char *old_id);
void bus_vm_changed(struct bus *b, const struct vm *vm);
void bus_vm_removed(struct bus *b, const struct vm *vm);
/* The faults so far are no news: an earlier daemon told of them, or nobody will. */
void bus_take_as_told(struct bus *b);
void bus_event(struct bus *b, const struct vm *vm, const struct cetd_event *e);
/* A storm of the VM began or ended, by this rule. */
void bus_storm(struct bus *b, const struct vm *vm, const char *rule, const struct storm *storm);
void bus_host_changed(struct bus *b);
/* The context's file or address is another one. */
void bus_config_changed(struct bus *b);

/* After another policy holds for a VM, and what can be done about it is done. */
void bus_policy_applied(struct bus *b, const struct vm *vm);
void bus_settled(struct bus *b);
