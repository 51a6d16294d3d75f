# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Shared by every script that installs something: packages by name, further Debian suites pinned low.

_apt_get() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=900 "$@" </dev/null
}

# apt_uri: the archive address that apt already uses for Debian's main suite.
apt_uri() {
	apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(COMPONENT) $(CODENAME)' 2>/dev/null |
		awk -v c="$(. /etc/os-release && echo "$VERSION_CODENAME")" \
			'$2 == "Debian" && $3 == "main" && $4 == c { print $1; exit }'
}

# apt_suite SUITE...: make SUITE (binary and source) available with priority 100, once.
# Nothing is installed from it unless its packages are asked for as PACKAGE/SUITE.
apt_suite() {
	local suite file uri changed=0 own
	own=$(. /etc/os-release && echo "$VERSION_CODENAME")
	exec 9>/run/lock/cetd-apt.lock && flock 9
	for suite; do
		file=/etc/apt/sources.list.d/cetd-$suite.sources
		[ -e "$file" ] && continue
		uri=$(apt_uri)
		[ -n "$uri" ] || {
			_apt_get update >/dev/null
			uri=$(apt_uri)
		}
		[ -n "$uri" ] || {
			echo "apt: no Debian archive configured: add one to /etc/apt/sources.list.d" >&2
			exec 9>&-
			return 1
		}
		echo "apt: adding suite $suite"
		printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
			"$([ "$suite" = "$own" ] && echo deb-src || echo deb deb-src)" \
			"$uri" "$suite" /usr/share/keyrings/debian-archive-keyring.gpg >"$file"
		printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' "$suite" \
			>"/etc/apt/preferences.d/cetd-$suite"
		[ "$suite" != "$own" ] || rm -f "/etc/apt/preferences.d/cetd-$suite"
		changed=1
	done
	[ $changed = 0 ] || _apt_get update
	exec 9>&-
}

# apt_missing PACKAGE...: print those that are not installed.
apt_missing() {
	local p
	for p; do
		dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q 'ok installed' || echo "$p"
	done
}

# apt_install [-t SUITE] PACKAGE...: install or upgrade, and say so.
apt_install() {
	local r
	[ "$(id -u)" = 0 ] || {
		echo "apt: these packages are needed, and installing them needs root: $*" >&2
		return 1
	}
	echo "apt: installing $*"
	exec 9>/run/lock/cetd-apt.lock && flock 9
	_apt_get install -y --no-install-recommends "$@" >/dev/null ||
		{ _apt_get update && _apt_get install -y --no-install-recommends "$@" >/dev/null; }
	r=$?
	exec 9>&-
	return $r
}

# apt_need [-t SUITE] PACKAGE...: install what is missing; silent when all is there.
apt_need() {
	local target=() missing
	[ "$1" = -t ] && target=(-t "$2") && shift 2
	mapfile -t missing < <(apt_missing "$@")
	[ ${#missing[@]} = 0 ] || apt_install "${target[@]}" "${missing[@]}"
}

# apt_build_dep DIRECTORY: install what the debian/control there needs for a build.
apt_build_dep() {
	echo "apt: installing what builds the packages"
	exec 9>/run/lock/cetd-apt.lock && flock 9
	_apt_get build-dep -y --no-install-recommends "$1" >/dev/null
	local r=$?
	exec 9>&-
	return $r
}
