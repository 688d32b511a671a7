#include "receiver/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* The whole life of a session: poll, the connection, the monitor's socket, pipes, memory, time. */
static const int calls[] = {
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(close),
	SCMP_SYS(getpid),
	SCMP_SYS(futex),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit_group),
#ifdef SILVER_SANITIZE
	/* What a report and the shadow memory need; files are still out of reach by uid and chroot.
	 */
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(openat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstat),
	SCMP_SYS(readlink),
	SCMP_SYS(lseek),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(gettid),
	SCMP_SYS(tgkill),
	SCMP_SYS(sched_yield),
	SCMP_SYS(prlimit64),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(uname),
#endif
};

/* Calls of which one argument must equal one value (under a mask). */
struct filtered {
	int call;
	unsigned argument;
	uint64_t mask, value;
};
#define WHOLE 0xffffffffu /* ints: the kernel ignores the upper half, so the filter does */
static const struct filtered filtered[] = {
	{SCMP_SYS(mmap), 2, PROT_EXEC, 0},         {SCMP_SYS(ioctl), 1, WHOLE, TIOCSWINSZ},
	{SCMP_SYS(fcntl), 1, WHOLE, F_GETFL},      {SCMP_SYS(fcntl), 1, WHOLE, F_SETFL},
	{SCMP_SYS(fcntl), 1, WHOLE, F_SETPIPE_SZ}, {SCMP_SYS(fcntl), 1, WHOLE, F_DUPFD_CLOEXEC},
};

/* getsockopt and setsockopt, at (level, option). */
static const struct {
	int call, level, option;
} socket_options[] = {
	{SCMP_SYS(getsockopt), IPPROTO_TCP, TCP_INFO},
	{SCMP_SYS(setsockopt), IPPROTO_TCP, TCP_QUICKACK},
	{SCMP_SYS(setsockopt), IPPROTO_TCP, TCP_NODELAY},
	{SCMP_SYS(setsockopt), IPPROTO_TCP, TCP_KEEPIDLE},
	{SCMP_SYS(setsockopt), IPPROTO_TCP, TCP_KEEPINTVL},
	{SCMP_SYS(setsockopt), IPPROTO_TCP, TCP_KEEPCNT},
	{SCMP_SYS(setsockopt), IPPROTO_TCP, TCP_USER_TIMEOUT},
	{SCMP_SYS(setsockopt), SOL_SOCKET, SO_KEEPALIVE},
};

static int drop_user(const struct sandbox *s, struct error *err)
{
	if (chroot(s->root) == -1 || chdir("/") == -1)
		return error_sys(err, errno, "cannot make '%s' the root directory", s->root);
	if (setgroups(0, NULL) == -1 || setresgid(s->gid, s->gid, s->gid) == -1 ||
	    setresuid(s->uid, s->uid, s->uid) == -1)
		return error_sys(err, errno, "cannot become uid %u, gid %u", s->uid, s->gid);
	if (setuid(0) != -1 || setgid(0) != -1)
		return error_set(err, E_SYSTEM, "uid %u can become root again", s->uid);
	return 0;
}

static int limit(__rlimit_resource_t resource, rlim_t most, struct error *err)
{
	struct rlimit limit = {most, most};

	if (setrlimit(resource, &limit) == -1)
		return error_sys(err, errno, "cannot set resource limit %d", (int)resource);
	return 0;
}

static int set_limits(struct error *err)
{
	/* 0-2, the monitor, the connection twice, three pipes; none to spare for a leak to grow in
	 */
	if (limit(RLIMIT_NOFILE, 16, err) == -1 || limit(RLIMIT_NPROC, 0, err) == -1 ||
	    limit(RLIMIT_FSIZE, 0, err) == -1 || limit(RLIMIT_CORE, 0, err) == -1)
		return -1;
#ifndef SILVER_SANITIZE
	/* A peer that makes libssh hoard memory ends its own session, not the machine: one that
	 * overruns its window, or whose largest packet is 10 bytes, which libssh fills for ever. */
	if (limit(RLIMIT_DATA, 64 << 20, err) == -1)
		return -1;
#endif
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return error_sys(err, errno, "cannot forbid core dumps");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return error_sys(err, errno, "cannot give up new privileges");
	return 0;
}

static struct scmp_arg_cmp equals(unsigned argument, uint64_t mask, uint64_t value)
{
	return (struct scmp_arg_cmp){
		.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

static int add_rules(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls[i], 0, NULL);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(filtered); i++) {
		const struct filtered *f = &filtered[i];
		struct scmp_arg_cmp is = equals(f->argument, f->mask, f->value);

		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, f->call, 1, &is);
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(socket_options); i++) {
		struct scmp_arg_cmp both[] = {
			equals(1, WHOLE, (uint64_t)socket_options[i].level),
			equals(2, WHOLE, (uint64_t)socket_options[i].option),
		};

		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, socket_options[i].call, 2, both);
	}
	return r;
}

static int load_filter(struct error *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (!filter)
		return error_set(err, E_SYSTEM, "cannot make a system call filter");
	r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a chain */
	if (r == 0)
		r = add_rules(filter);
	if (r == 0)
		r = seccomp_load(filter);
	if (r != 0)
		error_sys(err, -r, "cannot load the system call filter");
	seccomp_release(filter);
	return r == 0 ? 0 : -1;
}

int sandbox_enter(const struct sandbox *s, struct error *err)
{
	/* a peer that vanishes is an error of a write, not a signal */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return error_sys(err, errno, "cannot ignore SIGPIPE");
	if (s->root && drop_user(s, err) == -1)
		return -1;
	if (set_limits(err) == -1)
		return -1;
	return load_filter(err);
}
