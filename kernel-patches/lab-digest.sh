#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Print the digest of the files that the lab builds a series' kernel from, as the lab itself makes them.
# Usage: lab-digest.sh SERIES
set -eu -o pipefail

lab_root=$(cd "$(dirname "$0")/../tests/lab" && pwd)
# shellcheck source=tests/lab/lib/common.sh
. "$lab_root/lib/common.sh"
# shellcheck source=tests/lab/lib/kernels.sh
. "$lab_root/lib/kernels.sh"

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
kernel_conf "cetd-${1#linux-}"
kernel_pristine
mapfile -t patches < <(kp_patches "$1")
mapfile -t files < <(kp_files "${patches[@]}")
kernel_stage "$stage" "${files[@]}"
kp_digest "$stage" "$1"
