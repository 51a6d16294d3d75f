# SPDX-License-Identifier: GPL-2.0-only
# Dashboards, rules and runbook, alone and with several cetd behind a real Prometheus.
MONITORING := $(addprefix tests/monitoring/,monitoring.sh fleet.sh)
CHECKS += $(MONITORING)

.PHONY: check-monitoring
## check-monitoring: dashboards, alert rules, runbook, a fleet behind Prometheus
check-monitoring: all
	$(Q)BUILD=$(BUILD) tests/run.sh $(MONITORING)
