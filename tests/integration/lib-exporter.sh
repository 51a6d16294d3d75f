# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Start an exporter, read figures off it, abuse it, and set a Prometheus on it. After checks.sh and apt.sh.

# serve OPTION...: sets $pid, $port and $url; the log is $log.
serve() {
	log=$(mktemp "$work/serve.XXXXXX")
	start "$log" "$BUILD/tests/serve-metrics" --listen 127.0.0.1:0 "$@"
	wait_for 10 grep -q '^listening on' "$log" || {
		echo "serve-metrics $* does not listen: $(cat "$log")" >&2
		return 1
	}
	port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$log")
	url=http://127.0.0.1:$port
}

# metric SERIES: its value, nothing where there is no such series. SERIES is exact, labels and all.
metric() {
	curl -sf -m 10 "$url/metrics" | awk -v s="$1" 'index($0, s " ") == 1 { print substr($0, length(s) + 2) }'
}

# send TEXT: raw bytes (printf escapes) on a connection of their own; prints what comes back.
send() {
	local fd
	exec {fd}<>"/dev/tcp/127.0.0.1/$port" || return 1
	printf "$1" >&$fd 2>/dev/null
	timeout 5 cat <&$fd
	exec {fd}>&-
}

# lint NAME: does promtool find fault with what is served?
lint() {
	local report
	if ! apt_need prometheus >&2; then
		skip "$1: promtool (package prometheus) is not installed"
		return
	fi
	report=$(curl -sf -m 10 "$url/metrics" | promtool check metrics 2>&1) && [ -z "$report" ] &&
		ok "$1" || not_ok "$1: $(tr '\n' ' ' <<<"$report")"
}

status() {
	curl -s -m 10 -o /dev/null -w '%{http_code}' "$@"
}

header() {
	local name=$1
	shift
	curl -s -m 10 -o /dev/null -D - "$@" | tr -d '\r' | sed -n "s/^$name: //Ip"
}

dropped() {
	metric "cetd_http_connections_dropped_total{reason=\"$1\"}"
}

# A scrape that others may not delay.
answers_at_once() {
	[ "$(status -m 2 "$url/metrics")" = 200 ]
}

# Sockets and CPU ticks of the server.
sockets() {
	find "/proc/$pid/fd" -lname 'socket:*' 2>/dev/null | wc -l
}

ticks() {
	awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat"
}

# Each of these ends with an error status or with nothing, and the server lives on.
check_garbage() {
	local before after name bytes answer
	local long
	long=$(head -c 20000 /dev/zero | tr '\0' a)

	before=$(dropped no_request)
	while IFS='|' read -r name bytes; do
		answer=$(send "$bytes" | tr -d '\0' | head -1 | tr -d '\r')
		if [ -n "$answer" ] && ! [[ $answer =~ ^HTTP/1\.[01]\ [45] ]]; then
			not_ok "garbage: $name: answered '${answer:0:80}'"
		elif ! answers_at_once; then
			not_ok "garbage: $name: the next scrape is not answered"
		else
			ok "garbage: $name"
		fi
	done <<-EOF
		binary|\\000\\377\\001\\r\\n\\r\\n
		a TLS hello|\\026\\003\\001\\002\\000\\001\\000\\001\\374\\003\\003\\r\\n\\r\\n
		no version|GET /metrics\\r\\n\\r\\n
		HTTP/9|GET /metrics HTTP/9.9\\r\\nHost: a\\r\\n\\r\\n
		an SSH banner|SSH-2.0-OpenSSH_9.2\\r\\n\\r\\n
		a long path|GET /$long HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n
		a long header|GET / HTTP/1.1\\r\\nHost: a\\r\\nX: $long\\r\\n\\r\\n
		a long method|$long / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n
		no Host|GET /metrics HTTP/1.1\\r\\n\\r\\n
		a bad length|GET /metrics HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: -1\\r\\n\\r\\n
		a lone LF|\\n\\n\\n\\n
	EOF
	after=$(dropped no_request)
	[ "${after:-0}" -gt "${before:-0}" ] && ok "garbage is counted" ||
		not_ok "garbage is counted: no_request went from $before to $after"
}

check_flood() {
	local fds=() fd n
	for _ in $(seq 200); do
		exec {fd}<>"/dev/tcp/127.0.0.1/$port" || break
		fds+=("$fd")
	done
	check "a scrape in a flood of ${#fds[@]} connections" answers_at_once
	n=$(sockets)
	[ "$n" -le 50 ] && ok "connections are bounded" || not_ok "connections are bounded: $n sockets"
	match "the flood is counted" '^[1-9][0-9]+$' "$(dropped evicted)"
	for fd in "${fds[@]}"; do
		exec {fd}>&-
	done
}

is_quiet() {
	[ "$(sockets)" -le 2 ]
}

check_rest() {
	local before after
	check "connections go away" wait_for 10 is_quiet
	before=$(ticks)
	sleep 2
	after=$(ticks)
	[ $((after - before)) -le 1 ] && ok "at rest it uses no CPU" ||
		not_ok "at rest it uses no CPU: $((after - before)) ticks in 2 s"
}

# A port that nobody listens on now.
free_port() {
	local p
	for p in $(shuf -i 20000-32000 -n 50); do
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p" && return; }
	done
	return 1
}

# query EXPRESSION: the result as JSON.
query() {
	curl -sf -m 10 "http://127.0.0.1:$prometheus/api/v1/query" --data-urlencode "query=$1" | jq -c .data.result
}

value() {
	query "$1" | jq -r '.[0].value[1]'
}

# start_prometheus: with $work/prometheus.yml; its port is $prometheus. Returns when it is ready.
start_prometheus() {
	local pid # that of the exporter stays
	prometheus=$(free_port)
	check "promtool takes the configuration" promtool check config "$work/prometheus.yml"
	start "$work/prometheus.log" prometheus --config.file="$work/prometheus.yml" \
		--storage.tsdb.path="$work/tsdb" --web.listen-address="127.0.0.1:$prometheus"
	wait_for 60 curl -sf "http://127.0.0.1:$prometheus/-/ready" || {
		not_ok "Prometheus starts: $(tail -1 "$work/prometheus.log")"
		return 1
	}
}

# is_scraped JOB: Prometheus has it up, and has seen it three times.
is_scraped() {
	[ "$(value "up{job=\"$1\"}")" = 1 ] && [ "$(value "count_over_time(up{job=\"$1\"}[1m])")" -ge 3 ]
}
