#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Lay a series on a kernel source tree, patch by patch, without fuzz.
# Usage: apply.sh SERIES TREE      (e.g. apply.sh linux-6.12 ~/linux-source-6.12)
set -eu -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=kernel-patches/patches.sh
. "$here/patches.sh"

if [ $# != 2 ] || [ ! -d "$here/$1" ] || [ ! -e "$2/Kconfig" ]; then
	sed -n '3,4s/^# //p' "$0" >&2
	exit 2
fi
while read -r patch; do
	kp_apply "$2" "$patch" || {
		echo "apply.sh: ${patch##*/} does not apply" >&2
		exit 1
	}
done < <(kp_patches "$1")
echo "$1 applied"
