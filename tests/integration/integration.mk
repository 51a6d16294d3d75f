# SPDX-License-Identifier: GPL-2.0-only
# Tests of the whole daemon, plain and sanitized; run by `make check`.
INTEGRATION := $(addprefix tests/integration/,bad-input.sh daemon.sh policy.sh replay.sh)
CHECKS += $(INTEGRATION)
CHECK_NEEDS += lab-guests
SANITIZED_CHECKS += $(INTEGRATION)
SANITIZED_NEEDS += lab-guests
