#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The lab's watchdog: a boot that hangs or dies is cut off with the end of its serial log, one that ends is not.
# An emulator of three lines stands in for Bochs.
set -u
# shellcheck source=../lib/checks.sh
. tests/lib/checks.sh
export CETD_LAB_CACHE=$work/cache LAB_QUIET=1
lab_root=$PWD/tests/lab
# shellcheck source=lib/common.sh
. tests/lab/lib/common.sh
# shellcheck source=lib/boot.sh
. tests/lab/lib/boot.sh
bochs_dir=$work k_slow=1

# boots WHAT: run an emulator that, its serial log begun, does WHAT; sets code and said.
boots() {
	printf '#!/bin/bash\necho "@lab boot 1.2.3" >%q\n%s\n' "$work/serial" "$1" >"$work/bochs"
	chmod 755 "$work/bochs"
	said=$(boot_run "a kernel, 1 CPU" "$work/none.iso" 1 "$work/serial" 2>&1)
	code=$?
}

boots "echo '@lab end one pass' >>'$work/serial'; echo '@lab done' >>'$work/serial'"
equal "a boot that ends is taken as such" 0 $code
match "and its tests are told" 'a kernel, 1 CPU: one: pass' "$said"

boots 'while :; do :; done'
equal "a boot that hangs fails" 1 $code
match "it is cut off" 'cut off: no output for 1 s of its CPU time' "$said"
match "with the end of its serial log, which is named" "End of $work/serial:.*@lab boot 1.2.3" "$said"
equal "and the emulator is gone" "" "$(pgrep -f "$work/bochs")"

boots 'exit 3'
equal "a boot that dies fails" 1 $code
match "and is told apart from one that hangs" 'cut off: the emulated host died' "$said"
exit $failed
