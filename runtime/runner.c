#include "runtime/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"

#define PROCESSES_MAX 4096 /* of one app: what a fork bomb gets */
#define KILL_ROUNDS   100  /* of 10 ms: a process may fork while it is being killed */

int runner_find(const struct node *node, const char *app, struct runner *out, struct error *err)
{
	autofree char *path = xasprintf("data/%s", app);
	autoclose int fd = -1;
	struct stat st;

	if (fs_open_dir(node->fd, path, &fd, err) == -1)
		return err->code == E_NOTFOUND ? error_set(err, E_NOTFOUND, "no app '%s'", app)
					       : -1;
	if (fstat(fd, &st) == -1)
		return error_sys(err, errno, "cannot stat '%s'", path);
	if (geteuid() == 0 && (st.st_uid == 0 || st.st_gid == 0))
		return error_set(err, E_SYSTEM,
				 "'%s' belongs to root; 'silver create %s' repairs it", path, app);
	if (geteuid() != 0 && st.st_uid != geteuid())
		return error_set(err, E_SYSTEM, "'%s' belongs to user %u, who we are not", path,
				 (unsigned)st.st_uid);
	out->uid = st.st_uid;
	out->gid = st.st_gid;
	return 0;
}

static int limit(__rlimit_resource_t resource, rlim_t value, struct error *err)
{
	struct rlimit r = {value, value};

	return setrlimit(resource, &r) == -1 ? error_sys(err, errno, "cannot set a limit") : 0;
}

int runner_become(const struct runner *runner, struct error *err)
{
	if (limit(RLIMIT_CORE, 0, err) == -1)
		return -1;
	if (geteuid() == 0) {
		/* a user of its own, so that the count is the app's alone */
		if (limit(RLIMIT_NPROC, PROCESSES_MAX, err) == -1)
			return -1;
		if (setgroups(0, NULL) == -1 ||
		    setresgid(runner->gid, runner->gid, runner->gid) == -1 ||
		    setresuid(runner->uid, runner->uid, runner->uid) == -1)
			return error_sys(err, errno, "cannot become user %u",
					 (unsigned)runner->uid);
	}
	if (geteuid() != runner->uid || geteuid() == 0)
		return error_set(err, E_SYSTEM, "an app does not run as root");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return error_sys(err, errno, "cannot give up privileges");
	umask(022);
	return 0;
}

struct process {
	uid_t uid;
	pid_t session;
	char state;
};

/* State and session are fields 3 and 6 of /proc/PID/stat; the second may hold spaces and
 * parentheses. */
static bool read_process(int proc_fd, const char *pid, struct process *out)
{
	autofree char *path = xasprintf("%s/stat", pid);
	autoclose int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);
	struct stat st;
	char *at;

	if (n <= 0 || fstat(fd, &st) == -1)
		return false;
	text[n] = '\0';
	at = strrchr(text, ')');
	if (!at || strlen(at) < 4)
		return false;
	out->uid = st.st_uid;
	out->state = at[2];
	strtol(at + 3, &at, 10); /* the parent */
	strtol(at, &at, 10);     /* the process group */
	out->session = (pid_t)strtol(at, NULL, 10);
	return true;
}

/* Kills what matches, once; returns how many there were. A zombie waits for its parent and runs no
 * more. */
static unsigned kill_matching(pid_t session, uid_t uid)
{
	autodir DIR *dir = opendir("/proc");
	const struct dirent *entry;
	unsigned n = 0;

	while (dir && (entry = readdir(dir))) {
		struct process p;
		uint64_t pid;

		if (!str_to_uint(entry->d_name, INT32_MAX, &pid) || (pid_t)pid == getpid() ||
		    !read_process(dirfd(dir), entry->d_name, &p) || p.state == 'Z')
			continue;
		if ((session > 0 ? p.session == session : p.uid == uid) &&
		    kill((pid_t)pid, SIGKILL) == 0)
			n++;
	}
	return n;
}

static void kill_all(pid_t session, uid_t uid)
{
	for (int round = 0; round < KILL_ROUNDS && kill_matching(session, uid) > 0; round++)
		usleep(10000);
}

void runner_kill_session(pid_t session)
{
	if (session > 1)
		kill_all(session, 0);
}

void runner_kill_user(uid_t uid)
{
	if (uid != 0 && uid != geteuid())
		kill_all(0, uid);
}
