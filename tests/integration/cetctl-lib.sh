# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For the tests of cetctl alone: a private bus, the fake daemon on it, and checks that print a line each.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/cetctl" && pwd)
build=$(cd "${BUILD:-build}" && pwd)
cetctl=$build/cetctl
tmp=$(mktemp -d)
bus_pid="" fake_pid=""
failures=0
export TZ=UTC LC_ALL=C.UTF-8 TERM=xterm-256color
unset NO_COLOR COLUMNS

ok() { echo "ok $1"; }
not_ok() {
	echo "not ok $1: $2"
	failures=$((failures + 1))
}

stop_fake() {
	[ -z "$fake_pid" ] || { kill "$fake_pid" && wait "$fake_pid"; } 2>/dev/null
	fake_pid=""
}

stop_all() {
	stop_fake
	[ -z "$bus_pid" ] || kill "$bus_pid" 2>/dev/null
	rm -rf "$tmp"
}

# A bus that anyone may own names on, as only a test's may be.
start_bus() {
	cat >"$tmp/bus.conf" <<-END
		<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
		 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
		<busconfig>
		  <type>system</type>
		  <listen>unix:path=$tmp/bus</listen>
		  <policy context="default">
		    <allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow user="*"/>
		  </policy>
		</busconfig>
	END
	dbus-daemon --config-file="$tmp/bus.conf" --nofork --nopidfile 2>"$tmp/bus.log" &
	bus_pid=$!
	for _ in $(seq 100); do
		[ -S "$tmp/bus" ] && break
		sleep 0.05
	done
	export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$tmp/bus
}

# start_fake ARGUMENT...: returns when it answers.
start_fake() {
	stop_fake
	rm -f "$tmp/ready"
	mkfifo "$tmp/ready"
	"$build/fake-cetd" "$@" >"$tmp/ready" 2>"$tmp/fake.log" &
	fake_pid=$!
	read -r _ <"$tmp/ready" || { cat "$tmp/fake.log"; }
}

# run ARGUMENT...: cetctl's output, errors and exit code into $out, $err and $code.
run() {
	"$cetctl" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	code=$?
	out=$(<"$tmp/out") err=$(<"$tmp/err")
}

# expect NAME CODE OUT-PATTERN ERR-PATTERN ARGUMENT...: patterns are bash globs around which anything may
# stand; "" means that nothing is written there, * that anything may be.
expect() {
	local name=$1 want=$2 out_pattern=$3 err_pattern=$4
	shift 4
	run "$@"
	if [ "$code" != "$want" ]; then
		not_ok "$name" "exit code $code instead of $want; $err"
	elif ! like "$out" "$out_pattern"; then
		not_ok "$name" "stdout is not like '$out_pattern': ${out:0:600}"
	elif ! like "$err" "$err_pattern"; then
		not_ok "$name" "stderr is not like '$err_pattern': ${err:0:600}"
	else
		ok "$name"
	fi
}

like() {
	if [ -z "$2" ]; then [ -z "$1" ]; else
		# shellcheck disable=SC2053
		[[ $1 == *$2* ]]
	fi
}

# same NAME A B
same() {
	[ "$2" = "$3" ] && ok "$1" || not_ok "$1" "'${2:0:400}' is not '${3:0:400}'"
}

# No byte that a terminal acts on, whatever the data held: C0 but tab and newline, DEL, C1, bidi.
safe() {
	if LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]' "$2"; then
		not_ok "$1" "$(cat -v "$2" | head -c 600)"
	else
		ok "$1"
	fi
}
