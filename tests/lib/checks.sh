# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Lines for tests/run.sh, and a directory and processes that go with the script. Sourced from the top of the tree.
# A script calls ok, not_ok or skip, or check, equal or match, which do, a check each, and ends with `exit $failed`.
BUILD=${BUILD:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/cetd-test.XXXXXX")
children=()
failed=0

ok() { echo "ok $*"; }
not_ok() { echo "not ok $*"; failed=1; }
skip() { echo "skip $*"; }

# check NAME COMMAND...: ok where the command succeeds; what it prints explains where not.
check() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then ok "$name"; else not_ok "$name: $(head -c 400 <<<"$out" | tr '\n' ' ')"; fi
}

# equal NAME EXPECTED FOUND, and match NAME REGEX FOUND
equal() {
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1: expected '$2', found '${3:0:400}'"; fi
}

match() {
	if [[ $3 =~ $2 ]]; then ok "$1"; else not_ok "$1: expected /$2/, found '${3:0:400}'"; fi
}

# wait_for SECONDS COMMAND...: until it succeeds; tried each wait_step seconds. It is given up after three times as long:
# a machine that stands still for a while is no fault of what is tested.
wait_step=0.05
wait_for() {
	local end=$((SECONDS + 3 * $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep "$wait_step"
	done
}

# start LOG COMMAND...: in the background; pid is its process.
start() {
	local log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	children+=("$pid")
}

# stop PID [SIGNAL]: end what `start` started; returns its exit code.
stop() {
	local i
	for i in "${!children[@]}"; do
		[ "${children[i]}" != "$1" ] || unset "children[i]"
	done
	kill "-${2:-TERM}" "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

checks_cleanup() {
	local child
	for child in "${children[@]}"; do kill "$child" 2>/dev/null; done
	wait 2>/dev/null
	rm -rf "$work"
}
trap checks_cleanup EXIT
trap 'exit 130' INT TERM
