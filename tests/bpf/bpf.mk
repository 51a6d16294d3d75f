# SPDX-License-Identifier: GPL-2.0-only
# Tests of the BPF programs on the running kernel, with real guests on /dev/kvm.

bpf_test_skel := $(patsubst tests/%.bpf.c,$(BUILD)/tests/%.skel.h,$(wildcard tests/bpf/*.bpf.c tests/bench/*.bpf.c))
bpf_test_src := $(wildcard tests/bpf/test-*.c)
bpf_test_bin := $(bpf_test_src:tests/bpf/%.c=$(BUILD)/tests/bpf/%)

# test-patched needs a kernel with the tracepoints: the lab runs it.
CHECKS += $(filter-out %/test-patched,$(bpf_test_bin)) tests/bpf/tcg.sh
CHECK_NEEDS += $(bpf_test_bin) lab-guests

$(bpf_test_skel:.skel.h=.bpf.o): $(BUILD)/tests/%.bpf.o: tests/%.bpf.c $(BUILD)/vmlinux.h
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Iinclude -Ibpf -I$(BUILD) \
		-Wall -Wextra $(WERROR) -MMD -MP -c -o $@.tmp -MF $(@:.o=.d) -MT $@ $<
	$(Q)$(BPFTOOL) gen object $@ $@.tmp && rm $@.tmp

$(bpf_test_skel): $(BUILD)/tests/%.skel.h: $(BUILD)/tests/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$(notdir $*))_bpf >$@.tmp && mv $@.tmp $@

$(bpf_test_src:%.c=$(BUILD)/%.o): | $(bpf_test_skel)

$(BUILD)/tests/bpf/guest.o: ALL_CFLAGS += -DCETD_BUILD='"$(BUILD)"'

$(BUILD)/tests/bpf/test-live $(BUILD)/tests/bpf/test-patched: \
	$(BUILD)/tests/bpf/guest.o $(BUILD)/tests/bpf/live.o
$(bpf_test_bin): $(BUILD)/tests/bpf/%: $(BUILD)/tests/bpf/%.o $(BUILD)/libcetd.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(call libs,cmocka libsystemd json-c libbpf libelf zlib)

$(BUILD)/tests/bpf/pins-layout: $(BUILD)/tests/bpf/pins-layout.o $(BUILD)/libcetd.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libbpf libelf zlib)

## check-bpf: test the BPF programs on this kernel with real guests (root, /dev/kvm)
.PHONY: check-bpf
check-bpf: $(bpf_test_bin) lab-guests
	$(Q)BUILD=$(BUILD) tests/run.sh $(bpf_test_bin)

## check-tcg: the same on Debian's 6.1, 6.12 and 7.x, in QEMU's emulation of SVM
.PHONY: check-tcg
check-tcg: $(bpf_test_bin) $(BUILD)/tests/discovery lab-guests
	$(Q)BUILD=$(BUILD) tests/run.sh tests/bpf/tcg.sh

$(BUILD)/tests/bench/bench-bpf.o: | $(BUILD)/tests/bench/programs.skel.h

$(BUILD)/tests/bench/bench-bpf: $(BUILD)/tests/bench/bench-bpf.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(call libs,libbpf libelf zlib)

## bench: what cetd costs a guest and a host, beside an empty program and bpftrace
.PHONY: bench bench-bpf
bench: bench-bpf bench-idle bench-scrape bench-policy
bench-bpf: $(BUILD)/tests/bench/bench-bpf lab-guests
	$(Q)$(BUILD)/tests/bench/bench-bpf $(BUILD)
