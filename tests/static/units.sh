#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What systemd, polkit, AppArmor and journald are handed, as they read it: installed into a directory, it is
# verified, scored and compared with the code.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/checks.sh
. tests/lib/checks.sh

root=$work/root
make -s install DESTDIR="$root" >"$work/install.log" 2>&1 || {
	not_ok "make install: $(tail -n 3 "$work/install.log")"
	exit 1
}
units=$root/usr/lib/systemd/system
# What this machine may not have is no fault of the units: the program and the manual page.
sed -i "s,^ExecStart=/usr/sbin/cetd,ExecStart=$root/usr/sbin/cetd," "$units/cetd.service"
equal "systemd-analyze verify has nothing to say" "" \
	"$(systemd-analyze verify --man=no "$units/cetd.service" "$units/cetd-metrics.socket" 2>&1)"
# An unknown key is only a line on stderr, so see that it would be seen.
sed 's/^UMask=.*/UMaks=0077/' "$units/cetd.service" >"$work/cetd.service"
match "which would tell of a key it does not know" "UMaks" \
	"$(systemd-analyze verify --man=no "$work/cetd.service" 2>&1)"
check "the exposure is at most 1.5" \
	systemd-analyze security --offline=true --threshold=15 --no-pager "$units/cetd.service"
sed '/^PrivateNetwork=/d; /^IPAddressDeny=/d' "$units/cetd.service" >"$work/cetd.service"
check "which it would not be without two of its lines" eval \
	'! systemd-analyze security --offline=true --threshold=15 --no-pager "$work/cetd.service"'

# The generator: with each kind of kernel, and this systemd.
version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
# generate KIND [RELEASE]: the drop-in for a kernel of that kind, and of that version.
generate() {
	rm -rf "$work/generated"
	CETD_GENERATOR_ROOT=$work/$1 CETD_GENERATOR_RELEASE=${2:-} "$root/usr/lib/systemd/system-generators/cetd-generator" \
		"$work/generated" "$work/generated.early" "$work/generated.late" 2>&1
	cat "$work/generated/cetd.service.d/50-host.conf" 2>/dev/null
}
mkdir -p "$work/loaded/sys/module/kvm" "$work/builtin/sys/module/kvm" "$work/"{unloaded,none}"/lib/modules/$(uname -r)"
touch "$work/loaded/sys/module/kvm/initstate"
echo kernel/arch/x86/kvm/kvm.ko >"$work/none/lib/modules/$(uname -r)/modules.builtin"
echo kernel/fs/ext4/ext4.ko >"$work/unloaded/lib/modules/$(uname -r)/modules.builtin"
match "where kvm is a module, its BTF needs a capability" "CapabilityBoundingSet=CAP_SYS_ADMIN" "$(generate loaded)"
match "also before it is loaded" "CapabilityBoundingSet=CAP_SYS_ADMIN" "$(generate unloaded)"
for kind in builtin none; do
	[[ $(generate $kind) != *CAP_SYS_ADMIN* ]] && ok "where it is built in, not ($kind)" || not_ok "where it is built in, not ($kind)"
done
if [ "$version" -ge 253 ]; then
	match "systemd $version is told of reloads" "Type=notify-reload" "$(generate builtin 6.18.1)"
else
	equal "systemd $version knows no notify-reload, and gets none" "" "$(generate builtin 6.18.1)"
fi
match "Linux 7 has cetd use perf's tracepoints" "SystemCallFilter=perf_event_open" "$(generate builtin 7.0.0-1-amd64)"
match "and later ones" "SystemCallFilter=perf_event_open" "$(generate builtin 10.1)"
[[ $(generate builtin 6.18.44) != *perf_event_open* ]] && ok "earlier ones do not" || not_ok "earlier ones do not"

# unit_of KIND RELEASE: as it is there, in the one file that this systemd scores.
unit_of() {
	rm -rf "$work/host"
	mkdir -p "$work/host"
	(cat "$units/cetd.service" && generate "$1" "$2") >"$work/host/cetd.service"
	echo "$work/host/cetd.service"
}
# exposed KIND RELEASE MOST: in tenths.
exposed() {
	check "the exposure on $2, kvm $1, is at most $3 tenths" systemd-analyze security --offline=true --threshold="$3" \
		--no-pager "$(unit_of "$1" "$2")"
}
exposed builtin 6.12.0 11
exposed loaded 6.12.0 14
exposed builtin 7.3.0 13
exposed loaded 7.3.0 16
for release in 6.12.0 7.3.0; do
	generate loaded $release >/dev/null
	rm -rf "$units/cetd.service.d"
	cp -r "$work/generated/cetd.service.d" "$units"
	equal "the unit is good with the drop-in of Linux $release" "" "$(systemd-analyze verify --man=no "$units/cetd.service" 2>&1)"
done

# Users, temporary files, catalog: as they are read in a root of their own.
mkdir -p "$root/etc"
printf 'root:x:0:0::/:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\n' >"$root/etc/group"
check "the group is made" systemd-sysusers --root="$root"
match "by its name" '^cetd:' "$(grep cetd "$root/etc/group")"
mkdir -p "$root/var/lib/cetd"
touch "$root/var/lib/cetd/overrides.json"{,.new}
check "temporary files are taken" systemd-tmpfiles --root="$root" --boot --remove --prefix=/var/lib/cetd
equal "half a store is removed, a whole one is not" overrides.json "$(ls "$root/var/lib/cetd")"
check "the catalog is read" journalctl --root="$root" --update-catalog
ids=$(sed -n 's/^#define CETD_LOG_[A-Z_]* "\([0-9a-f]\{32\}\)"$/\1/p' include/cetd/message-ids.h | sort)
equal "it has each id of the code, and no other" "$ids" \
	"$(sed -n 's/^-- \([0-9a-f]\{32\}\)$/\1/p' systemd/cetd.catalog | sort)"
equal "journald finds each" "$(wc -l <<<"$ids")" \
	"$(for id in $ids; do journalctl --root="$root" --dump-catalog "$id" 2>/dev/null | grep -c '^Subject:'; done | grep -c '^1$')"
for field in $(grep -o '@[A-Z_]*@' systemd/cetd.catalog | tr -d @ | sort -u); do
	grep -rqE "\"$field(=|\")" daemon && continue
	not_ok "the code sets $field, which the catalog speaks of"
done

if command -v apparmor_parser >/dev/null; then
	check "the AppArmor profile is good" apparmor_parser -QK "$root/etc/apparmor.d/usr.sbin.cetd"
else
	skip "the AppArmor profile: apparmor_parser is not installed"
fi
exit $failed
