#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
# PID 1 of the machine that apparmor.sh boots: cetd under its profile, start to end.
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t securityfs securityfs /sys/kernel/security
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/cetd/bpf /var/lib/cetd
# As the unit has it.
mount --bind /sys/fs/bpf /run/cetd/bpf
ifconfig lo 127.0.0.1 up
dmesg -n 1
# Each denial is to be told.
echo 0 >/proc/sys/kernel/printk_ratelimit
for m in /modules/*.ko; do insmod "$m" || echo "# insmod $m failed"; done
echo "@tcg boot $(uname -r)"

check() {
	name=$1
	shift
	# Not in a subshell: what it starts has to be this shell's.
	if "$@" >/run/out 2>&1; then
		echo "ok $name"
	else
		echo "not ok $name: $(head -c 400 /run/out | tr '\n' ' ')"
		failed=1
	fi
}
wait_for() {
	end=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 0.2
	done
}
is() { [ "$1" = "$2" ] || { echo "expected '$1', found '$2'"; return 1; }; }
denials() { dmesg | grep 'apparmor="DENIED"'; }
none_denied() { ! denials; }
answers() { cetctl version --json | grep -q '"daemon"'; }
confinement() { cat "/proc/$1/attr/current"; }
# begin [COMMAND...]: cetd, by that command.
begin() {
	"$@" /usr/sbin/cetd --pin-dir /run/cetd/bpf/cetd --log-level debug >/run/cetd.log 2>&1 &
	cetd=$!
	wait_for 240 answers
}
finish() {
	kill $cetd
	wait $cetd
}
is_counted() { cetctl metrics | grep -q "msr=\"s_cet\",op=\"write\",result=\"fault\"} $1\$"; }

check "the kernel has AppArmor" is Y "$(cat /sys/module/apparmor/parameters/enabled)"
check "it takes the profile" apparmor_parser -r /etc/apparmor.d/usr.sbin.cetd
dbus-daemon --config-file=/etc/bus.conf --nofork --nopidfile >/run/bus.log 2>&1 &
bus=$!
wait_for 10 test -S /run/dbus/system_bus_socket
check "cetd starts under it" begin
check "which is enforced" is "cetd (enforce)" "$(confinement $cetd)"
echo '{ "scan_interval_sec": 30 }' >/etc/cetd/cetd.conf
cp /usr/share/doc/cetd/policy-example.json /etc/cetd/policy.d/
kill -HUP $cetd
check "configuration and policies are read" wait_for 60 grep -q "files of /etc/cetd/policy.d are in force" /run/cetd.log
cd /root || reboot -f
# As QEMU is called, so that cetd learns the name.
ln -s cetvmm qemu-system-x86_64
/root/qemu-system-x86_64 --name inside --linger 600 --count 700 /root/msr-loop.bin >/run/vm.log 2>&1 &
[ -z "${failed:-}" ] || sed 's/^/# cetd: /' /run/cetd.log
check "a guest's accesses are counted" wait_for 60 is_counted 700
check "and served" eval 'wget -q -O - http://127.0.0.1:9752/metrics | grep -q "^cetd_vm_cet_msr_accesses_total.* 700\$"'
check "cetctl probe is answered" cetctl probe
check "the VM has its name" cetctl show inside
check "an override is stored" eval "cetctl policy set --persistent inside mode=monitor && test -s /var/lib/cetd/overrides.json"
check "cetd ends" finish
check "its pins are there" test -e /sys/fs/bpf/cetd/layout-cetd
check "it starts anew as what may gain no privileges, as in its unit" begin setpriv --nnp
check "it is confined as well" is "cetd (enforce)" "$(confinement $cetd)"
check "and goes on with the counters" wait_for 20 is_counted 700
check "the bus is there" kill -0 $bus
check "and ends" finish
check "cetd --release works" /usr/sbin/cetd --release
check "nothing of all this was denied" none_denied
denials | sed 's/^/# denied: /'

# Were it not enforced, nothing would be denied either.
echo '{}' >/root/elsewhere.conf
check "a file that the profile does not name is refused" eval \
	'! /usr/sbin/cetd --check-config --config /root/elsewhere.conf'
check "by AppArmor" eval 'denials | grep -q "name=\"/root/elsewhere.conf\""'
[ -z "${failed:-}" ] || sed 's/^/# cetd: /' /run/cetd.log /run/bus.log /run/vm.log
echo "# the end"
sleep 0.2
reboot -f
