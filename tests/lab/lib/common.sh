# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Paths, messages and the cache of the lab. Sourced; needs lab_root (tests/lab) set.

lab_cache=${CETD_LAB_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/cetd/lab}
lab_jobs=${LAB_JOBS:-$(nproc)}
mkdir -p "$lab_cache"/{src,log,lock,tree}

# shellcheck source=tests/lib/apt.sh
. "$lab_root/../lib/apt.sh"

say() { printf '%(%H:%M:%S)T lab: %s\n' -1 "$*" >&2; }
die() {
	say "$*"
	exit 1
}

# lab_key: a short name for what is read from standard input.
lab_key() { sha256sum | cut -c1-12; }

# lab_locked NAME COMMAND...: one builder of NAME at a time, also between checkouts that share the cache.
lab_locked() {
	local name=$1
	shift
	(
		exec 8>"$lab_cache/lock/$name"
		flock -n 8 || {
			say "waiting for another build of $name"
			flock 8
		}
		"$@"
	)
}

# lab_logged NAME COMMAND...: run with output in a log; on failure show its end and name it.
lab_logged() {
	local log=$lab_cache/log/$1.log r=0
	shift
	"$@" >"$log" 2>&1 </dev/null || r=$?
	[ $r = 0 ] || {
		tail -n 25 "$log" >&2
		say "failed ($r): $*; whole log: $log"
	}
	return $r
}

# Where apt keeps no cache of its own, as in container images, each question costs it seconds.
lab_apt_options=(-o "Dir::Cache::pkgcache=$lab_cache/apt-cache.bin")
lab_apt_cache() { apt-cache "${lab_apt_options[@]}" "$@"; }

# lab_version PACKAGE SUITE: newest version of PACKAGE in SUITE.
lab_version() {
	apt_suite "$2" >&2 || return 1
	lab_apt_cache madison "$1" | awk -F' *[|] *' -v s="$2/main" \
		'index($3, s) && $3 ~ /Packages/ { print $2; exit }'
}

# lab_unpack PACKAGE VERSION DIR: the content of a binary package, downloaded, not installed.
lab_unpack() {
	local tmp
	[ -d "$3" ] && return 0
	tmp=$(mktemp -d "$lab_cache/src/.unpack.XXXXXX") || return 1
	chmod 755 "$tmp"
	say "fetching $1 $2"
	(cd "$tmp" && lab_logged "fetch-$1" apt-get "${lab_apt_options[@]}" -o APT::Sandbox::User=root download "$1=$2" &&
		dpkg-deb -x ./*.deb root) || {
		rm -rf "$tmp"
		return 1
	}
	mkdir -p "$(dirname "$3")"
	mv -T "$tmp/root" "$3" 2>/dev/null || [ -d "$3" ]
	rm -rf "$tmp"
}
