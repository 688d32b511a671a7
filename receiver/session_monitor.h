/* session_monitor.h - the session's half of its talk with the monitor (docs/CONTRACT.md).
 *
 *	session_monitor_wait()	-> the connection to serve
 *	session_monitor_knows()	any number of times, for keys that are merely offered
 *	session_monitor_login()	once, for a key whose signature was verified
 *	session_monitor_exec()	once, after the login
 *	session_monitor_exit()	when its fd is readable
 *
 * Each question waits for its answer: the monitor is trusted and answers at once. An answer that is
 * none is E_SYSTEM, and so is a monitor that is gone (m->gone tells). */
#pragma once
#include "common/wire.h"

struct session_monitor {
	int fd;
	bool gone;
	struct wire_message message; /* the last one received */
};

struct session_serve {
	int fd; /* the connection */
	char *peer, *host_key;
	int grace_ms, idle_ms;
};

struct session_exec {
	const char *git_protocol; /* "" when the client sent none */
	const char *term;         /* "" when it wants no pty */
	unsigned cols, rows;
	const struct strv *words;
};

struct session_run {
	bool accepted;
	int code;     /* not accepted: the exit status */
	char *text;   /* and what to tell */
	bool drain;   /* when the client vanishes, read the child to its end */
	bool patient; /* silence is not idleness */
	bool seal;    /* the client's own end of its input is marked by a NUL */
	bool pty;     /* in and out are the same descriptor, err is -1 */
	int in, out, err;
};

/* 1: *out is filled, the caller's; 0: the monitor closed its socket, nobody needs us. */
MUST_CHECK int session_monitor_wait(struct session_monitor *m, struct session_serve *out,
				    struct error *err);
MUST_CHECK int session_monitor_knows(struct session_monitor *m, const char *key, bool *known,
				     struct error *err);
MUST_CHECK int session_monitor_login(struct session_monitor *m, const char *key, bool *granted,
				     struct error *err);
/* For the log; nobody answers. */
MUST_CHECK int session_monitor_failed(struct session_monitor *m, const struct strv *fingerprints,
				      struct error *err);
MUST_CHECK int session_monitor_exec(struct session_monitor *m, const struct session_exec *exec,
				    struct session_run *out, struct error *err);
/* 1: *status is the child's; 0: the monitor is gone. */
MUST_CHECK int session_monitor_exit(struct session_monitor *m, int *status, struct error *err);
