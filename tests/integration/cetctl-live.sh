#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# cetctl with cetd itself: events of a real guest, real fault records of #CP that a VMM injects, what
# nobody may see, and the end of a VM and of the daemon.
# shellcheck source=cetctl-lib.sh
. "$(dirname "$0")/cetctl-lib.sh"

have_bpf || {
	skip "cetctl with cetd: needs root and BTF"
	exit 0
}
have_kvm || {
	skip "cetctl with cetd: needs /dev/kvm"
	exit 0
}
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
is_listed() { "$cetctl" list --no-legend --columns=name | grep -qx "$1 *"; }

start_bus || exit 1
start_daemon || {
	not_ok "cetd starts"
	exit 1
}
shows_cp=$("$cetctl" probe --json | jq -r '.coverage.hardware_cp.state != "unobservable"')

# Accesses to CET MSRs, each refused where KVM has no CET for guests.
"$cetctl" monitor --json=short -n 100000 >"$work/events" 2>"$work/monitor.err" &
monitor=$!
children+=($monitor)
wait_for 10 has_pipe $monitor
start_vm msrs --count 200 --linger 60 "$BUILD/guest/msr-loop.bin"
check "a guest is listed" wait_for 10 is_listed msrs
check "monitor shows its MSR accesses" wait_for 20 \
	grep -q '"vm":"msrs","type":"msr".*"msr":"s_cet","op":"write"' "$work/events"
msrs_pid=$vm_pid
# So many at once that cetd finds some of them after their first events only, and one that ends with its last.
start_vm ends --count 200000 "$BUILD/guest/msr-loop.bin"
ends_pid=$vm_pid
for i in {1..12}; do
	start_vm "crowd$i" --count 20 --linger 60 "$BUILD/guest/msr-loop.bin"
	sleep 0.02
done
shows_all() { [ "$(jq -r '.vm // empty' "$work/events" | sort -u | grep -cE '^(crowd[0-9]+|ends)$')" = 13 ]; }
check "it shows those of VMs that start one upon the other" wait_for 20 shows_all
wait "$ends_pid"
check "a VM that ended is listed no more" wait_for 10 eval '! is_listed ends'
equal "no event is nobody's" "" "$(jq -c 'select(.type and .vm == null)' "$work/events" 2>&1 | head -n 3)"
kill $monitor
equal "monitor: every line is an object" "$(wc -l <"$work/events")" "$(jq -c . "$work/events" 2>&1 | grep -c '^{')"
expect "show" 0 "qemu, pid $msrs_pid*s_cet" "" show msrs
equal "show by pid" msrs "$("$cetctl" show --json "pid-$msrs_pid" | jq -r .name)"
equal "list is sorted by the kernel's count" "$("$cetctl" list --json | jq -r 'max_by([.cet_msr[]?[].fault] | add).name')" \
	"$("$cetctl" list --no-legend --columns=name --sort=msr:desc | head -1 | xargs)"
expect "a near name" 3 "" "did you mean 'msrs'" show mrss

# Real fault records: #CP that KVM is asked to inject, more than the 64 that are kept.
"$BUILD/tests/inject" 70 >"$work/inject.log" &
injector=$!
children+=($injector)
injected() { "$cetctl" show --json "pid-$injector" | jq .injected_control_protection; }
wait_for 20 eval '[ "$(injected)" = 70 ]' || true
equal "injected #CP are counted" 70 "$(injected 2>&1)"
faults() { "$cetctl" faults --json "pid-$injector" 2>/dev/null; }
equal "faults: the last 64" 64 "$(faults | jq length)"
equal "faults --json is the dump's" \
	"$("$cetctl" dump | jq -S ".vms[] | select(.pid == $injector).faults | map(del(.tid, .host))")" "$(faults | jq -S .)"
equal "faults: newest first" "$(faults | jq -c '[.[].time_usec] | sort | reverse')" "$(faults | jq -c '[.[].time_usec]')"
expect "faults as a table" 0 "injected *endbranch *- *- *- *- *deliver" "*" faults --no-legend -n2 "pid-$injector"

if [ "$shows_cp" = true ]; then
	skip "exit code 6 for a kernel that shows no hardware #CP: this one does"
else
	expect "no hardware #CP here: exit code 6" 6 "" "does not show hardware #CP" faults msrs
fi

nobody() {
	chmod 755 "$work" "$BUILD" 2>/dev/null
	expect "nobody: list" 0 msrs "" list
	for verb in "faults msrs" "monitor"; do
		# shellcheck disable=SC2086
		as_nobody "$cetctl" $verb >"$work/out" 2>"$work/err"
		equal "nobody: $verb, exit code" 5 $?
		like "$(<"$work/err")" "sudo" && ok "nobody: $verb, hint" || not_ok "nobody: $verb: $(<"$work/err")"
	done
	as_nobody "$cetctl" show "pid-$injector" >"$work/out" 2>&1
	equal "nobody: show" 0 $?
	equal "nobody: no address in a dump" 0 "$(as_nobody "$cetctl" dump | grep -c '"rip"')"
}
if as_nobody "$cetctl" version >/dev/null 2>&1; then
	nobody
else
	skip "as nobody: the build is in a directory that others cannot read"
fi

# The end of a VM ends its monitor; the end of the daemon ends all.
"$cetctl" monitor "pid-$injector" >"$work/out" 2>"$work/err" &
monitor=$!
wait_for 10 has_pipe $monitor
kill $injector
wait_for 20 eval "! kill -0 $monitor" || kill $monitor
wait $monitor
equal "monitor ends with the VM" "0 1" "$? $(grep -c 'the VM has ended' "$work/err")"
"$cetctl" monitor >"$work/out" 2>"$work/err" &
monitor=$!
wait_for 10 has_pipe $monitor
stop_daemon
wait_for 20 eval "! kill -0 $monitor" || kill $monitor
wait $monitor
equal "monitor ends with the daemon" 4 $?
expect "no daemon" 4 "" "systemctl start cetd" list
exit $failed
