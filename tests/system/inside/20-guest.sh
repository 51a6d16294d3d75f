# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
. ./lib.sh

n=$((3000 + RANDOM % 3000))
start_vm first $n
check "a guest runs here" wait_for 20 is_done first
check "its accesses are counted, each of them" wait_for 10 id_of $n
id=$(id_of $n)
equal "in cetctl" "$(guest_made first)" "$(counted "$id")"
equal "and in the metrics" $n "$(curl -sS http://127.0.0.1:9752/metrics |
	sed -n "s/^cetd_vm_cet_msr_accesses_total{vm=\"$id\",msr=\"s_cet\",op=\"write\",result=\"fault\"} //p")"
check "someone else than root may ask" runuser -u nobody -- cetctl show "$id"
equal "but not for addresses" 5 "$(runuser -u nobody -- cetctl faults "$id" >/dev/null 2>&1; echo $?)"
echo $n >/run/first-count
exit $failed
