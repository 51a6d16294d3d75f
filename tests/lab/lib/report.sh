# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# From serial logs to a table kernel x test and the summary line. Sourced after common.sh.

report_start() { : >"$lab_run/results"; }

# report_cell KERNEL CELL: one result for each test that was asked for; silence is a failure. What was run with how many
# CPUs follows from the lines that tell of a change.
report_cell() {
	tr -d '\r' <"$lab_run/$2.serial" | awk -F'\t' -v kernel="$1" '
		FILENAME == "-" {
			if ($0 ~ /^@lab (cpus|end) /) split($0, w, " ")
			if ($0 ~ /^@lab cpus /) cpus = w[3]
			if ($0 ~ /^@lab end /) {
				test = cpus "\t" w[3]
				if (!(test in verdict)) order[++ended] = test
				verdict[test] = w[4]
				why = $0
				sub(/^@lab end [^ ]+ [^ ]+ ?/, "", why)
				reason[test] = why
			}
			next
		}
		$1 == "@cpus" { cpus = $2; next }
		{
			test = cpus "\t" $1
			asked[test] = 1
			v = (test in verdict) ? verdict[test] : "fail"
			r = (test in verdict) ? reason[test] : "not reached"
			printf "%s\t%s\t%s\t%s\n", kernel, test, v, r
		}
		END {
			for (i = 1; i <= ended; i++)
				if (!(order[i] in asked))
					printf "%s\t%s\t%s\t%s\n", kernel, order[i], verdict[order[i]], reason[order[i]]
		}' - "$lab_run/$2.list" >>"$lab_run/results"
}

# report_lost KERNEL REASON: a boot that could not even start counts as one failure.
report_lost() { printf '%s\t-\tkernel\tfail\t%s\n' "$1" "$2" >>"$lab_run/results"; }

# report_table: print everything; 0 only if something passed and nothing failed.
report_table() {
	awk -F'\t' '
		{
			column = $1 "/" $2
			if (!(column in seen)) { seen[column] = 1; columns[++n] = column }
			if (!($3 in row)) { row[$3] = 1; rows[++m] = $3 }
			cell[$3, column] = $4
			count[$4]++
		}
		END {
			printf "\n%-34s", "test"
			for (i = 1; i <= n; i++) printf " %-14s", columns[i]
			printf "\n"
			for (j = 1; j <= m; j++) {
				printf "%-34s", rows[j]
				for (i = 1; i <= n; i++) {
					v = cell[rows[j], columns[i]]
					printf " %-14s", v == "" ? "." : (v == "fail" ? "FAIL" : v)
				}
				printf "\n"
			}
		}' "$lab_run/results"
	awk -F'\t' '$4 == "fail" { printf "FAILED %s, %s CPU: %s: %s\n", $1, $2, $3, $5 }
		$4 == "skip" { printf "skipped %s, %s CPU: %s: %s\n", $1, $2, $3, $5 }' "$lab_run/results"
	echo "logs: $lab_run"
	awk -F'\t' '{ c[$4]++ } END {
		printf "%d passed, %d failed, %d skipped\n", c["pass"], c["fail"], c["skip"]
		exit !(c["pass"] > 0 && c["fail"] == 0) }' "$lab_run/results"
}
