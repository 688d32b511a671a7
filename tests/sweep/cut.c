/* cut - runs a program, counts the system calls of all its processes that change the disk, and ends
 * them before call K.
 *
 *	cut [-k K] [-1] [-l LOG] [-s PROGRAM] [-c COMM] DIR PROGRAM [ARGUMENT...]
 *
 * Counted over all processes, in the order in which they happen: what makes, removes, renames,
 *links, resizes, syncs or re-owns a name or a file, an open() that may create, and a write to a
 *regular file below DIR. At the K-th the caller is held; SNAPSHOT (-s), a program, is run to its
 *end, during which no process here can change the disk; then every process is killed, or with -1
 *the caller alone. -c counts only processes whose name (comm) starts so. LOG gets a line per call:
 *its number, the process, its name, the call, its path.
 *
 * strace counts per process and per call, so no K of it reaches every call. A seccomp filter stops
 *at these calls only, so that a push costs little more than without.
 *
 * Exit status: 99 when call K was reached, else the program's (128 + the signal that ended it). */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REACHED = 99, SYSTEM = 98, TRACEES_MAX = 1024, PATH_BYTES = 512 };

/* What to look at before a call counts. */
enum rule { ALWAYS, IF_CREATES, IF_HOW_CREATES, IF_FILE };

static const struct call {
	long number;
	const char *name;
	enum rule rule;
	int arg;  /* of the flags, the open_how or the descriptor */
	int path; /* the argument to show; -1: the descriptor's */
} calls[] = {
	{SYS_renameat, "renameat", ALWAYS, 0, 3},
	{SYS_renameat2, "renameat2", ALWAYS, 0, 3},
	{SYS_linkat, "linkat", ALWAYS, 0, 3},
	{SYS_symlinkat, "symlinkat", ALWAYS, 0, 2},
	{SYS_unlinkat, "unlinkat", ALWAYS, 0, 1},
	{SYS_mkdirat, "mkdirat", ALWAYS, 0, 1},
	{SYS_mknodat, "mknodat", ALWAYS, 0, 1},
	{SYS_fchmodat, "fchmodat", ALWAYS, 0, 1},
	{SYS_fchownat, "fchownat", ALWAYS, 0, 1},
	{SYS_utimensat, "utimensat", ALWAYS, 0, 1},
	{SYS_truncate, "truncate", ALWAYS, 0, 0},
	{SYS_sync, "sync", ALWAYS, 0, -1},
	{SYS_openat, "openat", IF_CREATES, 2, 1},
	{SYS_openat2, "openat2", IF_HOW_CREATES, 2, 1},
#ifdef SYS_open /* and the others that newer machines do without */
	{SYS_open, "open", IF_CREATES, 1, 0},
	{SYS_creat, "creat", ALWAYS, 0, 0},
	{SYS_rename, "rename", ALWAYS, 0, 1},
	{SYS_link, "link", ALWAYS, 0, 1},
	{SYS_symlink, "symlink", ALWAYS, 0, 1},
	{SYS_unlink, "unlink", ALWAYS, 0, 0},
	{SYS_mkdir, "mkdir", ALWAYS, 0, 0},
	{SYS_rmdir, "rmdir", ALWAYS, 0, 0},
	{SYS_chmod, "chmod", ALWAYS, 0, 0},
	{SYS_chown, "chown", ALWAYS, 0, 0},
	{SYS_lchown, "lchown", ALWAYS, 0, 0},
#endif
	{SYS_setxattr, "setxattr", ALWAYS, 0, 0},
	{SYS_fsync, "fsync", IF_FILE, 0, -1},
	{SYS_fdatasync, "fdatasync", IF_FILE, 0, -1},
	{SYS_syncfs, "syncfs", IF_FILE, 0, -1},
	{SYS_ftruncate, "ftruncate", IF_FILE, 0, -1},
	{SYS_fallocate, "fallocate", IF_FILE, 0, -1},
	{SYS_fchmod, "fchmod", IF_FILE, 0, -1},
	{SYS_fchown, "fchown", IF_FILE, 0, -1},
	{SYS_write, "write", IF_FILE, 0, -1},
	{SYS_pwrite64, "pwrite64", IF_FILE, 0, -1},
	{SYS_writev, "writev", IF_FILE, 0, -1},
	{SYS_copy_file_range, "copy_file_range", IF_FILE, 2, -1},
	{SYS_sendfile, "sendfile", IF_FILE, 0, -1},
};
enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static struct {
	unsigned long k, seen;
	int only_caller;
	const char *log_path, *snapshot, *comm, *dir;
	FILE *log;
	pid_t root, tracee[TRACEES_MAX];
	size_t tracees;
	int root_status, reached;
} cut;

static void die(const char *what)
{
	fprintf(stderr, "cut: %s: %s\n", what, strerror(errno));
	exit(SYSTEM);
}

/* In the child: from here on the calls of the table stop it. */
static void filter_calls(void)
{
	struct sock_filter code[CALLS * 2 + 2];
	struct sock_fprog program = {.filter = code};
	unsigned short n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < CALLS; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (unsigned)calls[i].number, 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
							 SECCOMP_RET_TRACE | (unsigned)i);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		die("no_new_privs");
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1)
		die("seccomp");
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid == -1)
		die("fork");
	if (pid > 0)
		return pid;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
		die("ptrace");
	raise(SIGSTOP);
	filter_calls();
	execvp(argv[0], argv);
	die(argv[0]);
	return -1;
}

static size_t find(pid_t pid)
{
	size_t i = 0;

	while (i < cut.tracees && cut.tracee[i] != pid)
		i++;
	return i;
}

/* 1: it was not known yet. */
static int add(pid_t pid)
{
	if (find(pid) < cut.tracees)
		return 0;
	if (cut.tracees == TRACEES_MAX) {
		errno = EAGAIN;
		die("too many processes");
	}
	cut.tracee[cut.tracees++] = pid;
	return 1;
}

static void forget(pid_t pid)
{
	size_t i = find(pid);

	if (i < cut.tracees)
		cut.tracee[i] = cut.tracee[--cut.tracees];
}

/* What is there, up to len: a string may end just before a page that is not there. */
static size_t read_memory(pid_t pid, uint64_t at, void *to, size_t len)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return 0;
	n = pread(fd, to, len, (off_t)at);
	close(fd);
	return n == -1 ? 0 : (size_t)n;
}

/* What a descriptor of the process is open on. */
static void descriptor_path(pid_t pid, uint64_t fd, char path[PATH_BYTES])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, (int)fd);
	n = readlink(link, path, PATH_BYTES - 1);
	path[n > 0 ? n : 0] = '\0';
}

static void process_name(pid_t pid, char name[32])
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	*name = '\0';
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(name, 32, f))
		name[strcspn(name, "\n")] = '\0';
	fclose(f);
}

static int is_below_dir(const char *path)
{
	size_t len = strlen(cut.dir);

	return strncmp(path, cut.dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static int counts(pid_t pid, const struct call *call, const uint64_t *args, char path[PATH_BYTES])
{
	uint64_t flags = call->rule == IF_CREATES ? args[call->arg] : O_CREAT;

	*path = '\0';
	if (call->rule == IF_FILE)
		descriptor_path(pid, args[call->arg], path);
	else if (call->path >= 0)
		path[read_memory(pid, args[call->path], path, PATH_BYTES - 1)] = '\0';
	if (call->rule == IF_HOW_CREATES &&
	    read_memory(pid, args[call->arg], &flags, sizeof(flags)) != sizeof(flags))
		return 0;
	if (!(flags & O_CREAT))
		return 0;
	/* relative: resolved below a directory of the node, as everything there is */
	return call->rule != IF_FILE && path[0] != '/' ? 1 : is_below_dir(path);
}

static void run_snapshot(void)
{
	int status;
	pid_t pid = fork();

	if (pid == -1)
		die("fork");
	if (pid == 0) {
		execlp(cut.snapshot, cut.snapshot, (char *)NULL);
		die(cut.snapshot);
	}
	if (waitpid(pid, &status, 0) == -1 || status != 0) {
		errno = EIO;
		die(cut.snapshot);
	}
}

static void end_processes(pid_t caller)
{
	if (cut.snapshot)
		run_snapshot();
	cut.reached = 1;
	for (size_t i = 0; i < cut.tracees; i++)
		if (!cut.only_caller || cut.tracee[i] == caller)
			kill(cut.tracee[i], SIGKILL);
}

static void on_call(pid_t pid, const struct call *call)
{
	struct __ptrace_syscall_info info;
	char path[PATH_BYTES], name[32];

	process_name(pid, name);
	if (cut.comm && strncmp(name, cut.comm, strlen(cut.comm)) != 0)
		return;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
		return; /* killed meanwhile */
	if (!counts(pid, call, (const uint64_t *)info.seccomp.args, path))
		return;
	cut.seen++;
	if (cut.log)
		fprintf(cut.log, "%lu %d %s %s %s\n", cut.seen, (int)pid, name, call->name, path);
	if (cut.seen == cut.k)
		end_processes(pid);
}

/* What goes on to the process with the next ptrace call. */
static int signal_of(pid_t pid, int status)
{
	unsigned long i;

	switch (status >> 16) {
	case PTRACE_EVENT_SECCOMP:
		if (ptrace(PTRACE_GETEVENTMSG, pid, NULL, &i) == 0 && i < CALLS)
			on_call(pid, &calls[i]);
		return 0;
	case 0:
		break;
	default:
		return 0;
	}
	return WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
}

static void follow(void)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		int first = add(pid), number;

		if (!WIFSTOPPED(status)) {
			forget(pid);
			if (pid == cut.root)
				cut.root_status = status;
			continue;
		}
		number = signal_of(pid, status);
		if (first && number == SIGSTOP) /* how a new process arrives */
			number = 0;
		if (cut.reached && !cut.only_caller) /* born in the last moment */
			kill(pid, SIGKILL);
		ptrace(PTRACE_CONT, pid, 0L, (long)number);
	}
}

static void read_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "+k:1l:s:c:")) != -1) {
		switch (option) {
		case 'k':
			cut.k = strtoul(optarg, NULL, 10);
			break;
		case '1':
			cut.only_caller = 1;
			break;
		case 'l':
			cut.log_path = optarg;
			break;
		case 's':
			cut.snapshot = optarg;
			break;
		case 'c':
			cut.comm = optarg;
			break;
		default:
			exit(SYSTEM);
		}
	}
	if (argc - optind < 2) {
		fputs("usage: cut [-k K] [-1] [-l LOG] [-s SNAPSHOT] [-c COMM] DIR PROGRAM...\n",
		      stderr);
		exit(SYSTEM);
	}
	cut.dir = argv[optind];
}

int main(int argc, char **argv)
{
	const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status;

	read_options(argc, argv);
	if (cut.log_path && !(cut.log = fopen(cut.log_path, "we")))
		die(cut.log_path);
	signal(SIGPIPE, SIG_IGN);
	cut.root = start(argv + optind + 1);
	add(cut.root);
	if (waitpid(cut.root, &status, __WALL) != cut.root || !WIFSTOPPED(status))
		die("the program did not start");
	if (ptrace(PTRACE_SETOPTIONS, cut.root, 0L, options) == -1 ||
	    ptrace(PTRACE_CONT, cut.root, NULL, NULL) == -1)
		die("ptrace");
	follow();
	if (cut.reached)
		return REACHED;
	return WIFEXITED(cut.root_status) ? WEXITSTATUS(cut.root_status)
					  : 128 + WTERMSIG(cut.root_status);
}
