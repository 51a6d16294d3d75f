# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# D-Bus calls for the integration tests.

# call OBJECT INTERFACE.METHOD ARGUMENT...: dbus-send's reply, or its error on stderr.
call() {
	local object=$1 method=$2
	shift 2
	dbus-send --bus="$DBUS_SYSTEM_BUS_ADDRESS" --print-reply=literal --reply-timeout=10000 \
		--dest=org.cetd1 "$object" "$method" "$@"
}

# interface_xml OBJECT INTERFACE: that part of the introspection.
interface_xml() {
	call "$1" org.freedesktop.DBus.Introspectable.Introspect |
		sed -n "/<interface name=\"$2\">/,/<\/interface>/p"
}

as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
