# SPDX-License-Identifier: GPL-2.0-only
# Tests of the whole daemon; run by `make check`.
CHECKS += $(addprefix tests/integration/,bad-input.sh daemon.sh replay.sh)
CHECK_NEEDS += lab-guests
