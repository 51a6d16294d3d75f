#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# machine.sh LEADER DIRECTORY NAME: cetctl -M on the host asks the cetd of the container whose first process is LEADER, when
# it finds DIRECTORY/may-ask; it ends with DIRECTORY/has-asked. The container is known as NAME to a real
# systemd-machined, on a bus of its own, since the host's PID 1 may be another than systemd.
set -u
cd "$(dirname "$0")/../.."
# machined writes files in /run, and takes a process for a unit's by its cgroup: both are this test's own. Seen from the
# container's cgroup, its first process is in init.scope.
if [ "${CETD_UNSHARED:-}" != 1 ]; then
	group=$(findmnt -nft cgroup2 -o TARGET | head -n 1)$(sed -n 's/^0:://p' "/proc/$1/cgroup")
	echo $$ >"${group%/init.scope}/cgroup.procs"
	CETD_UNSHARED=1 exec unshare -m -C --propagation private "$0" "$@"
fi
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
leader=$1 shared=$2 machine=$3
trap 'touch "$shared/has-asked"; live_cleanup' EXIT

machined() {
	busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" "$1" org.freedesktop.machine1 "${@:2}"
}
machined_call() { machined call /org/freedesktop/machine1 org.freedesktop.machine1.Manager "$@"; }
inside() { DBUS_SYSTEM_BUS_ADDRESS=unix:path=/proc/$leader/root/run/dbus/system_bus_socket cetctl "$@"; }

wait_for 200 test -e "$shared/may-ask" || {
	not_ok "the container comes as far as being asked"
	exit 1
}
mkdir -p /run/systemd/machines
mount -t tmpfs -o mode=755 tmpfs /run/systemd/machines
start_bus /usr/share/dbus-1/system.d/org.freedesktop.machine1.conf || exit 1
start "$work/machined.log" /lib/systemd/systemd-machined
wait_for 10 machined status || {
	not_ok "systemd-machined starts: $(head -c 400 "$work/machined.log")"
	exit 1
}
match "a machine that is not known is refused" "cannot connect to $machine" "$(cetctl -M "$machine" status 2>&1)"
check "machined knows the container" machined_call RegisterMachine sayssus "$machine" 0 cetd-test container "$leader" "/"
check "cetctl -M asks the cetd in it" cetctl -M "$machine" status
for query in "list --json" "version --json" "probe --json" "policy show --json"; do
	# shellcheck disable=SC2086
	equal "its answer to '$query' is the one that is given inside" "$(inside $query)" "$(cetctl -M "$machine" $query)"
done
check "where there is a VM" eval '[ "$(cetctl -M "$machine" list --json | jq length)" -gt 0 ]'
check "machined forgets it" machined_call UnregisterMachine s "$machine"
equal "then it is asked no more" 4 "$(cetctl -M "$machine" status >"$work/refused" 2>&1; echo $?)"
sed 's/^/# refused: /' "$work/refused"
[ $failed = 0 ] || sed 's/^/# machined: /' "$work/machined.log"
exit $failed
