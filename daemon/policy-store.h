/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Overrides that outlive the daemon: DIR/overrides.json, replaced as a whole, so that it holds the state before a
 * change or the one after it whenever the daemon or the host ends. Part of the composition root.
 */
#pragma once

#include "policy/ledger.h"

#define POLICY_STORE_FILE "overrides.json"
#define POLICY_STORE_VERSION 1

/* One override takes at most some 2 KiB. */
#define POLICY_STORE_MAX_BYTES (16 * 1024 * 1024)

/*
 * Add what is stored to the ledger, which has no persistent overrides yet, also what has ended.
 * 0, also where there is no store. Otherwise nothing is added: -EBADMSG where what is stored is damaged or of another
 * version, with *ret_message, to be freed, and other errors. Quiet.
 */
int policy_store_read(const char *dir, struct ledger *l, char **ret_message);

/* Put a damaged store aside, so that it can be looked into and the next write does not replace it. *ret_path, to be
 * freed, is where it is now. Quiet. */
int policy_store_set_aside(const char *dir, uint64_t now_usec, char **ret_path);

/* Replace the store by the ledger's persistent overrides; makes the directory, but not its parents. 0; 1 where it is
 * replaced, but may not be if the host loses power now; on failure the old one is as it was. Quiet. */
int policy_store_write(const char *dir, const struct ledger *l);
