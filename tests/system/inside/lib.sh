# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck source=../../lib/checks.sh
. ./checks.sh

property() { systemctl show -p "$2" --value "$1"; }
is_active() { [ "$(property "$1" ActiveState)" = active ]; }
main_pid() { property cetd.service MainPID; }
answers() { cetctl version --json | jq -e .daemon; }
# began_anew PID: cetd runs, as another process than PID, and answers.
began_anew() { is_active cetd.service && [ "$(main_pid)" != "$1" ] && answers; }
# messages SINCE...: of cetd, in a cursor's place a time
messages() { journalctl -q -u cetd.service --no-pager -o cat "$@"; }

# start_vm NAME COUNT: a guest in a unit of its own, as libvirt and machined would have it.
start_vm() {
	systemd-run -q --unit="vm-$1" --slice=machine.slice --property="StandardOutput=append:/run/vm-$1.log" \
		bash -c 'exec -a qemu-system-x86_64 /cetd-test/cetvmm "$@"' cetvmm \
		--name "$1" --json --linger 3600 --count "$2" /cetd-test/msr-loop.bin
}
# What the guest made of its rounds: each access to a CET MSR is a #GP here, and CR4.CET is one more.
guest_made() { sed -n '/^{/p' "/run/vm-$1.log" | jq '.vcpus[0].general_protection - 1'; }
is_done() { grep -q '^{' "/run/vm-$1.log"; }

# The kernel's process ids mean others in this container's PID namespace, and so VMs have no names here: a VM is
# known by how often its guest wrote IA32_S_CET, a number that nobody else has.
id_of() { cetctl list --json | jq -re ".[] | select(.cet_msr.s_cet.write.fault == $1) | .id"; }
counted() { cetctl show "$1" --json | jq '[.cet_msr[][] | .ok + .fault] | add'; }
