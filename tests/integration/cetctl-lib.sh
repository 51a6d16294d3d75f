# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For the tests of cetctl alone, on top of tests/lib/live.sh: the fake daemon, and what is expected of a call.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
canned=$PWD/tests/integration/cetctl
cetctl=$(cd "$BUILD" && pwd)/cetctl
fake_pid=""
export TZ=UTC LC_ALL=C.UTF-8 TERM=xterm-256color
unset NO_COLOR COLUMNS
# A sanitizer's finding must not look like an exit code of cetctl's.
export ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=exitcode=99:print_stacktrace=1

stop_fake() {
	[ -n "$fake_pid" ] || return 0
	kill "$fake_pid"
	wait "$fake_pid" 2>/dev/null
	fake_pid=""
}

# start_fake ARGUMENT...: returns when it answers.
start_fake() {
	stop_fake
	[ -p "$work/ready" ] || mkfifo "$work/ready"
	"$BUILD/fake-cetd" "$@" >"$work/ready" 2>"$work/fake.log" &
	fake_pid=$!
	children+=("$fake_pid")
	read -r _ <"$work/ready" || not_ok "fake daemon: $(<"$work/fake.log")"
}

# run ARGUMENT...: cetctl's output, errors and exit code into $out, $err and $code.
run() {
	timeout 60 "$cetctl" "$@" >"$work/out" 2>"$work/err" </dev/null
	code=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

# like TEXT PATTERN: a bash glob around which anything may stand; "" means that there is nothing.
like() {
	if [ -z "$2" ]; then
		[ -z "$1" ]
	else
		# shellcheck disable=SC2053
		[[ $1 == *$2* ]]
	fi
}

# expect NAME CODE OUT-PATTERN ERR-PATTERN ARGUMENT...
expect() {
	local name=$1 want=$2 out_pattern=$3 err_pattern=$4
	shift 4
	run "$@"
	if [ "$code" != "$want" ]; then
		not_ok "$name: exit code $code instead of $want; ${err:0:300}"
	elif ! like "$out" "$out_pattern"; then
		not_ok "$name: stdout is not like '$out_pattern': ${out:0:600}"
	elif ! like "$err" "$err_pattern"; then
		not_ok "$name: stderr is not like '$err_pattern': ${err:0:600}"
	else
		ok "$name"
	fi
}

# safe NAME FILE: no byte that a terminal acts on: C0 but tab and newline, DEL, C1, bidirectional controls.
safe() {
	if LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]' "$2"; then
		not_ok "$1: $(cat -v "$2" | head -c 600)"
	else
		ok "$1"
	fi
}
