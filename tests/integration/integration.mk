# SPDX-License-Identifier: GPL-2.0-only
# Tests of the whole daemon, plain and sanitized; run by `make check`.
INTEGRATION := $(addprefix tests/integration/,bad-input.sh daemon.sh freeze.sh overrides.sh pins.sh policy.sh \
	replay.sh signals.sh)
CHECKS += $(INTEGRATION) $(addprefix tests/integration/,pins-crash.sh store-crash.sh)
CHECK_NEEDS += lab-guests $(addprefix $(BUILD)/tests/,fake-machine inject kill-at)
SANITIZED_CHECKS += $(INTEGRATION)
SANITIZED_NEEDS += lab-guests $(addprefix $(BUILD)/tests/,fake-machine inject)

$(BUILD)/tests/inject: $(BUILD)/tests/integration/inject.o $(BUILD)/tests/bpf/guest.o $(BUILD)/daemon/util/names.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,json-c)

# These belong to the composition root, of which the unit tests link nothing else.
$(addprefix $(BUILD)/tests/test-,policy-store settings): $(BUILD)/tests/test-%: $(BUILD)/tests/unit/test-%.o \
		$(BUILD)/daemon/%.o $(BUILD)/libcetd.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,cmocka $(DAEMON_LIBS)) -lm

$(BUILD)/tests/kill-at: $(BUILD)/tests/integration/kill-at.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^

$(BUILD)/tests/fake-machine: $(BUILD)/tests/integration/fake-machine.o $(BUILD)/tests/integration/private-bus.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libsystemd)
