# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Where a series' base comes from and how the series is laid on it. Sourced by check.sh and by the lab.
# Uses the cache that the lab uses; needs tests/lib/apt.sh.

kp_root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
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

# kp_patches SERIES: the patches, in order; the cover letter is not one.
kp_patches() {
	find "$kp_root/$1" -maxdepth 1 -name '[0-9]*.patch' ! -name '0000-*' 2>/dev/null | sort
}

# kp_files PATCH...: the files that the patches touch.
kp_files() {
	awk '/^diff --git a\// { sub(/^b\//, "", $NF); print $NF }' "$@" | sort -u
}

# kp_tree PRISTINE DIR: a working copy that shares unchanged files with PRISTINE by hard links.
# Nothing may write to a file of DIR in place; patch(1) and kp_own do not.
kp_tree() {
	rm -rf "$2" && mkdir -p "$(dirname "$2")" &&
		{ cp -al "$1" "$2" 2>/dev/null || { rm -rf "$2" && cp -a "$1" "$2"; }; }
}

# kp_adapt DIR: the sed script that fits a patch to the tree in DIR. Point releases of 6.12 before 6.12.117 keep CR0 and
# CR4 in x86.c and have other names for governed features; that is all that the series has to know of them.
kp_adapt() {
	[ -e "$1/arch/x86/kvm/regs.c" ] ||
		printf '%s\n' 's,arch/x86/kvm/regs\.c,arch/x86/kvm/x86.c,g' 's, regs\.o mtrr\.o, mtrr.o,'
	grep -qs guest_cpu_cap_has "$1/arch/x86/kvm/cpuid.h" ||
		printf '%s\n' 's/guest_cpu_cap_has/guest_can_use/g' \
			's/guest_cpu_cap_\(check_and_set\|set\)/kvm_governed_feature_\1/g'
}

# kp_apply DIR PATCH: lay one patch on DIR, with neither fuzz nor rejects.
kp_apply() {
	sed "$(kp_adapt "$1")" "$2" | patch -d "$1" -p1 -N -F0 -s --no-backup-if-mismatch -r -
}

# kp_digest DIR SERIES: one digest of every file that SERIES touches, as it stands in DIR.
kp_digest() {
	local list
	mapfile -t list < <(kp_patches "$2")
	[ ${#list[@]} -gt 0 ] || return 1
	kp_files "${list[@]}" | (cd "$1" && xargs -d '\n' sha256sum) 2>/dev/null | sha256sum | cut -c1-64
}
