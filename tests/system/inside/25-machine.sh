# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The host asks this cetd, by cetctl -M, in machine.sh.
. ./lib.sh

touch /cetd-out/may-ask
check "the host is done with asking" wait_for 100 test -e /cetd-out/has-asked
exit $failed
