# SPDX-License-Identifier: GPL-2.0-only
# The live test of VM discovery: needs root and /dev/kvm.

CHECKS += $(BUILD)/tests/discovery
CHECK_NEEDS += $(BUILD)/tests/discovery

$(BUILD)/tests/discovery: $(BUILD)/tests/integration/discovery.o $(BUILD)/libcetd.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libsystemd json-c libmicrohttpd libbpf libelf zlib) -lm

## check-discovery: real VMs come and go while the daemon's discovery watches (root, /dev/kvm)
.PHONY: check-discovery
check-discovery: $(BUILD)/tests/discovery
	$(Q)$(BUILD)/tests/discovery
