# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# In the root, before systemd runs there: what an image build does.
set -u
cd /cetd-test || exit 1
. ./checks.sh

systemctl enable sys-fs-bpf.mount libvirtd.service cetd-test.service 2>/dev/null
ln -sf /etc/systemd/system/sys-fs-bpf.mount /etc/systemd/system/sysinit.target.wants/ 2>/dev/null ||
	{ mkdir -p /etc/systemd/system/sysinit.target.wants && ln -sf ../sys-fs-bpf.mount /etc/systemd/system/sysinit.target.wants/; }
find / -xdev \( -path /proc -o -path /cetd-test -o -path /var/lib/dpkg -o -path /tmp \) -prune -o -print | sort >/root/files-before
check "the packages install where no systemd runs" dpkg -i previous/cetd_*.deb previous/cetctl_*.deb
check "the unit is enabled" systemctl is-enabled cetd.service
exit $failed
