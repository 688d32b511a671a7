/* front.h - the web front: one nginx per node, whose configuration names no app.
 *
 * nginx reaches an app through the file system: hosts/HOST -> ../apps/APP/current, below it
 * app/static/ and run/http.sock. So the configuration is written once per start of silverd, and a
 * deploy, a new app and a rollback touch no nginx. All paths in it are relative to DIR, which is
 * nginx's working directory: the address of a socket (sun_path, 107 bytes) stays short wherever DIR
 * is, and host names are at most 80 bytes (names.h). */
#pragma once
#include "common/node.h"

#define FRONT_USER "silver-web" /* whom nginx runs as when silverd is root */

/* Writes DIR/run/nginx.conf for ADDR:PORT ("127.0.0.1:8080", "[::1]:8080") after `nginx -t`
 * accepted it. A configuration that it refuses leaves the old file and is E_SYSTEM with nginx's
 * words; a bad address is E_USAGE. */
MUST_CHECK int front_write_config(const struct node *node, const char *http_addr_port,
				  struct error *err);
/* Waits until the running nginx answers with the configuration that is in DIR/run/nginx.conf, by
 * all of its addresses. E_SYSTEM has the end of nginx's error log. */
MUST_CHECK int front_wait(const struct node *node, int timeout_ms, struct error *err);
/* Whom nginx runs as: uid and gid of FRONT_USER, or our own when we are not root. E_SYSTEM: no such
 * user yet. */
MUST_CHECK int front_identity(uid_t *uid, gid_t *gid, struct error *err);
