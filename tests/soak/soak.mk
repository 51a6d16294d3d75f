# SPDX-License-Identifier: GPL-2.0-only
$(BUILD)/tests/make-day: $(BUILD)/tests/soak/make-day.o $(BUILD)/libcetd.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(DAEMON_LIBS)) -lm

.PHONY: soak
## soak: a day of simulated events and 10000 VMs that come and go: nothing grows (SOAK_HOURS=, SOAK_VMS=)
soak: all lab-guests $(BUILD)/tests/make-day
	$(Q)CETD_TEST_TIMEOUT=7200 BUILD=$(BUILD) tests/run.sh tests/soak/soak.sh
