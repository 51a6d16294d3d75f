# SPDX-License-Identifier: GPL-2.0-only
CHECKS += tests/static/manuals.sh tests/static/install.sh tests/static/units.sh
