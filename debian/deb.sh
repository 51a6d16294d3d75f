#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Build the packages from a clean copy of the tree: deb.sh DIRECTORY. The packages and the source package are
# left in DIRECTORY.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=../tests/lib/tree.sh
. tests/lib/tree.sh
[ $# = 1 ] || {
	echo "usage: debian/deb.sh DIRECTORY" >&2
	exit 2
}
# Of who builds, nothing is to be in the packages.
umask 022
version=$(dpkg-parsechangelog -S Version)
[ "$(sed -n 's/^VERSION := //p' Makefile)" = "$version" ] || {
	echo "deb.sh: debian/changelog says version $version, the Makefile does not" >&2
	exit 1
}
mkdir -p "$1"
out=$(realpath "$1")
copy=$out/cetd-$version
trap 'rm -rf "$copy"' EXIT
rm -rf "$copy"
tree_copy "$copy"
cd "$copy"
dpkg-buildpackage --no-sign --build=full
ls -l "$out"/*.deb
