/* SPDX-License-Identifier: GPL-2.0-only */
/* PID 1 of the Linux guest: tells that user space was reached, by a message that the kernel prints on restart. */
	.globl _start
_start:
	mov $169, %eax			/* reboot(2) */
	mov $0xfee1dead, %edi		/* LINUX_REBOOT_MAGIC1 */
	mov $672274793, %esi		/* LINUX_REBOOT_MAGIC2 */
	mov $0xa1b2c3d4, %edx		/* LINUX_REBOOT_CMD_RESTART2 */
	lea message(%rip), %r10
	syscall
	hlt
message:
	.asciz "user space was here"
	.section .note.GNU-stack, "", @progbits
