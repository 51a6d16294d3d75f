#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Install what a task needs: deps.sh build|demo|check|bench|deb|system... Says what it installs, is silent when all is there.
set -eu
cd "$(dirname "$0")"
# shellcheck source=apt.sh
. ./apt.sh

build=(gcc make pkgconf clang llvm libelf-dev zlib1g-dev libsystemd-dev libjson-c-dev
	libmicrohttpd-dev libcap-ng-dev libsmartcols-dev uthash-dev linux-libc-dev)
demo=(dbus curl procps)
check=(libcmocka-dev zsh bsdutils systemd clang-format-19 dbus curl jq procps prometheus tmux bpftrace qemu-system-x86
	cpio busybox-static kmod xz-utils git polkitd apparmor mandoc chromium chromium-driver fonts-dejavu-core)
bench=(bpftrace curl dbus jq procps)
fuzz=(libclang-rt-dev)
# Besides what debian/control asks for.
deb=(dpkg-dev)
system=(debootstrap systemd-container)

need_libbpf() {
	[ -x /usr/sbin/bpftool ] && [ -z "$(apt_missing linux-bpf-dev)" ] &&
		pkg-config --atleast-version=1.4 libbpf 2>/dev/null && return 0
	# Debian 12 ships libbpf 1.1; struct_ops in modules needs 1.4.
	if [ "$(. /etc/os-release && echo "$VERSION_CODENAME")" = bookworm ]; then
		apt_suite bookworm-backports
		apt_install -t bookworm-backports libbpf-dev bpftool linux-bpf-dev
	else
		apt_need libbpf-dev bpftool linux-bpf-dev
	fi
}

packages=()
for task; do
	case $task in
	build | demo | check | bench | fuzz | deb | system)
		declare -n list=$task
		packages+=("${list[@]}")
		;;
	*)
		echo "deps.sh: unknown task '$task', valid are build, demo, check, bench, fuzz, deb, system" >&2
		exit 2
		;;
	esac
done
apt_need "${packages[@]}"
need_libbpf
case " $* " in *" deb "*)
	dpkg-checkbuilddeps ../../debian/control 2>/dev/null || apt_build_dep ../..
	;;
esac
