# SPDX-License-Identifier: GPL-2.0-only
# Tests of cetd as a service: who may, what the service manager is told, and what goes wrong around it.
service_tests := $(addprefix tests/integration/,bus-restart.sh clock.sh notify.sh polkit.sh robust.sh sandbox.sh)
service_needs := $(addprefix $(BUILD)/tests/,bus-client notify-socket polkit-agent)
CHECKS += $(service_tests)
CHECK_NEEDS += $(service_needs) $(BUILD)/tests/clock-shift.so
# A preloaded library would come before the sanitizer's, and a sanitized cetd is no measure of what it needs.
SANITIZED_CHECKS += $(filter-out %/clock.sh %/sandbox.sh,$(service_tests))
SANITIZED_NEEDS += $(service_needs)

$(service_needs): $(BUILD)/tests/%: $(BUILD)/tests/integration/%.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libsystemd)

$(BUILD)/tests/clock-shift.so: tests/integration/clock-shift.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) $(WERROR) -O2 -fPIC -shared -o $@ $< -ldl

## check-service: authorization, the service manager, bus restarts and other mishaps (root, polkitd)
.PHONY: check-service
check-service: all lab-guests $(service_needs) $(BUILD)/tests/inject $(BUILD)/tests/clock-shift.so
	$(Q)BUILD=$(BUILD) tests/run.sh $(service_tests)
