# SPDX-License-Identifier: GPL-2.0-only
# What the daemon costs while no guest touches CET.
.PHONY: bench-idle
## bench-idle: CPU time of cetd while no guest touches CET, beside bpftrace's
bench-idle: $(BUILD)/cetd $(BUILD)/cetctl lab-guests
	$(Q)BUILD=$(BUILD) tests/bench/idle.sh
