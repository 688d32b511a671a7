/* ssh_server.h - one connection from its first byte to its last: login, one command, the end. */
#pragma once
#include "receiver/session_monitor.h"

/* Takes over serve->fd. *logged_in is false when the connection ended before anybody was.
 * Errors: E_SYSTEM. */
MUST_CHECK int ssh_server_run(const struct session_serve *serve, struct session_monitor *m,
			      bool *logged_in, struct error *err);
