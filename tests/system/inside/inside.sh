# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Run as a service of the booted root: the packages and units as an operator meets them.
set -u
cd /cetd-test || exit 1
. ./checks.sh
release=$(. /etc/os-release && echo "$VERSION_CODENAME")

cat /dev/null
property() { systemctl show -p "$2" --value "$1"; }
is_active() { [ "$(property "$1" ActiveState)" = active ]; }
answers() { cetctl version --json | jq -e .daemon; }
# start_vm NAME ARGUMENT...: in a unit of its own, as libvirt and machined would.
start_vm() {
	local name=$1
	shift
	systemd-run -q --unit="vm-$name" --slice=machine.slice --property=StandardOutput="append:/run/vm-$name.log" \
		bash -c 'exec -a qemu-system-x86_64 /cetd-test/cetvmm "$@"' cetvmm --name "$name" "$@"
}
is_seen() { cetctl show "$1" --json; }
counted() { cetctl show "$1" --json | jq '[.cet_msr[][] | .ok + .fault] | add'; }

# Boot
check "cetd runs after the boot" wait_for 20 is_active cetd.service
check "and answers" wait_for 10 answers
match "its unit is a notify one" '^notify' "$(property cetd.service Type)"
check "it was up before libvirtd began" test "$(property cetd.service ActiveEnterTimestampMonotonic)" -le \
	"$(property libvirtd.service ExecMainStartTimestampMonotonic)"
equal "the journal has no error of it" "" "$(journalctl -q -u cetd.service -p err --no-pager)"
match "cetctl tells the version of the packages" '0\.1\.0' "$(cetctl version)"
match "cetctl -M reaches the bus of this machine" '0\.1\.0' "$(cetctl -M .host version)"
cetctl probe | sed 's/^/# /'

# A guest
start_vm web-1 --json --linger 3600 --count 40000 /cetd-test/msr-loop.bin
check "a guest in a unit is seen" wait_for 20 is_seen web-1
is_seen web-1 | jq -c '{pid, unit, attribution, cgroup}' | sed 's/^/# /'
check "and counted" wait_for 20 eval '[ "$(counted web-1)" -gt 0 ]'
journalctl -q -u cetd.service --no-pager | tail -n 30 | sed 's/^/# /'
echo "# the end"
