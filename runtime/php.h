/* php.h - what serves a release of platform `php`.
 *
 * Three programs in one service: silver-exec stays, and has php-fpm run the app's one front runner
 * and a small nginx (inner.h) pass requests to it, on sockets that are bound before both. nginx
 * answers with the files below php_root itself, but never with one of PHP's. It ends in the order
 * that loses nothing: nginx when its last request is answered, then php-fpm, whose workers may
 * finish what they do behind the answer. */
#pragma once
#include "runtime/launch.h"

#define PHP_PACKAGE "php-fpm" /* Debian's, which has it */
#define PHP_SOCKET  "php.sock"

/* Path of the newest php-fpm of this machine; NULL: there is none. The caller frees. */
char *php_program(void);
/* Can a path of the tree stand in configurations? Letters, digits, '.', '_', '-', '/'. */
bool php_is_path(const char *path);
/* Serves the release until SIGTERM; 0 then. http_fd and php_fd are listening, on http.sock and
 * PHP_SOCKET of releases/N/run, and closed here. E_SYSTEM: one of the programs could not be started
 * or has ended. */
MUST_CHECK int php_serve(struct launch *l, int http_fd, int php_fd, struct error *err);
