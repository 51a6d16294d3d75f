# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# list_files: what is on the root's disk, but for the traces of dpkg, of the tests and of a boot.
list_files() {
	find / -xdev \( -path /cetd-test -o -path /cetd-out -o -path /proc -o -path /tmp -o -path /var/log -o \
		-path /var/lib/dpkg -o -path /var/lib/systemd -o -path /var/tmp -o -path /var/cache -o -path /run \) -prune \
		-o -print | sort
}
