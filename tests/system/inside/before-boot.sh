# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# In the root, before systemd runs there: what the build of an image does.
set -u
cd /cetd-test || exit 1
# shellcheck source=../../lib/checks.sh
. ./checks.sh

systemctl -q enable libvirtd.service cetd-test.service
# shellcheck source=files.sh
. ./files.sh
list_files >/root/files-before
check "the packages install where no systemd runs" dpkg -i previous/cetd_*.deb previous/cetctl_*.deb
check "the unit is enabled" systemctl is-enabled cetd.service
exit $failed
