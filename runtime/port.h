/* port.h - for programs that listen on 127.0.0.1:$PORT instead of the socket they inherit.
 *
 * nginx's front knows http.sock only, and its configuration names no app. So beside a program of
 * platform `exec` a helper waits for $PORT to answer and then becomes a small nginx that accepts on
 * the same inherited socket and passes on to $PORT. A program that serves the inherited socket
 * itself never opens $PORT, and the helper gives up when the release had to be healthy. The helper
 * lives in the session that s6 made for the program: `finish` ends it with the program, a restart
 * starts both. */
#pragma once
#include "common/node.h"

/* A port of 127.0.0.1 that is free now, outside the range that outgoing connections use. */
MUST_CHECK int port_choose(unsigned *port, struct error *err);
/* Starts the helper, no child of ours when it returns. run_dir is the path of releases/N/run,
 * tmp_dir of the release's TMPDIR; listen_fd the inherited socket. */
MUST_CHECK int port_start_helper(unsigned port, const char *run_dir, const char *tmp_dir,
				 int wait_ms, int listen_fd, struct error *err);
/* silver-exec `port` and `port-wait`: the helper itself. argv as port_start_helper() gave it. */
MUST_CHECK int port_main(int argc, char **argv, struct error *err);
