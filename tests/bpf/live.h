/* SPDX-License-Identifier: GPL-2.0-only */
/* The events source of a live test, and what it sent about the VMs that the test watches. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "cetd/stream.h"

#include "source/source.h"

#define KEY(pid) (CETD_KEY_TGID | (uint64_t)(pid))

/* What the source sent about one VM. */
struct seen {
	uint64_t key;
	uint32_t tgid; /* where not 0: the VM of that process, whatever its key; key is filled in */
	struct cetd_vm vm;
	struct cetd_history history;
	uint64_t samples, n_counters, n_removed;
	struct cetd_event last;
	struct cetd_lost_message lost;
	bool is_settled;
};

struct live {
	sd_event *event;
	struct events *events;
	struct cetd_host host;
	struct seen seen[2];
	uint64_t n_messages;
	int sink_error; /* what the sink says to each message */
};

/* Skips the test, with the reason, where there is no KVM or no BPF. */
void live_start(struct live *l);
void live_stop(struct live *l);

/* Run the loop for that long. */
void live_run(struct live *l, uint64_t usec);

/* By the guest's own count, and to the last one; but for what the kernel says it passed over, where it may. */
void live_assert_exact(const struct live *l, uint64_t counted, uint64_t guests_own);

uint64_t live_now_usec(void);
uint64_t live_msr_total(const struct cetd_vm *vm);
