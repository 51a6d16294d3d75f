/* SPDX-License-Identifier: GPL-2.0-only */
/* The snapshot as JSON: Describe, DumpByFileDescriptor, monitor lines. What the kernel cannot show is null. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <json-c/json.h>

#include "export/context.h"
#include "model/model.h"

DEFINE_CLEANUP(struct json_object *, json_object_put)

/*
 * Write the snapshot, a VM at a time: all of it as objects is a dozen times its text. 0; -ENOMEM, or -EIO where the file
 * takes it no more, half of it written.
 */
int json_write_model(FILE *f, const struct model *m, const struct export_context *ctx,
		     bool with_addresses);

/* Each returns a new reference, or NULL when out of memory. with_addresses adds faults and top_rips. */
struct json_object *json_from_vm(const struct vm *vm, const struct export_context *ctx,
				 bool with_addresses);
struct json_object *json_from_event(const struct model *m, const struct vm *vm,
				    const struct cetd_event *e);
