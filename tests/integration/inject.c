// SPDX-License-Identifier: GPL-2.0-only
/* inject COUNT: have KVM inject #CP (ENDBRANCH) into guests through /dev/kvm, COUNT times; then wait for the end. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../bpf/guest.h"

#define CP_VECTOR 21
#define CP_ENDBRANCH 3

int main(int argc, char *argv[])
{
	int count = argc == 2 ? atoi(argv[1]) : 0;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	/*
	 * Held until the end: a process without a VM is dropped with its counts. Two, as a single one is taken
	 * for another when a VM of the process ends: KVM may give the next one the same address.
	 */
	if (kvm < 0 || ioctl(kvm, KVM_CREATE_VM, 0) < 0 || ioctl(kvm, KVM_CREATE_VM, 0) < 0) {
		perror("/dev/kvm");
		return EXIT_FAILURE;
	}

	for (int i = 0; i < count; i++) {
		if (guest_inject(CP_VECTOR, CP_ENDBRANCH, false) < 0) {
			perror("inject");
			return EXIT_FAILURE;
		}
	}
	printf("injected %d\n", count);
	fflush(stdout);
	pause();
	return EXIT_SUCCESS;
}
