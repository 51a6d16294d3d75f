#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What cetd says, and with which exit code, where something is wrong.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
start_bus || exit 1

# refused NAME CODE PATTERN COMMAND...: ends with the code and a message that matches.
refused() {
	local name=$1 code=$2 pattern=$3 out r
	shift 3
	out=$(timeout 20 "$@" 2>&1)
	r=$?
	if [ $r != "$code" ]; then
		not_ok "$name: exit code $r instead of $code: $(head -c 300 <<<"$out" | tr '\n' ' ')"
	elif ! grep -qE -- "$pattern" <<<"$out"; then
		not_ok "$name: no '$pattern' in: $(head -c 300 <<<"$out" | tr '\n' ' ')"
	else
		ok "$name"
	fi
}

cetd=$BUILD/cetd
quiet=(--bus=none --metrics off)

refused "unknown option" 2 "did you mean --replay" "$cetd" --reply x
refused "unknown letter among others" 2 "unknown option '-x'" "$cetd" --dry-run -xz
refused "value for an option without one" 2 "unknown option '--version=2', did you mean --version" "$cetd" --version=2
refused "stray argument" 2 "unexpected argument 'x'" "$cetd" x
refused "option without value" 2 "needs a value" "$cetd" --config
refused "bad speed" 2 "valid is a number" "$cetd" --replay x --speed fast
refused "record and replay" 2 "exclude each other" "$cetd" --record a --replay b
refused "bad log level" 2 "valid are emerg" "$cetd" --log-level loud
refused "value that cannot be shown" 2 "an option's value is '/etc/\?\?.conf'" "$cetd" --config $'/etc/\xff\e.conf' --check-config
refused "help" 0 "Exit codes" "$cetd" --help

refused "missing config" 3 "$work/none.conf" "$cetd" --config "$work/none.conf" --check-config
ln -s "$work/none.conf" "$work/link.conf"
refused "config that is a link to nowhere" 3 "link.conf: is a link to what is not there" "$cetd" --config "$work/link.conf" --check-config
printf '{\n  // comment\n  "max_vm": 7\n}\n' >"$work/key.conf"
refused "unknown key" 3 "key.conf:3: unknown key max_vm, did you mean max_vms" \
	"$cetd" --config "$work/key.conf" "${quiet[@]}"
printf '{\n  "max_vms": 0\n}\n' >"$work/range.conf"
refused "value out of range" 3 "range.conf:2: max_vms is 0, valid is .* 1 to 65536" \
	"$cetd" --config "$work/range.conf" "${quiet[@]}"
printf '{ "metrics": { "listen": "nowhere" } }' >"$work/listen.conf"
refused "bad address" 3 'listen.conf:1: metrics.listen is "nowhere", valid is' \
	"$cetd" --config "$work/listen.conf" --check-config
printf '{\n"policy_dir": "/a/\xef\xbf\xbe" }' >"$work/text.conf"
refused "text that the bus would not take" 3 'text.conf:2: policy_dir is "/a/\?\?\?", valid is .* without control characters' \
	"$cetd" --config "$work/text.conf" --check-config
printf '{ "max_vms": 5' >"$work/cut.conf"
refused "config cut off" 3 "cut.conf:1: .*ends in the middle" "$cetd" --config "$work/cut.conf" --check-config
refused "installed config is good" 0 "" "$cetd" --config systemd/cetd.conf --check-config

refused "no bus" 5 "is dbus running" env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent "$cetd" --metrics off
refused "missing recording" 7 "No such file" "$cetd" "${quiet[@]}" --replay "$work/none"
echo garbage >"$work/garbage"
refused "not a recording" 7 "is not a recording" "$cetd" "${quiet[@]}" --replay "$work/garbage"
touch "$work/there"
refused "recording exists" 7 "remove it or name another" "$cetd" "${quiet[@]}" --record "$work/there"

if have_bpf; then
	refused "no privilege" 6 "CAP_BPF" setpriv --reuid=65534 --regid=65534 --clear-groups \
		--inh-caps=-all --bounding-set=-all "$cetd" "${quiet[@]}"
	refused "no CAP_BPF" 6 "CAP_BPF" setpriv --bounding-set=-bpf,-sys_admin --inh-caps=-all \
		"$cetd" "${quiet[@]}"
	mkdir -p "$work/empty"
	refused "no BTF" 6 "BTF" unshare -m sh -c \
		"mount --bind '$work/empty' /sys/kernel/btf && exec '$cetd' ${quiet[*]}"
	start_daemon || not_ok "daemon starts"
	refused "second daemon" 4 "Another process owns the bus name" "$cetd" --metrics off
	kill -0 "$daemon_pid" && ok "the first daemon goes on" || not_ok "the first daemon goes on"
	stop_daemon
	equal "SIGTERM ends with 0" 0 $?
else
	skip "privilege, BTF, second daemon: need root and BTF"
fi
exit $failed
