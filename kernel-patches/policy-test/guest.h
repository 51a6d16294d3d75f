/* SPDX-License-Identifier: GPL-2.0-only */
/* What guest.S and vm.c share: the guest's memory, and the block through which each vCPU reports. */
#pragma once

#define CODE 0x10000
#define BLOCK 0x90000
#define BLOCK_BYTES 0x100

#define BLOCK_FAULTS 0
#define BLOCK_PASSED 8
#define BLOCK_ROUNDS 16
#define BLOCK_STOP 24
#define BLOCK_S_CET 32
#define BLOCK_DIFFERS 40
#define BLOCK_FRAME 48 /* what the first fault pushed, 6 * 8 bytes */
#define BLOCK_WHICH 96 /* the last difference: a word of the frame, or 5 and the number of a register */
#define BLOCK_VALUE 104

#define PORT_END 0x80
#define END_OK 1
#define END_UNEXPECTED 2

#define VECTOR_TABLE_MAGIC 0x5654434c4e455354
