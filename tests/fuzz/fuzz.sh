#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Run fuzz targets for FUZZ_SECONDS each, FUZZ_JOBS at a time, from their corpora: fuzz.sh TARGET... What libFuzzer finds
# to be new is kept in $BUILD/fuzz/found/TARGET, inputs that break something in $BUILD/fuzz/broken.
set -u
cd "$(dirname "$0")/../.."
. tests/lib/checks.sh
seconds=${FUZZ_SECONDS:-60}
broken=$BUILD/fuzz/broken
mkdir -p "$broken"

# fuzz_one TARGET: its lines go to $work/TARGET, whole.
fuzz_one() {
	local target=$1 log=$BUILD/fuzz/$1.log runs
	mkdir -p "$BUILD/fuzz/found/$target"
	# Leaks of the first input on are the target's own state; libFuzzer looks for those of one input by itself.
	if "$BUILD/fuzz/fuzz-$target" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$broken/$target-" -dict="tests/fuzz/$target.dict" \
		"$BUILD/fuzz/found/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1 </dev/null; then
		runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
		[ "${runs:-0}" -gt 100 ] && echo "ok $target: $runs inputs in $seconds s" ||
			echo "not ok $target: only ${runs:-0} inputs in $seconds s"
	else
		echo "not ok $target: $(grep -E 'not so:|ERROR:|runtime error:|SUMMARY:|Test unit written|Base64:' "$log" | tr '\n' ' ')"
	fi >"$work/$target"
	cat "$work/$target"
}

for target; do
	[ -e "tests/fuzz/$target.dict" ] || { echo "not ok $target has no dictionary" && continue; }
	fuzz_one "$target" &
	while [ "$(jobs -rp | wc -l)" -ge "${FUZZ_JOBS:-2}" ]; do wait -n; done
done
wait
passed=$(cat "$work"/* | grep -c '^ok ')
echo "$passed passed, $(($# - passed)) failed, 0 skipped"
[ "$passed" = $# ]
