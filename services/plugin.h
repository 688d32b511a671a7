/* plugin.h - services that an operator adds: executables in DIR/services.d (docs/SERVICES.md).
 *
 *	services.d/NAME VERB	provision env backup restore clear check
 *
 * Run as the app's runner, or, where node.ini names a server for it, as a user of its own; never as
 * root. What it prints is bounded and checked, what it takes is bounded: past that it is killed
 * with all its children, and only the app that asked for it is told. */
#pragma once
#include "common/node.h"

#define PLUGIN_DIR        "services.d"
#define PLUGIN_NAME_MAX   23                 /* "silver-x-NAME" is a user */
#define PLUGIN_MS         30000              /* of each verb but: */
#define PLUGIN_DATA_MS    (60 * 60 * 1000)   /* backup and restore */
#define PLUGIN_MS_MAX     35000              /* three of them are less than provide.c waits */
#define PLUGIN_ANSWER_MAX ((size_t)64 << 10) /* bytes of JSON */
#define PLUGIN_VALUE_MAX  250                /* bytes of service.NAME = VALUE */

/* The rules for its file, which is not opened: E_REFUSED says which one is broken. dir_fd: that of
 * the directory it is in. */
MUST_CHECK int plugin_check_file(int dir_fd, const char *name, struct error *err);
/* The node has this plug-in, and it keeps the rules. E_NOTFOUND: there is none. */
MUST_CHECK int plugin_find(const struct node *node, const char *name, struct error *err);
/* Names in services.d that may be services, sorted; none at all is no error. */
MUST_CHECK int plugin_list(const struct node *node, struct strv *names, struct error *err);
/* E_REFUSED: no value for a plug-in, in words that may follow "service.NAME: ". */
MUST_CHECK int plugin_check_value(const char *value, struct error *err);

struct plugin_run {
	const char *path, *verb; /* path absolute */
	const struct strv *env;  /* all of its environment */
	const char *cwd;         /* NULL: / */
	int in;                  /* -1: nothing */
	int out;                 /* -1: its output is `answer` */
	struct strbuf *answer;
	int timeout_ms;
	int *status; /* if not NULL: its exit status, or -1 where it did not end by itself */
	bool drop;   /* become uid and gid */
	uid_t uid;
	gid_t gid;
};
/* E_REFUSED: it took too long, printed too much, did not start, or ended with a status; the text
 * has the end of what it said on standard error. */
MUST_CHECK int plugin_run(const struct plugin_run *run, struct error *err);
/* What `env` printed, as NAME=VALUE. E_REFUSED says what is wrong in it. */
MUST_CHECK int plugin_read_env(const struct strbuf *answer, struct strv *env, struct error *err);
/* What the other verbs printed: an object of facts, as "KEY VALUE" lines. */
MUST_CHECK int plugin_read_facts(const struct strbuf *answer, struct strbuf *out,
				 struct error *err);
