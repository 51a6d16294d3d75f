#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Build the packages from a clean copy of the tree: deb.sh DIRECTORY. What is committed or about to be goes in,
# what git ignores does not. The packages and the source package are left in DIRECTORY.
set -eu
cd "$(dirname "$0")/.."
[ $# = 1 ] || {
	echo "usage: debian/deb.sh DIRECTORY" >&2
	exit 2
}
mkdir -p "$1"
out=$(realpath "$1")
version=$(dpkg-parsechangelog -S Version)
[ "$(sed -n 's/^VERSION := //p' Makefile)" = "$version" ] || {
	echo "deb.sh: debian/changelog says version $version, the Makefile does not" >&2
	exit 1
}

copy=$out/cetd-$version
rm -rf "$copy"
mkdir "$copy"
if [ -e .git ]; then
	git ls-files -z --cached --others --exclude-standard | tar -c --null --verbatim-files-from -T - | tar -x -C "$copy"
else
	tar -c --exclude=./build --exclude=./debian/build . | tar -x -C "$copy"
fi
cd "$copy"
dpkg-buildpackage --no-sign "${DEB_BUILD_FLAGS:---build=full}"
cd "$out"
rm -rf "$copy"
ls -l ./*.deb
