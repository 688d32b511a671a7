/* parallel.h - the same asked of several nodes at once, and one table of how far each is.
 *
 * On a terminal the table is redrawn in place; elsewhere each line that a node says is printed as
 * it comes, behind its name. */
#pragma once
#include <sys/types.h>
#include "common/mem.h"

struct task {
	const char *name;        /* of the node, for the table; the caller's */
	struct strv argv;        /* none: nothing is run, and it counts as done */
	struct strbuf out, said; /* stdout; stderr, in lines, without git's "remote: " */
	int status;              /* exit status; -1: it could not be started, `said` has why */
	int64_t ended_ms;        /* clock_ms() */
	/* private */
	pid_t pid;
	int out_fd, err_fd;
	struct strbuf line; /* not complete yet */
	char *last;         /* line */
};

void task_init(struct task *t, const char *name);
void task_release(struct task *t);
/* Runs all to their ends, in `dir`, with `env` (struct tool); title is the table's. `quiet`:
 * nothing is shown. */
void tasks_run(struct task *task, size_t n, const char *dir, char *const *env, const char *title,
	       bool quiet);
/* How many did not end with 0. */
size_t tasks_failed(const struct task *task, size_t n);
