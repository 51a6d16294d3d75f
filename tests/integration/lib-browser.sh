# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A real browser, driven over WebDriver with curl. After checks.sh and lib-exporter.sh; needs chromium-driver.

# webdriver METHOD PATH [JSON]: the answer's value; fails where the browser says that it is an error.
webdriver() {
	local answer
	answer=$(curl -s -m 60 -X "$1" "http://127.0.0.1:$driver/session${session:+/$session}$2" \
		-H 'Content-Type: application/json' ${3:+-d "$3"}) || return 1
	jq -e '.value | if type == "object" and .error then error(.message) else . end' <<<"$answer" 2>"$work/browser.error" ||
		! grep -q . "$work/browser.error"
}

# start_browser: one window for all that follows. Its log is kept, as what a page is refused is told there.
start_browser() {
	local pid tries answer
	driver=$(free_port) session=""
	# However the script ends: without its driver the browser would go on.
	trap 'stop_browser; checks_cleanup' EXIT
	mkdir -p "$work/browser"
	start "$work/chromedriver.log" env HOME="$work/browser" chromedriver --port="$driver" --log-level=SEVERE
	wait_for 20 curl -sf "http://127.0.0.1:$driver/status" || return 1
	for tries in 1 2; do
		answer=$(webdriver POST "" "$(jq -n --arg dir "$work/browser/profile$tries" '{capabilities: {alwaysMatch: {
			browserName: "chrome", "goog:loggingPrefs": {browser: "ALL"}, "goog:chromeOptions": {args: [
			"headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run", "hide-scrollbars",
			"disable-background-networking", "disable-component-update", "window-size=1280,1000",
			"user-data-dir=\($dir)"]}}}}')") && session=$(jq -r .sessionId <<<"$answer") && return 0
	done
	return 1
}

stop_browser() {
	[ -z "${session:-}" ] || webdriver DELETE "" >/dev/null
	session=""
}

browse() { webdriver POST /url "$(jq -n --arg url "$1" '{url: $url}')" >/dev/null; }

# script JAVASCRIPT: what it returns, text without quotes.
script() { webdriver POST /execute/sync "$(jq -n --arg s "$1" '{script: $s, args: []}')" | jq -r .; }

# is_true JAVASCRIPT-EXPRESSION
is_true() { [ "$(script "return !!($1)")" = true ]; }

# devtools COMMAND JSON: the browser's own protocol.
devtools() {
	webdriver POST /goog/cdp/execute "$(jq -n --arg c "$1" --argjson p "$2" '{cmd: $c, params: $p}')"
}

# scheme light|dark
scheme() {
	devtools Emulation.setEmulatedMedia \
		"{\"features\": [{\"name\": \"prefers-color-scheme\", \"value\": \"$1\"}]}" >/dev/null
}

scripts_off() { devtools Emulation.setScriptExecutionDisabled '{"value": true}' >/dev/null; }
scripts_on() { devtools Emulation.setScriptExecutionDisabled '{"value": false}' >/dev/null; }

# screenshot NAME: the window, kept as an artefact.
screenshot() {
	mkdir -p "$BUILD/screenshots"
	webdriver GET /screenshot | jq -r . | base64 -d >"$BUILD/screenshots/$1.png"
}

# press KEY...: as WebDriver names them (one character each, "\uE004" is Tab).
press() {
	local key actions=()
	for key; do actions+=("{\"type\": \"keyDown\", \"value\": \"$key\"}" "{\"type\": \"keyUp\", \"value\": \"$key\"}"); done
	webdriver POST /actions "{\"actions\": [{\"type\": \"key\", \"id\": \"k\", \"actions\": [$(IFS=, && echo "${actions[*]}")]}]}" >/dev/null
}

# complaints: what the browser has logged since the last call, a line each.
complaints() { webdriver POST /se/log '{"type": "browser"}' | jq -r '.[] | "\(.level) \(.message)"'; }
