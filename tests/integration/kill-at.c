// SPDX-License-Identifier: GPL-2.0-only
/*
 * kill-at N DIR PROGRAM ARGUMENT...: run the program, and end it by SIGKILL right before the N-th of the system calls
 * that begin with its mkdir() of DIR, which is how a change of the store of overrides begins. With `pins` for DIR:
 * before the N-th of those that add or remove a pin. Says which call it was. It ends with 0 if it killed, else as the
 * program does.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/ptrace.h>

static const struct {
	uint64_t number;
	const char *name;
} names[] = {
	{SYS_mkdir, "mkdir"},	{SYS_openat, "openat"},	    {SYS_write, "write"},
	{SYS_fsync, "fsync"},	{SYS_renameat, "renameat"}, {SYS_close, "close"},
	{SYS_bpf, "bpf"},	{SYS_unlinkat, "unlinkat"}, {SYS_unlink, "unlink"},
	{SYS_rename, "rename"},
};

static const char *name_of(uint64_t number)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == number)
			return names[i].name;
	return "other";
}

static bool is_path(pid_t pid, uint64_t address, const char *path)
{
	char text[256] = "";
	struct iovec local = {text, sizeof(text) - 1}, remote = {(void *)address, strlen(path) + 1};

	return remote.iov_len < sizeof(text) &&
	       process_vm_readv(pid, &local, 1, &remote, 1, 0) > 0 && !strcmp(text, path);
}

static bool changes_pins(const struct ptrace_syscall_info *info)
{
	switch (info->entry.nr) {
	case SYS_bpf:
		return info->entry.args[0] == BPF_OBJ_PIN;
	case SYS_unlink:
	case SYS_unlinkat:
	case SYS_rename:
		return true;
	default:
		return false;
	}
}

static pid_t run(char **argv)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	execv(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

int main(int argc, char **argv)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
	int status, signal_to_pass = 0, left;
	bool is_pins, seen = false;
	pid_t pid;

	if (argc < 4)
		return 2;
	left = atoi(argv[1]);
	is_pins = !strcmp(argv[2], "pins");
	pid = run(argv + 3);
	if (waitpid(pid, &status, 0) < 0 || ptrace(PTRACE_SETOPTIONS, pid, 0, options) < 0)
		return 2;
	while (ptrace(PTRACE_SYSCALL, pid, 0, signal_to_pass) == 0 &&
	       waitpid(pid, &status, 0) == pid) {
		struct ptrace_syscall_info info;

		signal_to_pass = 0;
		if (!WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			/* The trap of execve() is none of the program's. */
			signal_to_pass = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
			continue;
		}
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
		    info.op != PTRACE_SYSCALL_INFO_ENTRY)
			continue;
		if (is_pins)
			seen = changes_pins(&info);
		else
			seen |= info.entry.nr == SYS_mkdir &&
				is_path(pid, info.entry.args[0], argv[2]);
		if (!seen || --left)
			continue;
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		printf("killed before %s\n", name_of(info.entry.nr));
		return 0;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
