#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# cetctl against a daemon with canned answers: every verb, option and exit code, hostile data, refusals.
# shellcheck source=cetctl-lib.sh
. "$(dirname "$0")/cetctl-lib.sh"
snapshot=$canned/snapshot.json
web=11111111-2222-3333-4444-555555555555

without_daemon() {
	DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/none \
		expect "no bus: exit code 4" 4 "" "cannot connect*hint:" list
	start_bus || exit 1
	expect "no daemon: exit code 4, and how to start it" 4 "" "*systemctl start cetd" list
	expect "version without a daemon" 0 "daemon does not answer" "" version
	expect "version --json without a daemon" 0 '{"cetctl":"'"$(sed -n 's/^VERSION := //p' Makefile)"'"}' \
		"" version --json
	expect "help needs no daemon" 0 "Exit codes:*5  access denied" "" help
	expect "--columns=help needs no daemon" 0 "uses_cet*endbranch" "" list --columns=help
}

usage() {
	expect "unknown verb: the nearest" 2 "" "unknown verb 'lsit'*cetctl list" lsit
	expect "unknown verb: none near" 2 "" "unknown verb 'xyzzy'*cetctl help" xyzzy
	expect "unknown option: the nearest" 2 "" "unknown option '--jsn'*--json" list --jsn
	expect "unknown letter" 2 "" "unknown option '-x'" list -x
	expect "value where none goes" 2 "" "--no-legend takes no value" list --no-legend=1
	expect "no value where one goes" 2 "" "needs a value" list --sort
	expect "--json: bad form" 2 "" "'long' is none of" list --json=long
	expect "--json: good form" 0 '"id"' "" list --json=pretty
	expect "--color: bad word" 2 "" "'sometimes' is none of" list --color=sometimes
	expect "--lines: 0" 2 "" "not a number from 1" faults -n0 web-1
	expect "--lines: not a number" 2 "" "not a number" faults -n 1x web-1
	expect "--lines: negative" 2 "" "not a number" faults --lines=-1 web-1
	expect "--interval: too short" 2 "" "from 0.1 to 3600" top -d 0
	expect "--interval: not a number" 2 "" "from 0.1 to 3600" top -d nan
	expect "--columns: unknown" 2 "" "no column 'nme'*did you mean 'name'" list --columns=nme
	expect "--columns: empty name" 2 "" "no column ''" list --columns=name,,pid
	expect "--columns: two" 0 "NAME*ID" "" list --columns=name,id
	expect "--columns: added" 0 "NAME*ACTIVITY*UUID" "" list --columns=+uuid
	expect "--sort: unknown" 2 "" "no column 'pidd'*'pid'" list --sort=pidd
	expect "--sort: bad order" 2 "" "neither :asc nor :desc" list --sort=pid:up
	expect "an option that the verb has no use for" 2 "" "\`cetctl show\` does not take --lines" show -n1 web-1
	expect "no VM given" 2 "" "needs a VM*usage: cetctl show VM" show
	expect "--columns=help needs no VM" 0 "ssp*shadow-stack" "" faults --columns=help
	expect "too many VMs given" 2 "" "too many arguments" show a b
	expect "-H and -M together" 2 "" "only one of" -H a -M b list
	expect "help about a verb" 0 "last 64 faults" "" help faults
	expect "help about none" 2 "" "did you mean \`cetctl help faults\`" help fautls
	expect "-h after a verb is about the verb" 0 "cetctl list: the VMs" "" list -h
	expect "-h alone" 0 "Exit codes" "" -h
	expect "options after the verb's argument" 0 '"web-1"' "" show web-1 --json
}

# What is printed is the daemon's data: jq compares with the snapshot that the daemon answers from.
json() {
	local described='del(.vms[].faults, .vms[].top_rips)'

	equal "status --json is the description" "$(jq -S "$described" "$snapshot")" \
		"$("$cetctl" status --json | jq -S .)"
	equal "list --json is its VMs, sorted" "$(jq -S "$described | .vms | sort_by(-.pid)" "$snapshot")" \
		"$("$cetctl" list --json --sort=pid:desc | jq -S .)"
	equal "show --json is one of them" "$(jq -S "$described | .vms[0]" "$snapshot")" \
		"$("$cetctl" show --json=pretty web-1 | jq -S .)"
	equal "probe --json is its host" "$(jq -S .host "$snapshot")" "$("$cetctl" probe --json | jq -S .)"
	equal "dump is all" "$(jq -S . "$snapshot")" "$("$cetctl" dump | jq -S .)"
	equal "faults --json are the dump's but for what the call does not give" \
		"$(jq -S '.vms[0].faults | map(del(.tid, .host))' "$snapshot")" \
		"$("$cetctl" faults --json web-1 | jq -S .)"
	equal "monitor --json=short is the daemon's lines" "$(jq -cS . "$canned/events.jsonl")" \
		"$("$cetctl" monitor -n3 --json=short | jq -cS .)"
	equal "numbers above 2^53 are exact" "9007199254740999" \
		"$("$cetctl" list --json | grep -o '"control_protection_total":9[0-9]*' | cut -d: -f2)"
	equal "one line when short" 1 "$("$cetctl" dump --json=short | wc -l)"
}

tables() {
	expect "status: one screen" 0 "6.12.95-cet*Guest CET: on*hardware_cp*sample_budget 5*web-1" "" status
	equal "status fits a screen" 1 "$(($("$cetctl" status | wc -l) <= 24))"
	expect "list: totals" 0 "web-1*9007199254740999*8 VMs." "" list
	equal "list: db-2 before db-10" "db-2 db-10" "$("$cetctl" list --columns=name --no-legend | grep ^db | xargs)"
	equal "list: sorted down by a count" "web-1 db-10" \
		"$("$cetctl" list --columns=name --no-legend --sort=msr:desc | head -2 | xargs)"
	equal "list: what is null comes first, or last" "web-1" \
		"$("$cetctl" list --columns=name --no-legend --sort=kernel_id | tail -1)"
	expect "show: all of a VM" 0 'machine-qemu\\x2dweb.scope*near_ret*2*s_cet*2*0x401000*90*87' "" show web-1
	expect "show: its storms" 0 "Storms of #CP*1 now, 3 in all; vCPUs had to wait 1.500 s*goes on*12*throttle*enforce*4*alert*monitor" "" show web-1
	expect "list: how many have a storm" 0 "1 with a storm of #CP" "" list
	expect "list: storms as columns" 0 "STORM*THROTTLED*1*3*1500000" "" list --columns=name,storm,storms,throttled
	expect "status: storms" 0 "1 VM with one now, 3 in all" "" status
	expect "show by UUID" 0 "web-1" "" show $web
	expect "show by process" 0 "web-1" "" show pid-4711
	expect "show: ambiguous attribution" 0 "ambiguous: the process has 2 VMs" "" show twin-a
	expect "faults: newest first, null is a dash" 0 "0x401000*near_ret*0xffffffff81000000*injected*-*suppress" \
		"" faults web-1
	equal "faults -n" 2 "$("$cetctl" faults -n2 --no-legend web-1 | wc -l)"
	expect "faults: none" 0 "No faults." "" faults db-2
	expect "faults: sorted" 0 "injected" "" faults web-1 --columns=type --no-legend --sort=rip
	expect "monitor: names, what is not known left out, drops told" 0 \
		"web-1  control_protection kind=endbranch*host tid*12 events were not shown*vmcs_load" "" monitor -n3
	expect "probe: reasons and advice" 0 "unobservable no policy hook*-> Run a kernel with the policy series." \
		"" probe
	expect "metrics" 0 "cetd_build_info" "" metrics
	expect "metrics --json" 0 '"text":*cetd_build_info' "" metrics --json
	expect "version" 0 "daemon 0.1.0" "" version
	expect "the verb is status when none is given" 0 "Guest CET" "" --no-legend
}

colors() {
	run list --color=always
	like "$out" $'\033[31m9007199254740999' && ok "--color=always" || not_ok "--color=always: $(cat -v "$work/out")"
	run list --color=never
	safe "--color=never" "$work/out"
	run list
	safe "no colour but on a terminal" "$work/out"
	script -qec "$cetctl list" /dev/null </dev/null >"$work/out"
	grep -q $'\033\\[3' "$work/out" && ok "colour on a terminal" || not_ok "colour on a terminal"
	NO_COLOR=1 script -qec "$cetctl list" /dev/null </dev/null >"$work/out"
	grep -q $'\033' "$work/out" && not_ok "NO_COLOR" || ok "NO_COLOR"
	TERM=dumb script -qec "$cetctl list" /dev/null </dev/null >"$work/out"
	grep -q $'\033' "$work/out" && not_ok "TERM=dumb" || ok "TERM=dumb"
}

# The snapshot has a VM whose name holds ESC, CSI (U+009B), a bidirectional override, newline and DEL.
hostile() {
	local verb

	for verb in status list "list --json" "list --json=pretty" "show evil" "show evil --json" \
		"status --json" dump "dump --json=pretty" "monitor -n3" "monitor -n3 --json" metrics; do
		# shellcheck disable=SC2086
		run $verb
		[ "$code" = 0 ] || not_ok "hostile data: $verb: exit code $code, $err"
		safe "hostile data: $verb" "$work/out"
	done
	expect "hostile data is shown, not dropped" 0 'evil\\x1b\[31mred\\x9b2J\\u202egpj\\x0a\\u2066\\x7f' "" list
	run show $'e\033[31m\xc2\x9bvil'
	equal "hostile argument: exit code" 3 "$code"
	safe "hostile argument" "$work/err"
	expect "an argument that is not UTF-8" 3 "" 'not UTF-8' show $'\xff'
	LC_ALL=C run list
	safe "hostile data: C locale" "$work/out"
	# Every string of the snapshot, as a recording that someone else made might hold them.
	jq 'walk(if type == "string" then . + "\u001b[31m\u009b2J\u202e" else . end)
		| .vms[].id |= sub("\u001b.*"; "")' "$snapshot" >"$work/hostile.json"
	start_fake --monitor "$canned/events.jsonl" "$work/hostile.json"
	for verb in status list probe "show evil" "faults $web" "monitor -n3" version; do
		# shellcheck disable=SC2086
		run $verb
		like "$out" '\\x1b' && ok "hostile everywhere: $verb shows it" || not_ok "hostile everywhere: $verb: $out"
		safe "hostile everywhere: $verb, stdout" "$work/out"
		safe "hostile everywhere: $verb, stderr" "$work/err"
	done
	start_fake --monitor "$canned/events.jsonl" "$snapshot"
	equal "no name is ever run" "" "$(find . "$work" -maxdepth 1 -name CETCTL_PWNED)"
}

failures() {
	expect "no such VM: the nearest" 3 "" "'wbe-1'*did you mean 'web-1'" show wbe-1
	expect "no such VM: none near" 3 "" "'xyzzy'*cetctl list" faults xyzzy
	expect "ambiguous name" 3 "" "Several VMs*name it by its id" monitor twin
	"$cetctl" list >/dev/full 2>"$work/err"
	equal "a full disk is a failure" 1 $?
	like "$(<"$work/err")" "cannot write" && ok "a full disk is told" || not_ok "a full disk is told"
	expect "top without a terminal" 1 "" "needs a terminal*cetctl list" top

	start_fake --deny "$snapshot"
	expect "faults as nobody: exit code 5" 5 "" "Only root*sudo" faults web-1
	expect "monitor as nobody: exit code 5" 5 "" "Only root*sudo" monitor
	expect "show as nobody: counts without addresses" 0 "endbranch*only root may read" "" show web-1
	start_fake --broken "$snapshot"
	expect "half of the JSON" 1 "" "not valid JSON" list
	# Values of other types than cetctl knows: no crash, whatever the table says.
	for change in '.host = 5' '.host = null' '.host.coverage = []' '.host.causes = {"a": 1}' '.vms = {}' \
		'.vms = [1, null, "x", [], {}]' '.vms[].cet_msr = []' '.vms[].control_protection = {"a": [1]}' \
		'.vms[].name = {}' '.vms[].pid = "x"' '.now_usec = "x"' '.events_lost = 3' '.maps = null'; do
		jq "$change" "$snapshot" >"$work/odd.json"
		start_fake "$work/odd.json"
		for verb in status list "list --json --sort=cp" probe "show web-1" "show --json web-1" dump; do
			# shellcheck disable=SC2086
			run $verb
			[ "$code" -le 6 ] && kill -0 "$fake_pid" || not_ok "odd data: $change: $verb: exit code $code, ${err:0:300}"
		done
	done
	[ $failed = 1 ] || ok "odd data: no crash"
	start_fake --long "$snapshot"
	expect "more VMs than a message holds: they come in a file" 0 "web-1" "" list
	expect "with one of them alone" 0 "web-1" "" show web-1
	start_fake --mute "$snapshot"
	SYSTEMD_BUS_TIMEOUT=1s expect "a daemon that is stuck: exit code 4" 4 "" "does not answer" list
	start_fake "$snapshot"
	expect "monitor ends with the VM" 0 "" "the VM has ended" monitor db-10
	start_fake --end --monitor "$canned/events.jsonl" "$snapshot"
	expect "monitor: the daemon ends the stream" 4 "web-1*vmcs_load" "ended the stream" monitor
	printf 'no json\n' >"$work/bad"
	start_fake --monitor "$work/bad" "$snapshot"
	expect "monitor: a line that is no JSON" 1 "" "not a JSON object" monitor
	{ printf '{"x":"%020000d"}\n' 0 && cat "$canned/events.jsonl"; } >"$work/long"
	start_fake --monitor "$work/long" "$snapshot"
	expect "monitor: a line too long is skipped, and that is told" 0 "web-1*vmcs_load" "skipping a line" monitor -n3
}

# A kernel that shows no hardware #CP: dashes, never 0, and an exit code of its own.
unobservable() {
	jq '.host.family = "stock" | .host.guest_cet = "off"
		| .host.coverage.hardware_cp = {state: "unobservable", reason: "#CP is not intercepted"}
		| .host.causes = [{code: "kernel_too_old", text: "Linux 6.12 has no CET for guests.", advice: "Run 6.18."}]
		| .vms[] |= (.control_protection = null | .control_protection_total = null | .cet_msr_host = null)' \
		"$snapshot" >"$work/stock.json"
	start_fake "$work/stock.json"
	equal "unobservable: a dash in list, never 0" "-" "$("$cetctl" list --columns=cp --no-legend | xargs -n1 | sort -u)"
	expect "unobservable: the reason in show" 0 "-  (unobservable: #CP is not intercepted)" "" show web-1
	expect "unobservable: a number of a fact that is shown" 0 "VMM: -  (unobservable: not told apart" "" show web-1
	expect "unobservable: no decisions where none are made" 0 \
		"Policy decisions"$'\n'"  -  (unobservable: no policy hook" "" show web-1
	expect "unobservable: status says why" 0 \
		"Guest CET: off: Linux 6.12 has no CET for guests.*#CP: - (this kernel does not show them" "" status
	expect "unobservable: exit code 6 from faults" 6 "" "not intercepted*cetctl probe" faults db-2
	expect "unobservable: injected ones are shown with a note" 0 "injected" "note:*not intercepted" faults web-1
	expect "unobservable: probe says what to do" 0 "kernel_too_old*-> Run 6.18." "" probe
	equal "unobservable: null in JSON" "null" "$("$cetctl" show --json db-2 | jq .control_protection_total)"

	jq '.host.coverage[] |= {state: "unobservable", reason: "no BPF"}' "$work/stock.json" >"$work/none.json"
	start_fake "$work/none.json"
	expect "nothing observable: exit code 6 from monitor" 6 "" "nothing of CET*cetctl probe" monitor
}

replayed() {
	local verb

	jq '.replayed = true | .recording = "storm\u001b.cetd"' "$snapshot" >"$work/replayed.json"
	start_fake --monitor "$canned/events.jsonl" "$work/replayed.json"
	for verb in status list "show web-1" "faults web-1" probe "monitor -n3"; do
		# shellcheck disable=SC2086
		run $verb
		like "$out" "REPLAYED" && ok "replayed: $verb says so" || not_ok "replayed: $verb: $out"
		safe "replayed: $verb, the file's name" "$work/out"
	done
	expect "replayed: on stderr where stdout is for a program" 0 "web-1" "REPLAYED" list --no-legend
	expect "replayed: likewise with --json" 0 '"web-1"' "REPLAYED" list --json
}

# ssh that is none: the bridge behind a pipe, over which no file descriptor passes.
remote() {
	mkdir -p "$work/bin"
	cat >"$work/bin/ssh" <<-'END'
		#!/bin/bash
		echo "$*" >>"$SSH_LOG"
		systemd-stdio-bridge -p "$DBUS_SYSTEM_BUS_ADDRESS" | cat
	END
	chmod +x "$work/bin/ssh"
	export SSH_LOG=$work/ssh.log
	local PATH=$work/bin:$PATH

	start_fake "$snapshot"
	expect "-H: list" 0 "web-1" "" -H op@far list
	grep -q "op@far" "$SSH_LOG" && ok "-H: by ssh to the host" || not_ok "-H: by ssh: $(<"$SSH_LOG")"
	expect "-H: faults, which need no descriptor" 0 "0x401000" "" -H op@far faults web-1
	expect "-H: dump without addresses, and says so" 0 '"web-1"' "left out" -H op@far dump
	equal "-H: dump has no fault records" 0 "$("$cetctl" -H op@far dump 2>/dev/null | grep -c '"faults"')"
	expect "-H: monitor by signal, and says so" 0 "web-1  control_protection kind=endbranch privilege=user count=7" \
		"without addresses" -H op@far monitor -n2
	timeout 2 "$cetctl" -H op@far monitor db-2 >"$work/out" 2>/dev/null
	equal "-H: monitor shows the VM asked for only" "124 0" "$? $(wc -c <"$work/out")"
	start_fake --long "$snapshot"
	expect "-H: more VMs than a message holds, and no file passes" 1 "" "Describe: The answer has many bytes" -H op@far list
	printf '#!/bin/sh\nexit 255\n' >"$work/bin/ssh"
	expect "-H: unreachable, exit code 4" 4 "" "cannot connect to op@far*ssh op@far systemd-stdio-bridge" \
		-H op@far list
	expect "-M: no such machine, exit code 4" 4 "" "cannot connect to nowhere*machinectl" -M nowhere list
	# A container needs machined; .host is the machine that is always there (sd_bus_open_system_machine(3)).
	expect "-M: this machine" 0 "web-1" "" -M .host list
	DBUS_SYSTEM_BUS_ADDRESS=unix:path=/none expect "--bus-address" 0 "web-1" "" \
		--bus-address "unix:path=$work/bus" list
	expect "--bus-address: nobody there" 4 "" "cannot connect" --bus-address "unix:path=$work/none" list
	expect "--bus-address: no address" 4 "" "unix:path=" --bus-address nonsense list
}

many() {
	start_fake --clone 992 "$snapshot"
	expect "1000 VMs" 0 "clone-991*1000 VMs." "" list
	equal "1000 VMs: a row each" 1000 "$("$cetctl" list --no-legend --columns=id | sort -u | wc -l)"
	"$cetctl" list --json=pretty 2>"$work/err" | head -1 >/dev/null
	equal "a closed pipe ends it quietly" "141 0" "${PIPESTATUS[0]} $(wc -c <"$work/err")"
	expect "1000 VMs: status stays on a screen" 0 "and 990 more: cetctl list" "" status
}

# What was asked of the daemon, a call a line.
called() { equal "$1" "$2" "$(tail -1 "$work/calls")"; }

policies() {
	local uuid=11111111-2222-3333-4444-555555555555

	jq '.vms[0].policy = {
			mode: {value: "enforce", effect: "in_force", source: "rule", rule: "r\u001b1",
				reason: "rule r\u001b1 (a.json:3) is the first that matches", until_usec: null},
			ibt: {value: "off", effect: "next_start", source: "runtime", reason: "set for this VM",
				advice: "start it anew", until_usec: 1700000000000000}}
		| .vms[0].frozen = true
		| .all_policies = {rules: [{id: "web", match: {name: ["web*", "w\u001b[31m"]}, mode: "enforce",
				cp_rate: [{limit: 5, interval_ms: 1000, then: "throttle"}], file: "/p/a.json", line: 3}],
			overrides: [{vm: "web-\u009b1", lifetime: "persistent", setting: "ibt", value: "off",
				until_usec: 1700000000000000}]}' "$snapshot" >"$work/policies.json"
	: >"$work/calls"
	start_fake --calls "$work/calls" "$work/policies.json"
	expect "policy list" 0 'web *name=web\*,w\\x1b*mode=enforce cp_rate=5 in 1000 ms: throttle */p/a.json:3*web-\\x9b1*persistent*ibt*off*2023-11-14' "" policy list
	safe "policy list: hostile names" "$work/out"
	equal "policy list --json is the daemon's" "$(jq -S .all_policies "$work/policies.json")" \
		"$("$cetctl" policy list --json | jq -S .)"
	expect "policy explain" 0 'mode is enforce: rule r\\x1b1 (a.json:3)*That holds now.*ibt is off: set for this VM, until 2023-11-14*started anew with a change. To have it take effect: start it anew' \
		"" policy explain web-1
	expect "show of a frozen VM" 0 "Frozen*cetctl thaw" "" show web-1
	expect "policy explain of none" 0 "No policy is in force" "" policy explain db-2
	expect "policy set" 0 "SETTING*ibt*off" "" policy set web-1 ibt=off mode=enforce
	called "policy set: at run time, without end" 'SetPolicy { "ibt": "off", "mode": "enforce" } 1 0 asking'
	expect "policy set: JSON and true" 0 "SETTING" "" policy set web-1 'cp_rate={"limit": 5, "then": "alert"}' record=true --persistent --for=1h30min
	called "policy set: persistent, for a time" \
		'SetPolicy { "cp_rate": { "limit": 5, "then": "alert" }, "record": true } 2 5400000000 asking'
	expect "policy set: no rate" 0 "SETTING" "" policy set web-1 cp_rate=none --for 90s
	called "policy set: none is an empty array" 'SetPolicy { "cp_rate": [ ] } 1 90000000 asking'
	expect "policy set: what the daemon refuses, and how it is spelled" 2 "" 'settings:1: that is bad\\x1b*hint:' \
		policy set web-1 ibt=bad
	expect "policy set: no value" 2 "" "'ibt' is not SETTING=VALUE" policy set web-1 ibt
	expect "policy set: an empty value" 2 "" "is not SETTING=VALUE" policy set web-1 ibt=
	expect "policy set: twice" 2 "" "ibt is set twice" policy set web-1 ibt=off ibt=keep
	expect "policy set: no JSON" 2 "" "is not JSON*quote it" policy set web-1 'cp_rate={limit: 5'
	expect "policy set: nothing" 2 "" "too little*usage: cetctl policy set VM SETTING=VALUE" policy set web-1
	expect "policy set: no such VM" 3 "" "did you mean 'web-1'" policy set wbe-1 ibt=off
	expect "both lifetimes" 2 "" "only one of --runtime and --persistent" policy set web-1 ibt=off --runtime --persistent
	for bad in 0s 5 1parsec 11y 2h30 h 99999999999999999999s -5s ""; do
		expect "--for '$bad'" 2 "" "--for: '$bad' is not a time*2h30min" policy set web-1 ibt=off --for="$bad"
	done
	expect "an option that the action has no use for" 2 "" "policy show does not take --for" policy show --for=5s
	expect "nor that" 2 "" "policy clear does not take --for" policy clear web-1 --for=5s
	expect "nor a verb" 2 "" "\`cetctl list\` does not take --runtime" list --runtime
	expect "policy clear: all" 0 "" "" policy clear web-1
	called "policy clear: both lifetimes" "ClearOverride web-1 3 asking"
	expect "policy clear: two settings" 0 "" "" policy clear gone ibt mode --persistent
	called "policy clear: of what is stored" "ClearOverride gone [ibt] [mode] 2 asking"
	expect "policy clear: not UTF-8" 2 "" "must be UTF-8" policy clear $'\xff'
	expect "freeze" 0 "" "" freeze web-1
	called "freeze: at run time" "Freeze 1 0 asking"
	expect "freeze for a time" 0 "" "" freeze --persistent --for=1d $uuid
	called "freeze: persistent, for a day" "Freeze 2 86400000000 asking"
	expect "freeze: no VM" 2 "" "needs a VM" freeze
	expect "thaw: refused" 1 "" "It has no unit*systemd unit of its own" thaw web-1
	expect "thaw takes no time" 2 "" "does not take --for" thaw web-1 --for=5s
	start_fake --deny "$snapshot"
	for call in "policy set web-1 ibt=off" "policy clear web-1" "freeze web-1" "thaw web-1"; do
		# shellcheck disable=SC2086
		expect "as nobody: ${call%% web*}" 5 "" "sudo" $call
	done
	expect "policy list as nobody" 0 "No rules are in force.*Nothing is set for single VMs" "" policy list
}

without_daemon
start_fake --monitor "$canned/events.jsonl" "$snapshot"
usage
json
tables
colors
hostile
failures
unobservable
replayed
remote
many
policies
exit $failed
