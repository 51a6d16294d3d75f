# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The sandbox around cetd, which works in it as the parts before have shown; the sockets, the journal, polkit.
. ./lib.sh
n=$(cat /run/first-count)
id=$(id_of "$n")
pid=$(main_pid)
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }
# inside COMMAND...: with cetd's view of files and networks.
inside() { nsenter -t "$pid" -m -n -- "$@"; }

version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
check "systemd $version finds an exposure of at most 1.5" systemd-analyze security --threshold=15 --no-pager cetd.service
systemd-analyze security --no-pager cetd.service 2>/dev/null | sed -n 's/^.*Overall/# Overall/p'
if [ "$version" -ge 253 ]; then
	equal "systemd $version waits for the end of a reload" notify-reload "$(property cetd.service Type)"
else
	equal "systemd $version has no notify-reload" notify "$(property cetd.service Type)"
fi
# CAP_SYS_PTRACE 19, CAP_PERFMON 38, CAP_BPF 39
all=$(printf '%016x' $((1 << 19 | 1 << 38 | 1 << 39)))
equal "three capabilities" "$all" "$(status CapEff)"
equal "and no way to others" "$all 1" "$(status CapBnd) $(status NoNewPrivs)"
equal "system calls are filtered" 2 "$(status Seccomp)"
check "its network is empty" eval '[ "$(inside ls /sys/class/net)" = lo ]'
equal "its devices are pseudo ones and kvm" kvm "$(inside ls /dev | grep -vxE 'char|core|fd|full|hugepages|log|mqueue|null|ptmx|pts|random|shm|stderr|stdin|stdout|tty|urandom|zero' | tr '\n' ' ' | sed 's/ $//')"
for path in /etc /usr /sys/fs/cgroup /proc/sys/kernel /sys/kernel; do
	check "$path is read-only" eval "! inside test -w $path"
done
check "what it pins is not" inside test -w /run/cetd/bpf/cetd
equal "and is where everybody looks for it" "$(inside ls /run/cetd/bpf/cetd)" "$(ls /sys/fs/bpf/cetd)"

# Each switch, by trying what it is there against: as what the unit runs before cetd, and with none of them. What the
# container itself refuses tells nothing, and is said.
runuser -u nobody -- sleep 1000 &
children+=($!)
wait_for 5 pgrep -u nobody -x sleep
other=$(pgrep -u nobody -x sleep | head -n 1)
touch /tmp/sandbox-outside
mkdir -p /run/systemd/system/cetd.service.d
printf '[Service]\nExecStartPre=/bin/sh -c "perl /cetd-test/sandbox.pl %s /run/cetd >/run/cetd/sandbox"\n' "$other" \
	>/run/systemd/system/cetd.service.d/sandbox.conf
systemctl daemon-reload
check "cetd starts with attempts at its sandbox before it" systemctl restart cetd.service
confined=$(cat /run/cetd/sandbox)
free=$(perl /cetd-test/sandbox.pl "$other" /run)
needed=" proc "
[ "$(uname -r | cut -d. -f1)" -lt 7 ] || needed+="SystemCallFilter-perf "
while read -r attempt error; do
	outside=$(sed -n "s/^$attempt //p" <<<"$free")
	if [[ $needed = *" $attempt "* ]]; then
		equal "what cetd needs is not refused in the sandbox: $attempt" 0 "$error"
	elif [ "$outside" != 0 ]; then
		echo "# $attempt: the container refuses it as well ($outside)"
	elif [ "$error" != 0 ]; then
		ok "$attempt is refused in the sandbox, and not outside"
	else
		not_ok "$attempt is refused in the sandbox"
	fi
done <<<"$confined"
equal "of these, few tell nothing" yes "$([ "$(grep -vc ' 0$' <<<"$free")" -le 4 ] && echo yes || echo "$free")"
rm -r /run/systemd/system/cetd.service.d
systemctl daemon-reload
systemctl restart cetd.service
pid=$(main_pid)

# A VM is stopped by systemd, which cetd has to reach from where it is.
unit_call() { inside busctl -q call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager "$1" s "$2"; }
group=/sys/fs/cgroup$(property vm-first.service ControlGroup)
check "from inside, the unit of a VM can be frozen" unit_call FreezeUnit vm-first.service
check "and is" wait_for 5 grep -q "^frozen 1" "$group/cgroup.events"
check "thawed again" unit_call ThawUnit vm-first.service
check "it is" wait_for 5 grep -q "^frozen 0" "$group/cgroup.events"

# The exporter's socket stays when the service stops, and a scrape starts it.
systemctl stop cetd.service 2>/dev/null
check "a scrape starts cetd" eval 'curl -sSf --max-time 20 http://127.0.0.1:9752/metrics | grep -q cetd_coverage'
check "as the unit" wait_for 10 is_active cetd.service
systemctl stop cetd-metrics.socket cetd.service
systemctl start cetd.service
check "a start brings its socket" curl -sSf --max-time 20 -o /dev/null http://127.0.0.1:9752/metrics

# Entries that matter have a text that says what to do.
explained() { journalctl -q -x -u cetd.service --no-pager; }
check "the journal explains a refused reload" eval 'explained | grep -q "A reload found a mistake, so nothing of it was taken:"'
check "and what was loaded" eval 'explained | grep -q "rules from /etc/cetd/policy.d are in force"'

# Members of the group cetd see addresses, and change nothing.
sed -i 's/^cetd:.*/&games/' /etc/group
as_games() { runuser -u games -- busctl -q call org.cetd1 /org/cetd1 org.cetd1.Manager "$@" 2>&1; }
check "who is in the group may inspect" as_games GetFaults su "$id" 1
match "but not manage" "polkit wants a password for org.cetd1.manage" "$(as_games Reload)"
exit $failed
