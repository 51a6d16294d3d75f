# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Where a series' base comes from. Sourced by check.sh. Uses the cache that the lab uses; needs tests/lib/apt.sh.

# shellcheck source=kernel-patches/patches.sh
. "$(dirname "${BASH_SOURCE[0]}")/patches.sh"

kp_cache=${CETD_LAB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/cetd/lab}

# shellcheck source=tests/lib/apt.sh
. "$kp_root/../tests/lib/apt.sh"

# kp_base SERIES: package and suites of the base; the series is checked in full on the first suite
# and must apply to the others as well.
kp_base() {
	case $1 in
	linux-6.12) echo linux-source-6.12 trixie bookworm-backports ;;
	linux-7.3) echo linux-source-7.3 trixie-backports ;;
	*)
		echo "kernel-patches: no base known for $1" >&2
		return 1
		;;
	esac
}

# kp_version PACKAGE SUITE: newest version of PACKAGE in SUITE.
kp_version() {
	apt_suite "$2" >&2 || return 1
	apt-cache madison "$1" | awk -F' *[|] *' -v s=" $2/main " \
		'index($3, s) && $3 ~ /Packages/ { print $2; found = 1; exit } END { exit !found }'
}

# kp_pristine PACKAGE SUITE: print the directory of the unpacked package source, fetched once.
kp_pristine() {
	local version dir tmp
	version=$(kp_version "$1" "$2") || {
		echo "kernel-patches: no $1 in $2" >&2
		return 1
	}
	dir=$kp_cache/src/$1-$version
	mkdir -p "$kp_cache/src" "$kp_cache/lock"
	(
		exec 8>"$kp_cache/lock/src-$1"
		flock 8
		[ ! -e "$dir/Makefile" ] || exit 0
		apt_need xz-utils >&2 || exit 1
		tmp=$(mktemp -d "$kp_cache/src/.$1.XXXXXX")
		chmod 755 "$tmp"
		echo "kernel-patches: fetching $1 $version" >&2
		(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download "$1=$version") &&
			mkdir "$tmp/tree" &&
			dpkg-deb --fsys-tarfile "$tmp"/*.deb | tar -xO "./usr/src/$1.tar.xz" |
			xz -dc -T0 | tar -x --strip-components=1 -C "$tmp/tree" &&
			mv -T "$tmp/tree" "$dir"
		r=$?
		rm -rf "$tmp"
		exit $r
	) || return 1
	echo "$dir"
}

# kp_tree PRISTINE DIR: a working copy that shares unchanged files with PRISTINE by hard links.
# Nothing may write to a file of DIR in place; patch(1) and kp_sync do not.
kp_tree() {
	rm -rf "$2" && mkdir -p "$(dirname "$2")" &&
		{ cp -al "$1" "$2" 2>/dev/null || { rm -rf "$2" && cp -a "$1" "$2"; }; }
}
