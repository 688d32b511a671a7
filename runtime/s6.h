/* s6.h - the supervision tree of a node: s6-svscan on DIR/run/service and what is below it.
 *
 *	DIR/run/service/nginx	the web front
 *	DIR/run/service/NAME	a server of the node's own (server.h)
 *	DIR/run/service/APP.N	what serves release N of APP, with its log/
 *	DIR/run/service/APP.N.*	its workers and clocks (s6name.h)
 *
 * A service directory is composed under a name that s6-svscan ignores (it begins with a dot) and
 * renamed in; its `run` and `finish` are links to silver-exec. It goes the same way: renamed to
 * ".NAME.gone", ended, removed. Whoever dies in between leaves a ".NAME.gone" that the next call
 * ends. Only silverd and silver-root, which run as root or as the node's user, may call these. */
#pragma once
#include "common/node.h"

/* s6-svscan on DIR/run/service, nginx in it, both answering. A tree that is alive (silverd was
 * killed, not it) is kept and its nginx reloaded; the remains of a dead one are ended first. Needs
 * DIR/run/nginx.conf (front.h). */
MUST_CHECK int s6_tree_start(const struct node *node, struct error *err);
/* For who becomes the supervisor itself, as a unit of systemd: clears what a dead tree left; `argv`
 * is then to be executed in DIR. The tree is empty: silverd adds nginx and the apps. E_BUSY: one is
 * alive. */
MUST_CHECK int s6_tree_prepare(const struct node *node, struct strv *argv, struct error *err);
/* Ends this tree, waits until every process of it is gone: services get SIGTERM, SIGKILL after some
 * seconds. */
MUST_CHECK int s6_tree_stop(const struct node *node, struct error *err);

/* A server that has a `command` is supervised when it returns, perhaps not ready yet. */
MUST_CHECK int s6_server_start(const struct node *node, const char *name, struct error *err);
/* The running nginx takes the configuration that is there now, and opens its logs anew. E_NOTFOUND:
 * it does not run. */
MUST_CHECK int s6_reload_front(const struct node *node, struct error *err);

/* Release N of APP is supervised when it returns; no error if it was. E_SYSTEM: no tree to
 * supervise it. */
MUST_CHECK int s6_start(const struct node *node, const char *app, unsigned release,
			struct error *err);
/* Ends all of release N: SIGTERM, SIGKILL after kill_ms, and waits until it and its logger are
 * gone.
 */
MUST_CHECK int s6_stop(const struct node *node, const char *app, unsigned release, int kill_ms,
		       struct error *err);
/* Ends what serves the requests of all releases of APP but these two, side by side. `previous` 0:
 * only one. */
MUST_CHECK int s6_stop_others(const struct node *node, const char *app, unsigned live,
			      unsigned previous, int kill_ms, struct error *err);
/* Ends everything of APP. */
MUST_CHECK int s6_stop_app(const struct node *node, const char *app, int kill_ms,
			   struct error *err);
/* Ends the workers and clocks of APP whose service is not in `keep`. */
MUST_CHECK int s6_stop_workers(const struct node *node, const char *app, const struct strv *keep,
			       int kill_ms, struct error *err);
/* These services are supervised when it returns; no error if they were. */
MUST_CHECK int s6_add(const struct node *node, const struct strv *services, struct error *err);
