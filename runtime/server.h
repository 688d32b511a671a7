/* server.h - a server of the node's own, which apps are given a part of (services/server.h made
 * it), as s6 starts it.
 *
 *	DIR/services/NAME/command	SIGNAL\0 WORD\0 ...: what ends it, and its command
 *	DIR/services/NAME/data, log	owned by the user that it runs as
 *
 * What has a `command` is whole, and is supervised as DIR/run/service/NAME whenever the node runs.
 * No name has a dot; services of apps do. */
#pragma once
#include "common/node.h"
#include "runtime/runner.h"

/* Those that there are, sorted. */
MUST_CHECK int server_list(const struct node *node, struct strv *names, struct error *err);
/* Is this service of s6 such a server? */
bool server_is_name(const char *service);
/* Who it runs as: the owner of its data. */
MUST_CHECK int server_runner(const struct node *node, const char *name, struct runner *out,
			     struct error *err);
/* DIR/run/NAME, for its socket. */
MUST_CHECK int server_prepare(const struct node *node, const char *name, struct error *err);
/* The signal that ends it. The caller frees. */
MUST_CHECK int server_signal(const struct node *node, const char *name, char **out,
			     struct error *err);
/* Become it, or its logger. Return only on failure. */
MUST_CHECK int server_exec(const struct node *node, const char *name, struct error *err);
MUST_CHECK int server_exec_log(const struct node *node, const char *name, struct error *err);
