# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What is run on a kernel: one line a test, "name<TAB>emulated seconds<TAB>command". Sourced after kernels.sh.

# tests_guests CPUS: the table expect/guests.tsv for the kernel last read by kernel_conf.
# NAME=GUEST names a second use of a guest. Where the kernel gives guests CET, each also runs with it hidden.
tests_guests() {
	local name on seconds options with without file limit
	while IFS=$'\t' read -r name on seconds options with without; do
		[[ $name != \#* && " $on " == *" $1 "* ]] || continue
		file=/lab/guest/${name#*=}.bin name=${name%%=*}
		[ "$options" != - ] || options=''
		limit=$((seconds * k_slow))
		if [ "$k_cet" = yes ]; then
			printf 'guest-%s\t%s\tcetvmm --timeout %s %s --expect "%s" %s\n' \
				"$name" "$seconds" "$limit" "$options" "$with" "$file"
		fi
		[ "$without" != - ] || continue
		printf '%s-%s\t%s\tcetvmm --timeout %s %s %s --expect "%s" %s\n' \
			"$([ "$k_cet" = yes ] && echo hidden || echo guest)" "$name" "$seconds" "$limit" \
			"$([ "$k_cet" = yes ] && echo --no-cet)" "$options" "$without" "$file"
	done <"$lab_root/expect/guests.tsv"
}

# tests_selftests CPUS: those of expect/selftests.tsv, with what selftests-known.tsv says about this kernel.
tests_selftests() {
	local name seconds kernels kernel test outcome pattern reason known
	[ "$1" = 1 ] || return 0
	while IFS=$'\t' read -r name seconds kernels; do
		# shellcheck disable=SC2053
		[[ $name != \#* && ${k_name%%:*} == ${kernels:-*} ]] || continue
		known=''
		while IFS=$'\t' read -r kernel test outcome pattern reason; do
			# shellcheck disable=SC2053
			[[ $kernel != \#* && $test == "$name" && ${k_name%%:*} == $kernel ]] || continue
			known=" $outcome \"$pattern\" \"$reason\""
		done <"$lab_root/expect/selftests-known.tsv"
		printf 'selftest-%s\t%s\t/lab/tests/selftest %s%s\n' "$name" "$seconds" "$name" "$known"
	done <"$lab_root/expect/selftests.tsv"
}

# tests_stack CPUS: one boot is enough. Its parts report as stack-PART.
tests_stack() {
	[ "$1" = 1 ] || return 0
	if stack_is_built; then
		printf 'stack\t600\t/lab/tests/stack %s\n' "$(stack_class)"
	else
		printf 'stack\t5\techo cetd is not built here: make all >/tmp/reason; exit 77\n'
	fi
}

# tests_enforce: where the kernel has the policy hook. Its parts report as enforce-PART. On a debug kernel its guests get
# half of k_slow only: that outlasts the daemon's queries, and a longer storm takes minutes.
tests_enforce() {
	! stack_is_built || ! kernel_has_hook || printf 'enforce\t400\t/lab/tests/enforce %s\n' $(((k_slow + 1) / 2))
}

# tests_patched: the BPF tests that only a kernel with cetd's tracepoints can pass; a skip is a failure there.
tests_patched() {
	[ "$k_events" = cet ] && [ -x "$lab_build/tests/bpf/test-patched" ] || return 0
	printf 'bpf-patched\t300\tcd /lab/src; test-patched >/tmp/out 2>&1; r=$?; cat /tmp/out; ! grep SKIP /tmp/out && exit $r; exit 1\n'
}

# tests_view CPUS: what user space sees of CET must be the same on all kernels that bring it.
tests_view() {
	[ "$1" = 1 ] && [ "$k_cet" = yes ] || return 0
	printf 'view\t20\t/lab/tests/view %s\n' "$([ -n "$k_series" ] && echo patched || echo stock)"
}

# Asked for by `lab bench` and `lab record` alone.
tests_bench() { printf 'bench\t600\t/lab/tests/bench %s\n' "$(stack_class)"; }
tests_record() { printf 'record\t600\t/lab/tests/record\n'; }

# Whatever else is asked for: what the kernel complains of while it runs is a failure.
tests_last() {
	printf 'kernel-log\t20\t/lab/tests/kernel-log\n'
}

# tests_is_long NAME CPUS: those that `make lab-long` runs, and `make lab` if asked for by name. With one CPU the part of
# the BPF tests is stack's, too; a stock kernel is not booted for a single test.
tests_is_long() {
	case $1 in
	enforce | policy | linux-hidden | selftest-vmx_preemption_timer_test) ;;
	selftest-feature_msrs_test) [ "$k_kind" != stock ] ;;
	bpf-patched) [ "$2" = 1 ] ;;
	*) false ;;
	esac
}

# tests_is_wanted WHICH NAME CPUS: usual, long, or a shell pattern of names.
tests_is_wanted() {
	# shellcheck disable=SC2053
	case $1 in
	usual) ! tests_is_long "$2" "$3" ;;
	long) tests_is_long "$2" "$3" ;;
	*) [[ $2 == $1 ]] ;;
	esac
}

# tests_list CPUS WHICH
tests_list() {
	case $2 in
	bench | record)
		"tests_$2"
		return
		;;
	esac
	{
		tests_guests "$1"
		tests_selftests "$1"
		tests_view "$1"
		tests_series "$1"
		tests_policy
		tests_linux "$1"
		tests_stack "$1"
		tests_patched
		tests_enforce
		tests_last
	} | {
		any=''
		while IFS=$'\t' read -r name seconds command; do
			tests_is_wanted "$2" "$name" "$1" || [[ -n $any && $name == kernel-log ]] || continue
			any=yes
			printf '%s\t%s\t%s\n' "$name" $((seconds * k_slow)) "$command"
		done
	}
}
