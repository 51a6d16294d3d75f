# SPDX-License-Identifier: GPL-2.0-only
# sandbox.pl PID DIRECTORY: try what the switches of cetd.service are there against, and to read of the process, which is
# another user's. Prints a line an attempt: the switch and the error, 0 where it succeeds. Run in the unit's sandbox and
# outside of it; each attempt is in a process of its own.
use strict;
use warnings;
use Socket;

# System calls of x86-64.
my %number = (
	mmap => 9, ptrace => 101, syslog => 103, personality => 135, sched_setscheduler => 144, chroot => 161,
	settimeofday => 164, mount => 165, sethostname => 170, add_key => 248, unshare => 272, perf_event_open => 298,
);
my $file = "$ARGV[1]/sandbox-file";

sub call { my $name = shift; return syscall($number{$name}, @_) != -1; }
sub created { unlink $file; open(my $f, ">", $file) or return undef; return (stat $f)[2] & 07777; }

my @attempts = (
	# PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS
	MemoryDenyWriteExecute => sub { call("mmap", 0, 4096, 7, 0x22, -1, 0) },
	RestrictAddressFamilies => sub { socket(my $s, AF_INET, SOCK_DGRAM, 0) },
	RestrictNamespaces => sub { call("unshare", 0x10000000) }, # CLONE_NEWUSER
	RestrictSUIDSGID => sub { defined created() and chmod(04700, $file) },
	LockPersonality => sub { call("personality", 8) }, # PER_LINUX32
	RestrictRealtime => sub { my $priority = pack("i", 1); call("sched_setscheduler", 0, 1, $priority) }, # SCHED_FIFO
	ProtectHostname => sub { my $name = `cat /proc/sys/kernel/hostname`; chomp $name; call("sethostname", $name, length $name) },
	ProtectHome => sub { opendir(my $d, "/root") },
	ProtectKernelLogs => sub { call("syslog", 10, 0, 0) }, # SYSLOG_ACTION_SIZE_BUFFER
	ProtectClock => sub { call("settimeofday", 0, 0) }, # changes nothing where allowed
	PrivateTmp => sub { -e "/tmp/sandbox-outside" or do { $! = 2; 0 } },
	UMask => sub { created() == 0644 or do { $! = 1; 0 } },
	"SystemCallFilter-ptrace" => sub { call("ptrace", 0, 0, 0, 0) },
	"SystemCallFilter-chroot" => sub { my $root = "/"; call("chroot", $root) },
	"SystemCallFilter-keys" => sub { my ($type, $name, $data) = ("user", "cetd", "x"); call("add_key", $type, $name, $data, 1, -1) },
	# No attributes: EFAULT where it may be called at all.
	"SystemCallFilter-perf" => sub { call("perf_event_open", 0, 0, -1, -1, 0) or $!{EFAULT} },
	# What cetd needs: the processes of others.
	"proc" => sub { open(my $f, "<", "/proc/$ARGV[0]/cmdline") and readlink "/proc/$ARGV[0]/exe" },
);

while (my ($name, $attempt) = splice(@attempts, 0, 2)) {
	my $pid = fork;
	if (!$pid) {
		$! = 0;
		my $done = $attempt->();
		my $error = $!+0;
		require POSIX;
		POSIX::_exit($done ? 0 : $error || 255);
	}
	waitpid $pid, 0;
	print "$name ", $? >> 8, "\n";
}
unlink $file;
