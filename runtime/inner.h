/* inner.h - a small nginx of a release: on its inherited http.sock, in front of a program that does
 * not speak HTTP on a socket that it is given.
 *
 * One of its own, not a line in the front's configuration: the release's socket is then what it is
 * for every platform, so health checks, update_fetch and the flip know one kind of release. */
#pragma once
#include "common/mem.h"

/* The beginning of a configuration, up to and into `http {`; tmp_dir as nginx is to find it. */
void inner_begin(struct strbuf *out, const char *tmp_dir);
/* The beginning of `server {` on the inherited socket. */
void inner_begin_server(struct strbuf *out);
/* The words of its command; prefix (with a '/' at its end) is what relative paths begin with. */
void inner_argv(const char *prefix, const char *config, struct strv *argv);
/* The whole of its environment: fd 3 is the socket that it listens on. */
extern char *const inner_env[];
