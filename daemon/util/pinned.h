/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of a BPF object as pins in a directory, PREFIX-NAME each: its maps, and a value that says what all of it
 * is. Quiet; negative errno.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bpf_object;

/* An fd of a pin. -ENOENT. */
int pinned_get(const char *dir, const char *prefix, const char *name);

/* -EEXIST where there is one already. */
int pinned_add(const char *dir, const char *prefix, const char *name, int fd);

/* The object's maps as map-NAME, without those that are of each load: constants and struct_ops. What is pinned
 * already stays. */
int pinned_add_maps(const char *dir, const struct bpf_object *object);

/* Have the object, not loaded yet, use the maps that are pinned. */
int pinned_reuse_maps(const char *dir, const struct bpf_object *object);

/*
 * A value that is pinned, such as one that says whose the other pins are. 0; -ENOENT: none; -EMSGSIZE: one of another
 * size; -EBADMSG: something else. It is replaced in one step: whenever the writer ends, the old one is there or the
 * new one.
 */
int pinned_read(const char *dir, const char *name, void *ret, size_t size);
int pinned_write(const char *dir, const char *name, const void *value, size_t size);

/* A number that tells objects with other instructions or maps apart. */
uint64_t pinned_id(const void *object, size_t size);
