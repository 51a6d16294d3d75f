#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Each layer includes only what stands below it; headers compile alone; files keep to their bounds.
# Prints `ok NAME` or `not ok NAME: why` a check.
set -u
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
CC=${CC:-gcc}

allowed() {
	case $1 in
	util) echo util ;;
	source) echo source util ;;
	model) echo model util ;;
	policy) echo policy util model ;;
	enforce) echo enforce util policy ;;
	export) echo export util model policy ;;
	esac
}

# The guests' headers are assembler.
c_files() { find daemon cli bpf include tests -name '*.[ch]' ! -path 'tests/lab/guest/*' "$@"; }

check_layers() {
	local bad=""
	for layer in util source model policy enforce export; do
		while IFS=: read -r file line text; do
			target=$(sed -n 's/.*#include "\([a-z]*\)\/.*/\1/p' <<<"$text")
			case " $(allowed $layer) cetd " in
			*" $target "*) ;;
			*) bad+=" $file:$line includes $target/" ;;
			esac
		done < <(grep -rnE '#include "[a-z]+/' daemon/$layer 2>/dev/null)
	done
	while IFS=: read -r file line text; do
		bad+=" $file:$line"
	done < <(grep -rnE '#include "(util|source|model|policy|enforce|export)/' bpf cli 2>/dev/null)
	[ -z "$bad" ] && echo "ok layers" || echo "not ok layers:$bad"
}

check_headers() {
	local bad="" h
	while read -r h; do
		"$CC" -std=gnu11 -D_GNU_SOURCE -DCETD_VERSION='""' -Iinclude -Idaemon -Icli -I"$BUILD" \
			-fsyntax-only -x c -include "$h" /dev/null 2>/dev/null || bad+=" $h"
	done < <(find include daemon cli -name '*.h')
	[ -z "$bad" ] && echo "ok headers compile alone" || echo "not ok headers compile alone:$bad"
}

check_sizes() {
	local bad
	bad=$(c_files -exec wc -l {} + |
		awk '$2 != "total" && ($1 > 600 || ($2 ~ /h$/ && $1 > 250)) { printf " %s (%d lines)", $2, $1 }')
	[ -z "$bad" ] && echo "ok file sizes" || echo "not ok file sizes:$bad"
}

check_spdx() {
	local bad
	bad=$(find daemon cli bpf include tests systemd kernel-patches -name '*.[chS]' -o -name '*.sh' -o -name '*.mk' |
		while read -r f; do head -2 "$f" | grep -q SPDX-License-Identifier || printf ' %s' "$f"; done)
	[ -z "$bad" ] && echo "ok licence lines" || echo "not ok licence lines:$bad"
}

check_format() {
	local bad
	command -v clang-format-19 >/dev/null || {
		echo "skip format: clang-format-19 is not installed"
		return
	}
	bad=$(c_files -print0 |
		xargs -0 clang-format-19 --dry-run 2>&1 | sed -n "s,^\([a-z][^ :]*\.[ch]\):.*,\1,p" | sort | uniq -c |
		awk '{ printf " %s (%d)", $2, $1 }')
	[ -z "$bad" ] && echo "ok format" || echo "not ok format:$bad"
}

check_tree() {
	local bad
	bad=$(git ls-files 2>/dev/null | sed 's,/.*,,' | sort -u |
		grep -vxE 'kernel-patches|bpf|daemon|cli|include|systemd|tests|debian|Makefile|README\.md|LICENSE|\..*' | tr '\n' ' ')
	[ -z "$bad" ] && echo "ok top level" || echo "not ok top level: $bad"
}

check_layers
check_headers
check_sizes
check_spdx
check_format
check_tree
