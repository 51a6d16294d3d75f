# SPDX-License-Identifier: GPL-2.0-only
# Dashboards, rules and runbook, alone and with several cetd behind a real Prometheus.
MONITORING := tests/monitoring/monitoring.sh
CHECKS += $(MONITORING)

.PHONY: check-monitoring
## check-monitoring: dashboards, alert rules and runbook
check-monitoring: all
	$(Q)BUILD=$(BUILD) tests/run.sh $(MONITORING)
