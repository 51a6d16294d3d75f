# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Lines for tests/run.sh, and a scratch directory that goes with the script: every process started by
# `start` is ended, by its own id, when the script ends.

scratch=$(mktemp -d "${TMPDIR:-/tmp}/cetd-test.XXXXXX")
started=()
failed=0

_cleanup() {
	local pid
	for pid in "${started[@]}"; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	rm -rf "$scratch"
}
trap _cleanup EXIT

ok() {
	echo "ok $1"
}

not_ok() {
	echo "not ok $1: $2"
	failed=1
}

skip() {
	echo "skip $1: $2"
}

# check NAME COMMAND...: ok where the command succeeds; its output is the reason where it does not.
check() {
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then
		ok "$name"
	else
		not_ok "$name" "$(tail -3 <<<"${output:-$* failed}" | tr '\n' ' ')"
	fi
}

# equal NAME GOT EXPECTED, and match NAME GOT REGEX
equal() {
	[ "$2" = "$3" ] && ok "$1" || not_ok "$1" "got '${2:0:200}', expected '${3:0:200}'"
}

match() {
	[[ $2 =~ $3 ]] && ok "$1" || not_ok "$1" "got '${2:0:200}', expected /$3/"
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# start LOG COMMAND...: in the background; its id is in $pid.
start() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	started+=("$pid")
}

# stop PID: end one that `start` started; its exit code is that of stop.
stop() {
	kill "$1" 2>/dev/null
	wait "$1"
}
