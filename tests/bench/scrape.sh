#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What a scrape of many VMs costs: latency as a client sees it, CPU time and memory of cetd, which replays a
# recording of made-up VMs with full fault histories. Prints; judges nothing. Latency depends on what else
# the machine does, CPU time hardly does.
set -u
cd "$(dirname "$0")/../.."
. tests/lib/apt.sh
. tests/lib/checks.sh
. tests/integration/lib-exporter.sh
apt_need curl >&2
scrapes=${SCRAPES:-1000}

cpu_ms() {
	awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000 / hz }' "/proc/$pid/stat"
}

memory() {
	awk -v key="$1:" '$1 == key { printf "%.1f MiB", $2 / 1024 }' "/proc/$pid/status"
}

has_vms() {
	[ "$(metric cetd_vms)" = "$1" ]
}

measure() {
	local vms=$1 series figures before after
	"$BUILD/tests/make-recording" "$work/$vms.cetdrec" "$vms" || return 1
	port=$(free_port)
	url=http://127.0.0.1:$port
	start "$work/cetd.log" "$BUILD/cetd" --bus none --metrics "127.0.0.1:$port" --speed 0 \
		--replay "$work/$vms.cetdrec"
	wait_for 20 has_vms "$vms" || {
		echo "cetd does not serve $vms VMs: $(tail -3 "$work/cetd.log")" >&2
		return 1
	}
	series=$(curl -sf "$url/metrics" | grep -vc '^#')
	before=$(cpu_ms)
	figures=$("$BUILD/tests/scrape" "$port" "$scrapes") || return 1
	after=$(cpu_ms)
	printf '%5d VMs, %6d series: %s cpu_us=%d  resident %s, at most %s\n' "$vms" "$series" "$figures" \
		"$(awk -v a="$before" -v b="$after" -v n="$scrapes" 'BEGIN { printf "%d", (b - a) * 1000 / n }')" \
		"$(memory VmRSS)" "$(memory VmHWM)"
	stop $pid
}

echo "scrape: $scrapes scrapes on one connection, load $(cut -d' ' -f1 /proc/loadavg), $(nproc) CPUs"
for vms in ${VMS:-10 1000 4096}; do
	measure "$vms" || exit 1
done
