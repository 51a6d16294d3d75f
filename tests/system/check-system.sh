#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The tests that are named, of releases of Debian and others of this directory, side by side. Ends with one summary line.
set -u
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build} CETD_TEST_TIMEOUT=1500
mkdir -p "$BUILD/test-logs"
passed=0 failed=0 skipped=0

for part; do
	tests/run.sh "tests/system/$part" >"$BUILD/test-logs/system-${part%.sh}.txt" 2>&1 &
done
wait
for part; do
	log=$BUILD/test-logs/system-${part%.sh}.txt
	sed '$d' "$log"
	read -r p _ f _ s _ < <(tail -n 1 "$log")
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
