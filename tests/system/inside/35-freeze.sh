# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Freezing needs to know which process is which VM, and process ids are the kernel's on the host only: there
# freeze.sh has a cetd act on the systemd of here. This part gives it two VMs and the bus.
. ./lib.sh

name=$(cat name)
start_vm "frozen-$name" 4000000000
systemd-run -q --unit="vm-sharing-$name" --slice=machine.slice \
	bash -c '(sleep 1000 &) && exec -a qemu-system-x86_64 /cetd-test/cetvmm "$@"' cetvmm --name "sharing-$name" --linger 3600 /cetd-test/msr-loop.bin
# No query on the bus starts the one of here.
systemctl mask -q --runtime --now cetd-metrics.socket cetd.service
touch /cetd-out/may-freeze
check "the host is done with freezing" wait_for 100 test -e /cetd-out/is-frozen
systemctl stop "vm-frozen-$name.service" "vm-sharing-$name.service"
systemctl unmask -q --runtime cetd-metrics.socket cetd.service
check "cetd starts again" systemctl start cetd-metrics.socket cetd.service
exit $failed
