# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
. ./lib.sh

check "cetd runs after the boot" wait_for 20 is_active cetd.service
check "and answers" wait_for 10 answers
equal "its state is what it says of itself" 0 "$(property cetd.service StatusErrno)"
match "its unit waits until it is ready" '^notify' "$(property cetd.service Type)"
match "it is ordered before libvirtd" libvirtd.service "$(property cetd.service Before)"
check "and was up when libvirtd began" test "$(property cetd.service ActiveEnterTimestampMonotonic)" -le \
	"$(property libvirtd.service ExecMainStartTimestampMonotonic)"
equal "the journal has no error of it" "" "$(messages -p err)"
match "it pins in the BPF file system" layout-cetd "$(ls /sys/fs/bpf/cetd | tr '\n' ' ')"
match "cetctl tells the version" '^cetctl 0\.' "$(cetctl version | tr '\n' ' ')"
match "cetctl -M .host asks the cetd of this machine" 'daemon 0\.' "$(cetctl -M .host version | tr '\n' ' ')"
check "cetctl status works" cetctl status
match "the socket of its metrics is systemd's" 'cetd-metrics.socket' "$(property cetd.service TriggeredBy)"
check "and metrics are served" curl -sSf --max-time 5 http://127.0.0.1:9752/metrics
equal "systemd finds nothing wrong in the unit" "" \
	"$(systemd-analyze verify cetd.service 2>&1 | grep -v 'man cetd')"
check "the manual page is there" test -e /usr/share/man/man8/cetd.8.gz
cetctl probe | sed 's/^/# /'
exit $failed
