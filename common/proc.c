#include "common/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define OUTPUT_MAX 65536
#define HIGH_FD    200 /* above every `to`, so that moving one never lands on another */

int64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
	return clock_us() / 1000;
}

int64_t clock_utc_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Directory of the running program. */
static char *own_dir(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (n == -1)
		abort(); /* no /proc: nothing of ours works */
	path[n] = '\0';
	slash = strrchr(path, '/');
	return xstrndup(path, (size_t)(slash - path));
}

/* An installed program is in PREFIX/sbin, PREFIX/bin or PREFIX/lib/silver; a built one is beside
 * all others. */
char *proc_program(const char *name)
{
	autofree char *dir = own_dir();
	char *path = xasprintf("%s/%s", dir, name);

	if (access(path, F_OK) == 0)
		return path;
	free(path);
	return xasprintf("%s/../lib/silver/%s", dir, name);
}

char *proc_share_dir(void)
{
	static const char *const places[] = {"../../share/silver", "../share/silver", "../runtime"};
	autofree char *dir = own_dir();

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		autofree char *python = xasprintf("%s/%s/python", dir, places[i]);
		autofree char *share = xasprintf("%s/%s", dir, places[i]);
		char *real;

		if (access(python, F_OK) == 0 && (real = realpath(share, NULL)))
			return real;
	}
	return xasprintf("%s/../share/silver", dir);
}

static char *find_program(const char *name)
{
	static const char *const path[] = {"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin",
					   "/sbin"};

	if (strchr(name, '/'))
		return xstrdup(name);
	for (size_t i = 0; i < ARRAY_SIZE(path); i++) {
		char *full = xasprintf("%s/%s", path[i], name);

		if (access(full, X_OK) == 0)
			return full;
		free(full);
	}
	return xstrdup(name);
}

/* What the child does between fork and exec; only calls that are safe there. Returns what failed.
 */

static void reset_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int high_copy(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
}

static const char *place_fds(const struct proc_spec *spec, int null_fd)
{
	const int standard[3] = {spec->in, spec->out, spec->err};
	int moved[3 + 16];
	size_t n = 0;

	if (spec->n_fds > 16)
		return "too many descriptors";
	for (size_t i = 0; i < 3; i++)
		moved[n++] = high_copy(standard[i] == -1 ? null_fd : standard[i]);
	for (size_t i = 0; i < spec->n_fds; i++)
		moved[n++] = high_copy(spec->fds[i].from);
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		return "cannot close descriptors";
	for (size_t i = 0; i < n; i++)
		if (moved[i] == -1 || dup2(moved[i], i < 3 ? (int)i : spec->fds[i - 3].to) == -1)
			return "cannot pass a descriptor";
	return NULL;
}

/* After setresuid: exactly one capability, kept over exec as an ambient one (capabilities(7)). */
static bool keep_net_bind(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	uint32_t bit = 1U << CAP_NET_BIND_SERVICE;
	struct __user_cap_data_struct data[2] = {{bit, bit, bit}, {0, 0, 0}};

	return syscall(SYS_capset, &header, data) == 0 &&
	       prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) == 0;
}

static const char *drop_privileges(const struct proc_spec *spec)
{
	if (geteuid() == 0) {
		if (spec->keep_net_bind && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1)
			return "cannot keep a capability";
		if (setgroups(0, NULL) == -1 || setresgid(spec->gid, spec->gid, spec->gid) == -1 ||
		    setresuid(spec->uid, spec->uid, spec->uid) == -1)
			return "cannot become another user";
		if (spec->keep_net_bind && !keep_net_bind())
			return "cannot keep a capability";
	} else if (spec->uid != geteuid()) {
		errno = EPERM;
		return "cannot become another user";
	}
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ? "cannot give up privileges" : NULL;
}

#define IOPRIO_IDLE (3 << 13) /* linux/ioprio.h: class idle, of this process */

static const char *prepare_child(const struct proc_spec *spec, int null_fd, pid_t parent)
{
	const char *failed;

	reset_signals();
	if (!spec->keep_umask)
		umask(022);
	if (spec->new_session && setsid() == -1)
		return "cannot start a session";
	if (spec->new_group && setpgid(0, 0) == -1)
		return "cannot start a process group";
	failed = place_fds(spec, null_fd);
	if (failed)
		return failed;
	if (spec->ctty && ioctl(0, TIOCSCTTY, 0) == -1)
		return "cannot take the terminal";
	if (spec->nice > 0) { /* a wish; nothing depends on it */
		setpriority(PRIO_PROCESS, 0, spec->nice);
		syscall(SYS_ioprio_set, 1, 0, IOPRIO_IDLE);
	}
	if (spec->drop && (failed = drop_privileges(spec)))
		return failed;
	/* after the change of users, which takes it away; the parent may have ended before */
	if (spec->ends_with_us &&
	    (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 || getppid() != parent))
		return "cannot be tied to who starts it";
	return chdir(spec->cwd ? spec->cwd : "/") == -1 ? "cannot enter the directory" : NULL;
}

struct failure { /* from the child, over a pipe that exec closes */
	int saved_errno;
	const char *what; /* a constant, at the same address in the parent */
};

static void __attribute__((noreturn))
child(const struct proc_spec *spec, const char *path, int null_fd, int report_fd, pid_t parent)
{
	static char *const no_env[] = {NULL};
	struct failure f;
	int report = high_copy(report_fd);
	const char *failed = "cannot copy a descriptor";

	if (report == -1) /* none is free: where it is now nothing was moved over it yet */
		report = report_fd;
	else
		failed = prepare_child(spec, null_fd, parent);

	if (!failed) {
		execve(path, spec->argv, spec->envp ? spec->envp : no_env);
		failed = "cannot execute";
	}
	f.saved_errno = errno;
	f.what = failed;
	if (write(report, &f, sizeof(f)) != sizeof(f))
		_exit(126);
	_exit(127);
}

bool proc_is_installed(const char *program)
{
	autofree char *path = find_program(program);

	return strchr(path, '/') != NULL;
}

int proc_start(const struct proc_spec *spec, pid_t *pid, struct error *err)
{
	autofree char *path = find_program(spec->path);
	autoclose int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const pid_t us = getpid();
	int report[2];
	struct failure f;
	ssize_t n;

	if (!strchr(path, '/'))
		return error_set(err, E_SYSTEM,
				 "the program '%s' is not installed on this machine: apt-get "
				 "install --no-install-recommends the package that has it",
				 path);
	if (null_fd == -1)
		return error_sys(err, errno, "cannot open /dev/null");
	if (pipe2(report, O_CLOEXEC) == -1)
		return error_sys(err, errno, "cannot make a pipe");
	*pid = fork();
	if (*pid == 0)
		child(spec, path, null_fd, report[1], us);
	close(report[1]);
	if (*pid == -1) {
		error_sys(err, errno, "cannot start '%s'", path);
		close(report[0]);
		return -1;
	}
	do
		n = read(report[0], &f, sizeof(f));
	while (n == -1 && errno == EINTR);
	close(report[0]);
	if (n == 0)
		return 0;
	waitpid(*pid, NULL, 0);
	*pid = -1;
	if (n != sizeof(f))
		return error_set(err, E_SYSTEM, "cannot start '%s'", path);
	return error_sys(err, f.saved_errno, "'%s': %s", path, f.what);
}

static int exit_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int proc_wait(pid_t pid, int timeout_ms, int *status, struct error *err)
{
	int wait_status;
	pid_t got;

	if (timeout_ms >= 0) {
		autoclose int fd = pidfd_open(pid, 0);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t deadline = clock_ms() + timeout_ms;
		int n;

		if (fd == -1)
			return error_sys(err, errno, "cannot watch process %d", (int)pid);
		do {
			int64_t left = deadline - clock_ms();

			n = poll(&p, 1, left > 0 ? (int)left : 0);
		} while (n == -1 && errno == EINTR);
		if (n == 0)
			return error_set(err, E_BUSY, "process %d still runs after %d ms", (int)pid,
					 timeout_ms);
	}
	do
		got = waitpid(pid, &wait_status, 0);
	while (got == -1 && errno == EINTR);
	if (got == -1)
		return error_sys(err, errno, "cannot wait for process %d", (int)pid);
	*status = exit_status(wait_status);
	return 0;
}

/* Reads until the writers are gone or the deadline has passed; false: passed. Past OUTPUT_MAX bytes
 * are dropped. */
static bool collect(int fd, int64_t deadline, struct strbuf *output)
{
	char chunk[4096];

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - clock_ms();
		int ready = poll(&p, 1, left > 0 ? (int)left : 0);
		ssize_t n;

		if (ready == 0)
			return false;
		if (ready == -1)
			continue;
		n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			return true;
		if (output->len + (size_t)n <= OUTPUT_MAX)
			strbuf_add(output, chunk, (size_t)n);
	}
}

static int kill_overdue(pid_t pid, const char *path, int timeout_ms, struct error *err)
{
	int status;

	kill(-pid, SIGKILL);
	if (proc_wait(pid, -1, &status, err) == -1)
		return -1;
	return error_set(err, E_SYSTEM, "'%s' was ended after %d ms", path, timeout_ms);
}

int proc_run(const struct proc_spec *spec, int timeout_ms, int *status, struct strbuf *output,
	     struct error *err)
{
	struct proc_spec own = *spec;
	int64_t deadline = clock_ms() + timeout_ms;
	int64_t left;
	int pipe_fd[2] = {-1, -1};
	pid_t pid = -1;
	int rc;

	own.new_session = true; /* its pid is the group that a deadline ends */
	if (output) {
		if (pipe2(pipe_fd, O_CLOEXEC) == -1)
			return error_sys(err, errno, "cannot make a pipe");
		own.out = own.err = pipe_fd[1];
	}
	rc = proc_start(&own, &pid, err);
	fd_close(&pipe_fd[1]);
	if (rc == 0 && output && !collect(pipe_fd[0], deadline, output))
		rc = kill_overdue(pid, spec->path, timeout_ms, err);
	fd_close(&pipe_fd[0]);
	if (rc == -1)
		return -1;
	left = deadline - clock_ms();
	rc = proc_wait(pid, left > 0 ? (int)left : 0, status, err);
	if (rc == -1 && err->code == E_BUSY)
		return kill_overdue(pid, spec->path, timeout_ms, err);
	return rc;
}
