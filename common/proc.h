/* proc.h - child processes: the only file that forks.
 *
 * argv arrays, never a shell; an environment that is exactly what is given; every fd of the parent
 * closed but those listed; signals at their defaults. */
#pragma once
#include <sys/types.h>
#include "common/mem.h"

struct proc_fd {
	int from, to; /* `to` >= 3 */
};

struct proc_spec {
	const char *path;  /* absolute, or a name looked up in
			      /usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin */
	char *const *argv; /* NULL-terminated */
	char *const *envp; /* NULL: empty */
	int in, out, err;  /* -1: /dev/null */
	const struct proc_fd *fds;
	size_t n_fds;
	bool drop; /* become uid and gid, with no other group and no capability */
	uid_t uid;
	gid_t gid;
	bool keep_net_bind; /* with drop: keep CAP_NET_BIND_SERVICE (ambient) */
	const char *cwd;    /* NULL: / */
	bool new_session;   /* setsid; the pid is also the process group. */
	bool new_group;     /* setpgid: a leader of a group stays in our session, setsid() fails */
	bool ctty;          /* with new_session: `in` becomes the controlling terminal */
	int nice;           /* 0: as the parent; above: also idle I/O priority */
	bool keep_umask;    /* as the parent's; else 022 */
	bool ends_with_us;  /* SIGKILL when this process ends, however that is */
};

/* *pid is the caller's to wait for. A program that cannot be executed is an error here, not a
 * status. */
MUST_CHECK int proc_start(const struct proc_spec *spec, pid_t *pid, struct error *err);
/* Waits; *status is the exit status, 128 + signal if killed. timeout_ms < 0: for ever; on timeout
 * E_BUSY, still running. */
MUST_CHECK int proc_wait(pid_t pid, int timeout_ms, int *status, struct error *err);
/* Starts, waits, and collects stdout and stderr together (at most 64 kB; rest dropped) where output
 * is not NULL. Past timeout_ms its process group is killed and the error is E_SYSTEM. */
MUST_CHECK int proc_run(const struct proc_spec *spec, int timeout_ms, int *status,
			struct strbuf *output, struct error *err);
/* Is there such a program where `path` of a proc_spec is looked up? */
bool proc_is_installed(const char *program);
/* Where our other programs are: beside this one (build tree), else the installed libexec directory.
 * The caller frees; e.g. proc_program("silver-hook"). */
char *proc_program(const char *name);
/* Where data files are: silver's share directory (python/, error pages). The caller frees. */
char *proc_share_dir(void);
int64_t clock_ms(void);     /* monotonic */
int64_t clock_us(void);     /* the same clock */
int64_t clock_utc_ms(void); /* since 1970 */
