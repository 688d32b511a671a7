/* tool.h - programs of the person who calls us: git, ssh, pip, found in their PATH, run with their
 * environment and umask. */
#pragma once
#include <sys/types.h>
#include "common/mem.h"

struct tool {
	char *const *argv;
	const char *dir;  /* to run in; NULL: where we are */
	char *const *env; /* "NAME=VALUE" over ours, "NAME" takes it away; NULL: ours */
	int in, out, err; /* where they go; -1: /dev/null */
	bool own_session; /* a Ctrl-C at the terminal is for us, not for it */
};

/* Ours, to inherit. */
#define TOOL_INHERIT(words)                                                                        \
	{                                                                                          \
		.argv = (words), .in = 0, .out = 1, .err = 2                                       \
	}

/* *pid is the caller's to wait for with proc_wait(). A program that is not there: E_SYSTEM. */
MUST_CHECK int tool_start(const struct tool *tool, pid_t *pid, struct error *err);
/* To its end; an interrupt at the terminal is the program's to take. */
MUST_CHECK int tool_run(const struct tool *tool, int *status, struct error *err);
/* To its end, without a terminal: `input` (may be NULL) in; what it wrote is appended to out and
 * err_out (NULL: dropped). tool->in, out, err are not looked at. */
MUST_CHECK int tool_capture(const struct tool *tool, const struct strbuf *input, struct strbuf *out,
			    struct strbuf *err_out, int *status, struct error *err);
/* The same with stdout alone read; input and stderr are what `tool` says. */
MUST_CHECK int tool_answer(const struct tool *tool, struct strbuf *out, int *status,
			   struct error *err);
/* Whether there is such a program in PATH; the caller frees the path. NULL: none. */
char *tool_find(const char *name);
