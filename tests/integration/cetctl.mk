# SPDX-License-Identifier: GPL-2.0-only
# cetctl's own tests: a daemon with canned answers, and the parts of cetctl that the unit tests link.

CLI_LIB := $(filter-out $(BUILD)/cli/main.o $(BUILD)/cli/verb-%.o $(BUILD)/cli/options.o,$(call objs,$(CLI_SRC)))

$(BUILD)/tests/unit/test-cli-%.o: ALL_CFLAGS += -Icli
$(BUILD)/tests/test-cli-%: $(BUILD)/tests/unit/test-cli-%.o $(CLI_LIB)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,cmocka libsystemd json-c smartcols)

$(BUILD)/fake-cetd: $(BUILD)/tests/integration/cetctl/fake-cetd.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libsystemd json-c)
