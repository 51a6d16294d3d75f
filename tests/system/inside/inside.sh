# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Run as a service of the booted root: the packages and units as an operator meets them, part after part.
set -u
cd /cetd-test || exit 1
failed=0
for part in ./[0-9]*.sh; do
	timeout -k 5 120 bash "$part" || failed=1
	[ $? != 124 ] || echo "not ok $part ends within 120 s"
done
echo "# the end"
exit $failed
