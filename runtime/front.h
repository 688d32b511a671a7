/* front.h - the web front: one nginx per node.
 *
 * nginx reaches an app through the file system: hosts/NAME -> ../apps/APP/current, which it follows
 * once per request, to the release whose files and socket that request gets. So a deploy, a new app
 * and a rollback touch no nginx. The configuration names locations where a link cannot say it: with
 * a path, of a suffix, '*', aliases (location.h); it is made of runtime/nginx.conf, and is another
 * one only when those, or settings of the node, are. All paths in it are relative to DIR, which is
 * nginx's working directory: the address of a socket (sun_path, 107 bytes) stays short wherever DIR
 * is. docs/HTTP.md. */
#pragma once
#include "common/node.h"

#define FRONT_USER "silver-web" /* whom nginx runs as when silverd is root */

/* DIR/run/nginx.conf for ADDR:PORT ("127.0.0.1:8080", "[::1]:8080") and the locations that there
 * are. It takes the place of the old one after `nginx -t` accepted it, and *changed tells that it
 * did; the same text is left alone. One that nginx refuses is E_SYSTEM with its words, and the old
 * file stays; a bad address is E_USAGE. One caller at a time (receiver/locate.h). */
MUST_CHECK int front_write_config(const struct node *node, const char *http_addr_port,
				  bool *changed, struct error *err);
/* Is one of nginx's logs larger than it may be? */
bool front_logs_are_large(const struct node *node);
/* Logs that have grown are moved to NAME.1, NAME.1 to NAME.2, and so on; where *rotated nginx has
 * to be told to open them anew (s6_reload_front()). */
MUST_CHECK int front_rotate_logs(const struct node *node, bool *rotated, struct error *err);
/* Waits until the running nginx answers with the configuration that is in DIR/run/nginx.conf, by
 * all of its addresses. E_SYSTEM has the end of nginx's error log. */
MUST_CHECK int front_wait(const struct node *node, int timeout_ms, struct error *err);
/* The processes of the running nginx that answer, as text; none where it does not run. */
void front_workers(const struct node *node, struct strv *pids);
/* After a reload: those that answered before take no connection any more, so that the next request
 * meets the new configuration. */
void front_await_end(const struct strv *pids, int timeout_ms);
/* Whom nginx runs as: uid and gid of FRONT_USER, or our own when we are not root. E_SYSTEM: no such
 * user yet. */
MUST_CHECK int front_identity(uid_t *uid, gid_t *gid, struct error *err);
