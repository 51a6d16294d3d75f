# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The real daemon and what it needs, for the emulated host: programs of this machine with their libraries.
# Sourced after common.sh.

# stack_program ROOT PROGRAM: copy it, stripped, and all libraries it names.
stack_program() {
	local library
	install -Ds "$2" "$1/lab/bin/$(basename "$2")" || return 1
	ldd "$2" 2>/dev/null | grep -oE '/[^ ]+' | sort -u | while read -r library; do
		[ -e "$1/$library" ] || install -D "$(realpath "$library")" "$1/$library"
	done
}

stack_is_built() { [ -x "$lab_build/cetd" ] && [ -x "$lab_build/cetctl" ]; }

# stack_stage ROOT
stack_stage() {
	local program
	stack_is_built || return 0
	apt_need dbus-daemon dbus-bin curl || return 1
	for program in dbus-daemon dbus-send dbus-monitor curl bash; do
		stack_program "$1" "$(command -v $program)" || return 1
	done
	stack_program "$1" "$lab_build/cetd" && stack_program "$1" "$lab_build/cetctl" || return 1
	cp "$lab_build/jsonflat" "$1/lab/bin/" || return 1
	for program in bpf/test-patched bpf/pins-layout fake-systemd; do
		[ ! -x "$lab_build/tests/$program" ] || stack_program "$1" "$lab_build/tests/$program" || return 1
	done
	install -D "$(command -v bash)" "$1/bin/bash"
	mkdir -p "$1/lab/src/tests/lib" "$1/lab/src/systemd" "$1/lab/expect" "$1/etc"
	mkdir -p "$1/lab/src/build" && ln -s /lab/guest /lab/bin/cetvmm "$1/lab/src/build/"
	cp "$lab_root/../lib/checks.sh" "$lab_root/../lib/live.sh" "$1/lab/src/tests/lib/"
	cp "$lab_root/../../systemd/org.cetd1.conf" "$1/lab/src/systemd/"
	cp "$lab_root"/expect/probe.tsv "$1/lab/expect/"
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$1/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
}

# stack_class: the column of expect/probe.tsv for the kernel last read by kernel_conf.
stack_class() {
	case $k_events/$k_cet in
	cet/*) echo "patched-${k_name#*-}" | sed 's/:.*//' ;;
	*/yes) [ "$k_source" = linux-source-6.12 ] && echo stock-6.12 || echo stock ;;
	*) echo none ;;
	esac
}
