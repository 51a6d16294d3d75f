# SPDX-License-Identifier: GPL-2.0-only
# Latency of a scrape.
$(BUILD)/tests/scrape: $(BUILD)/tests/bench/scrape.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^

.PHONY: bench-scrape
## bench-scrape: latency, CPU time and memory of a scrape of 10, 1000 and 4096 VMs
bench-scrape: $(BUILD)/tests/scrape $(BUILD)/tests/serve-metrics
	$(Q)BUILD=$(BUILD) tests/bench/scrape.sh
