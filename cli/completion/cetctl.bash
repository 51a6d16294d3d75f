# SPDX-License-Identifier: GPL-2.0-only
# bash completion for cetctl. Names of VMs are data: they are quoted, and never expanded or run.

# Offer the lines of stdin that start with the word at hand.
__cetctl_offer() {
	local word=$1 line quoted
	while IFS= read -r line; do
		quoted=$line
		[[ $line =~ ^[[:alnum:]_.,:-]+$ ]] || printf -v quoted %q "$line"
		if [[ $line == "$word"* || $quoted == "$word"* ]]; then
			COMPREPLY+=("$quoted")
		fi
	done
}

__cetctl_verbs() {
	printf '%s\n' status list show faults explain monitor top probe metrics policy freeze thaw dump version help
}

# Names that had to be escaped for the terminal cannot be typed back: their ids can.
__cetctl_vms() {
	cetctl "${connection[@]}" list --no-legend --columns=name 2>/dev/null </dev/null |
		sed 's/ *$//' | grep -v '\\' | sort | uniq -u
	cetctl "${connection[@]}" list --no-legend --columns=id 2>/dev/null </dev/null |
		sed 's/ *$//' | grep -v '\\'
}

__cetctl_settings() {
	printf '%s\n' mode=monitor mode=enforce ibt=keep ibt=off shstk=keep shstk=hide record=true record=false cp_rate=none
}

# What follows `cetctl policy`; words are those after it.
__cetctl_policy() {
	case ${#words[@]} in
	0) printf '%s\n' list show explain set clear check schema ;;
	1) case ${words[0]} in show | explain | set | clear) __cetctl_vms ;; esac ;;
	*) case ${words[0]} in
		set) __cetctl_settings ;;
		clear) printf '%s\n' mode ibt shstk cp_rate record ;;
		esac ;;
	esac
}

__cetctl_columns() {
	cetctl "$1" --columns=help --no-legend 2>/dev/null </dev/null | sed 's/ .*//'
}

_cetctl() {
	local word=$2 verb="" option="" i connection=() verbs list words=()
	COMPREPLY=()
	verbs=" $(__cetctl_verbs | tr '\n' ' ')"

	# "--option=value" arrives as three words: "=" is among bash's word breaks.
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-H | -M | --host | --machine | --bus-address)
			option=${COMP_WORDS[i]}
			[[ ${COMP_WORDS[i + 1]-} != "=" ]] || ((i++))
			if ((++i < COMP_CWORD)); then
				connection+=("$option" "${COMP_WORDS[i]}")
			fi
			;;
		-n | -d | --lines | --interval | --sort | --columns | --color | --json | \
			--symbols | --kaslr | --for)
			[[ ${COMP_WORDS[i + 1]-} != "=" ]] || ((i += 2))
			;;
		-* | =) ;;
		*)
			if [[ -z $verb && $verbs == *" ${COMP_WORDS[i]} "* ]]; then
				verb=${COMP_WORDS[i]}
			elif [[ -n $verb && ${COMP_WORDS[i + 1]-} != "=" && ${COMP_WORDS[i - 1]} != "=" ]]; then
				words+=("${COMP_WORDS[i]}")
			fi
			;;
		esac
	done

	option=$3
	if [[ ${COMP_WORDS[COMP_CWORD]} == "=" ]]; then
		word=""
	elif [[ $option == "=" ]]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $option != -? && $option != --host && $option != --machine && $option != --columns &&
		$option != --sort && $option != --symbols && $option != --kaslr ]]; then
		option=""
	fi
	case $option in
	--json) __cetctl_offer "$word" < <(printf '%s\n' short pretty off) ;;
	--color) __cetctl_offer "$word" < <(printf '%s\n' auto always never) ;;
	--sort | --columns)
		# The last of a list is being written; the ones before it stay.
		list=""
		[[ $word != *,* ]] || list=${word%,*},
		__cetctl_offer "$word" < <(__cetctl_columns "${verb:-list}" | sed "s/^/$list/")
		[[ $option != --columns ]] || compopt -o nospace 2>/dev/null
		;;
	-H | --host)
		__cetctl_offer "$word" < <(compgen -A hostname)
		;;
	-M | --machine)
		__cetctl_offer "$word" < <(machinectl list --no-legend 2>/dev/null | sed 's/ .*//')
		;;
	--symbols)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	-n | -d | --kaslr | --for) ;;
	*)
		if [[ $word == -* ]]; then
			__cetctl_offer "$word" < <(printf '%s\n' --host --machine --bus-address --json \
				--columns --sort --no-legend --color --lines --interval --symbols --kaslr \
				--runtime --persistent --for --help --version)
		elif [[ -z $verb ]]; then
			__cetctl_offer "$word" < <(__cetctl_verbs)
		else
			case $verb in
			show | faults | explain | monitor | freeze | thaw) __cetctl_offer "$word" < <(__cetctl_vms) ;;
			policy)
				if [[ ${words[0]-} == check ]]; then
					compopt -o filenames 2>/dev/null
					mapfile -t COMPREPLY < <(compgen -f -- "$word")
				else
					__cetctl_offer "$word" < <(__cetctl_policy)
				fi
				;;
			help) __cetctl_offer "$word" < <(__cetctl_verbs) ;;
			esac
		fi
		;;
	esac
}

complete -F _cetctl cetctl
