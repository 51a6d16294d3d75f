# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# sparse as the checks need it: Debian's source with the mends of sparse/, built once. Sourced.

# shellcheck source=kernel-patches/source.sh
. "$(dirname "${BASH_SOURCE[0]}")/source.sh"

sparse_suite=trixie

# sparse_build DIR: build it into DIR.
sparse_build() {
	local tmp tar patch
	[ ! -x "$1/sparse" ] || return 0
	apt_need build-essential dpkg-dev patch pkg-config xz-utils && apt_suite "$sparse_suite" || return 1
	tmp=$(mktemp -d "$kp_cache/.sparse.XXXXXX") && chmod 755 "$tmp" || return 1
	# Only the upstream tarball is wanted, also where a mirror lacks the small files beside it.
	(cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root source --download-only --tar-only \
		"sparse/$sparse_suite" 2>&1) | grep -v '^E: Failed to fetch' || true
	tar=$(find "$tmp" -name 'sparse_*.orig.tar.*' ! -name '*.asc' | head -n 1)
	[ -n "$tar" ] || {
		echo "kernel-patches: no source of sparse from apt"
		rm -rf "$tmp"
		return 1
	}
	echo "kernel-patches: building sparse (half a minute)"
	mkdir "$tmp/src" && tar -C "$tmp/src" --strip-components=1 -xf "$tar" || return 1
	for patch in "$kp_root"/sparse/*.patch; do
		patch -d "$tmp/src" -p1 -s -i "$patch" || return 1
	done
	nice -n 10 make -s -C "$tmp/src" -j"$(nproc)" HAVE_LLVM=no HAVE_LIBXML=no HAVE_GTK=no HAVE_SQLITE=no \
		sparse >"$tmp/log" 2>&1 || {
		tail -n 20 "$tmp/log"
		return 1
	}
	rm -rf "$1" && mkdir "$1" && strip -o "$1/sparse" "$tmp/src/sparse" && rm -rf "$tmp"
}

# sparse_need: have it; sets sparse_bin.
sparse_need() {
	local dir
	dir=$kp_cache/sparse-$(cat "$kp_root"/sparse/*.patch "$kp_root/sparse.sh" | sha256sum | cut -c1-12)
	mkdir -p "$kp_cache/lock"
	(
		exec 8>"$kp_cache/lock/sparse"
		flock 8
		sparse_build "$dir"
	) >&2 || return 1
	# shellcheck disable=SC2034 # for whoever sources this
	sparse_bin=$dir/sparse
}
