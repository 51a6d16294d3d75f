# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Roots of Debian releases, kept in layers below a cache: base by debootstrap, and on top of it what a task installs.
# Sourced from the top of the tree.
# shellcheck source=../lib/apt.sh
. tests/lib/apt.sh
roots=${CETD_SYSTEM_CACHE:-$HOME/.cache/cetd/system}

# in_root DIRECTORY NSPAWN-ARGUMENT... -- COMMAND...: in a container without an init, with this host's network.
in_root() {
	local root=$1 args=()
	shift
	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	systemd-nspawn -q -D "$root" -M "cetd-${root//[^a-z0-9]/}" --register=no --keep-unit --pipe --resolv-conf=copy-host \
		"${args[@]}" "$@" </dev/null
}

# root_base RELEASE
root_base() {
	local dir=$roots/$1/base uri
	[ ! -e "$dir" ] || return 0
	uri=$(apt_uri)
	[ -n "$uri" ] || {
		_apt_get update >/dev/null
		uri=$(apt_uri)
	}
	mkdir -p "$roots/$1"
	rm -rf "$dir.new"
	echo "roots: making Debian $1 by debootstrap"
	debootstrap --variant=minbase --include=ca-certificates "$1" "$dir.new" "$uri" >"$roots/$1/base.log" 2>&1 || {
		tail -n 5 "$roots/$1/base.log"
		return 1
	}
	rm -f "$dir.new"/var/cache/apt/archives/*.deb
	# What a power cut leaves of a root is thrown away: let dpkg not wait for the disk.
	echo force-unsafe-io >"$dir.new/etc/dpkg/dpkg.cfg.d/cetd-roots"
	mv "$dir.new" "$dir"
}

# root_mount DIRECTORY LAYER...: an overlay of its own over the layers, topmost first, at DIRECTORY/root.
root_mount() {
	local dir=$1 lower
	shift
	lower=$(IFS=: && echo "$*")
	mkdir -p "$dir"/{upper,work,root}
	mount -t overlay overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
}

# root_layer RELEASE NAME KEY COMMAND ROOT...: make the layer NAME over base where it is not there for KEY;
# COMMAND is a function that is handed the root. One at a time: others wait.
root_layer() {
	local release=$1 name=$2 key=$3 dir=$roots/$1/$2 r lock
	shift 3
	mkdir -p "$roots/$release"
	exec {lock}>"$roots/$release/lock"
	flock "$lock"
	[ "$(cat "$dir.key" 2>/dev/null)" != "$key" ] || {
		exec {lock}>&-
		return 0
	}
	root_base "$release" || return 1
	echo "roots: making the layer $name of Debian $release"
	rm -rf "$dir" "$dir.new" "$dir.key"
	root_mount "$dir.new" "$roots/$release/base" || return 1
	"$@" "$dir.new/root"
	r=$?
	umount "$dir.new/root"
	[ $r = 0 ] || return $r
	rm -rf "$dir.new"/upper/var/cache/apt/archives/*.deb
	mv "$dir.new/upper" "$dir" && rm -rf "$dir.new"
	echo "$key" >"$dir.key"
	exec {lock}>&-
}
