# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced from the top of the tree.

# tree_copy DIRECTORY: what is committed or about to be, into a new directory; nothing that git ignores.
tree_copy() {
	mkdir "$1" || return 1
	if [ -e .git ]; then
		git ls-files -z --cached --others --exclude-standard |
			while read -rd '' f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done |
			tar -c --null --verbatim-files-from -T - | tar -x -C "$1"
	else
		tar -c --exclude=./build --exclude=./debian/build . | tar -x -C "$1"
	fi
}
