#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The whole of cetd on this kernel: real VMs through /dev/kvm, seen on D-Bus, in cetctl and in metrics.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
# shellcheck source=lib-bus.sh
. tests/integration/lib-bus.sh

have_bpf || {
	skip "cetd on the live kernel: needs root and BTF"
	exit 0
}
have_kvm || {
	skip "cetd on the live kernel: needs /dev/kvm"
	exit 0
}

vm_json() { cetctl list --json | jq -e ".[] | select(.name == \"$1\")"; }
vm_id() { vm_json "$1" | jq -r .id; }
vm_is_seen() { vm_json "$1" >/dev/null; }
msr_faults() { vm_json "$1" | jq '[.cet_msr[][].fault] | add'; }
guest_gp() { sed -n 's/.* \([0-9]*\) #GP.*/\1/p' "$work/vm-$1.log" | awk '{ n += $1 } END { print n }'; }
guest_is_done() { [ -n "$(guest_gp "$1")" ]; }

start_bus || exit 1
loop=$BUILD/guest/msr-loop.bin

# A VM that was there before cetd.
start_vm before --count 1000 --linger 60 "$loop"
before_pid=$vm_pid
wait_for 10 guest_is_done before
start_daemon || {
	not_ok "cetd starts"
	exit 1
}
check "a VM from before is found" wait_for 10 vm_is_seen before
equal "its pid is known" "$before_pid" "$(vm_json before | jq .pid)"

# A VM that comes while cetd runs: counts are exact. The guest takes one #GP that is no CET MSR: CR4.CET.
start_vm during --count 3000 --linger 60 "$loop"
during_pid=$vm_pid
wait_for 20 guest_is_done during
check "a new VM is found" wait_for 10 vm_is_seen during
check "every MSR access is counted" wait_for 5 eval '[ "$(msr_faults during)" = $(($(guest_gp during) - 1)) ]'
equal "the loop's WRMSR of S_CET" 3000 "$(vm_json during | jq .cet_msr.s_cet.write.fault)"
equal "the metric agrees" 3000 "$(scrape |
	sed -n 's/^cetd_vm_cet_msr_accesses_total{vm="'"$(vm_id during)"'",msr="s_cet",op="write",result="fault"} //p')"
equal "what cannot be seen is null" null "$(vm_json during | jq .control_protection)"
check "and has no metric" eval '! scrape | grep -q "^cetd_vm_control_protection_faults_total"'
equal "the VM is known to try" attempted "$(vm_json during | jq -r .uses_cet)"

# D-Bus.
vm_path=$(call /org/cetd1 org.cetd1.Manager.GetVM string:during | tr -d ' ')
check "GetVM gives a path" test -n "$vm_path"
equal "GetVMByPID gives the same" "$vm_path" \
	"$(call /org/cetd1 org.cetd1.Manager.GetVMByPID "uint32:$during_pid" | tr -d ' ')"
check "GetVM of no VM says so" eval \
	'call /org/cetd1 org.cetd1.Manager.GetVM string:nosuch 2>&1 | grep -q NoSuchVM'
check "a hostile name is only a name" eval \
	'call /org/cetd1 org.cetd1.Manager.GetVM "string:../../%n%s" 2>&1 | grep -q NoSuchVM'
check "a path that is no VM is unknown" eval \
	'call /org/cetd1/vm/_2f_zz org.cetd1.VM.Describe 2>&1 | grep -q UnknownObject'
check "the object manager lists the VM" eval \
	'call /org/cetd1 org.freedesktop.DBus.ObjectManager.GetManagedObjects | grep -q "$vm_path"'
check "root sees fault records" call /org/cetd1 org.cetd1.Manager.GetFaults string:during uint32:10
check "others do not" eval 'as_nobody dbus-send --bus="$DBUS_SYSTEM_BUS_ADDRESS" --print-reply \
	--dest=org.cetd1 /org/cetd1 org.cetd1.Manager.GetFaults string:during uint32:1 2>&1 | grep -q AccessDenied'
check "others may not reload" eval 'as_nobody dbus-send --bus="$DBUS_SYSTEM_BUS_ADDRESS" --print-reply \
	--dest=org.cetd1 /org/cetd1 org.cetd1.Manager.Reload 2>&1 | grep -q AccessDenied'
equal "others list VMs" "$(cetctl list --json | jq length)" "$(as_nobody "$BUILD/cetctl" list --json | jq length)"
check "root's dump has fault records" eval 'cetctl dump | jq -e ".vms[0] | has(\"faults\")"'
check "others' dump has none" eval 'as_nobody "$BUILD/cetctl" dump | jq -e ".vms[0] | has(\"faults\") | not"'
check "LogControl1 changes the level" eval 'busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" set-property \
	org.cetd1 /org/freedesktop/LogControl1 org.freedesktop.LogControl1 LogLevel s debug'
check "and refuses what is none" eval 'busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" set-property \
	org.cetd1 /org/freedesktop/LogControl1 org.freedesktop.LogControl1 LogLevel s loud 2>&1 |
	grep -q "valid are emerg"'

{
	echo '<?xml version="1.0"?>'
	echo '<!-- SPDX-License-Identifier: GPL-2.0-only -->'
	echo '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"'
	echo ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">'
	echo '<node>'
	interface_xml /org/cetd1 org.cetd1.Manager
	interface_xml "$vm_path" org.cetd1.VM
	echo '</node>'
} >"$work/org.cetd1.xml"
[ "${UPDATE_GOLDEN:-}" != 1 ] || cp "$work/org.cetd1.xml" daemon/export/org.cetd1.xml
check "the introspection is the golden one" diff -u daemon/export/org.cetd1.xml "$work/org.cetd1.xml"

# A hostile name: control characters and quotes do not get out.
start_vm $'ev\e[31mil"\n' --count 10 --linger 60 "$loop"
hostile_pid=$vm_pid
check "a VM with a hostile name is found" wait_for 10 eval \
	'cetctl list --json | jq -e ".[] | select(.pid == $hostile_pid)"'
check "no escape reaches the terminal" eval '! cetctl list | grep -q $'"'\\e'"
check "no escape reaches the metrics" eval '! scrape | grep -q $'"'\\e'"
kill "$vm_pid"

# Reload: a bad file changes nothing.
kill -HUP "$daemon_pid"
check "reload of no file" wait_for 5 grep -q "Configuration read again" "$work/cetd.log"

# The end of a VM is reported, and it leaves no trace.
kill "$during_pid"
check "a VM that ends is dropped" wait_for 10 eval '! vm_is_seen during'
check "its last counts are reported" grep -qE "is gone: .* $(($(guest_gp during) - 1)) CET MSR" "$work/cetd.log"
check "its metrics are gone" eval '! scrape | grep -q "vm=\"during\""'

stop_daemon
equal "cetd stops cleanly" 0 $?
exit $failed
