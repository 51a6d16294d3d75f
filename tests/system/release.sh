#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The packages on a release of Debian, which the name this is called by tells: built in its bare root, installed in
# another one that systemd boots, and driven there by inside/. DEBS=DIRECTORY: packages that are built already.
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
name=$release-$$
# A cgroup of the container's own; else two side by side would share one, and the units in it. Its name is no unit's.
group=$(findmnt -nft cgroup2 -o TARGET | head -n 1)/cetd-$name
release_cleanup() {
	local m
	for m in "$run"/*/root "$run/bpf"; do
		! mountpoint -q "$m" || umount -l "$m"
	done
	rm -rf "$run"
	checks_cleanup
	find "$group" "/sys/fs/cgroup/systemd/cetd-$name" -depth -type d -exec rmdir {} + 2>/dev/null
}
trap release_cleanup EXIT
mkdir -p "$run"/{test/previous,test/new,out,bpf}

# give_up WHAT LOG
give_up() {
	local kept=$BUILD/test-logs/system-$release-failure.log
	cp "$2" "$kept"
	not_ok "$1: $(grep -v 'Attempted to remove' "$2" | tail -n 3 | tr '\n' ' ') (see $kept)"
	exit 1
}

# What a bare machine installs to build stays in the layer.
layer_build() {
	tree_copy "$1/src" &&
		in_root "$1" -- sh -c 'apt-get -qq update && apt-get -qq -y install --no-install-recommends make lintian >/dev/null &&
			/src/tests/lib/deps.sh build deb' &&
		rm -rf "$1/src"
}

build_packages() {
	local key deb first second=$run/build/root/elsewhere
	key=$( (sed -n "/^build=(/,/)/p; /^deb=(/,/)/p" tests/lib/deps.sh; cat debian/control) | sha256sum)
	root_layer "$release" build "$key" layer_build >"$run/log" 2>&1 || give_up "the root of $release to build in" "$run/log"
	grep ^roots: "$run/log"
	root_mount "$run/build" "$roots/$release/build" "$roots/$release/base" || exit 1
	tree_copy "$run/build/root/src"
	cp -a "$run/build/root/src" "$second"
	in_root "$run/build/root" -- make -C /src deb >"$run/log" 2>&1 || give_up "make deb on a bare $release" "$run/log"
	ok "make deb on a bare $release"
	first=$run/build/root/src/build/deb
	equal "lintian has nothing to say" "" \
		"$(in_root "$run/build/root" -- sh -c 'lintian --allow-root --fail-on none /src/build/deb/*.changes' 2>/dev/null)"
	cp "$first"/*.deb "$run/test/new"

	# The same once more: elsewhere, at another time, in another zone and with another umask.
	[ "$release" = trixie ] || return 0
	in_root "$run/build/root" -- sh -c 'umask 077 && TZ=Asia/Tokyo DEB_BUILD_OPTIONS="nocheck parallel=1" \
		make -C /elsewhere deb' >"$run/log" 2>&1 || give_up "a second build" "$run/log"
	for deb in "$first"/*.deb "$first"/*.dsc "$first"/*.tar.xz; do
		check "a second build gives the same $(basename "$deb")" cmp "$deb" "$second/build/deb/$(basename "$deb")"
	done
}

# layer_boot PACKAGES ROOT: what the packages depend on, so that they install without a network.
layer_boot() {
	[ "$release" != bookworm ] || in_root "$2" --bind-ro="$PWD:/src" -- bash -c \
		'apt-get -qq update; . /src/tests/lib/apt.sh && apt_suite bookworm-backports' || return 1
	in_root "$2" -- sh -c "apt-get -qq update && apt-get -qq -y install --no-install-recommends $1 >/dev/null &&
		systemctl -q mask systemd-resolved.service systemd-networkd.service"
}

make_boot_root() {
	local depends deb
	depends=$(for deb in "$run"/test/new/cetd_*.deb "$run"/test/new/cetctl_*.deb; do
		dpkg-deb -f "$deb" Depends
		echo ,
	done | tr ',' '\n' | sed 's/|.*//; s/([^)]*)//; s/ //g' | sort -u | tr '\n' ' ')
	[ "$release" != bookworm ] || depends=${depends/libbpf1 /libbpf1/bookworm-backports }
	depends+="systemd systemd-sysv dbus libpam-systemd polkitd pkexec systemd-container curl jq procps"
	root_layer "$release" boot "$(sha256sum <<<"$depends")" layer_boot "$depends" >"$run/log" 2>&1 ||
		give_up "the root of $release to boot" "$run/log"
	grep ^roots: "$run/log"
	root_mount "$run/boot" "$roots/$release/boot" "$roots/$release/base" || exit 1
	cp tests/system/units/* "$run/boot/root/etc/systemd/system/"
}

# An earlier version for the upgrade: the same files with a lower number.
make_previous() {
	local deb
	for deb in "$run"/test/new/cetd_*.deb "$run"/test/new/cetctl_*.deb; do
		rm -rf "$run/repack"
		dpkg-deb -R "$deb" "$run/repack"
		sed -i 's/^Version: .*/Version: 0.0.9/' "$run/repack/DEBIAN/control"
		dpkg-deb -b "$run/repack" "$run/test/previous/" >/dev/null || exit 1
	done
}

if [ -n "${DEBS:-}" ]; then cp "$DEBS"/*.deb "$run/test/new"; else build_packages; fi
make_previous
make_boot_root
cp tests/lib/checks.sh tests/system/inside/* "$BUILD"/cetvmm "$BUILD"/guest/*.bin "$run/test"
echo "$name" >"$run/test/name"
in_root "$run/boot/root" --bind-ro="$run/test:/cetd-test" -- bash /cetd-test/before-boot.sh >"$run/out/log" 2>/dev/null

# systemd mounts a BPF file system itself, but not in a container. Unified cgroups whatever the host has: freezing
# units needs them.
mount -t bpf -o mode=700 bpf "$run/bpf"
mkdir "$group"
# shellcheck disable=SC2016
start "$run/log" env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout -k 10 400 \
	sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$group" \
	systemd-nspawn -q --boot -D "$run/boot/root" -M "cetd-$name" \
	--register=no --keep-unit --console=pipe --private-network --bind=/dev/kvm --bind="$run/bpf:/sys/fs/bpf" \
	--bind-ro="$run/test:/cetd-test" --bind="$run/out:/cetd-out" --capability=CAP_BPF,CAP_PERFMON,CAP_SYS_ADMIN \
	--system-call-filter="bpf perf_event_open"
container=$pid
# timeout's child is nspawn, and its child is systemd.
find_leader() { leader=$(pgrep -P "$(pgrep -P "$container")" | head -n 1) && [ -S "/proc/$leader/root/run/dbus/system_bus_socket" ]; }
if wait_for 60 find_leader; then
	find_leader
	for part in machine freeze; do
		"tests/system/$part.sh" "$leader" "$run/out" "$name" >>"$run/out/host" 2>&1
	done
fi
wait "$container"
r=$?
cp "$run/log" "$BUILD/test-logs/system-$release-console.log"
cp "$run/out/journal" "$BUILD/test-logs/system-$release-journal.log" 2>/dev/null
cat "$run/out/log" "$run/out/host"
grep -q '^# the end' "$run/out/log" ||
	not_ok "the tests inside end (nspawn: $r, see $BUILD/test-logs/system-$release-console.log)"
equal "no pin is left behind" "" "$(ls "$run/bpf" | grep cetd)"
exit $((failed + $(cat "$run/out/log" "$run/out/host" | grep -c '^not ok') > 0))
