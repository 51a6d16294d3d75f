#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The demo: cetd on this host's kernel with a guest that reaches for CET, then on a recorded #CP storm.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() {
	printf '\033[2m$ %s\033[0m\n' "$*"
	"$@"
}
[ -t 1 ] || {
	say() { printf '\n== %s\n' "$*"; }
	run() {
		printf '$ %s\n' "$*"
		"$@"
	}
}
skipped=()

live() {
	have_bpf || {
		skipped+=("the live part: it needs root and BTF (/sys/kernel/btf/vmlinux)")
		return
	}
	say "cetd on this kernel, $(uname -r)"
	start_daemon || {
		skipped+=("the live part: cetd does not run here (its message is above)")
		return
	}
	cat "$work/cetd.log"
	if have_kvm; then
		say "a guest reaches for CET: CR4.CET, its MSRs, IA32_XSS"
		start_vm demo-guest --count 20000 --linger 30 "$BUILD/guest/msr-loop.bin"
		wait_for 10 grep -q 'ok\|faults\|#GP' "$work/vm-demo-guest.log"
		wait_for 10 eval "'$BUILD/cetctl' list --json | grep -q demo-guest"
		sleep 1.2
	else
		skipped+=("the guest: /dev/kvm is not there or not writable (load kvm-intel or kvm-amd)")
	fi
	run cetctl status
	run cetctl list
	have_kvm && run cetctl show demo-guest
	run cetctl probe
	say "the same for Prometheus"
	printf '$ curl http://127.0.0.1:9752/metrics | grep cetd_vm_\n'
	scrape | grep '^cetd_vm_' | head -20
	stop_daemon
}

replayed() {
	local recording=tests/demo/storm.cetdrec
	[ -e "$recording" ] || {
		skipped+=("the recording: $recording is not there")
		return
	}
	say "what a kernel with cetd's tracepoints gives: a recorded #CP storm"
	start_daemon --replay "$recording" --speed 0 || return
	head -3 "$work/cetd.log"
	sleep 1.2
	run cetctl status
	run cetctl list
	vm=$(cetctl list --json | jq -r 'max_by(.control_protection_total // 0) | .name' 2>/dev/null)
	[ -z "$vm" ] || run cetctl faults -n 10 "$vm"
	stop_daemon
}

start_bus || exit 1
live
replayed
say "done"
if [ ${#skipped[@]} -gt 0 ]; then
	echo "Skipped:"
	printf '  - %s\n' "${skipped[@]}"
fi
exit 0
