#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Every fuzz target on its seeds and on what was ever found with it.
set -u
cd "$(dirname "$0")/../.."
. tests/lib/checks.sh
equal "each method on D-Bus is called" "" "$(sed -n 's/.*<method name="\([A-Za-z]*\)".*/\1/p' daemon/export/org.cetd1.xml |
	while read -r method; do grep -q "\"$method\"" tests/fuzz/fuzz-bus.c || echo "$method"; done)"
for source in tests/fuzz/fuzz-*.c; do
	target=$(basename "$source" .c)
	target=${target#fuzz-}
	"$BUILD/tests/corpus-$target" "tests/fuzz/corpus/$target" 2>"$work/log" || {
		not_ok "$target ends well: $(tail -n 40 "$work/log" | grep -E 'corpus/|not so|ERROR|SUMMARY|runtime error' | tr '\n' ' ')"
	}
done
exit $failed
