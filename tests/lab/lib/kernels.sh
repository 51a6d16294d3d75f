# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Kernels of the lab: kernels/NAME.conf says what they are, here they are fetched or built.
# A kernel is asked for as NAME or NAME:debug. Sourced after common.sh.

kernel_make_vars=(ARCH=x86 KBUILD_BUILD_USER=cetd KBUILD_BUILD_HOST=lab)
series_root=${LAB_SERIES:-$lab_root/../../kernel-patches}

# shellcheck source=kernel-patches/patches.sh
. "$lab_root/../../kernel-patches/patches.sh"

# kernel_conf NAME: read its description into k_*.
kernel_conf() {
	local kind='' suite='' image='' modules='' source='' series='' cet='' events='' optional=no
	k_name=$1 k_variant=plain k_slow=1
	case $1 in *:*) k_variant=${1#*:} ;; esac
	# How much more time a test may take; KASAN and lockdep cost instructions, which are the emulator's time.
	[ "$k_variant" != debug ] || k_slow=8
	local conf=$lab_root/kernels/${1%%:*}.conf
	[ -r "$conf" ] || die "no kernel '$1': known are $(kernel_names | tr '\n' ' ')"
	[[ $k_variant =~ ^(plain|debug)$ ]] || die "kernel '$1': the only variant is :debug"
	# shellcheck source=/dev/null
	. "$conf"
	k_kind=$kind k_suite=$suite k_image=$image k_modules=$modules k_source=$source
	k_series=$series k_cet=${LAB_CET:-$cet} k_events=$events k_optional=$optional
	# What a series shows follows from what it has: no tracepoint of its own, no events of its own.
	[ "$k_events" != cet ] || [ -z "$(kernel_patches)" ] || kernel_patches | xargs grep -qs 'TRACE_EVENT.*kvm_cet_cp' ||
		k_events=stock
	[ "$k_variant" = plain ] || [ "$k_kind" = source ] || die "kernel '$1': only self-built ones have :debug"
}

kernel_names() { basename -s .conf -a "$lab_root"/kernels/*.conf; }

# kernel_patches: the patches of the series of the kernel last read, in order.
kernel_patches() {
	[ -z "$k_series" ] || find "$series_root/$k_series" -name '*.patch' 2>/dev/null | sort
}

# kernel_has_hook: the kernel last read takes policies.
kernel_has_hook() { [ -n "$(kernel_patches | xargs -r grep -ls 'struct kvm_cet_ops')" ]; }

# kernel_default: those that run when none is named: stock ones, and patched ones whose series exists.
kernel_default() {
	local name
	for name in $(kernel_names); do
		kernel_conf "$name"
		[ "$k_optional" = no ] || continue
		[ -z "$k_series" ] || [ -n "$(kernel_patches)" ] || continue
		echo "$name"
	done
}

# kernel_find_stock: the newest package that matches; sets package, release, version and kernel_dir.
kernel_find_stock() {
	apt_suite "$k_suite" >&2 || return 1
	package=$(lab_apt_cache pkgnames linux- | grep -xE "$k_image" | sort -V | tail -1)
	[ -n "$package" ] || die "kernel $k_name: apt knows no package like $k_image"
	release=$(sed -E 's/^linux-(image|binary)-//' <<<"$package")
	version=$(lab_version "$package" "$k_suite")
	[ -n "$version" ] || die "kernel $k_name: $package has no version in $k_suite"
	kernel_dir=$lab_cache/kernel/$k_name-$release-$version
}

kernel_stock_unpack() {
	local tmp ko
	[ ! -e "$kernel_dir/release" ] || return 0
	tmp=$(mktemp -d "$lab_cache/.kernel.XXXXXX") || return 1
	lab_unpack "$package" "$version" "$tmp/image" || return 1
	[ -z "$k_modules" ] ||
		lab_unpack "${k_modules/@RELEASE@/$release}" "$version" "$tmp/modules" || return 1
	mkdir -p "$tmp/out/modules" "$tmp/modules"
	cp "$(find "$tmp/image" -name 'vmlinuz*' | head -1)" "$tmp/out/bzImage" || return 1
	for ko in irqbypass kvm kvm-intel; do
		find "$tmp"/image "$tmp"/modules -name "$ko.ko*" -exec cp {} "$tmp/out/modules/" \; 2>/dev/null
		[ ! -e "$tmp/out/modules/$ko.ko.xz" ] || xz -d "$tmp/out/modules/$ko.ko.xz"
		[ ! -e "$tmp/out/modules/$ko.ko.zst" ] || zstd -q --rm -d "$tmp/out/modules/$ko.ko.zst"
	done
	[ -e "$tmp/out/modules/kvm.ko" ] || die "kernel $k_name: no kvm.ko in $package"
	echo "$release" >"$tmp/out/release"
	mkdir -p "$lab_cache/kernel"
	rm -rf "$kernel_dir" && mv "$tmp/out" "$kernel_dir" && rm -rf "$tmp"
}

# kernel_find_pristine: sets version and pristine_dir.
kernel_find_pristine() {
	version=$(lab_version "$k_source" "$k_suite")
	[ -n "$version" ] || die "kernel $k_name: no $k_source in $k_suite"
	pristine_dir=$lab_cache/src/$k_source-$version
}

# kernel_pristine: the package's source tree, unpacked once; sets pristine_dir.
kernel_pristine() {
	local version
	kernel_find_pristine
	[ -e "$pristine_dir/Makefile" ] || lab_locked "src-$k_source" kernel_pristine_unpack
}

kernel_pristine_unpack() {
	local tmp
	[ ! -e "$pristine_dir/Makefile" ] || return 0
	apt_need xz-utils || return 1
	tmp=$(mktemp -d "$lab_cache/src/.tree.XXXXXX") || return 1
	lab_unpack "$k_source" "$version" "$tmp/deb" || return 1
	say "unpacking $k_source $version"
	mkdir "$tmp/tree"
	tar -C "$tmp/tree" --strip-components=1 -xf "$tmp/deb/usr/src/$k_source.tar.xz" || return 1
	mv "$tmp/tree" "$pristine_dir" && rm -rf "$tmp"
}

# kernel_touched PATCH...: the files that they change, add or remove.
kernel_touched() {
	[ $# = 0 ] || sed -nE 's,^(---|\+\+\+) [ab]/([^	]*).*,\2,p' "$@" | sort -u
}

# kernel_stage DIR FILE...: these files of the package's source in DIR, and what the series makes of them.
kernel_stage() {
	local patch
	kp_stage "$pristine_dir" "$@" || die "kernel $k_name: no copies in $1"
	while read -r patch; do
		lab_logged "patch-$k_name" kp_apply "$1" "$patch" "$pristine_dir" ||
			die "kernel $k_name: ${patch##*/} does not apply"
	done < <(kernel_patches)
}

# kernel_tree: a source tree with the series applied, in which only files whose content differs from last
# time are written, so that objects stay valid. One tree and one set of objects serves all kernels of a source
# package: going from one to the other rebuilds what differs. Sets tree_dir.
kernel_tree() {
	local stage patches files
	tree_dir=$lab_cache/tree/${pristine_dir##*/}
	if [ ! -e "$tree_dir/.ready" ]; then
		say "kernel $k_name: source tree"
		rm -rf "$tree_dir"
		cp -al "$pristine_dir" "$tree_dir" && touch "$tree_dir/.ready" "$tree_dir/.touched"
	fi
	mapfile -t patches < <(kernel_patches)
	mapfile -t files < <({
		cat "$tree_dir/.touched"
		kernel_touched "${patches[@]}"
	} | sort -u)
	stage=$(mktemp -d "$lab_cache/tree/.stage.XXXXXX")
	kernel_stage "$stage" "${files[@]}"
	kp_sync "$stage" "$tree_dir" "${files[@]}"
	kernel_touched "${patches[@]}" >"$tree_dir/.touched"
	rm -rf "$stage"
}

# kernel_progress: until killed, tell each minute how far the build of $k_name is.
kernel_progress() {
	while sleep 60; do
		say "kernel $k_name: $(grep -cE '^  (CC|AS|LD|AR)' "$lab_cache/log/build-$k_name.log") of about 1000 objects"
	done
}

# kernel_compile SOURCE OBJECTS OUT
kernel_compile() {
	local src=$1 obj=$2 out=$3 fragments=("$lab_root/kernel.config") make ko
	local vital=(CONFIG_KVM_INTEL=m CONFIG_X86_USER_SHADOW_STACK=y CONFIG_DEBUG_INFO_BTF=y)
	apt_need build-essential flex bison bc libelf-dev libssl-dev dwarves zlib1g-dev kmod cpio rsync python3 ||
		return 1
	if [ "$k_variant" != plain ]; then
		fragments+=("$lab_root/kernel-$k_variant.config")
		mapfile -t -O ${#vital[@]} vital < <(grep '=y$' "${fragments[1]}")
	fi
	mkdir -p "$obj"
	make=(make -C "$src" "O=$obj" "${kernel_make_vars[@]}")
	if ! cat "${fragments[@]}" | cmp -s - "$obj/.lab-fragments" || [ ! -e "$obj/.config" ]; then
		lab_logged "config-$k_name" "${make[@]}" tinyconfig || return 1
		(cd "$obj" && lab_logged "config-$k_name" "$src/scripts/kconfig/merge_config.sh" -m -O "$obj" \
			"$obj/.config" "${fragments[@]}") || return 1
		lab_logged "config-$k_name" "${make[@]}" olddefconfig || return 1
		cat "${fragments[@]}" >"$obj/.lab-fragments"
	fi
	for ko in "${vital[@]}"; do
		grep -qx "$ko" "$obj/.config" || die "kernel $k_name: $ko did not survive olddefconfig"
	done
	say "kernel $k_name: building (first time about 10 minutes on two cores), log $lab_cache/log/build-$k_name.log"
	kernel_progress &
	local progress=$! r=0
	lab_logged "build-$k_name" nice -n 10 "${make[@]}" -j"$lab_jobs" bzImage modules || r=1
	kill "$progress" 2>/dev/null
	[ $r = 0 ] || return 1
	rm -rf "$out.new" && mkdir -p "$out.new/modules"
	cp "$obj/arch/x86/boot/bzImage" "$out.new/" || return 1
	for ko in irqbypass kvm kvm-intel; do
		find "$obj/arch/x86/kvm" "$obj/virt" -name "$ko.ko" -exec \
			objcopy --strip-debug {} "$out.new/modules/$ko.ko" \;
	done
	[ -e "$out.new/modules/kvm-intel.ko" ] || die "kernel $k_name: kvm-intel.ko was not built"
	cp "$obj/.config" "$out.new/config"
	cat "$obj/include/config/kernel.release" >"$out.new/release"
	rm -rf "$out" && mv "$out.new" "$out"
	say "kernel $k_name: ready, $(cat "$out/release")"
}

kernel_source_build() {
	[ ! -e "$kernel_dir/release" ] || return 0
	kernel_tree && kernel_compile "$tree_dir" "$lab_cache/obj/$k_source-$k_variant" "$kernel_dir"
}

# kernel_given: a tree of the user's, built incrementally each time.
kernel_given() {
	local tree key
	tree=$(realpath "$KERNEL_TREE") && [ -e "$tree/Kconfig" ] || die "KERNEL_TREE=$KERNEL_TREE: no kernel tree"
	[ ! -e "$tree/.config" ] || die "KERNEL_TREE=$tree was built in place; 'make mrproper' there first"
	key=$(lab_key <<<"$tree")
	kernel_dir=$lab_cache/kernel/tree-$key-$k_variant
	lab_locked "tree-$key" kernel_compile "$tree" "$lab_cache/obj/tree-$key-$k_variant" "$kernel_dir"
}

# kernel_find NAME: sets k_* and kernel_dir, which may be still to be made; 0 if it is there and as it should be.
kernel_find() {
	local patches
	kernel_conf "$1"
	if [ -n "${KERNEL_IMAGE:-}${KERNEL_TREE:-}" ]; then
		return 1
	elif [ "$k_kind" = stock ]; then
		kernel_find_stock || return 1
	else
		kernel_find_pristine
		mapfile -t patches < <(kernel_patches)
		[ -z "$k_series" ] || [ ${#patches[@]} -gt 0 ] || die "kernel $1: kernel-patches/$k_series has no patches yet"
		kernel_dir=$lab_cache/kernel/$k_name-$({
			echo "${pristine_dir##*/}" "$k_variant"
			cat "$lab_root/kernel.config"
			[ "$k_variant" = plain ] || cat "$lab_root/kernel-$k_variant.config"
			[ ${#patches[@]} = 0 ] || cat "${patches[@]}"
		} | lab_key)
	fi
	[ -e "$kernel_dir/release" ]
}

# kernel_image: what was built elsewhere.
kernel_image() {
	kernel_dir=$(mktemp -d "$lab_run/kernel.XXXXXX")
	cp "$KERNEL_IMAGE" "$kernel_dir/bzImage" && mkdir "$kernel_dir/modules" || return 1
	[ -z "${KERNEL_MODULES:-}" ] ||
		find "$KERNEL_MODULES" \( -name kvm.ko -o -name kvm-intel.ko -o -name irqbypass.ko \) \
			-exec cp {} "$kernel_dir/modules/" \;
	echo given >"$kernel_dir/release"
}

# kernel_need NAME: have it; sets k_* and kernel_dir (bzImage, modules/, release).
kernel_need() {
	local package release version
	! kernel_find "$1" || return 0
	if [ -n "${KERNEL_IMAGE:-}" ]; then
		kernel_image
	elif [ -n "${KERNEL_TREE:-}" ]; then
		kernel_given
	elif [ "$k_kind" = stock ]; then
		lab_locked "kernel-$k_name" kernel_stock_unpack
	else
		kernel_pristine || return 1
		lab_locked "kernel-$k_source" kernel_source_build
	fi
}

# kernel_order: names on standard input, those that are there first: they boot while the others are built.
kernel_order() {
	local name later=()
	while read -r name; do
		if (kernel_find "$name") </dev/null; then echo "$name"; else later+=("$name"); fi
	done
	for name in "${later[@]}"; do
		kernel_conf "$name"
		echo "$k_kind $name"
	done | sort -s -r -k1,1 | cut -d' ' -f2 # what has to be fetched only, then what has to be built
}
