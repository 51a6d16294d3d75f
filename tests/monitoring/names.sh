# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Which metrics and labels PromQL expressions use, and which of them nobody exports. Sourced.

# What Prometheus itself adds to each series.
target_labels="job instance"

# rule_exprs FILE...: the expressions of rule files, one a line; `>-` blocks are joined.
rule_exprs() {
	awk '
		/^ *expr: >-$/ { folding = 1; text = ""; next }
		folding && /^          / { sub(/^ */, ""); text = text " " $0; next }
		folding { print text; folding = 0 }
		sub(/^ *expr: /, "") { print }
		END { if (folding) print text }
	' "$@"
}

# rule_names alert|record FILE...
rule_names() {
	local key=$1
	shift
	sed -n "s/^ *- $key: *//p" "$@"
}

# dashboard_exprs FILE...: of panels, annotations and variables.
dashboard_exprs() {
	jq -r '(.panels[].targets[]?.expr), .annotations.list[].expr,
		(.templating.list[] | select(.type == "query") | .query.query)' "$@"
}

# metric_labels FILE: of metrics in the text format: "metric label" a line, and "metric -" for each metric.
metric_labels() {
	sed -n '/^#/!p' "$1" | sed -E 's/"([^"\\]|\\.)*"/""/g' |
		awk '{
			name = $0; sub(/[{ ].*/, "", name); print name, "-"
			if (match($0, /\{[^}]*\}/)) {
				n = split(substr($0, RSTART + 1, RLENGTH - 2), pairs, ",")
				for (i = 1; i <= n; i++) { sub(/=.*/, "", pairs[i]); print name, pairs[i] }
			}
		}' | sort -u
}

# used_metrics: expressions on stdin; metrics and recorded series, each once.
used_metrics() {
	sed -E 's/"([^"\\]|\\.)*"//g; s/\{[^}]*\}//g; s/\b(by|without|on|ignoring|group_left|group_right) *\([^)]*\)//g' |
		grep -oE '[a-zA-Z_:][a-zA-Z0-9_:]*' | grep -E '^(cetd_|process_|up$)|:' | sort -u
}

# used_selectors: "metric label" for each label that a metric is selected by.
used_selectors() {
	sed -E 's/"([^"\\]|\\.)*"//g' | grep -oE '[a-zA-Z_:][a-zA-Z0-9_:]*\{[^}]*\}' |
		while IFS='{' read -r metric labels; do
			grep -oE '[a-z_]+ *(=~|!~|!=|=)' <<<"$labels" | sed -E 's/[ =!~]+$//' | sed "s/^/$metric /"
		done | sort -u
}

# used_groupings: labels in by, without, on and the like, and those of label_values().
used_groupings() {
	sed -E 's/"([^"\\]|\\.)*"//g' | { tee /dev/fd/3 | grep -oE '\b(by|without|on|ignoring|group_left|group_right) *\([^)]*\)' |
		sed -E 's/^[a-z_]+ *\(//; s/[) ]//g' | tr ',' '\n'; } 3> >(sed -nE 's/^label_values\(.*, *([a-z_]+)\)$/\1/p') | sort -u
}

# unknown_names GOLDEN RECORDED: expressions on stdin; prints what neither GOLDEN exports nor RECORDED (a file, a
# name a line) records, and labels that no metric has.
unknown_names() {
	local exprs known labels metric label
	exprs=$(cat)
	known=$(metric_labels "$1")
	labels=$(awk '{ print $2 }' <<<"$known" | sort -u)
	used_metrics <<<"$exprs" | while read -r metric; do
		[ "$metric" = up ] || grep -qxF "$metric" "$2" || grep -qxF "$metric -" <<<"$known" || echo "metric $metric"
	done
	used_selectors <<<"$exprs" | while read -r metric label; do
		[[ " $target_labels " != *" $label "* ]] || continue
		# A recorded series has labels of what it is made of.
		if [[ $metric == *:* ]]; then
			grep -qxF "$label" <<<"$labels" || echo "label $label of $metric"
		else
			grep -qxF "$metric $label" <<<"$known" || echo "label $label of $metric"
		fi
	done
	used_groupings <<<"$exprs" | while read -r label; do
		[[ " $target_labels " == *" $label "* ]] || [ -z "$label" ] || grep -qxF "$label" <<<"$labels" || echo "label $label"
	done
}
