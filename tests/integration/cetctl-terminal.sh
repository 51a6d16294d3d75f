#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# cetctl in a real terminal, by tmux: top refreshes, resizes, scrolls, and gives the terminal back however it
# ends; completion in bash and zsh.
# shellcheck source=cetctl-lib.sh
. "$(dirname "$0")/cetctl-lib.sh"
for tool in tmux script; do
	command -v $tool >/dev/null || {
		skip "terminal: $tool is not installed"
		exit 0
	}
done
socket=cetctl-test-$$
tmux() { command tmux -L "$socket" -f /dev/null "$@"; }
trap 'tmux kill-server 2>/dev/null; live_cleanup' EXIT

keys() { tmux send-keys -t t "$@"; }
screen() { tmux capture-pane -p -t t; }
shows() { screen | grep -qE -- "$1"; }
# on_screen NAME REGEX: it is there within 20 s.
on_screen() {
	if wait_for 20 shows "$2"; then ok "$1"; else not_ok "$1: no '$2' in: $(screen | head -c 800)"; fi
}
not_on_screen() {
	if wait_for 10 eval "! shows '$2'"; then ok "$1"; else not_ok "$1: '$2' is still there"; fi
}
cell() { screen | awk -v row="$1" '$1 == row { print $5; exit }'; }

start_bus || exit 1
start_fake --tick --clone 92 "$canned/snapshot.json"
tmux new-session -d -s t -x 120 -y 24 "env PATH='$(dirname "$cetctl"):$PATH' PS1='prompt> ' bash --norc --noprofile"
tmux set-option -g remain-on-exit on
keys "echo what was there" Enter
on_screen "a shell" "^what was there"
settings() { stty -a <"$(tmux display -p -t t '#{pane_tty}')"; }
before=$(settings)

refreshes() {
	local first

	keys "cetctl top -d 0.2; echo code \$?" Enter
	on_screen "top: a header" "^cetctl top +[0-9:]+ +cetd 0.1.0"
	on_screen "top: rates, the busiest first" "^web-1 .* 50\.0 |^web-1 .* 10\.0 "
	first=$(cell web-1)
	wait_for 10 eval '[ "$(cell web-1)" != "'"$first"'" ]' &&
		ok "top: refreshes in place" || not_ok "top: $first does not change"
	[ "$(cell web-1)" -gt "$first" ] && ok "top: counts grow" || not_ok "top: $first, then $(cell web-1)"
	equal "top: one header" 1 "$(screen | grep -c "^cetctl top")"
	equal "top: fills the screen" 24 "$(screen | wc -l)"
	equal "top: the normal screen is kept" 1 "$(tmux display -p -t t '#{alternate_on}')"
	equal "top: no cursor" 0 "$(tmux display -p -t t '#{cursor_flag}')"
	LC_ALL=C screen | grep -qP '\xc2\x9b|\xe2\x80\xae' && not_ok "top: hostile name" ||
		on_screen "top: hostile name" 'evil\\x1b\[31mred\\x9b2J'
}

obeys() {
	keys n
	on_screen "top: n sorts by name" "sort by: NAME "
	keys R
	on_screen "top: R reverses" "sort by: NAME \(desc\)"
	keys '>'
	on_screen "top: > moves on" "sort by: VMM"
	keys Left
	on_screen "top: left goes back" "sort by: NAME"
	keys m
	on_screen "top: m sorts by MSR" "sort by: MSR \(desc\)"
	keys End
	on_screen "top: end scrolls" "82-100 of 100"
	keys Up
	on_screen "top: up scrolls back" "81-99 of 100"
	keys Home
	on_screen "top: home" "1-19 of 100"
	keys PageDown
	on_screen "top: page down" "19-37 of 100"
	keys Home
	tmux resize-window -t t -x 70 -y 12
	on_screen "top: smaller" "1-7 of 100"
	equal "top: fits after a resize" 12 "$(screen | wc -l)"
	equal "top: no line is too long" 1 "$(($(screen | wc -L) <= 70))"
	tmux resize-window -t t -x 120 -y 40
	on_screen "top: larger" "1-35 of 100"
	tmux resize-window -t t -x 120 -y 24
	on_screen "top: as before" "1-19 of 100"
}

# restored NAME CODE
restored() {
	on_screen "$1: ends with $2" "^code $2\$"
	on_screen "$1: the normal screen is back" "^what was there"
	equal "$1: the cursor is back" "0 1" "$(tmux display -p -t t '#{alternate_on} #{cursor_flag}')"
	equal "$1: the settings are back" "$before" "$(settings)"
	keys "clear; echo what was there" Enter
	on_screen "$1: the shell goes on" "^what was there"
}

top_pid() { pgrep -P "$(tmux display -p -t t '#{pane_pid}')" -x cetctl; }

ends() {
	local signal code

	keys q
	restored "top: q" 0
	for signal in INT:130 TERM:143 HUP:129 QUIT:131 SEGV:139 ABRT:134 USR1:138; do
		code=${signal#*:} signal=${signal%:*}
		keys "cetctl top; echo code \$?" Enter
		on_screen "top, for SIG$signal" "^cetctl top +[0-9]"
		kill -s "$signal" "$(top_pid)"
		restored "top: SIG$signal" "$code"
	done
	keys "cetctl top; echo code \$?" Enter
	on_screen "top, for ctrl-c" "^cetctl top +[0-9]"
	keys C-c
	restored "top: ctrl-c" 130
	keys "cetctl top; echo code \$?" Enter
	on_screen "top, for ctrl-z" "^cetctl top +[0-9]"
	keys C-z
	on_screen "top: ctrl-z gives the shell" "Stopped"
	on_screen "top: ctrl-z gives the normal screen" "^what was there"
	keys "fg" Enter
	on_screen "top: fg takes the screen again" "^cetctl top +[0-9]"
	keys q
	on_screen "top: q after fg" "what was there"
	keys "clear; echo what was there" Enter
	on_screen "the shell goes on" "^what was there"
}

# The daemon goes and comes back: top waits for it.
survives() {
	keys "cetctl top -d 0.2; echo code \$?" Enter
	on_screen "top, for a daemon that ends" "^cetctl top +[0-9]"
	stop_fake
	on_screen "top: says that the daemon is gone" "cetd does not answer.*trying again"
	shows "^web-1" && ok "top: keeps the last picture" || not_ok "top: the last picture is gone"
	start_fake --tick "$canned/snapshot.json"
	not_on_screen "top: goes on when it is back" "does not answer"
	keys q
	restored "top: q after that" 0
	jq '.replayed = true | .recording = "storm.cetd"' "$canned/snapshot.json" >"$work/replayed.json"
	start_fake "$work/replayed.json"
	keys "cetctl top" Enter
	on_screen "top: replayed data is marked" "^REPLAYED from storm.cetd"
	keys q
	on_screen "the shell goes on" "^what was there"
	stop_fake
	keys "clear; cetctl top; echo code \$?" Enter
	on_screen "top without a daemon leaves the screen alone" "^code 4"
	start_fake "$canned/snapshot.json"
}

# complete SHELL NAME TYPED REGEX: what stands on the prompt after a tab, or is offered after two.
completes() {
	# No ctrl-c: a shell drops what is typed while it deals with that.
	keys C-e C-u C-l
	wait_for 20 is_empty || not_ok "$1 completion: $2: no empty line: $(screen | head -c 200)"
	keys -l "$3"
	keys Tab
	wait_for 2 shows "$4" || keys Tab
	on_screen "$1 completion: $2" "$4"
}
is_empty() { [ "$(screen | tr -d '\n')" = "prompt>" ]; }

in_shell() {
	completes "$1" "verbs" "cetctl sta" "cetctl status"
	completes "$1" "names of VMs" "cetctl show we" "cetctl show web-1"
	completes "$1" "ids of VMs" "cetctl faults 1111" "cetctl faults 11111111-2222-3333-4444-555555555555"
	completes "$1" "options" "cetctl list --no-l" "cetctl list --no-legend"
	completes "$1" "columns" "cetctl list --columns=vm" "vms"
	completes "$1" "columns after a comma" "cetctl list --columns=name,attr" "--columns=name,attribution"
	completes "$1" "columns of faults" "cetctl faults --sort=ss" "--sort=ssp"
	completes "$1" "words" "cetctl --json=sh" "--json=short"
	completes "$1" "symbol files" "cetctl explain web-1 --symbols=/etc/os-rel" "--symbols=/etc/os-release"
	completes "$1" "verbs to help with" "cetctl help fau" "cetctl help faults"
	completes "$1" "actions of policy" "cetctl policy expl" "cetctl policy explain"
	completes "$1" "VMs of policy" "cetctl policy set we" "cetctl policy set web-1"
	completes "$1" "settings" "cetctl policy clear web-1 cp" "cetctl policy clear web-1 cp_rate"
	completes "$1" "files of policies" "cetctl policy check /etc/os-rel" "check /etc/os-release"
	completes "$1" "VMs to freeze" "cetctl freeze we" "cetctl freeze web-1"
	completes "$1" "hostile names are quoted, not run" "cetctl show sub" \
		'cetctl show sub\\\$\\\(touch.*CETCTL_PWNED'
	equal "$1 completion: nothing was run" "" \
		"$(find . "$HOME" "$work" -maxdepth 1 -name CETCTL_PWNED)"
}

refreshes
obeys
ends
survives
keys "clear; . $PWD/cli/completion/cetctl.bash" Enter
in_shell bash
if command -v zsh >/dev/null; then
	keys C-u "clear; PS1='prompt> ' zsh -f" Enter
	keys "fpath=($PWD/cli/completion \$fpath); autoload -Uz compinit; compinit -u -D; clear" Enter
	in_shell zsh
else
	skip "zsh completion: zsh is not installed"
fi
exit $failed
