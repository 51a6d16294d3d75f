// SPDX-License-Identifier: GPL-2.0-only
/* From a VM of the model to the process that it was found in, and to the actor. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#include "cetd/message-ids.h"

#include "acts.h"
#include "source/procfs.h"
#include "util/log.h"

struct acts {
	struct actor *actor;
};

struct act {
	actor_done_t done;
	void *userdata;
	char vm[64], name[128], by[128];
};

int acts_new(sd_event *event, bool is_dry_run, struct acts **ret)
{
	const struct actor_params params = {.is_dry_run = is_dry_run};
	struct acts *a = calloc(1, sizeof(*a));
	int r = a ? actor_new(event, &params, &a->actor) : -ENOMEM;

	if (r < 0) {
		free(a);
		return log_error_errno(r, "Failed to set up freezing and terminating: %m");
	}
	*ret = a;
	return 0;
}

struct acts *acts_free(struct acts *a)
{
	if (!a)
		return NULL;
	actor_free(a->actor);
	free(a);
	return NULL;
}

static void on_done(void *userdata, enum actor_action action, int error, const char *message)
{
	struct act *act = userdata;
	const char *what = actor_action_to_string((int)action);
	const char *reason = message ?: strerror(-error);
	char vm[80], name[160], how[32], by[160], why[544];
	const char *const fields[] = {vm, name, how, by, error < 0 ? why : NULL, NULL};

	snprintf(vm, sizeof(vm), "CETD_VM=%s", act->vm);
	snprintf(name, sizeof(name), "CETD_VM_NAME=%s", act->name);
	snprintf(how, sizeof(how), "CETD_ACTION=%s", what);
	snprintf(by, sizeof(by), "CETD_BY=%s", act->by);
	snprintf(why, sizeof(why), "CETD_REASON=%s", reason);
	if (error < 0)
		log_event(LOG_ERR, CETD_LOG_VM_NOT_ACTED_ON, fields,
			  "VM %s (%s): %s, asked for by %s, was refused or failed: %s", act->vm,
			  act->name, what, act->by, reason);
	else
		log_event(LOG_NOTICE, CETD_LOG_VM_ACTED_ON, fields,
			  "VM %s (%s): %s, asked for by %s, is done", act->vm, act->name, what,
			  act->by);
	if (act->done)
		act->done(act->userdata, action, error, error < 0 ? reason : NULL);
	free(act);
}

/* The process of the VM, and not a later one that has its id: that one started after the VM was seen. */
static int open_process(const struct vm *vm)
{
	_cleanup_(closep) int fd = (int)syscall(SYS_pidfd_open, vm->identity.pid, 0);

	return procfs_is_younger(vm->identity.pid, vm->first_seen_ns) ? -1 : take_fd(&fd);
}

int acts_request(struct acts *a, const struct vm *vm, enum actor_action action, const char *by,
		 actor_done_t done, void *userdata)
{
	_cleanup_(closep) int pidfd = open_process(vm);
	const struct actor_subject subject = {
		.vm = vm->identity.id,
		.unit = vm->identity.unit,
		.cgroup = vm->identity.cgroup,
		.pid = vm->identity.pid,
		.vms_in_process = vm->identity.vms_in_process,
		.pidfd = pidfd,
	};
	struct act *act = calloc(1, sizeof(*act));
	int r;

	if (!act)
		return -ENOMEM;
	act->done = done;
	act->userdata = userdata;
	snprintf(act->vm, sizeof(act->vm), "%s", vm->identity.id);
	snprintf(act->name, sizeof(act->name), "%s", vm->identity.name);
	snprintf(act->by, sizeof(act->by), "%s", by);
	r = actor_request(a->actor, &subject, action, on_done, act);
	if (r < 0)
		free(act);
	return r;
}
