/* job.h - the programs that work for somebody: git, silver-deploy, silver-exec, silver-root, each
 * in a session of its own; and what must happen around them.
 *
 * A job is over when its first process has ended and nobody holds its channel any more: every
 * process of a push inherits the channel, so its end tells that the last of them is gone. Then, and
 * only then, settle is started for an app that may have changed. Requests on the channel are served
 * to that end, whoever has left. */
#pragma once
#include "common/node.h"
#include "receiver/commands.h"
#include "receiver/loop.h"

struct jobs;
struct job;

struct jobs *jobs_new(struct loop *loop, const struct node *node);

/* Who asks, with what; the strings are copied. */
struct job_order {
	const struct request *request;
	const char *user, *peer;
	const char *git_protocol; /* "": none */
	const char *term;         /* "": no terminal wanted */
	unsigned cols, rows;
	int64_t start_us; /* when the request arrived */
	const int *given; /* in, out, err to use as they are; NULL: make pipes */
};

/* The client's ends, non-blocking: [in, out, err], [terminal], or none where they were given. */
struct job_ends {
	int fd[3];
	size_t n;
};
#define JOB_ENDS_INIT                                                                              \
	{                                                                                          \
		{-1, -1, -1}, 0                                                                    \
	}
void job_ends_close(struct job_ends *ends);

/* Told when the first process has ended. *slot is NULL again before. */
typedef void (*job_ended_fn)(void *ctx, int status);
/* Ends a settle of that app first where the command changes things. E_NOTFOUND: no such app. */
MUST_CHECK int job_start(struct jobs *jobs, const struct job_order *order, struct job_ends *ends,
			 struct job **slot, job_ended_fn fn, void *ctx, struct error *err);
/* Nobody waits for it any more. One that does not drain is ended with its process group. *slot is
 * NULL then. */
void job_leave(struct job **slot);

/* `silver-deploy recover` for every app, a few at once; then done(). */
void jobs_recover(struct jobs *jobs, void (*done)(void *ctx), void *ctx);
/* No job starts from now on; what can be repeated is ended at once, the rest after wait_ms. done()
 * when all are over. */
void jobs_stop(struct jobs *jobs, int wait_ms, void (*done)(void *ctx), void *ctx);
