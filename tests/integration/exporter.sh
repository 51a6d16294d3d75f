#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The exporter of the real cetd on the live kernel: scraped by a real Prometheus while a guest tries to use
# CET and HTTP clients misbehave; and where it listens after a reload.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/live.sh
. tests/lib/live.sh
. tests/lib/apt.sh
. tests/integration/lib-exporter.sh
apt_need curl jq dbus >&2

if ! have_bpf || ! have_kvm; then
	skip "the exporter on the live kernel: needs root, BTF and /dev/kvm"
	exit 0
fi
stats=/proc/sys/kernel/bpf_stats_enabled
stats_before=$(cat $stats)
exporter_cleanup() {
	echo "$stats_before" >$stats
	live_cleanup
}
trap exporter_cleanup EXIT

# configure LISTEN ALLOW_REMOTE
configure() {
	printf '{ "metrics": { "listen": "%s", "allow_remote": %s } }\n' "$1" "$2" >"$work/cetd.conf"
}

reload() {
	local n
	n=$(grep -cE 'Configuration read again|Failed to reload' "$work/cetd.log")
	kill -HUP "$pid"
	wait_for 10 eval "[ \$(grep -cE 'Configuration read again|Failed to reload' '$work/cetd.log') -gt $n ]"
}

serves_on() {
	curl -sf -m 2 -o /dev/null "http://$1/metrics"
}

guest_is_done() { grep -q '#GP' "$work/vm-$1.log"; }
writes() { metric "cetd_vm_cet_msr_accesses_total{vm=\"$1\",msr=\"s_cet\",op=\"write\",result=\"fault\"}"; }

start_bus || exit 1
port=$(free_port)
url=http://127.0.0.1:$port
configure "127.0.0.1:$port" false
start "$work/cetd.log" "$BUILD/cetd" --pin-dir none --config "$work/cetd.conf"
wait_for 20 serves_on "127.0.0.1:$port" || {
	not_ok "cetd serves: $(tail -3 "$work/cetd.log" | tr '\n' ' ')"
	exit 1
}

check_live() {
	lint "promtool finds nothing in the live metrics"
	equal "they are not replayed" 0 "$(metric cetd_replayed)"
	equal "#CP cannot be seen here" 1 "$(metric 'cetd_coverage{fact="hardware_cp",state="unobservable"}')"
	equal "the map has room" 4096 "$(metric cetd_map_capacity)"
	equal "no BPF statistics, no series" "" "$(metric 'cetd_bpf_program_runs_total{program="kvm_msr"}')"
	if echo 1 >$stats 2>/dev/null; then
		start_vm stats --count 100 "$BUILD/guest/msr-loop.bin"
		check "BPF programs' runs show while the kernel counts them" \
			wait_for 10 eval "curl -sf $url/metrics | grep -q '^cetd_bpf_program_runs_total{.*} [1-9]'"
		echo "$stats_before" >$stats
	else
		skip "BPF programs' runs: $stats cannot be written"
	fi
}

check_prometheus() {
	if ! apt_need prometheus >&2; then
		skip "Prometheus scrapes cetd: the package prometheus cannot be installed"
		return
	fi
	cat >"$work/prometheus.yml" <<-EOF2
		global: {scrape_interval: 1s, scrape_timeout: 1s}
		scrape_configs:
		- job_name: cetd
		  static_configs: [{targets: ["127.0.0.1:$port"]}]
	EOF2
	start_prometheus || return
	start_vm looped --count 3000 --linger 60 "$BUILD/guest/msr-loop.bin"
	check "Prometheus scrapes cetd" wait_for 90 is_scraped cetd
	wait_for 20 guest_is_done looped
	equal "a guest's writes are there at the next scrape" 3000 "$(writes looped)"
	check "Prometheus has them, by the VM's name" wait_for 20 eval "[ \"\$(value 'cetd_vm_cet_msr_accesses_total{msr=\"s_cet\",op=\"write\"}
		* on(vm) group_left(name) cetd_vm_info{name=\"looped\"}')\" = 3000 ]"
}

check_abuse() {
	check_garbage
	check_flood
	start_vm flooded --count 2000 --linger 60 "$BUILD/guest/msr-loop.bin"
	check_flood
	wait_for 20 guest_is_done flooded
	check "no count was lost meanwhile" wait_for 10 eval "[ \"\$(writes flooded)\" = 2000 ]"
	equal "nor any event" 0 "$(metric 'cetd_events_lost_total{reason="vms_full"}')"
}

check_reload() {
	local other
	other=$(free_port)
	configure "127.0.0.1:$port" true
	reload
	check "leave for remote clients moves nothing" serves_on "127.0.0.1:$port"
	check "and is taken" eval "tail -1 '$work/cetd.log' | grep -q 'read again'"
	configure "0.0.0.0:$other" true
	reload
	check "with leave it listens everywhere" grep -q "Serving metrics on 0.0.0.0:$other: other hosts" "$work/cetd.log"
	check "and only there" eval "serves_on 127.0.0.1:$other && ! serves_on 127.0.0.1:$port"
	configure "0.0.0.0:$other" false
	reload
	check "leave withdrawn from an address in use is refused" grep -q "Refusing to serve metrics on 0.0.0.0:$other" "$work/cetd.log"
	check "and the old configuration goes on" serves_on "127.0.0.1:$other"
	configure "127.0.0.1:$prometheus" false
	reload
	check "an address in use is refused" grep -q "Failed to listen on 127.0.0.1:$prometheus .*another process has it" "$work/cetd.log"
	check "and the old one goes on" serves_on "127.0.0.1:$other"
	configure "unix:$work/metrics" false
	reload
	check "from TCP to a unix socket" curl -sf --unix-socket "$work/metrics" -o /dev/null http://cetd/metrics
	configure off false
	reload
	check "off closes it" eval "! [ -e '$work/metrics' ] && ! serves_on 127.0.0.1:$other"
	configure "127.0.0.1:$port" false
	reload
	check "and on again" serves_on "127.0.0.1:$port"
}

check_live
check_prometheus
check_abuse
[ -z "${prometheus:-}" ] || check_reload
stop $pid
equal "cetd ends cleanly" 0 $?
exit $failed
