#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Who may call what, with the real polkitd on a private bus: each guarded method, called by a user that no rule
# knows, by one that a rule lets, by root, while polkit is down, and by a caller that leaves before the answer.
set -u
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || {
	echo "skip polkit: needs root, to be several users"
	exit 0
}
# The rules and actions are the test's own, in a mount namespace.
[ "${CETD_UNSHARED:-}" = 1 ] || CETD_UNSHARED=1 exec unshare -m --propagation private "$0" "$@"
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
# shellcheck source=lib-bus.sh
. tests/integration/lib-bus.sh

# The users' names are in rules; these are on each Debian.
stranger=nobody operator=games
as() { setpriv --reuid="$1" --regid="$(id -g "$1")" --clear-groups "${@:2}"; }

actions=$work/actions rules=$work/rules
mkdir "$actions" "$rules"
cp systemd/org.cetd1.policy "$actions"
cat >"$rules/50-test.rules" <<-EOT
	polkit.addAdminRule(function(action, subject) { return ["unix-user:0"]; });
	polkit.addRule(function(action, subject) {
		if (subject.user == "$operator" && action.id.indexOf("org.cetd1.") == 0)
			return polkit.Result.YES;
	});
	// Details reach the rules: this user may inspect one VM by one method.
	polkit.addRule(function(action, subject) {
		if (subject.user == "bin" && action.id == "org.cetd1.inspect" &&
		    action.lookup("method") == "GetFaults" && action.lookup("vm") == "VM-ID")
			return polkit.Result.YES;
	});
EOT
chmod -R a+rX "$work"
mkdir -p /etc/polkit-1/rules.d /usr/share/polkit-1/rules.d
mount --bind "$actions" /usr/share/polkit-1/actions
mount --bind "$rules" /etc/polkit-1/rules.d
mount -t tmpfs tmpfs /usr/share/polkit-1/rules.d

start_bus /usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf || exit 1

polkitd=/usr/lib/polkit-1/polkitd
has_polkit() { busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" status org.freedesktop.PolicyKit1; }
has_no_polkit() { ! has_polkit; }
start_polkit() {
	start "$work/polkitd.log" "$polkitd" --no-debug
	polkit_pid=$pid
	wait_for 20 has_polkit || {
		cat "$work/polkitd.log"
		not_ok "polkitd starts"
		exit 1
	}
}

start_daemon --replay tests/demo/storm.cetdrec --speed 0 --log-level debug || {
	not_ok "cetd starts"
	exit 1
}
vm=$(cetctl list --json | jq -r '.[0].id')
vm_path=$(busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" call org.cetd1 /org/cetd1 org.cetd1.Manager GetVM s "$vm" |
	cut -d'"' -f2)
sed -i "s/VM-ID/$vm/" "$rules/50-test.rules"

# Each method that is guarded: its action, and a call that succeeds or fails for another reason than authority.
methods=(
	"inspect|manager|GetFaults|su $vm 1"
	"inspect|manager|GetTopRIPs|s $vm"
	"inspect|manager|MonitorByFileDescriptor|s $vm"
	"manage|manager|Reload|"
	"manage|manager|CheckPolicy|ss name {}"
	"manage|manager|ClearOverride|sast $vm 0 1"
	"manage|vm|SetMode|stt monitor 1 0"
	"manage|vm|SetIBT|stt keep 1 0"
	"manage|vm|SetRateLimit|stt [] 1 0"
	"manage|vm|SetPolicy|stt {} 1 0"
	"manage|vm|ClearOverride|ast 0 1"
	"enforce|vm|Freeze|tt 1 0"
	"enforce|vm|Thaw|"
	"enforce|vm|Freeze|tt 1 0"
	"enforce|vm|Thaw|"
)
# Those that anyone may call; with the guarded ones these are all there are.
open="ListVMs GetVM GetVMByPID Describe DumpByFileDescriptor GetPolicy Metrics"

# A METHOD-LINE as busctl's arguments: path, interface, method, signature and values.
call_of() {
	local object method arguments
	IFS='|' read -r _ object method arguments <<<"$1"
	if [ "$object" = manager ]; then
		echo /org/cetd1 org.cetd1.Manager "$method" "$arguments"
	else
		echo "$vm_path" org.cetd1.VM "$method" "$arguments"
	fi
}
bus=(busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" --timeout=20)
# bus_call USER METHOD-LINE [OPTION...]: what busctl prints.
bus_call() {
	# shellcheck disable=SC2046
	as "$1" "${bus[@]}" --allow-interactive-authorization=no "${@:3}" call org.cetd1 $(call_of "$2") 2>&1
}
# Refused for want of authority; busctl has words of its own for AccessDenied.
is_refused() { [[ $1 == *"Access denied"* || $1 == *"polkit wants a password for org.cetd1."* ]]; }
granted() {
	local out
	out=$(bus_call "${@:2}")
	if is_refused "$out"; then not_ok "$1: $out"; else ok "$1"; fi
}
refused() {
	local out
	out=$(bus_call "${@:3}")
	match "$1" "$2" "$out"
}

known=$(for m in "${methods[@]}"; do cut -d'|' -f3 <<<"$m"; done; tr ' ' '\n' <<<"$open")
equal "each method is guarded or open" "$(sort -u <<<"$known")" \
	"$(sed -n 's/.*<method name="\([^"]*\)".*/\1/p' daemon/export/org.cetd1.xml | sort -u)"

for m in "${methods[@]}"; do
	name=$(cut -d'|' -f3 <<<"$m")
	refused "$name: a stranger may not while polkit is down" "Access denied" "$stranger" "$m"
	refused "$name: nor may the operator" "Access denied" "$operator" "$m"
	granted "$name: root may while polkit is down" root "$m"
done
match "the reason is told" "AccessDenied: Only root may reload the configuration: there is no polkit" \
	"$(as_nobody dbus-send --bus="$DBUS_SYSTEM_BUS_ADDRESS" --print-reply --dest=org.cetd1 /org/cetd1 \
		org.cetd1.Manager.Reload 2>&1 | sed 's/^Error org.freedesktop.DBus.Error.//')"

start_polkit
for m in "${methods[@]}"; do
	name=$(cut -d'|' -f3 <<<"$m") action=org.cetd1.$(cut -d'|' -f1 <<<"$m")
	refused "$name: a stranger needs $action" "polkit wants a password for ${action//./\\.} " "$stranger" "$m"
	refused "$name: with interaction allowed as well, without an agent" "polkit wants a password for ${action//./\\.} " \
		"$stranger" "$m" --allow-interactive-authorization=yes
	granted "$name: the operator may" "$operator" "$m"
	granted "$name: root may" root "$m"
done
granted "a rule can tell VM and method" bin "${methods[0]}"
refused "and denies another method" "polkit wants a password" bin "${methods[1]}"

# faults_in_dump USER: how many VMs have their faults in the dump that this user gets.
faults_in_dump() {
	as "$1" "$work/cetctl" dump 2>/dev/null | jq '[.vms[] | select(has("faults"))] | length'
}
cp "$BUILD/cetctl" "$work/cetctl"
equal "a stranger's dump has no addresses" 0 "$(faults_in_dump "$stranger")"
match "the operator's has" '^[1-9]' "$(faults_in_dump "$operator")"

# What shows addresses beside other things shows the other things.
check "a stranger is explained what can be without addresses" as "$stranger" "$work/cetctl" explain "$vm"
check "and shown" as "$stranger" "$work/cetctl" show "$vm"
as "$stranger" "$work/cetctl" faults "$vm" >/dev/null 2>&1
equal "but no faults" 5 $?

# caller USER METHOD-LINE: a caller that waits for `go` in a process that agents can be there for.
caller() {
	rm -f "$work/go" "$work"/{agent,caller}.log
	mkfifo "$work/go"
	# shellcheck disable=SC2016
	start "$work/caller.log" setpriv --reuid="$1" --regid="$(id -g "$1")" --clear-groups sh -c 'read -r go <"$1/go" && shift && exec "$@"' sh "$work" \
		"${bus[@]}" --allow-interactive-authorization=yes call org.cetd1 $(call_of "$2")
	caller_pid=$pid
	wait_for 5 is_uid "$caller_pid" "$1"
}
is_uid() { [ "$(stat -c %U "/proc/$1")" = "$2" ]; }
polkit_answers() {
	busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" --timeout=5 get-property org.freedesktop.PolicyKit1 \
		/org/freedesktop/PolicyKit1/Authority org.freedesktop.PolicyKit1.Authority BackendVersion
}
restart_polkit() {
	stop "$polkit_pid" KILL
	wait_for 5 has_no_polkit
	start_polkit
}
# Seen of polkitd 122: after an agent has left it waits for itself, and answers nobody any more. That is not what is
# tested here.
is_stuck() {
	! polkit_answers >/dev/null || return 1
	echo "# polkitd answers nobody any more, its threads:" \
		"$(grep -h . "/proc/$polkit_pid"/task/*/wchan | tr '\n' ' '): another is started"
}
# ask METHOD-LINE MODE: a stranger calls, and polkit asks the agent that is there for the caller.
ask() {
	for _ in 1 2 3; do
		caller "$stranger" "$1"
		start "$work/agent.log" "$BUILD/tests/polkit-agent" "$caller_pid" "$2"
		agent_pid=$pid
		wait_for 5 grep -q ready "$work/agent.log"
		echo >"$work/go"
		wait_for 10 grep -q begin "$work/agent.log" && return
		is_stuck || return 1
		stop "$caller_pid" KILL
		stop "$agent_pid"
		restart_polkit
	done
	return 1
}
caller_is_done() { ! kill -0 "$caller_pid" 2>/dev/null; }
left() { grep -c "left the bus before" "$work/cetd.log"; }

for m in "${methods[@]}"; do
	IFS='|' read -r action object name arguments <<<"$m"
	question="begin org.cetd1.$action: Authentication is required to [^$]*"
	# Overrides of VMs that do not run are cleared by that one, so it names none.
	[[ $object.$name = manager.ClearOverride || $object != vm && $arguments != *"$vm"* ]] || question+=" \(VM $vm\)\."

	ask "$m" grant || not_ok "$name: an agent is asked: $(cat "$work/agent.log")"
	check "$name: whoever gives the password may" wait_for 10 caller_is_done
	wait "$caller_pid" 2>/dev/null
	if is_refused "$(cat "$work/caller.log")"; then not_ok "$name: granted: $(cat "$work"/{caller,agent}.log)"; fi
	match "$name: the person is told what it is about" "$question" "$(cat "$work/agent.log")"
	stop "$agent_pid"

	if ask "$m" hold; then ok "$name: the person is asked"; else not_ok "$name: the person is asked: $(cat "$work/agent.log")"; fi
	before=$(left)
	stop "$caller_pid" KILL
	check "$name: and no more when the caller has left" wait_for 10 grep -q cancel "$work/agent.log"
	check "$name: which cetd has seen" wait_for 5 eval '[ "$(left)" = $((before + 1)) ]'
	stop "$agent_pid"
done

# A polkit that hangs, though not of itself: one user's calls are bounded, and root does not wait for it.
restart_polkit
kill -STOP "$polkit_pid"
waiting=()
for i in $(seq 40); do
	start "$work/waiting-$i.log" setpriv --reuid="$stranger" --clear-groups "${bus[@]}" call org.cetd1 $(call_of "${methods[0]}")
	waiting+=("$pid")
done
limited() { grep -l "calls of user .* wait to be authorized already" "$work"/waiting-*.log | wc -l; }
check "40 calls of a user to a polkit that hangs: 8 are refused at once" wait_for 10 eval '[ "$(limited)" = 8 ]'
equal "no more" 8 "$(limited)"
granted "root is served meanwhile" root "${methods[0]}"
for pid in "${waiting[@]:0:16}"; do stop "$pid" KILL; done
check "who leaves makes room" wait_for 5 eval '[ "$(bus_call "$operator" "${methods[3]}" --timeout=1 | grep -c "timed out")" = 1 ]'
kill -CONT "$polkit_pid"
for pid in "${waiting[@]:16}"; do
	wait "$pid" 2>/dev/null
done
equal "all others get their answer" 16 "$(grep -l "polkit wants a password" "$work"/waiting-*.log | wc -l)"

# polkit dies over a question.
asked() { grep -c "polkit is asked whether user $(id -u "$operator") may reload" "$work/cetd.log"; }
before=$(asked)
kill -STOP "$polkit_pid"
start "$work/orphan.log" as "$operator" dbus-send --bus="$DBUS_SYSTEM_BUS_ADDRESS" --print-reply --dest=org.cetd1 \
	/org/cetd1 org.cetd1.Manager.Reload
orphan=$pid
check "polkit is asked" wait_for 10 eval '[ "$(asked)" -gt "$before" ]'
stop "$polkit_pid" KILL
check "a caller is refused when polkit dies over the question" wait_for 10 eval '! kill -0 '"$orphan"
match "with the reason" "it cannot be found out who else may" "$(cat "$work/orphan.log")"
wait_for 10 has_no_polkit
refused "and from then on" "Access denied" "$operator" "${methods[0]}"
granted "root goes on" root "${methods[0]}"
stop_daemon
equal "cetd ends well" 0 $?
match "the log tells who changed what" "VM $vm: runtime override .* by user $(id -u "$operator")" "$(cat "$work/cetd.log")"
exit $failed
