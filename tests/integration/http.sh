#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The exporter's HTTP server: what it answers, what it refuses, and that nobody can keep others from it.
set -u
cd "$(dirname "$0")/../.."
. tests/lib/apt.sh
. tests/lib/checks.sh
. tests/integration/lib-exporter.sh
apt_need curl >&2

check_answers() {
	local om='application/openmetrics-text; version=1.0.0; charset=utf-8'
	local text='text/plain; version=0.0.4; charset=utf-8'

	equal "GET /metrics" 200 "$(status "$url/metrics")"
	equal "a query string changes nothing" 200 "$(status "$url/metrics?a=b")"
	equal "text for curl" "$text" "$(header content-type "$url/metrics")"
	equal "OpenMetrics for who asks" \
		"$om" "$(header content-type -H 'Accept: application/openmetrics-text;version=1.0.0' "$url/metrics")"
	equal "two Accept headers are one" "$text" "$(header content-type -H 'Accept: application/openmetrics-text;q=0.4' \
		-H 'Accept: text/plain;q=0.6' "$url/metrics")"
	equal "OpenMetrics ends as it must" \
		'# EOF' "$(curl -s -H 'Accept: application/openmetrics-text' "$url/metrics" | tail -1)"
	match "HEAD tells the length" '^[1-9][0-9]+$' "$(header content-length -I "$url/metrics")"
	equal "HEAD has no body" "" "$(send 'HEAD / HTTP/1.0\r\n\r\n' | tr -d '\r' | sed '1,/^$/d')"
	equal "unknown path" 404 "$(status "$url/metric")"
	equal "no climbing out" 404 "$(status --path-as-is "$url/../metrics")"
	for method in POST PUT DELETE OPTIONS TRACE PATCH; do
		equal "$method is refused" 405 "$(status -X $method "$url/metrics")"
	done
	equal "the refusal says what is allowed" "GET, HEAD" "$(header allow -X POST "$url/metrics")"
	equal "a POST with a body is refused unread" 405 "$(status -d x=y "$url/metrics")"
	equal "a GET with a body is refused" 413 "$(status -X GET -d x=y "$url/metrics")"
	equal "a chunked one too" \
		413 "$(status -X GET -H 'Transfer-Encoding: chunked' -d x=y "$url/metrics")"
	equal "one connection, many requests" \
		10 "$(curl -s -m 10 -o /dev/null -o /dev/null -w '%{num_connects}' "$url/metrics" "$url/")"
	equal "pipelined requests are answered in turn" \
		"404 200 " "$(send 'GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' |
			tr -d '\r' | grep -a '^HTTP/1.1' | cut -d' ' -f2 | tr '\n' ' ')"
	match "HTTP/1.0 is answered" ' 200 OK' "$(send 'GET /metrics HTTP/1.0\r\n\r\n' | head -1)"
}

check_landing() {
	local page asset number
	page=$(curl -s -m 10 "$url/")

	match "the landing page links to the metrics" '<a href="metrics">' "$page"
	match "it is HTML" '^text/html' "$(header content-type "$url/")"
	equal "nothing may run in it but its own script" \
		"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" \
		"$(header content-security-policy "$url/")"
	match "an enemy's name is text" '&lt;script&gt;' "$page"
	equal "and no markup" '<script src="page.js" defer></script>' "$(grep '<script' <<<"$page")"
	equal "no style or handler is inside" 0 "$(grep -ciE 'style=| on[a-z]+=|<style' <<<"$page")"
	for asset in page.js page.css; do
		equal "$asset is served as it is" "$(sha256sum <daemon/export/page/$asset)" "$(curl -s -m 10 "$url/$asset" | sha256sum)"
		match "with its type" "^text/(javascript|css); charset=utf-8$" "$(header content-type "$url/$asset")"
		equal "and no other" nosniff "$(header x-content-type-options "$url/$asset")"
	done
	for number in 2 0 -1 99999999999999999999 x "1&page=2" "%00"; do
		equal "?page=$number is answered" 200 "$(status "$url/?page=$number")"
	done
}

# Half a request, kept open: it is cut at the deadline, and does not hold up anybody until then.
check_slow_request() {
	local fd before
	before=$(dropped deadline)
	exec {fd}<>"/dev/tcp/127.0.0.1/$port"
	printf 'GET /metrics HTTP/1.1\r\n' >&$fd
	check "a scrape beside half a request" answers_at_once
	# Writing to it after that raises SIGPIPE, which only this subshell shrugs off.
	(
		trap '' PIPE
		for _ in 1 2 3 4 5 6 7 8; do
			sleep 0.5
			printf 'X: y\r\n' >&$fd || break
		done
	) 2>/dev/null
	check "a request that never ends is cut" timeout 1 cat <&$fd
	exec {fd}>&-
	equal "and counted" $((before + 1)) "$(dropped deadline)"
}

# Idle time, not the deadline: the one that never asked, and the one that asked once.
check_idle() {
	local silent kept
	exec {silent}<>"/dev/tcp/127.0.0.1/$port" {kept}<>"/dev/tcp/127.0.0.1/$port"
	printf 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n' >&$kept
	check "a silent connection is closed" timeout 5 cat <&$silent
	check "one that has been served is, too" timeout 5 cat <&$kept
	exec {silent}>&- {kept}>&-
	equal "neither had to be cut" "0 0" "$(dropped deadline) $(dropped evicted)"
}

# Readers that ask for megabytes and take nothing.
check_stalled_readers() {
	local fds=() fd before after
	for _ in 1 2 3 4 5 6 7 8; do
		exec {fd}<>"/dev/tcp/127.0.0.1/$port"
		printf 'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n' >&$fd
		fds+=("$fd")
	done
	check "a scrape beside stalled readers" wait_for 5 answers_at_once
	before=$(ticks)
	sleep 1
	after=$(ticks)
	[ $((after - before)) -le 3 ] && ok "stalled readers cost no CPU" ||
		not_ok "stalled readers cost no CPU: $((after - before)) ticks in a second"
	match "some were told to come again, or cut" \
		'^[1-9]' "$(($(metric 'cetd_http_responses_total{code="503"}') + $(dropped evicted)))"
	for fd in "${fds[@]}"; do
		exec {fd}>&-
	done
}

check_unix() {
	local path=$work/metrics.sock
	start "$work/unix.log" "$BUILD/tests/serve-metrics" --listen "unix:$path"
	wait_for 10 [ -S "$path" ]
	equal "a unix socket serves" 200 "$(status --unix-socket "$path" http://cetd/metrics)"
	"$BUILD/tests/serve-metrics" --listen "unix:$path" >"$work/second.log" 2>&1
	equal "a second server on it fails" 1 $?
	match "and says what to do" "$path.*another process" "$(cat "$work/second.log")"
	equal "the first still serves" 200 "$(status --unix-socket "$path" http://cetd/metrics)"
	stop $pid KILL
	start "$work/unix.log" "$BUILD/tests/serve-metrics" --listen "unix:$path"
	check "a dead server's socket is replaced" wait_for 5 grep -q listening "$work/unix.log"
	equal "and serves" 200 "$(status --unix-socket "$path" http://cetd/metrics)"
	stop $pid
	check "the socket goes with the server" [ ! -e "$path" ]
}

check_addresses() {
	local output
	output=$("$BUILD/tests/serve-metrics" --listen "127.0.0.1:$port" 2>&1)
	equal "an address in use ends the start" 1 $?
	match "the message names it and what to do" "127.0.0.1:$port.*another process" "$output"
	output=$("$BUILD/tests/serve-metrics" --listen localhost:9752 2>&1)
	equal "a name is no address" 1 $?
	match "the message says what is" 'A.B.C.D or \[IPv6\]' "$output"
	output=$("$BUILD/tests/serve-metrics" --listen 0.0.0.0:0 2>&1)
	equal "other hosts are kept out" 1 $?
	match "the message says why" 'other hosts' "$output"
	start "$work/remote.log" "$BUILD/tests/serve-metrics" --listen 0.0.0.0:0 --remote
	check "unless they are let in" wait_for 5 grep -q '^listening on 0.0.0.0:' "$work/remote.log"
	check "which is logged" grep -q 'other hosts may read' "$work/remote.log"
	stop $pid
	equal "off is off" "listening on nothing" "$("$BUILD/tests/serve-metrics" --listen off)"
}

check_inherited() {
	local path=$work/inherited.sock
	if ! command -v systemd-socket-activate >/dev/null; then
		skip "an inherited socket serves: systemd-socket-activate (package systemd) is not installed"
		return
	fi
	start "$work/inherited.log" systemd-socket-activate -l "$path" "$BUILD/tests/serve-metrics" --inherit
	wait_for 5 [ -S "$path" ]
	equal "an inherited socket serves" 200 "$(status --unix-socket "$path" http://cetd/metrics)"
	stop $pid
	check "its file is left to who made it" [ -S "$path" ]
}

serve --idle 2 --deadline 3 || exit 1
check_answers
check_landing
check_garbage
check_slow_request
check_flood
check_rest
check_addresses
stop $pid
equal "it ends when told to" 0 $?

serve --vms 4000 --deadline 20 || exit 1
check_stalled_readers
stop $pid

serve --idle 1 || exit 1
check_idle
stop $pid

serve --fail || exit 1
equal "a page that cannot be made is a 500" 500 "$(status "$url/metrics")"
stop $pid

check_unix
check_inherited
exit $failed
