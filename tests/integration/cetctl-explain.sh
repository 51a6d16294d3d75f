#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# cetctl explain: with canned answers, every exit code and hostile data; and with cetd itself on #CP that KVM
# really injects. The texts are golden files of the unit test.
# shellcheck source=cetctl-lib.sh
. "$(dirname "$0")/cetctl-lib.sh"
snapshot=$canned/snapshot.json

canned() {
	expect "what, where, when, why, what next" 0 \
		"in a program of the guest (endbranch)*0x401000, 1 of 2*vCPU 0, CPL 3*without ENDBR64*cetctl faults web-1*Put names" \
		"" explain web-1
	equal "--json has the findings of the text, in its order" \
		"$("$cetctl" explain web-1 | sed -n 's/^[0-9]*\. //p')" \
		"$("$cetctl" explain web-1 --json | jq -r '.findings[] | .title
			+ ({supervisor: ", in the guest'"'"'s kernel", user: ", in a program of the guest", unknown: ""}[.privilege])
			+ (if .type == "injected" then "" else " (\(.kind))" end)')"
	equal "--json: numbers above 2^53 are exact" 9007199254740993 \
		"$("$cetctl" explain web-1 --json=short | grep -o '"count":9[0-9]*' | head -1 | cut -d: -f2)"
	expect "a VM without faults" 0 "no control-protection fault (#CP) so far" "" explain db-2
	expect "no such VM: exit code 3" 3 "" "did you mean 'web-1'" explain wbe-1
	expect "no VM given" 2 "" "usage: cetctl explain VM" explain
	expect "help tells of --kaslr" 0 "SYMBOL=ADDRESS*--symbols --kaslr" "" help explain
	expect "--symbols is for explain only" 2 "" "does not take --symbols" show web-1 --symbols x
	run explain evil
	safe "hostile name" "$work/out"
	run explain x-subst
	match "a name that a shell would run is not in a command" 'cetctl monitor x-subst' "$out"
	start_fake --deny "$snapshot"
	expect "as nobody: counts, and how to see more" 0 "when and where is for root*sudo cetctl explain web-1" "" explain web-1
	equal "as nobody: no address" 0 "$("$cetctl" explain web-1 --json | grep -c 0x)"
	jq '.replayed = true | .recording = "storm\u001b.cetd"' "$snapshot" >"$work/replayed.json"
	start_fake "$work/replayed.json"
	expect "replayed: says so" 0 'REPLAYED*storm\\x1b' "" explain web-1
	jq '.vms[0].decisions = {would: {deliver: 1, delay: 8, suppress: 0}, did: {deliver: 9, delay: 0, suppress: 0}}
		| .vms[0].policy = {mode: {value: "monitor", source: "rule", rule: "r\u001b1", reason: "By name, r\u001b1."}, ibt: 5}
		| .host.coverage.enforcement.state = "observed"' "$snapshot" >"$work/policy.json"
	start_fake "$work/policy.json"
	expect "what the policy did, and would have done" 0 \
		'All 9 faults were given*8 would have been delayed*mode: monitor. By name, r\\x1b1.' "" explain web-1
	expect "the storms are told" 0 \
		"Storms: 3 so far*1.500 s in*One goes on since*12 faults*rate 0, so*throttle." "" explain web-1
}

# Blind is not the same as quiet: exit code 6, and what is known is told.
blind() {
	jq '.host.family = "stock" | .host.guest_cet = "off"
		| .host.coverage.hardware_cp = {state: "unobservable", reason: "#CP is not intercepted"}
		| .host.causes = [{code: "kernel_too_old", text: "Linux 6.12 has no CET for guests.", advice: "Run 6.18."}]
		| .vms[] |= (.control_protection = null | .control_protection_total = null)' "$snapshot" >"$work/stock.json"
	start_fake "$work/stock.json"
	expect "blind: exit code 6, with what is known" 6 \
		"Whether the guest takes*8 of its accesses to CET MSRs were refused*Run 6.18.*cetctl probe" "not intercepted" explain db-10
	equal "blind: never 'no faults'" 0 "$("$cetctl" explain db-10 2>/dev/null | grep -c "has taken no")"
	expect "blind: exit code 6 with --json" 6 '"findings":[]' "not intercepted" explain db-10 --json
	expect "blind but for injected ones: explained" 0 "Whether the guest takes*#CP that the host put into the guest" "" explain web-1
}

symbols() {
	start_fake "$snapshot"
	printf '%s\n' "ffffffff81000000 T _text" "ffffffff80fffff0 T before" "ffffffff81000000 T entry" \
		"ffffffff82000000 T _etext" >"$work/System.map"
	expect "System.map: with nested guests no offset is certain" 0 "none used*The VM has nested guests" "" \
		explain web-1 --symbols "$work/System.map"
	jq '.vms[].faults[].nested = false' "$snapshot" >"$work/plain.json"
	start_fake "$work/plain.json"
	expect "System.map: the only offset there is" 0 "0xffffffff81000000 (entry)*no other offset" "" \
		explain web-1 --symbols "$work/System.map"
	expect "System.map: an offset given" 0 "the offset is the one given" "" \
		explain web-1 --symbols "$work/System.map" --kaslr 0
	expect "an offset that is none" 2 "" "multiples of 0x200000" explain web-1 --symbols "$work/System.map" --kaslr 7
	expect "--kaslr without --symbols" 2 "" "needs --symbols" explain web-1 --kaslr 0
	expect "no such file" 1 "" "/none: cannot open it" explain web-1 --symbols "$work/none"
	echo "not a map" >"$work/bad"
	expect "no symbol file: line and what was expected" 1 "" "bad: line 1: expected 'ADDRESS TYPE NAME'" \
		explain web-1 --symbols "$work/bad"
	expect "an endless file ends" 1 "" "/dev/zero: expected at most*bytes" explain web-1 --symbols /dev/zero
	expect "a pipe will do" 0 "(entry)" "" explain web-1 --symbols <(cat "$work/System.map")
	# A program at the place that the snapshot's fault is at: real ELF, real symbols.
	printf 'void hit(void) {}\nvoid _start(void) { hit(); }\n' >"$work/p.c"
	gcc -O0 -static -nostdlib -no-pie -Wl,-Ttext=0x401000 -o "$work/program" "$work/p.c" 2>"$work/gcc.log" ||
		not_ok "gcc: $(<"$work/gcc.log")"
	expect "ELF: a program's function" 0 "0x401000 (hit)*addresses are taken" "" \
		explain web-1 --symbols "$work/program"
	strip "$work/program"
	expect "ELF: stripped" 1 "" "program: expected symbols of code*stripped" explain web-1 --symbols "$work/program"
	printf '%s\n' $'ffffffff81000000 T e\033[31mvil' >"$work/hostile"
	run explain web-1 --symbols "$work/hostile"
	match "hostile symbol is shown" 'e\\x1b\[31mvil' "$out"
	safe "hostile symbol" "$work/out"
}

live() {
	have_bpf || {
		skip "explain with cetd: needs root and BTF"
		return
	}
	have_kvm || {
		skip "explain with cetd: needs /dev/kvm"
		return
	}
	stop_fake
	start_daemon || {
		not_ok "cetd starts"
		return
	}
	"$BUILD/tests/inject" 70 >"$work/inject.log" &
	local injector=$!
	children+=("$injector")
	injected() { [ "$("$cetctl" show --json "pid-$injector" 2>/dev/null | jq .injected_control_protection)" = 70 ]; }
	check "cetd counts the injected #CP" wait_for 20 injected
	expect "real #CP: whose doing, how often, where to look" 0 \
		"#CP that the host put into the guest*70 times; the 64 latest*debugger*ss -xlp | grep pid=$injector," "" \
		explain "pid-$injector"
	equal "real #CP: --json is cetd's data" \
		"$("$cetctl" faults --json "pid-$injector" 2>/dev/null | jq -c '[length, (map(.time_usec) | min, max)]')" \
		"$("$cetctl" explain --json "pid-$injector" | jq -c '.findings[0] | [.recorded, .first_usec, .last_usec]')"
	kill "$injector"
	stop_daemon
}

start_bus || exit 1
start_fake "$snapshot"
canned
blind
symbols
live
exit $failed
