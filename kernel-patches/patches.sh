# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# How a series is laid on a tree. Sourced by apply.sh, check.sh and the lab.

kp_root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# kp_patches SERIES: the patches, in order; the cover letter is not one.
kp_patches() {
	find "$kp_root/$1" -maxdepth 1 -name '[0-9]*.patch' ! -name '0000-*' 2>/dev/null | sort
}

# kp_files PATCH...: the files that the patches touch.
kp_files() {
	awk '/^diff --git a\// { sub(/^b\//, "", $NF); print $NF }' "$@" | sort -u
}

# kp_adapt DIR: the sed script that fits a patch to the tree in DIR. Point releases of 6.12 before 6.12.117 keep CR0 and
# CR4 in x86.c and have other names for governed features; that is all that the series has to know of them.
kp_adapt() {
	[ -e "$1/arch/x86/kvm/regs.c" ] ||
		printf '%s\n' 's,arch/x86/kvm/regs\.c,arch/x86/kvm/x86.c,g' 's, regs\.o mtrr\.o, mtrr.o,'
	grep -qs guest_cpu_cap_has "$1/arch/x86/kvm/cpuid.h" ||
		printf '%s\n' 's/guest_cpu_cap_has/guest_can_use/g' \
			's/guest_cpu_cap_\(check_and_set\|set\)/kvm_governed_feature_\1/g'
}

# kp_apply DIR PATCH [TREE]: lay one patch on DIR, with neither fuzz nor rejects. If DIR has only some of the files, TREE
# is the whole tree that they come from.
kp_apply() {
	sed "$(kp_adapt "${3:-$1}")" "$2" | patch -d "$1" -p1 -N -F0 -s --no-backup-if-mismatch -r -
}

# kp_stage PRISTINE DIR FILE...: fresh copies of those files in DIR (absolute) that PRISTINE has.
kp_stage() {
	local pristine=$1 dir=$2
	shift 2
	rm -rf "$dir" && mkdir -p "$dir" &&
		(cd "$pristine" && printf '%s\n' "$@" | while read -r file; do
			[ ! -e "$file" ] || cp --parents "$file" "$dir/" || exit 1
		done)
}

# kp_sync STAGE TREE FILE...: bring these files of TREE to what they are in STAGE. A file that is the same is not
# written, so that objects stay valid; one that differs is a new file, as TREE shares others by hard links.
kp_sync() {
	local stage=$1 tree=$2 file
	shift 2
	for file; do
		if [ ! -e "$stage/$file" ]; then
			rm -f "$tree/$file"
		elif ! cmp -s "$stage/$file" "$tree/$file"; then
			mkdir -p "$(dirname "$tree/$file")"
			cp --remove-destination "$stage/$file" "$tree/$file" && touch "$tree/$file"
		fi
	done
}

# kp_digest DIR SERIES: one digest of every file that SERIES touches, as it stands in DIR.
kp_digest() {
	local list
	mapfile -t list < <(kp_patches "$2")
	[ ${#list[@]} -gt 0 ] || return 1
	kp_files "${list[@]}" | (cd "$1" && xargs -d '\n' sha256sum) 2>/dev/null | sha256sum | cut -c1-64
}
