# SPDX-License-Identifier: GPL-2.0-only
# The exporter behind made-up VMs, for metrics.sh, http.sh, prometheus.sh and the scrape benchmark;
# exporter.sh has the real cetd.
$(BUILD)/tests/serve-metrics: $(BUILD)/tests/integration/serve-metrics.o $(BUILD)/libcetd.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(DAEMON_LIBS)) -lm

CHECKS += $(addprefix tests/integration/,metrics.sh http.sh prometheus.sh exporter.sh page.sh)
CHECK_NEEDS += $(BUILD)/tests/serve-metrics
SANITIZED_CHECKS += $(addprefix tests/integration/,metrics.sh http.sh)
SANITIZED_NEEDS += $(BUILD)/tests/serve-metrics

.PHONY: check-metrics
## check-metrics: the exporter: formats, HTTP abuse, a real Prometheus, the real cetd, a browser
check-metrics: all lab-guests $(BUILD)/tests/serve-metrics
	$(Q)BUILD=$(BUILD) tests/run.sh $(addprefix tests/integration/,metrics.sh http.sh prometheus.sh exporter.sh page.sh)
