# SPDX-License-Identifier: GPL-2.0-only
# The VMM, its guests and the emulated CET lab. Included by the top Makefile.
BUILD ?= build
CC ?= cc
CFLAGS ?= -O2 -g -Wall -Wextra
Q ?= @

lab_vmm_src := $(wildcard tests/lab/vmm/*.c)
lab_vmm_obj := $(lab_vmm_src:%.c=$(BUILD)/%.o)
lab_guests := $(patsubst tests/lab/guest/%.S,$(BUILD)/guest/%.bin,$(wildcard tests/lab/guest/*.S))

# Everything that runs on /dev/kvm, here or in the lab; static, so that any initramfs can carry it.
.PHONY: lab-guests
lab-guests: $(BUILD)/cetvmm $(lab_guests) $(BUILD)/cetlinux $(BUILD)/linux/init $(BUILD)/cetview

$(BUILD)/cetvmm: $(lab_vmm_obj)
	$(Q)echo "  LD      $@"
	$(Q)$(CC) $(CFLAGS) -static -pthread -o $@ $^

$(lab_vmm_obj): $(BUILD)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(Q)echo "  CC      $<"
	$(Q)$(CC) $(CFLAGS) -D_GNU_SOURCE -std=gnu11 -Itests/lab/vmm -pthread -MMD -MP -c -o $@ $<

$(BUILD)/guest/%.bin: tests/lab/guest/%.S tests/lab/guest/guest.ld
	$(Q)mkdir -p $(@D)
	$(Q)echo "  GUEST   $@"
	$(Q)$(CC) -c -x assembler-with-cpp -Itests/lab/guest -Itests/lab/vmm -MMD -MP -MT $@ \
		-MF $(BUILD)/guest/$*.d -o $(BUILD)/guest/$*.o $<
	$(Q)$(LD) -T tests/lab/guest/guest.ld -o $(BUILD)/guest/$*.elf $(BUILD)/guest/$*.o
	$(Q)objcopy -O binary $(BUILD)/guest/$*.elf $@

# For the scripts in the emulated host.
$(BUILD)/jsonflat: tests/lab/init/jsonflat.c
	$(Q)mkdir -p $(@D)
	$(Q)echo "  LD      $@"
	$(Q)$(CC) $(CFLAGS) -D_GNU_SOURCE -std=gnu11 -static -o $@ $< -ljson-c

$(BUILD)/cetview: tests/lab/view/cetview.c
	$(Q)mkdir -p $(@D)
	$(Q)echo "  LD      $@"
	$(Q)$(CC) $(CFLAGS) -D_GNU_SOURCE -std=gnu11 -static -o $@ $<

# A VMM that boots a Linux kernel, and that guest's PID 1.
$(BUILD)/cetlinux: tests/lab/linux/main.c tests/lab/linux/boot.c tests/lab/linux/boot.h
	$(Q)mkdir -p $(@D)
	$(Q)echo "  LD      $@"
	$(Q)$(CC) $(CFLAGS) -D_GNU_SOURCE -std=gnu11 -static -o $@ $(filter %.c,$^)

$(BUILD)/linux/init: tests/lab/linux/init.S
	$(Q)mkdir -p $(@D)
	$(Q)echo "  GUEST   $@"
	$(Q)$(CC) -nostdlib -static -o $@ $<

-include $(lab_vmm_obj:.o=.d) $(lab_guests:.bin=.d)

## lab: boot kernels on emulated CET hardware and test guests, KVM and cetd there (KERNEL=, TEST=, CPUS=)
.PHONY: lab
lab: all lab-guests $(BUILD)/jsonflat $(BUILD)/tests/bpf/test-patched $(BUILD)/tests/bpf/pins-layout $(BUILD)/tests/fake-systemd
	$(Q)LAB_BUILD=$(BUILD) tests/lab/lab run

## lab-long: the lab's long tests: policies at work, 100 000 faults, 1000 times attaching, and what only waits
.PHONY: lab-long
lab-long: export TEST = long
lab-long: lab

## lab-bench: what #CP, exits, CET MSRs and moves between CPUs cost, in instructions, on the lab's kernels
.PHONY: lab-bench
lab-bench: all lab-guests $(BUILD)/jsonflat
	$(Q)LAB_BUILD=$(BUILD) tests/lab/lab bench

## lab-shell: an interactive shell in the emulated host (KERNEL=debian-7)
.PHONY: lab-shell
lab-shell: all lab-guests $(BUILD)/jsonflat
	$(Q)LAB_BUILD=$(BUILD) tests/lab/lab shell

CHECKS += tests/lab/watchdog.sh
