# SPDX-License-Identifier: GPL-2.0-only
# Latency of a scrape.
$(BUILD)/tests/scrape: $(BUILD)/tests/bench/scrape.o
$(BUILD)/tests/make-recording: $(BUILD)/tests/bench/make-recording.o $(BUILD)/libcetd.a
$(BUILD)/tests/scrape $(BUILD)/tests/make-recording:
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(DAEMON_LIBS)) -lm

.PHONY: bench-scrape
## bench-scrape: latency, CPU time and memory of a scrape of 10, 1000 and 4096 VMs
bench-scrape: $(BUILD)/cetd $(BUILD)/tests/scrape $(BUILD)/tests/make-recording
	$(Q)BUILD=$(BUILD) tests/bench/scrape.sh
