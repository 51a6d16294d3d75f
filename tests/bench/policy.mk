# SPDX-License-Identifier: GPL-2.0-only
# What a reload of policies costs.
$(BUILD)/tests/bench-policy: $(BUILD)/tests/bench/policy.o $(BUILD)/daemon/policy-dir.o $(BUILD)/libcetd.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(DAEMON_LIBS)) -lm

.PHONY: bench-policy
## bench-policy: time to reload a policy for 4096 VMs
bench-policy: $(BUILD)/tests/bench-policy
	$(Q)$<
