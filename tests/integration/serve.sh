# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Start the exporter behind made-up VMs (serve-metrics), and read figures off it.

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
