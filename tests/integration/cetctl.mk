# SPDX-License-Identifier: GPL-2.0-only
# cetctl's own tests: a daemon with canned answers, and the parts of cetctl that the unit tests link.

CLI_LIB := $(filter-out $(BUILD)/cli/main.o $(BUILD)/cli/options.o,$(filter-out $(BUILD)/cli/verb-%.o,$(call objs,$(CLI_SRC)))) \
	$(BUILD)/daemon/util/names.o
CHECKS += $(addprefix tests/integration/,cetctl.sh cetctl-terminal.sh cetctl-live.sh cetctl-explain.sh)
CHECK_NEEDS += $(BUILD)/fake-cetd lab-guests $(BUILD)/tests/inject
SANITIZED_CHECKS += $(addprefix tests/integration/,cetctl.sh cetctl-terminal.sh cetctl-live.sh cetctl-explain.sh)
SANITIZED_NEEDS += $(BUILD)/fake-cetd lab-guests $(BUILD)/tests/inject

$(BUILD)/tests/test-cli-%: $(BUILD)/tests/unit/test-cli-%.o $(CLI_LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,cmocka libsystemd json-c smartcols libelf)

$(BUILD)/fake-cetd: $(BUILD)/tests/integration/cetctl/fake-cetd.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libsystemd json-c)
