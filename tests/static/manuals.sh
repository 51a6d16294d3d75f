#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The manual pages are sound, and document what the programs have: no option, key, verb, method, property, signal,
# error or metric is missing, and none is documented that does not exist.
set -u
cd "$(dirname "$0")/../.."
# shellcheck source=../lib/checks.sh
. tests/lib/checks.sh
pages=(daemon/cetd.8 daemon/cetd.conf.5 daemon/policy/cetd-policy.5 daemon/export/org.cetd1.5 cli/cetctl.1)

# section PAGE NAME [SUBSECTION]: its lines
section() {
	awk -v sh="$2" -v ss="${3:-}" '
		/^\.Sh / { in_sh = ($0 == ".Sh " sh); in_ss = ss == "" }
		/^\.Ss / && ss != "" { in_ss = ($0 == ".Ss " ss) }
		in_sh && in_ss' "$1"
}

# same WHAT IN-THE-PROGRAM IN-THE-PAGE: two lists, one entry a line
same() {
	local missing extra
	[ -n "$2" ] || not_ok "$1: nothing was extracted from the program"
	missing=$(comm -23 <(sort -u <<<"$2") <(sort -u <<<"$3") | tr '\n' ' ')
	extra=$(comm -13 <(sort -u <<<"$2") <(sort -u <<<"$3") | tr '\n' ' ')
	equal "$1: all are documented" "" "$missing"
	equal "$1: all that are documented exist" "" "$extra"
}

long_options() { grep -oE -- '--[a-z][a-z-]+' | sort -u; }
option_lines() { grep '^\.It Fl' | grep -oE 'Fl -[a-z-]+' | sed 's/Fl -/--/'; }
items() { sed -nE "s/^\.It $1 \"?([^ \"]+).*/\1/p"; }

mkdir -p "$work"/man/man{1,5,8}
for page in "${pages[@]}"; do cp "$page" "$work/man/man${page##*.}"; done
for page in "${pages[@]}"; do
	equal "mandoc finds nothing in $page" "" "$(MANPATH=$work/man mandoc -T lint "$page" 2>&1 | grep -v 'manual not found')"
	while read -r name number; do
		check "$page refers to $name($number), which exists" test -e "$work/man/man$number/$name.$number"
	done < <(sed -n 's/^\.Xr \([^ ]*\) \([0-9]\).*/\1 \2/p' "$page" | sort -u)
	check "$page is installed" grep -q "$page" Makefile
done

same "options of cetd" "$("$BUILD/cetd" --help | grep -E '^ +(-., )?--' | grep -oE '^ +(-., )?--[a-z-]+' | long_options)" \
	"$(section daemon/cetd.8 OPTIONS | option_lines)"
same "exit codes of cetd" "$("$BUILD/cetd" --help | sed -n '/^Exit codes/,$p' | grep -oE '\b[0-9] ' | tr -d ' ')" \
	"$(section daemon/cetd.8 'EXIT STATUS' | sed -n 's/^\.It //p')"
same "metrics" "$(cat tests/unit/golden/metrics*.txt | sed -n 's/^# TYPE \([^ ]*\) .*/\1/p')" \
	"$(section daemon/cetd.8 METRICS | items Cm)"
same "keys of cetd.conf" "$("$BUILD/cetd" --help-config | sed -n 's/^  \([a-z_.]*\) .*/\1/p')" \
	"$(section daemon/cetd.conf.5 DESCRIPTION | items Cm)"

schema=$("$BUILD/cetctl" policy schema --json=short)
rule='.properties.rules.items.properties'
for part in "a file|.properties" "a rule|$rule" "match|$rule.match.properties" "a rate|$rule.cp_rate.oneOf[0].properties"; do
	same "keys of ${part%%|*} of policies" "$(jq -r "${part#*|} | keys[]" <<<"$schema")" \
		"$(section daemon/policy/cetd-policy.5 DESCRIPTION "Of ${part%%|*}" | items Cm)"
done
words=$(jq -r '[.. | .enum? // empty | .[]] | unique[]' <<<"$schema")
for word in $words; do
	check "cetd-policy(5) knows the word $word" grep -qE "^\.Cm (.* )?$word( |$)" daemon/policy/cetd-policy.5
done

xml=daemon/export/org.cetd1.xml
members() {
	sed -n "/<interface name=\"$1\">/,/<\/interface>/s/.*<$2 name=\"\([^\"]*\)\".*/\1/p" $xml
}
for interface in $(sed -n 's/.*<interface name="\(org.cetd1[^"]*\)".*/\1/p' $xml); do
	for kind in method:Methods:Fn property:Properties:Va signal:Signals:Fn; do
		IFS=: read -r tag title macro <<<"$kind"
		[ -n "$(members "$interface" "$tag")" ] || continue
		same "$interface: $title" "$(members "$interface" "$tag")" \
			"$(section daemon/export/org.cetd1.5 "INTERFACE $interface" "$title" | items "$macro")"
	done
done
# Types and names of arguments, in order.
arguments() {
	awk '/<(method|signal) name=/ { split($0, n, "\""); line = n[2]; next }
		/<arg / { match($0, /type="[^"]*"/); t = substr($0, RSTART + 6, RLENGTH - 7)
			match($0, / name="[^"]*"/); a = substr($0, RSTART + 7, RLENGTH - 8)
			d = /direction="in"/ ? "in " : /direction="out"/ ? "out " : ""; line = line " \"" d t " " a "\"" }
		/<\/(method|signal)>/ { print line }' $xml
}
same "arguments on D-Bus" "$(arguments)" "$(sed -n 's/^\.It Fn //p' daemon/export/org.cetd1.5)"
same "types of properties on D-Bus" "$(sed -n 's/.*<property name="\([^"]*\)" type="\([^"]*\)".*/\1 (\2)/p' $xml)" \
	"$(sed -n 's/^\.It Va \([^ ]*\) No \\&/\1 /p' daemon/export/org.cetd1.5)"
same "errors on D-Bus" "$(sed -n 's/.*"\(org\.cetd1\.Error\.[A-Za-z]*\)".*/\1/p' include/cetd/bus.h)" \
	"$(section daemon/export/org.cetd1.5 'ERROR NAMES' | sed -n 's/^\.It //p')"

help=$("$BUILD/cetctl" help)
verbs=$(sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p' <<<"$help")
same "options of cetctl" "$(sed -n '/^Options:/,/^$/p' <<<"$help" | grep -oE '^ +(-. )?--[a-z-]+' | long_options)" \
	"$(section cli/cetctl.1 OPTIONS | option_lines)"
same "verbs of cetctl" "$verbs" "$(section cli/cetctl.1 VERBS | items Cm)"
same "exit codes of cetctl" "$(sed -n '/^Exit codes:/,$s/^  \([0-9]\) .*/\1/p' <<<"$help")" \
	"$(section cli/cetctl.1 'EXIT STATUS' | sed -n 's/^\.It //p')"
for verb in $verbs; do
	actions=$("$BUILD/cetctl" help "$verb" | sed -nE "s/^ *cetctl $verb ([a-z]+) .*/\1/p")
	[ -z "$actions" ] || same "actions of cetctl $verb" "$actions" \
		"$(section cli/cetctl.1 VERBS | sed -nE "s/^\.It Cm $verb ([a-z]+).*/\1/p")"
done
exit $failed
