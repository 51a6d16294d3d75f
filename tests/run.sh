#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Run test programs and count their checks: run.sh PROGRAM... Each prints a line a check, `ok NAME`,
# `not ok NAME: why` or `skip NAME: reason` (cmocka's TAP is the same), and may print anything else.
# `sanitized:PROGRAM` runs it with BUILD set to the sanitized build, $BUILD/asan.
# A program that fails without a `not ok`, prints no check at all or runs into the time limit counts as failed.
set -u
logs=${BUILD:-build}/test-logs
limit=${CETD_TEST_TIMEOUT:-600}
mkdir -p "$logs"
passed=0 failed=0 skipped=0
failures=()

echo "on: Linux $(uname -r), $(. /etc/os-release && echo "$PRETTY_NAME"), $(id -un)," \
	"/dev/kvm $([ -w /dev/kvm ] && echo usable || echo absent)," \
	"BTF $([ -e /sys/kernel/btf/vmlinux ] && echo present || echo absent)"

export BUILD=${BUILD:-build}
plain=$BUILD
for program; do
	name=${program#"$plain"/}
	BUILD=$plain
	case $program in
	sanitized:*)
		BUILD=$plain/asan
		program=${program#sanitized:}
		;;
	esac
	log=$logs/$(tr /: -- <<<"$name").log
	start=$SECONDS
	CMOCKA_MESSAGE_OUTPUT=tap timeout -k 10 "$limit" "$program" >"$log" 2>&1 </dev/null
	status=$?
	ok=$(grep -cE '^ok ' "$log")
	# cmocka 1.1.5 says `not ok N # SKIP`.
	skip=$(grep -cE '^skip |^(not )?ok .*# SKIP' "$log")
	bad=$(grep -E '^not ok ' "$log" | grep -cv '# SKIP')
	ok=$((ok - $(grep -cE '^ok .*# SKIP' "$log")))
	why=""
	if [ $status = 124 ] || [ $status = 137 ]; then
		bad=$((bad + 1)) why="no end within ${limit}s"
	elif [ $status != 0 ] && [ "$bad" = 0 ]; then
		bad=1 why="exit code $status"
	elif [ $((ok + bad + skip)) = 0 ]; then
		bad=1 why="it checked nothing"
	fi
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
	printf '%-50s %3d passed, %d failed, %d skipped  (%ds)%s\n' "$name" "$ok" "$bad" "$skip" \
		$((SECONDS - start)) "${why:+  $why}"
	grep -E '^skip |^(not )?ok .*# SKIP' "$log" | sed 's/^/    /'
	if [ "$bad" -gt 0 ]; then
		failures+=("$name")
		grep -E '^# |ERROR|runtime error' "$log" | head -30 | sed 's/^/    /'
		grep -E '^not ok ' "$log" | grep -v '# SKIP' | head -30 | sed 's/^/    /'
		[ -z "$why" ] || tail -15 "$log" | sed 's/^/    /'
		echo "    log: $log"
	fi
done

[ ${#failures[@]} = 0 ] || echo "failed: ${failures[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
