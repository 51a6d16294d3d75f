# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For scripts that run cetd for real: a private bus, a daemon on it, VMs, and their end. Sourced from the top
# of the tree; BUILD names the build.
# shellcheck source=checks.sh
. tests/lib/checks.sh
daemon_pid="" bus_pid=""

live_cleanup() {
	local pid
	for pid in $daemon_pid $bus_pid; do kill "$pid" 2>/dev/null; done
	checks_cleanup
}
trap live_cleanup EXIT

# start_bus [FILE...]: a bus of the system type that anyone on it may use, with the policy that is installed, and those
# of other services.
start_bus() {
	local file includes=""
	for file; do includes+="<include>$file</include>"; done
	cat >"$work/bus.conf" <<-EOF
		<busconfig>
		<type>system</type>
		<listen>unix:path=$work/bus</listen>
		<auth>EXTERNAL</auth>
		<policy context="default">
		<allow user="*"/><allow send_type="signal"/>
		<allow send_type="method_call" send_destination="org.freedesktop.DBus"/>
		<allow send_requested_reply="true" send_type="method_return"/>
		<allow send_requested_reply="true" send_type="error"/>
		<allow receive_type="method_call"/><allow receive_type="method_return"/>
		<allow receive_type="error"/><allow receive_type="signal"/>
		<allow send_destination="org.freedesktop.DBus"/>
		</policy>
		<include>$PWD/systemd/org.cetd1.conf</include>$includes
		</busconfig>
	EOF
	chmod 755 "$work"
	dbus-daemon --config-file="$work/bus.conf" --nofork --nopidfile 2>"$work/bus.log" &
	bus_pid=$!
	export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/bus
	wait_for 10 test -S "$work/bus" || {
		cat "$work/bus.log"
		return 1
	}
	chmod 666 "$work/bus"
}

# own_bpffs WHAT: a BPF file system of the test's own in $work/bpf, so that other daemons' pins are left alone. Where there
# can be none, WHAT is skipped.
own_bpffs() {
	mkdir "$work/bpf"
	mount -t bpf bpf "$work/bpf" 2>"$work/mount.log" || {
		skip "$1: no BPF file system can be mounted: $(cat "$work/mount.log")"
		exit 0
	}
	trap 'umount -l "$work/bpf" 2>/dev/null; live_cleanup' EXIT
}

# start_daemon ARGUMENT...: pins and stores nothing unless told to; returns when its name is on the bus, or 1 with its log when it ends before.
start_daemon() {
	"$BUILD/cetd" --metrics "unix:$work/metrics" --pin-dir none --state-dir none "$@" >"$work/cetd.log" 2>&1 &
	daemon_pid=$!
	wait_for 20 eval "! kill -0 $daemon_pid || '$BUILD/cetctl' version --json | grep -q daemon && test -S '$work/metrics'"
	kill -0 "$daemon_pid" 2>/dev/null || {
		cat "$work/cetd.log"
		return 1
	}
}

# stop_daemon: returns its exit code.
stop_daemon() {
	local r
	kill "$daemon_pid" 2>/dev/null
	wait "$daemon_pid" 2>/dev/null
	r=$?
	daemon_pid=""
	return $r
}

cetctl() { "$BUILD/cetctl" "$@"; }
scrape() { curl -sS --max-time 10 --unix-socket "$work/metrics" "http://cetd/${1:-metrics}"; }

# start_vm NAME ARGUMENT...: a VM through /dev/kvm, in the background; vm_pid is its process.
start_vm() {
	local name=$1
	shift
	# As QEMU is called, so that cetd learns the name as it does from QEMU.
	(exec -a qemu-system-x86_64 "$BUILD/cetvmm" --name "$name" "$@") >"$work/vm-$name.log" 2>&1 &
	vm_pid=$!
	children+=("$vm_pid")
}

# has_pipe PID: is it given events, as `cetctl monitor`? It holds the read end of a pipe of cetd's then.
has_pipe() { readlink /proc/"$1"/fd/[3-9]* | grep -q '^pipe:'; }

# cpu_ns PID: on a CPU since the start, in ns: the first figure of schedstat (proc(5)), over all threads.
cpu_ns() { awk '{ n += $1 } END { printf "%d", n }' /proc/"$1"/task/*/schedstat; }

have_kvm() { [ -w /dev/kvm ]; }
have_bpf() { [ "$(id -u)" = 0 ] && [ -e /sys/kernel/btf/vmlinux ]; }

# all_counted NAME TAKEN SEEN: cetd counted each. Where it tells of events that it missed, as it may on Linux 7, no more than
# those are missing.
all_counted() {
	local missing=$(($2 - $3)) busy=0
	[ $missing -le 0 ] || busy=$(scrape | sed -n 's/^cetd_events_lost_total{reason="program_busy"} //p')
	if [ $missing = 0 ]; then
		ok "$1"
	elif [ $missing -gt 0 ] && [ $missing -le "${busy:-0}" ]; then
		ok "$1, but for $missing of $2: cetd tells of $busy events that it missed"
	else
		not_ok "$1: expected $2, found $3, and cetd tells of ${busy:-0} events that it missed"
	fi
}
