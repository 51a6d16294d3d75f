# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The package goes, and with it everything that it put anywhere.
. ./lib.sh
# shellcheck source=files.sh
. ./files.sh

systemctl stop 'vm-*'
# Someone who asks all the time must not bring it back on the way.
(while :; do busctl -q call org.cetd1 /org/cetd1 org.freedesktop.DBus.Peer Ping 2>/dev/null; sleep 0.05; done) &
children+=($!)
asking=$!
check "the package is removed" dpkg -r cetd
kill $asking
equal "cetd is gone" "" "$(pgrep -x cetd)"
equal "no pin is left" "" "$(ls -d /sys/fs/bpf/cetd* 2>&1 | grep -v "cannot access")"
check "the configuration stays until the purge" test -e /etc/cetd/cetd.conf
check "it is purged" dpkg -P cetd
check "and cetctl" dpkg -P cetctl
list_files >/run/files-after
equal "nothing is left on the disk" "" "$(comm -13 /root/files-before /run/files-after | grep -vE '^/root/files-before|^/etc/(machine-id|\.updated)|^/var/(\.updated|lib/private)' | tr '\n' ' ')"
equal "nor in /run" "" "$(find /run -name '*cetd*' ! -path '/run/systemd/transient/*' ! -path '*/nspawn/*' | grep -v cetd-test | tr '\n' ' ')"
equal "no unit of it is known" "" "$(systemctl list-units --all --plain --no-legend 'cetd*.service' 'cetd*.socket' | grep -vE 'cetd-test|not-found')"
exit $failed
