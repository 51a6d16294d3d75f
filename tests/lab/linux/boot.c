// SPDX-License-Identifier: GPL-2.0-only
// Put a bzImage, an initramfs and a command line where Linux' 64-bit boot protocol wants them.

#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot.h"

/* Of the boot protocol: where the setup header starts, and the entry point after the load address. */
#define SETUP_HEADER 0x1f1
#define ENTRY_64 0x200

#define INITRD (96ULL << 20)
#define E820_RAM 1

static int complain(const char *path, const char *what, int r)
{
	fprintf(stderr, "cetlinux: %s: %s\n", path, what);
	return r;
}

/* Read all of the file from offset on; its size, or -errno. */
static int64_t read_at(const char *path, off_t offset, uint8_t *buffer, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n = 1;

	if (fd < 0)
		return complain(path, strerror(errno), -errno);
	while (n > 0 && done < room) {
		n = pread(fd, buffer + done, room - done, offset + done);
		if (n > 0)
			done += n;
	}
	close(fd);
	if (n < 0)
		return complain(path, strerror(errno), -errno);
	return n == 0 ? (int64_t)done : complain(path, "does not fit", -EFBIG);
}

/* The first GiB at its own address, by pages of 2 MiB. */
static void set_page_tables(uint8_t *mem)
{
	uint64_t *pml4 = (uint64_t *)(mem + GUEST_PML4), *pdpt = pml4 + 512, *pd = pdpt + 512;

	pml4[0] = (GUEST_PML4 + 0x1000) | 0x3;
	pdpt[0] = (GUEST_PML4 + 0x2000) | 0x3;
	for (uint64_t i = 0; i < 512; i++)
		pd[i] = i << 21 | 0x83;
}

static void set_memory_map(struct boot_params *params)
{
	params->e820_table[0] = (struct boot_e820_entry){0, 0x9f000, E820_RAM};
	params->e820_table[1] = (struct boot_e820_entry){1 << 20, GUEST_MEM - (1 << 20), E820_RAM};
	params->e820_entries = 2;
}

int boot_load(uint8_t *mem, const char *kernel, const char *initrd, const char *cmdline,
	      uint64_t *ret_entry)
{
	struct boot_params *params = (struct boot_params *)(mem + GUEST_BOOT_PARAMS);
	struct setup_header *hdr = &params->hdr;
	uint64_t *gdt = (uint64_t *)(mem + GUEST_GDT), at;
	int64_t n;

	n = read_at(kernel, 0, mem + (16 << 20), INITRD - (16 << 20));
	if (n < 0)
		return n;
	memcpy(hdr, mem + (16 << 20) + SETUP_HEADER, sizeof(*hdr));
	if (hdr->header != 0x53726448 || !(hdr->xloadflags & XLF_KERNEL_64))
		return complain(kernel, "is no 64-bit bzImage", -ENOEXEC);
	at = hdr->pref_address;
	if (at < 1 << 20 || at + hdr->init_size > INITRD)
		return complain(kernel, "wants to be where it cannot", -ENOEXEC);
	n = read_at(kernel, 512 * ((hdr->setup_sects ?: 4) + 1), mem + at, INITRD - at);
	if (n < 0)
		return n;
	n = read_at(initrd, 0, mem + INITRD, GUEST_MEM - INITRD);
	if (n < 0)
		return n;
	hdr->ramdisk_image = INITRD;
	hdr->ramdisk_size = n;
	hdr->type_of_loader = 0xff;
	hdr->cmd_line_ptr = GUEST_CMDLINE;
	snprintf((char *)mem + GUEST_CMDLINE, GUEST_PML4 - GUEST_CMDLINE, "%s", cmdline);
	set_memory_map(params);
	set_page_tables(mem);
	gdt[GUEST_CS / 8] = 0x00af9b000000ffff;
	gdt[GUEST_DS / 8] = 0x00cf93000000ffff;
	*ret_entry = at + ENTRY_64;
	return 0;
}
