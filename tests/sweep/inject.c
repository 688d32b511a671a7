/* inject - runs a command and lets one system call of all its processes fail, counted over all of
 * them in the order in which they come; strace(1) counts for each process by itself.
 *
 *	inject KIND AT REPORT DIR COMMAND [ARGUMENT...]
 *
 * KIND is a row of the table below. AT is the number of the call that fails, with a `+` behind it
 * that and all later ones, or 0: none, they are only counted. Calls of files count where the file
 * is below DIR. REPORT gets "CALLS FAILED\n" and what failed first. The exit status
 *is the command's. x86-64 Linux. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_MAX  48
#define PATH_BYTES 4096

/* Which calls of that number count. */
enum filter {
	ALWAYS,
	CREATES, /* makes a file, below DIR */
	NAMED,   /* of a name below DIR */
	BELOW,   /* of a descriptor of a file below DIR */
	MAPS,    /* memory, or a file below DIR */
	COPIES,  /* makes a descriptor */
	FORKS,   /* no thread: whoever makes one takes a failure for a broken machine */
};

enum kind { NOSPC = 1, IO = 2, MFILE = 4, NOMEM = 8 };

static const struct {
	const char *name;
	enum kind kind;
	int error;
} kinds[] = {
	{"ENOSPC", NOSPC, ENOSPC}, {"EDQUOT", NOSPC, EDQUOT}, {"EIO", IO, EIO},
	{"EMFILE", MFILE, EMFILE}, {"ENOMEM", NOMEM, ENOMEM},
};

/* What can fail in which way. */
static const struct call {
	long number;
	const char *name;
	unsigned kinds;
	enum filter filter;
	int dir; /* the argument that is the descriptor; the name follows it. -1: name first */
} calls[] = {
	{SYS_open, "open", NOSPC, CREATES, -1},
	{SYS_open, "open", IO, NAMED, -1},
	{SYS_open, "open", MFILE, ALWAYS, 0},
	{SYS_openat, "openat", NOSPC, CREATES, 0},
	{SYS_openat, "openat", IO, NAMED, 0},
	{SYS_openat, "openat", MFILE, ALWAYS, 0},
	{SYS_openat2, "openat2", NOSPC, CREATES, 0},
	{SYS_openat2, "openat2", IO, NAMED, 0},
	{SYS_openat2, "openat2", MFILE, ALWAYS, 0},
	{SYS_mkdir, "mkdir", NOSPC | IO, NAMED, -1},
	{SYS_mkdirat, "mkdirat", NOSPC | IO, NAMED, 0},
	{SYS_rename, "rename", NOSPC | IO, NAMED, -1},
	{SYS_renameat, "renameat", NOSPC | IO, NAMED, 0},
	{SYS_renameat2, "renameat2", NOSPC | IO, NAMED, 0},
	{SYS_link, "link", NOSPC | IO, NAMED, -1},
	{SYS_linkat, "linkat", NOSPC | IO, NAMED, 0},
	{SYS_symlinkat, "symlinkat", NOSPC | IO, NAMED, 1},
	{SYS_unlink, "unlink", IO, NAMED, -1},
	{SYS_unlinkat, "unlinkat", IO, NAMED, 0},
	{SYS_rmdir, "rmdir", IO, NAMED, -1},
	{SYS_getdents64, "getdents64", IO, BELOW, 0},
	{SYS_read, "read", IO, BELOW, 0},
	{SYS_pread64, "pread64", IO, BELOW, 0},
	{SYS_write, "write", NOSPC | IO, BELOW, 0},
	{SYS_pwrite64, "pwrite64", NOSPC | IO, BELOW, 0},
	{SYS_writev, "writev", NOSPC | IO, BELOW, 0},
	{SYS_ftruncate, "ftruncate", NOSPC | IO, BELOW, 0},
	{SYS_fallocate, "fallocate", NOSPC | IO, BELOW, 0},
	{SYS_fsync, "fsync", NOSPC | IO, BELOW, 0},
	{SYS_fdatasync, "fdatasync", NOSPC | IO, BELOW, 0},
	{SYS_syncfs, "syncfs", NOSPC | IO, BELOW, 0},
	{SYS_utimensat, "utimensat", IO, BELOW, 0},
	{SYS_fchmod, "fchmod", IO, BELOW, 0},
	{SYS_pipe, "pipe", MFILE, ALWAYS, 0},
	{SYS_pipe2, "pipe2", MFILE, ALWAYS, 0},
	{SYS_dup, "dup", MFILE, ALWAYS, 0},
	{SYS_socket, "socket", MFILE, ALWAYS, 0},
	{SYS_socketpair, "socketpair", MFILE, ALWAYS, 0},
	{SYS_pidfd_open, "pidfd_open", MFILE, ALWAYS, 0},
	{SYS_memfd_create, "memfd_create", MFILE, ALWAYS, 0},
	{SYS_fcntl, "fcntl", MFILE, COPIES, 0},
	{SYS_mmap, "mmap", NOMEM, MAPS, 0},
	{SYS_fork, "fork", NOMEM, FORKS, 0},
	{SYS_vfork, "vfork", NOMEM, FORKS, 0},
	{SYS_clone, "clone", NOMEM, FORKS, 0},
};

static struct {
	enum kind kind;
	int error;
	unsigned long at;
	bool and_later;
	const char *report, *dir;
	unsigned long calls, failed;
	char served[PATH_BYTES];
	char first[PATH_BYTES], missed[PATH_BYTES];
} job;

static void die(const char *what)
{
	perror(what);
	exit(125);
}

/* The word at an address of the other process; 0 where there is none. */
static unsigned long peek(pid_t pid, unsigned long address)
{
	unsigned long word = 0;
	struct iovec here = {&word, sizeof(word)};
	struct iovec there = {.iov_len = sizeof(word)};

	memcpy(&there.iov_base, &address, sizeof(address));
	return process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof(word) ? word : 0;
}

/* What a descriptor, or the working directory, leads to. */
static void path_of(pid_t pid, long fd, char path[PATH_BYTES])
{
	char link[64];
	ssize_t n;

	if (fd < 0)
		snprintf(link, sizeof(link), "/proc/%d/cwd", (int)pid);
	else
		snprintf(link, sizeof(link), "/proc/%d/fd/%ld", (int)pid, fd);
	n = readlink(link, path, PATH_BYTES - 1);
	path[n > 0 ? n : 0] = '\0';
}

static bool is_below(pid_t pid, long fd)
{
	char path[PATH_BYTES];

	path_of(pid, fd, path);
	return strncmp(path, job.dir, strlen(job.dir)) == 0;
}

static void read_string(pid_t pid, unsigned long address, char out[PATH_BYTES])
{
	size_t len = 0;

	while (len + sizeof(long) < PATH_BYTES) {
		unsigned long word = peek(pid, address + len);

		memcpy(out + len, &word, sizeof(word));
		if (memchr(out + len, '\0', sizeof(word)))
			return;
		len += sizeof(word);
	}
	out[len] = '\0';
}

static bool is_named_below(const struct call *c, pid_t pid, const unsigned long argument[])
{
	char name[PATH_BYTES];

	read_string(pid, argument[c->dir + 1], name);
	if (*name == '/')
		return strncmp(name, job.dir, strlen(job.dir)) == 0;
	return is_below(pid, c->dir == -1 ? -1 : (int)argument[c->dir]);
}

static bool creates(const struct call *c, pid_t pid, const unsigned long argument[])
{
	unsigned long flags = argument[c->dir + 2];

	if (c->number == SYS_openat2) /* struct open_how starts with them */
		flags = peek(pid, flags);
	return flags & O_CREAT;
}

static bool matches(const struct call *c, pid_t pid, const struct user_regs_struct *regs)
{
	const unsigned long argument[] = {regs->rdi, regs->rsi, regs->rdx};

	if (c->number != (long)regs->orig_rax || !(c->kinds & job.kind))
		return false;
	switch (c->filter) {
	case CREATES:
		return creates(c, pid, argument) && is_named_below(c, pid, argument);
	case NAMED:
		return is_named_below(c, pid, argument);
	case BELOW:
		return is_below(pid, (int)regs->rdi);
	case MAPS:
		return regs->r10 & MAP_ANONYMOUS || is_below(pid, (int)regs->r8);
	case COPIES:
		return regs->rsi == F_DUPFD || regs->rsi == F_DUPFD_CLOEXEC;
	case FORKS:
		return c->number != SYS_clone || !(regs->rdi & CLONE_THREAD);
	case ALWAYS:
		break;
	}
	return true;
}

static void describe(const struct call *c, pid_t pid, const struct user_regs_struct *regs,
		     char text[PATH_BYTES])
{
	const unsigned long argument[] = {regs->rdi, regs->rsi, regs->rdx};
	char comm[32] = "", path[PATH_BYTES] = "", name[PATH_BYTES] = "", file[64];
	FILE *f;

	snprintf(file, sizeof(file), "/proc/%d/comm", (int)pid);
	f = fopen(file, "re");
	if (f && fgets(comm, sizeof(comm), f))
		comm[strcspn(comm, "\n")] = '\0';
	if (f)
		fclose(f);
	if (c->filter == BELOW || (c->filter != ALWAYS && c->dir >= 0))
		path_of(pid, (int)argument[c->dir], path);
	if (c->filter == NAMED || c->filter == CREATES || strncmp(c->name, "open", 4) == 0)
		read_string(pid, argument[c->dir + 1], name);
	snprintf(text, PATH_BYTES, "%s: %s %.300s%s%.300s", comm, c->name, path, *name ? " " : "",
		 name);
}

/* At the door of the system call: with the number -1 the kernel does nothing and returns rax. */
static void decide(pid_t pid)
{
	struct user_regs_struct regs;
	struct iovec all = {&regs, sizeof(regs)};

	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all) == -1)
		return; /* it was killed meanwhile */
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		if (!matches(&calls[i], pid, &regs))
			continue;
		job.calls++;
		if (*job.served && !*job.missed && access(job.served, R_OK) == -1)
			describe(&calls[i], pid, &regs, job.missed);
		if (!job.at || (job.and_later ? job.calls < job.at : job.calls != job.at))
			return;
		if (!job.failed++)
			describe(&calls[i], pid, &regs, job.first);
		regs.orig_rax = (unsigned long)-1;
		regs.rax = 0ULL - (unsigned)job.error;
		ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &all);
		return;
	}
}

static void install_filter(void)
{
	struct sock_filter code[2 * CALLS_MAX + 8];
	struct sock_fprog program = {.filter = code};
	unsigned short n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		if (!(calls[i].kinds & job.kind) || n + 3 > 2 * CALLS_MAX)
			continue;
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (unsigned)calls[i].number, 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1)
		die("seccomp");
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid == -1)
		die("fork");
	if (pid == 0) {
		raise(SIGSTOP); /* until we are attached */
		install_filter();
		execvp(argv[0], argv);
		die(argv[0]);
	}
	return pid;
}

static void attach(pid_t pid)
{
	unsigned long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
				PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
	int status;

	if (waitpid(pid, &status, WUNTRACED) == -1 || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SEIZE, pid, 0, options) == -1 || kill(pid, SIGCONT) == -1)
		die("ptrace");
}

/* Until none of them is left; the exit status of the first. */
static int follow(pid_t first)
{
	int result = 125, status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		int event = WIFSTOPPED(status) ? status >> 16 : 0, deliver = 0;

		if (!WIFSTOPPED(status)) {
			if (pid == first)
				result = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
							     : WEXITSTATUS(status);
			continue;
		}
		if (event == PTRACE_EVENT_SECCOMP)
			decide(pid);
		else if (event == 0)
			deliver = WSTOPSIG(status);
		ptrace(PTRACE_CONT, pid, 0, deliver);
	}
	return result;
}

static void choose(const char *kind, const char *at)
{
	char *end;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].name, kind) == 0) {
			job.kind = kinds[i].kind;
			job.error = kinds[i].error;
		}
	job.at = strtoul(at, &end, 10);
	job.and_later = *end == '+';
	if (!job.kind)
		die("no such KIND");
	if (getenv("SERVED"))
		snprintf(job.served, sizeof(job.served), "%s/%s", job.dir, getenv("SERVED"));
}

int main(int argc, char **argv)
{
	FILE *report;
	pid_t pid;
	int status;

	if (argc < 6)
		die("inject KIND AT REPORT DIR COMMAND...");
	job.report = argv[3];
	job.dir = argv[4];
	choose(argv[1], argv[2]);
	report = fopen(job.report, "we");
	if (!report)
		die(job.report);
	pid = start(argv + 5);
	attach(pid);
	status = follow(pid);
	fprintf(report, "%lu %lu\n%s\n%s\n", job.calls, job.failed, job.first, job.missed);
	fclose(report);
	return status;
}
