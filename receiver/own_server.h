/* own_server.h - the servers that a node runs for itself (services/server.h), made and started; and
 * how silver-root calls silver-service.
 *
 * One at a time makes a server, under the lock DIR/services/lock. What has a `command` is whole;
 * what has none is made anew. */
#pragma once
#include "common/proc.h"
#include "runtime/runner.h"
#include "runtime/server.h"

/* DIR/services, and the name of this node in it. */
MUST_CHECK int own_server_prepare(const struct node *node, struct error *err);
/* The server is there, runs and answers. E_REFUSED names the package that it needs. */
MUST_CHECK int own_server_ensure(const struct node *node, const char *name, struct error *err);
/* At the start of the node: waits until all of them answer; tells in the log of those that do not.
 */
void own_server_await_all(const struct node *node);
/* A system user of this name, on a node of root; else who we are. */
MUST_CHECK int own_server_user(const char *name, const char *about, struct runner *out,
			       struct error *err);

struct own_server_call {
	const char *const *words; /* up to NULL */
	struct runner user;
	const struct strv *env; /* beside PATH and LANG; NULL: none */
	int in;                 /* -1: nothing */
	struct strbuf *answer;  /* what it writes to standard output; NULL: not taken */
	const struct proc_fd *fds;
	size_t n_fds;
	int timeout_ms;
};
/* `silver-service --dir DIR WORD...`. Its error is what it says. */
MUST_CHECK int own_server_call(const struct node *node, const struct own_server_call *call,
			       struct error *err);
