#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The packages on a release of Debian, which the name this is called by tells: built in its bare root, installed in
# another one that systemd boots, and driven there by inside.sh.
set -u
release=$(basename "$0")
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/checks.sh
. tests/lib/checks.sh
# shellcheck source=../lib/tree.sh
. tests/lib/tree.sh
# shellcheck source=roots.sh
. tests/system/roots.sh

run=$roots/$release/run.$$
release_cleanup() {
	local m
	for m in "$run"/*/root; do
		! mountpoint -q "$m" || umount -l "$m"
	done
	rm -rf "$run"
	checks_cleanup
}
trap release_cleanup EXIT
mkdir -p "$run"/{test,out}

give_up() {
	not_ok "$*"
	exit 1
}

# What a bare machine is told to do; the packages that it installs stay in the layer.
layer_build() {
	tree_copy "$1/src" &&
		in_root "$1" -- sh -c 'apt-get -qq update && apt-get -qq -y install make lintian >/dev/null && /src/tests/lib/deps.sh build deb' &&
		rm -rf "$1/src"
}
build_key=$(cat debian/control tests/lib/deps.sh tests/lib/apt.sh tests/system/roots.sh | sha256sum)
root_layer "$release" build "$build_key" layer_build >"$run/layer.log" 2>&1 ||
	give_up "the build root of $release: $(tail -n 3 "$run/layer.log" | tr '\n' ' ')"
cat "$run/layer.log"

root_mount "$run/build" "$roots/$release/build" "$roots/$release/base" || give_up "overlay of the build root"
tree_copy "$run/build/root/src"
if in_root "$run/build/root" -- make -C /src deb >"$run/deb.log" 2>&1; then
	ok "make deb on a bare Debian $release"
else
	cp "$run/deb.log" "$BUILD/test-logs/system-$release-deb.log"
	give_up "make deb on a bare Debian $release: see $BUILD/test-logs/system-$release-deb.log"
fi
debs=$run/build/root/src/build/deb
equal "lintian has nothing to say" "" \
	"$(in_root "$run/build/root" -- sh -c 'lintian --fail-on none /src/build/deb/*.changes' 2>&1 | grep -v '^running with root')"

# The same once more: elsewhere, at another time, in another zone, language and with another umask.
if [ "$release" = trixie ]; then
	tree_copy "$run/build/root/elsewhere"
	in_root "$run/build/root" -- sh -c 'umask 077 && TZ=Asia/Tokyo LC_ALL=C.UTF-8 DEB_BUILD_OPTIONS="nocheck parallel=1" \
		make -C /elsewhere deb' >"$run/deb2.log" 2>&1
	for deb in "$debs"/*.deb "$debs"/*.dsc "$debs"/*.tar.xz; do
		check "a second build gives the same $(basename "$deb")" cmp "$deb" "$run/build/root/elsewhere/build/deb/$(basename "$deb")"
	done
fi

# The root that is booted holds what the packages depend on, so that they install without a network.
layer_boot() {
	[ "$release" != bookworm ] || in_root "$2" --bind-ro="$PWD:/src" -- bash -c 'apt-get -qq update; . /src/tests/lib/apt.sh && apt_suite bookworm-backports' || return 1
	# shellcheck disable=SC2086
	in_root "$2" -- sh -c "apt-get -qq update && apt-get -qq -y install --no-install-recommends $1 >/dev/null &&
		systemctl mask systemd-resolved.service systemd-networkd.service >/dev/null 2>&1"
}
depends=$(for deb in "$debs"/cetd_*.deb "$debs"/cetctl_*.deb; do dpkg-deb -f "$deb" Depends; done |
	tr ',' '\n' | sed 's/|.*//; s/([^)]*)//; s/ //g' | sort -u | tr '\n' ' ')
[ "$release" != bookworm ] || depends=${depends/libbpf1 /libbpf1/bookworm-backports }
depends+="systemd systemd-sysv dbus libpam-systemd polkitd pkexec systemd-container curl jq procps"
root_layer "$release" boot "$(sha256sum <<<"$depends"; sha256sum <tests/system/roots.sh)" layer_boot "$depends" >"$run/layer.log" 2>&1 ||
	give_up "the root of $release to boot: $(tail -n 3 "$run/layer.log" | tr '\n' ' ')"
cat "$run/layer.log"

# An earlier version for the upgrade: the same files with a lower number.
previous() {
	local deb
	for deb in "$debs"/cetd_*.deb "$debs"/cetctl_*.deb; do
		rm -rf "$run/repack"
		dpkg-deb -R "$deb" "$run/repack"
		sed -i 's/^Version: .*/Version: 0.0.9/' "$run/repack/DEBIAN/control"
		dpkg-deb -b "$run/repack" "$run/test/previous/" >/dev/null || return 1
	done
}
mkdir "$run/test/previous" "$run/test/new"
cp "$debs"/cetd_*.deb "$debs"/cetctl_*.deb "$run/test/new"
previous || give_up "repack the packages"
cp tests/lib/checks.sh tests/system/inside/* "$BUILD"/cetvmm "$BUILD"/guest/*.bin "$run/test"

root_mount "$run/boot" "$roots/$release/boot" "$roots/$release/base" || give_up "overlay of the root to boot"
cp tests/system/units/* "$run/boot/root/etc/systemd/system/"
in_root "$run/boot/root" --bind-ro="$run/test:/cetd-test" -- bash /cetd-test/before-boot.sh >"$run/out/log" 2>&1 ||
	not_ok "before-boot.sh: $(tail -n 3 "$run/out/log" | tr '\n' ' ')"

# Unified cgroups whatever the host has: freezing units needs them.
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout -k 10 400 systemd-nspawn -q --boot -D "$run/boot/root" -M "cetd-$release-$$" \
	--register=no --keep-unit --console=pipe --private-network --bind=/dev/kvm --bind-ro="$run/test:/cetd-test" \
	--bind="$run/out:/cetd-out" --capability=CAP_BPF,CAP_PERFMON,CAP_SYS_ADMIN \
	--system-call-filter="bpf perf_event_open" </dev/null >"$run/console.log" 2>&1
r=$?
cp "$run/console.log" "$BUILD/test-logs/system-$release-console.log"
cp "$run/out/journal" "$BUILD/test-logs/system-$release-journal.log" 2>/dev/null
cat "$run/out/log"
failed=$((failed + $(grep -c '^not ok' "$run/out/log")))
grep -q '^# the end' "$run/out/log" || not_ok "the tests inside end (nspawn: $r, see $BUILD/test-logs/system-$release-console.log)"
exit $((failed > 0))
