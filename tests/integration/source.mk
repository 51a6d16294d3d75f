# SPDX-License-Identifier: GPL-2.0-only
# Live tests of what is around VMs: discovery (root, /dev/kvm), machined and systemd (dbus-daemon, with stand-ins), and
# of what others are told on the bus.

source_tests := $(addprefix $(BUILD)/tests/,discovery machined scan-ids actor bus-signals journal)
CHECKS += $(source_tests)
CHECK_NEEDS += $(source_tests)

$(source_tests): $(BUILD)/tests/%: $(BUILD)/tests/integration/%.o $(BUILD)/libcetd.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libsystemd json-c libmicrohttpd libbpf libelf zlib) -lm

$(addprefix $(BUILD)/tests/,machined actor bus-signals): $(BUILD)/tests/integration/private-bus.o

# Not a test, but for some: the lab has no systemd.
$(BUILD)/tests/fake-systemd: $(BUILD)/tests/integration/fake-systemd.o $(BUILD)/tests/integration/private-bus.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libsystemd)

## check-discovery: real VMs come and go while the daemon's discovery watches (root, /dev/kvm)
.PHONY: check-discovery
check-discovery: $(source_tests)
	$(Q)BUILD=$(BUILD) tests/run.sh $(source_tests)
