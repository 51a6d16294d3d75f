# SPDX-License-Identifier: GPL-2.0-only
# The exporter behind made-up VMs, for metrics.sh, http.sh, prometheus.sh and the scrape benchmark.
$(BUILD)/tests/serve-metrics: $(BUILD)/tests/integration/serve-metrics.o $(BUILD)/libcetd.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libsystemd json-c libmicrohttpd libbpf libelf zlib) -lm

CHECKS += $(addprefix tests/integration/,metrics.sh http.sh prometheus.sh)
CHECK_NEEDS += $(BUILD)/tests/serve-metrics

.PHONY: check-metrics
## check-metrics: the exporter alone: formats, HTTP abuse, a real Prometheus
check-metrics: $(BUILD)/tests/serve-metrics
	$(Q)BUILD=$(BUILD) tests/run.sh tests/integration/metrics.sh tests/integration/http.sh tests/integration/prometheus.sh
