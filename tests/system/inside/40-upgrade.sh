# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The package replaces an earlier one while a guest runs.
. ./lib.sh

n=$((60000 + RANDOM % 20000))
before=$(cat /run/first-count)
pid=$(main_pid)
equal "the earlier package is installed" 0.0.9 "$(dpkg-query -W -f '${Version}' cetd)"
start_vm upgraded $n
(while :; do
	curl -sSf --max-time 20 -o /dev/null http://127.0.0.1:9752/metrics 2>>/run/scrapes
	sleep 0.02
done) &
children+=($!)
scraping=$!
check "the upgrade succeeds" dpkg --force-confold -i new/cetd_*.deb new/cetctl_*.deb
equal "and is there" "$(dpkg-deb -f new/cetd_*.deb Version)" "$(dpkg-query -W -f '${Version}' cetd)"
check "the new cetd runs" wait_for 20 began_anew "$pid"
check "an edited configuration is still the operator's" grep -q scan_interval_sec /etc/cetd/cetd.conf
check "the guest ends" wait_for 60 is_done upgraded
check "no access of it is missing" wait_for 10 id_of "$n"
check "and counters from before are there" wait_for 10 id_of "$before"
equal "installing the same once more works" 0 "$(dpkg --force-confold -i new/cetd_*.deb >/run/again.log 2>&1; echo $?)"
check "and cetd runs" wait_for 10 is_active cetd.service
kill $scraping
equal "no scrape found the socket closed meanwhile" "" "$(grep -i connect /run/scrapes)"
sed 's/^/# scrape: /' /run/scrapes
exit $failed
