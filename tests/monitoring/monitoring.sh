#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Dashboards, rules and runbook: sound by themselves, at one with each other and with the metrics that cetd exports.
set -u
cd "$(dirname "$0")/../.."
. tests/lib/apt.sh
. tests/lib/checks.sh
. tests/monitoring/names.sh
apt_need jq prometheus >&2

dir=daemon/export/monitoring
rules=("$dir"/*.rules.yml)
dashboards=("$dir"/grafana-*.json)
golden=tests/unit/golden/metrics.txt
tests=tests/monitoring/rules.test.yml

# nothing NAME TEXT: ok where the text is empty.
nothing() {
	[ -z "$2" ] && ok "$1" || not_ok "$1: $(tr '\n' ';' <<<"${2:0:400}")"
}

check_rules() {
	check "promtool takes the rules" promtool check rules "${rules[@]}"
	ln -s "$PWD/$dir" "$work/rules"
	cp "$tests" "$work/rules.test.yml"
	check "the rules do what their tests say" promtool test rules "$work/rules.test.yml"
	# The tests can fail: a threshold that is off by a factor shows.
	mkdir "$work/off" "$work/off/rules"
	cp "$tests" "$work/off/"
	cp "${rules[@]}" "$work/off/rules/"
	sed -i 's/rate5m > 50$/rate5m > 5000/' "$work/off/rules/cetd-alerts.rules.yml"
	check "and the tests see a wrong threshold" eval "! promtool test rules '$work/off/$(basename $tests)'"
	nothing "each alert is tested firing" "$(comm -23 <(rule_names alert "${rules[@]}" | sort) \
		<(awk '/alertname:/ { name = $NF } /exp_labels:/ { print name }' $tests | sort -u))"
	nothing "each recording rule is tested" "$(comm -23 <(rule_names record "${rules[@]}" | sort) \
		<(sed -n 's/^ *- expr: \([a-z_:0-9]*\).*/\1/p' $tests | sort -u))"
	nothing "each alert has a severity" "$(awk '/- alert:/ { name = $3 } /severity: (critical|warning|info)$/ { has[name] = 1 }
		/runbook_url:/ && !has[name] { print name }' "${rules[@]}")"
}

check_runbook() {
	nothing "each alert has an entry in the runbook, and each entry an alert" \
		"$(diff <(rule_names alert "${rules[@]}" | sort) <(sed -n 's/^## //p' $dir/runbook.md | sort))"
	nothing "each alert links to its own" "$(awk '/- alert:/ { name = tolower($3); n++ }
		/runbook_url:/ { m++; if (index($0, "/runbook.md#" name "\"") == 0) print name }
		END { if (n != m) print n " alerts, " m " links" }' "${rules[@]}")"
	nothing "each entry says what it means and what to do" "$(awk '/^## / { if (name && !(means && act)) print name; name = $2; means = act = 0 }
		/^\*\*Means\./ { means = 1 } /^\*\*Do\./ { act = 1 } END { if (!(means && act)) print name }' $dir/runbook.md)"
	nothing "it names verbs and settings that there are" "$(
		comm -23 <(grep -ohE '(`|^)cetctl (-H [A-Za-z@]+ )?[a-z]+' $dir/runbook.md $dir/README.md | awk '{ print $NF }' | sort -u) \
			<("$BUILD/cetctl" help | awk '/^Verbs:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }' | sort)
		grep -oE '`[a-z]+_[a-z_]+`' $dir/runbook.md | tr -d '`' | grep -vE '^(cetd|process|program|ring|vms|history|near|far|next)_|^cp_rate|^quiet_ms|_configs$' | sort -u |
			grep -vxFf <("$BUILD/cetd" --help-config | awk '{ print $1 }'))"
}

check_names() {
	rule_names record "${rules[@]}" >"$work/recorded"
	nothing "rules use metrics and labels that are exported" "$(rule_exprs "${rules[@]}" | unknown_names $golden "$work/recorded")"
	nothing "dashboards, too" "$(dashboard_exprs "${dashboards[@]}" | unknown_names $golden "$work/recorded")"
	nothing "each recorded series is used" "$(comm -23 <(sort "$work/recorded") \
		<({ rule_exprs "${rules[@]}"; dashboard_exprs "${dashboards[@]}"; cat $dir/README.md; } | used_metrics))"
	equal "what nobody exports is found" \
		"metric cetd_vm;metric vm:none:rate5m;label king of cetd_vm_info;label king;label nome" \
		"$(unknown_names $golden "$work/recorded" <<<'sum by (king) (cetd_vm{vm="a"} + cetd_vm_info{king="x,y=\"1\"",vm=~"b"} * on (vm, job) group_left (nome) vm:none:rate5m)' |
			grep -v '^label vm of cetd_vm$' | paste -sd';')"
}

# What is wrong with a dashboard, a line each.
dashboard_faults() {
	jq -r '
		def panels: .panels[];
		def dup(f): [f] | group_by(.)[] | select(length > 1) | .[0];
		(if (.uid | type) != "string" or .title == null then "no uid or title" else empty end),
		(if .id != null then "an id of its own: it would replace another" else empty end),
		("panel id twice: \(dup(panels.id))"),
		("panel title twice: \(dup(panels | select(.type != "row") | .title))"),
		(panels | select((.id | type) != "number" or .id < 1) | "panel without id: \(.title)"),
		(panels | select(.type != "row" and ((.description // "") == "" or (.targets | length) == 0)) |
			"no description or no target: \(.title)"),
		(panels | select(.type != "row") | .title as $t | [.datasource, .targets[].datasource][] |
			select(.uid != "${datasource}" or .type != "prometheus") | "data source of its own: \($t)"),
		(panels | select(.type != "row") | .title as $t | dup(.targets[].refId) | "refId twice: \($t)"),
		(panels | .gridPos as $g | select($g.x < 0 or $g.w < 1 or $g.h < 1 or $g.x + $g.w > 24) | "off the grid: \(.title)"),
		([panels | {t: .title, g: .gridPos}] as $p | range(0; $p | length) as $i | range($i + 1; $p | length) as $j |
			$p[$i].g as $a | $p[$j].g as $b |
			select($a.x < $b.x + $b.w and $b.x < $a.x + $a.w and $a.y < $b.y + $b.h and $b.y < $a.y + $a.h) |
			"overlap: \($p[$i].t) and \($p[$j].t)"),
		([.templating.list[].name] as $defined |
			[.. | strings | match("\\$\\{?([a-z]+)"; "g").captures[0].string] | unique as $used |
			(($used - $defined)[] | "variable not defined: \(.)"), (($defined - $used)[] | "variable not used: \(.)"))
	' "$1"
}

check_dashboards() {
	local d
	for d in "${dashboards[@]}"; do
		check "$(basename "$d") is JSON" jq -e 'type == "object"' "$d"
		nothing "and a sound dashboard" "$(dashboard_faults "$d")"
	done
	nothing "no uid is used twice" "$(jq -r .uid "${dashboards[@]}" | sort | uniq -d)"
	jq '.panels[3].id = .panels[2].id | .panels[2].gridPos.x = 20 | .panels[2].gridPos.w = 5 | .panels[1].datasource.uid = "abc" |
		.panels[4].targets[0].expr = "$nosuch"' "${dashboards[0]}" >"$work/broken.json"
	equal "a broken one is found out" 5 "$(dashboard_faults "$work/broken.json" |
		grep -cE '^(panel id twice|off the grid|data source of its own|variable not defined: nosuch|overlap)')"
}

check_install() {
	local file
	for file in "$dir"/*; do
		check "make install has $(basename "$file")" cmp "$file" "$work/root/usr/share/cetd/monitoring/$(basename "$file")"
	done
	check "the runbook is where the alerts say" test -f "$work/root$(sed -n \
		's,.*runbook_url: "file://\([^#]*\)#.*,\1,p' $dir/cetd-alerts.rules.yml | sort -u)"
}

check_rules
check_runbook
check_names
check_dashboards
make -s install-monitoring DESTDIR="$work/root" >"$work/install.log" 2>&1 || cat "$work/install.log"
check_install
exit $failed
