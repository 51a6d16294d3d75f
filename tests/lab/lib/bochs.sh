# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Bochs with VMX and CET: Debian's source, the mends of tests/lab/bochs, built once. Sourced after common.sh.

bochs_suite=trixie
bochs_options=(
	--enable-x86-64 --enable-cpu-level=6 --enable-vmx=2 --enable-cet --enable-avx --enable-evex
	--enable-protection-keys --enable-memtype --enable-perfmon --enable-monitor-mwait --enable-smp
	--enable-all-optimizations --enable-handlers-chaining --enable-fast-function-calls
	--enable-repeat-speedups --enable-long-phy-address --enable-pci --enable-fpu
	--disable-debugger --disable-debugger-gui --disable-docbook --disable-plugins --disable-stats
	--with-nogui
)

# bochs_source DIR: unpack the pristine source into DIR.
bochs_source() {
	local tmp r=0
	tmp=$(mktemp -d "$lab_cache/src/.bochs.XXXXXX") || return 1
	chmod 755 "$tmp"
	apt_suite "$bochs_suite" || return 1
	# Only the upstream tarball is wanted; apt has checked it against the signed index even
	# where a mirror lacks the small .dsc beside it.
	(cd "$tmp" && apt-get -qq "${lab_apt_options[@]}" -o APT::Sandbox::User=root source --download-only --tar-only \
		"bochs/$bochs_suite") >"$lab_cache/log/fetch-bochs.log" 2>&1 || r=$?
	local tar
	tar=$(find "$tmp" -name 'bochs_*.orig.tar.*' ! -name '*.asc' | head -1)
	[ -n "$tar" ] || {
		cat "$lab_cache/log/fetch-bochs.log" >&2
		say "bochs: no source from apt ($r)"
		return 1
	}
	mkdir -p "$1" && tar -C "$1" --strip-components=1 -xf "$tar"
	rm -rf "$tmp"
}

bochs_build() {
	local out=$1 tmp flags="-O3 -march=x86-64-v2 -fomit-frame-pointer -pipe" patch
	[ -x "$out/bochs" ] && return 0
	apt_need build-essential patch pkg-config bzip2 xz-utils || return 1
	tmp=$(mktemp -d "$lab_cache/.bochs.XXXXXX") || return 1
	bochs_source "$tmp/src" || return 1
	for patch in "$lab_root"/bochs/*.patch; do
		lab_logged "bochs-$(basename "$patch")" patch -d "$tmp/src" -p1 -i "$patch" || return 1
	done
	say "bochs: building (a minute on two cores)"
	(cd "$tmp/src" && CFLAGS=$flags CXXFLAGS=$flags \
		lab_logged bochs-configure ./configure "${bochs_options[@]}") || return 1
	lab_logged bochs-make make -C "$tmp/src" -j"$lab_jobs" || return 1
	lab_unpack bochsbios "$(lab_version bochsbios $bochs_suite)" "$tmp/bios" || return 1
	lab_unpack vgabios "$(lab_version vgabios $bochs_suite)" "$tmp/vga" || return 1
	mkdir "$tmp/out"
	strip -o "$tmp/out/bochs" "$tmp/src/bochs" &&
		cp -L "$tmp/bios/usr/share/bochs/BIOS-bochs-latest" "$tmp/out/" &&
		cp -L "$(find "$tmp/vga" -name vgabios.bin ! -type d | head -1)" "$tmp/out/" || return 1
	rm -rf "$out" && mv "$tmp/out" "$out" && rm -rf "$tmp"
	say "bochs: ready"
}

# bochs_need: have it built; bochs_dir names the place of bochs and its firmware.
bochs_need() {
	bochs_dir=$lab_cache/bochs-$({
		printf '%s\n' "${bochs_options[@]}"
		cat "$lab_root"/bochs/*.patch "$lab_root/lib/bochs.sh"
	} | lab_key)
	[ -x "$bochs_dir/bochs" ] || lab_locked bochs bochs_build "$bochs_dir"
}
