// SPDX-License-Identifier: GPL-2.0-only
/*
 * inject COUNT [stop]: have KVM inject #CP (ENDBRANCH) into guests through /dev/kvm, COUNT times; then wait for the
 * end. stop: stop before the first, for SIGCONT to go on.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../bpf/guest.h"

#define CP_VECTOR 21
#define CP_ENDBRANCH 3

int main(int argc, char *argv[])
{
	int count = argc >= 2 ? atoi(argv[1]) : 0;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	/*
	 * Held until the end: a process without a VM is dropped with its counts. Two, as a single one is taken
	 * for another when a VM of the process ends: KVM may give the next one the same address.
	 */
	if (kvm < 0 || ioctl(kvm, KVM_CREATE_VM, 0) < 0 || ioctl(kvm, KVM_CREATE_VM, 0) < 0) {
		perror("/dev/kvm");
		return EXIT_FAILURE;
	}

	/* Until the VM has been found, say: `inject COUNT stop`, then SIGCONT. */
	if (argc == 3 && !strcmp(argv[2], "stop"))
		raise(SIGSTOP);

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
