#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What `make install` puts on a machine, `make uninstall` takes away, but for what an administrator wrote.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/checks.sh
. tests/lib/checks.sh
root=$work/root
make() { command make --no-print-directory BUILD="$BUILD" "$@" >"$work/log" 2>&1 || { not_ok "make $1: $(tail -n 2 "$work/log")"; exit 1; }; }
files() { (cd "$root" && find . ! -type d | sort); }

make install DESTDIR="$root"
check "make install puts cetd and cetctl there" test -x "$root/usr/sbin/cetd" -a -x "$root/usr/bin/cetctl"
mkdir -p "$root/usr/share/doc/others"
echo kept >"$root/usr/share/doc/others/file"
make uninstall DESTDIR="$root"
equal "make uninstall leaves what others put there" ./usr/share/doc/others/file "$(files)"
equal "and no directory of cetd" "" "$(cd "$root" && find . -name '*cetd*')"

make install DESTDIR="$root" PREFIX=/usr/local
match "with another PREFIX the unit starts that cetd" '=/usr/local/sbin/cetd' \
	"$(grep ^ExecStart= "$root/usr/local/lib/systemd/system/cetd.service")"
echo '// mine' >>"$root/etc/cetd/cetd.conf"
make uninstall DESTDIR="$root" PREFIX=/usr/local
match "an edited configuration stays" '// mine' "$(cat "$root/etc/cetd/cetd.conf")"
exit $failed
