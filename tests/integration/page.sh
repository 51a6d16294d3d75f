#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The live page in a real browser: its table with and without scripts, charts that grow, names that would like to be
# markup, light and dark, the keyboard, what a screen reader is told. Screenshots are kept in $BUILD/screenshots.
set -u
cd "$(dirname "$0")/../.."
. tests/lib/apt.sh
. tests/lib/checks.sh
. tests/integration/lib-exporter.sh
. tests/integration/lib-browser.sh
apt_need curl jq >&2
if ! apt_need chromium chromium-driver fonts-dejavu-core >&2; then
	skip "the page in a browser: the packages chromium and chromium-driver cannot be installed"
	exit 0
fi
start_browser || {
	not_ok "a browser starts: $(cat "$work/chromedriver.log" "$work/browser.error" 2>/dev/null | tail -2)"
	exit 1
}

rows() { script 'return document.querySelectorAll("#vm-rows tr").length'; }
color() { script "return getComputedStyle(document.querySelector('$1')).$2"; }
count_of() { script "return document.querySelector('#vm-rows [data-key=\"vm $1\"] .number').textContent"; }

# The lowest contrast between any text and what it stands on (WCAG 2, relative luminance).
lowest_contrast='
	const parse = (c) => (c.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
		if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
	let low = 99;
	for (const e of document.querySelectorAll("body *")) {
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.getClientRects().length) continue;
		const a = light(parse(getComputedStyle(e).color)), b = light(ground(e));
		low = Math.min(low, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
	}
	return low;'

# check_scheme light|dark
check_scheme() {
	local low ground
	scheme "$1"
	low=$(script "$lowest_contrast")
	jq -en --argjson c "$low" '$c >= 4.5 and $c < 99' >/dev/null && ok "$1: text is readable (contrast ${low:0:4})" ||
		not_ok "$1: contrast $low, less than 4.5"
	ground=$(color body backgroundColor)
	[ "$1" = light ] && match "$1: the ground is light" '^rgb\(25[0-9], 25' "$ground"
	[ "$1" = dark ] && match "$1: the ground is dark" '^rgb\(2[0-9], 2[0-9]' "$ground"
	screenshot "page-$1"
	check "$1: a screenshot is kept" test -s "$BUILD/screenshots/page-$1.png"
}

check_live() {
	local before
	browse "http://127.0.0.1:$port/"
	check "the VMs of the recording" wait_for 30 eval '[ "$(rows)" = 5 ]'
	check "it is told that they are replayed" is_true 'document.body.innerText.includes("Replayed")'
	before=$(count_of db-3)
	check "counters grow by themselves" wait_for 30 eval "[ \"\$(count_of db-3)\" != '$before' ]"
	check "charts are drawn" wait_for 10 is_true '[...document.querySelectorAll("#vm-rows svg .line")].some((p) => /M.*L.*L/.test(p.getAttribute("d")))'
	check "the VM that faults most is first" wait_for 20 is_true 'document.querySelector("#vm-rows bdi").textContent === "db-3"'
	check "a chart says in words what it shows" is_true 'document.querySelector("#vm-rows svg").getAttribute("aria-label").match(/^db-3: .* a second now, at most .* in five minutes$/)'
	check "new faults are announced, by name" wait_for 30 is_true 'document.querySelector("[role=status]").textContent.startsWith("New #CP: ")'
	check_scheme light
	check_scheme dark
	check "in a narrow window only the table scrolls sideways" is_narrow
	equal "the browser complains of nothing" "" "$(complaints)"
}

is_narrow() {
	local r
	devtools Emulation.setDeviceMetricsOverride '{"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": false}' >/dev/null
	sleep 0.3
	is_true 'document.documentElement.scrollWidth <= 400 && document.querySelector(".wide").scrollWidth > 400'
	r=$?
	screenshot page-narrow
	devtools Emulation.clearDeviceMetricsOverride '{}' >/dev/null
	return $r
}

check_pause() {
	press "\\uE004" "\\uE004"
	check "the second stop of the keyboard is the pause button" is_true 'document.activeElement.tagName === "BUTTON"'
	check "focus can be seen" is_true 'getComputedStyle(document.activeElement).outlineStyle === "solid" && parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2'
	press "\\uE007"
	check "Enter pauses" is_true 'document.activeElement.getAttribute("aria-pressed") === "true"'
	check "which is said" is_true 'document.querySelector("[role=status]").textContent === "Paused."'
	press "\\uE007"
	check "and goes on" is_true 'document.activeElement.getAttribute("aria-pressed") === "false"'
	press "\\uE004"
	check "the table can be scrolled by keyboard" is_true 'document.activeElement.className === "wide" && document.activeElement.tabIndex === 0'
}

# What a screen reader is given.
check_accessible() {
	local tree
	tree=$(devtools Accessibility.getFullAXTree '{}' | jq -r '.nodes[] | select(.ignored | not) | "\(.role.value): \(.name.value // "")"')
	for want in "banner: " "main: " "contentinfo: " "status: " "heading: VMs" "heading: Coverage" "button: Pause" \
		"columnheader: name" "columnheader: #CP" "rowheader: db-3" "link: Metrics" "link: Skip to the VMs"; do
		grep -qF "$want" <<<"$tree" && ok "a screen reader finds ${want%: }" || not_ok "a screen reader finds '$want'"
	done
	check "each table has a caption" is_true '[...document.querySelectorAll("table")].every((t) => t.caption && t.caption.textContent)'
	check "each head of a column and row has its scope" is_true '[...document.querySelectorAll("th")].every((t) => ["col", "row"].includes(t.scope))'
	check "the page has a language, a title and one first heading" is_true \
		'document.documentElement.lang && document.title && document.querySelectorAll("h1").length === 1'
	equal "no id is there twice" "" "$(script 'const ids = [...document.querySelectorAll("[id]")].map((e) => e.id); return ids.filter((x, i) => ids.indexOf(x) !== i).join(" ")')"
}

check_lost() {
	stop "$1"
	check "a cetd that is gone is told" wait_for 15 is_true 'document.querySelector("[role=status]").textContent.startsWith("No answer from cetd since ")'
	check "and what was last known stays" eval '[ "$(rows)" -ge 5 ]' # the recording goes on while the tests run
	complaints >"$work/after" # of the failing requests
}

check_hostile() {
	browse "$url/"
	check "an enemy's name is text" is_true "[...document.querySelectorAll('bdi')].some((b) => b.textContent.startsWith('</td><script>'))"
	equal "it brought no script" 1 "$(script 'return document.scripts.length')"
	sleep 2.5 # the script takes the page anew
	check "nor after the script took it over" is_true "[...document.querySelectorAll('bdi')].some((b) => b.textContent.startsWith('</td><script>')) && document.scripts.length === 1"
	equal "inline handlers would not run" none "$(script 'window.ran = "none"; const i = document.createElement("div");
		i.innerHTML = "<img src=data:, onerror=\"window.ran = 1\"><style>body{display:none}</style>"; document.body.append(i);
		return new Promise((done) => setTimeout(() => done(window.ran), 500))')"
	match "as the policy refuses them" "Content Security Policy" "$(complaints)"
}

check_pages() {
	browse "$url/?page=3"
	equal "a page has 100 VMs at most" 100 "$(rows)"
	check "it says which" is_true 'document.querySelector("#vms-caption").textContent.startsWith("201 to 300 of 4000")'
	script 'document.querySelector("nav a[href=\"?page=4\"]").click()' >/dev/null
	check "and links to the next" wait_for 10 is_true 'document.querySelector("#vms-caption").textContent.startsWith("301 to 400")'
	sleep 2.5
	check "the script stays on it" is_true 'document.querySelector("#vms-caption").textContent.startsWith("301 to 400")'
	check "large numbers stay in their tiles, and the page in the window" is_true \
		'[...document.querySelectorAll(".tiles div, .tiles dd")].every((e) => e.scrollWidth <= e.clientWidth + 1) && document.documentElement.scrollWidth <= innerWidth'
	screenshot page-4000
	equal "without a complaint" "" "$(complaints)"
}

check_without_scripts() {
	scripts_off
	browse "$url/?page=2"
	check "without scripts the table is there" is_true 'document.querySelectorAll("#vm-rows tr").length === 100'
	check "with its numbers, pages and coverage" is_true '/^[1-9][0-9,]+$/.test(document.querySelector("#vm-rows .number").textContent) && document.querySelector("nav a") && document.querySelector("#facts tr")'
	check "and neither buttons nor empty charts" is_true '!document.querySelector("button") && [...document.querySelectorAll(".trend")].every((e) => !e.getClientRects().length)'
	screenshot page-without-scripts
	scripts_on
}

port=$(free_port)
start "$work/cetd.log" "$BUILD/cetd" --bus none --metrics "127.0.0.1:$port" --replay tests/demo/storm.cetdrec --speed 0.1
cetd=$pid
wait_for 10 curl -sf -o /dev/null "http://127.0.0.1:$port/metrics"
check_live
check_pause
check_accessible
check_lost "$cetd"

serve --vms 5 || exit 1
check_hostile
stop $pid
browse about:blank
complaints >"$work/before" # of the page whose server was stopped
serve --vms 4000 || exit 1
check_pages
check_without_scripts
stop $pid
stop_browser
exit $failed
