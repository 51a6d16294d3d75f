/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of a VM as Linux' 64-bit boot protocol wants it (Documentation/arch/x86/boot.rst).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GUEST_MEM (160ULL << 20)

/* Where things lie below 1 MiB. */
#define GUEST_GDT 0x1000
#define GUEST_BOOT_PARAMS 0x2000
#define GUEST_CMDLINE 0x4000
#define GUEST_PML4 0x5000

/* The selectors that the protocol names. */
#define GUEST_CS 0x10
#define GUEST_DS 0x18

/* Lay kernel, initramfs and command line out in mem, GUEST_MEM bytes; 0 or -errno, told on stderr. */
int boot_load(uint8_t *mem, const char *kernel, const char *initrd, const char *cmdline,
	      uint64_t *ret_entry);
