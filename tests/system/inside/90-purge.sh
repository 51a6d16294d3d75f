# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The package goes, and with it everything that it put anywhere.
. ./lib.sh
# shellcheck source=files.sh
. ./files.sh

systemctl stop 'vm-*'
ping() { busctl -q call org.cetd1 /org/cetd1 org.freedesktop.DBus.Peer Ping; }
# A removal that is called off halfway, as dpkg does it: cetd is off in the meantime, whoever asks, and back afterwards.
export DPKG_MAINTSCRIPT_PACKAGE=cetd
check "the package is about to be removed" /var/lib/dpkg/info/cetd.prerm remove
check "no query starts it then" eval '! ping'
check "nor does a scrape" eval '! curl -sS --max-time 5 http://127.0.0.1:9752/metrics'
equal "it is off" "" "$(pgrep -x cetd)"
check "the removal is called off" /var/lib/dpkg/info/cetd.postinst abort-remove
unset DPKG_MAINTSCRIPT_PACKAGE
check "cetd is back" wait_for 20 answers
check "and its socket" curl -sSf --max-time 20 -o /dev/null http://127.0.0.1:9752/metrics
equal "which never failed" "" "$(journalctl -q -u cetd-metrics.socket --no-pager -o cat | grep -E 'refusing|Failed')"
# Someone who asks all the time must not bring it back on the way.
(while :; do ping 2>/dev/null; sleep 0.05; done) &
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
