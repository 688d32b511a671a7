/* sandbox.h - what silver-session may still do once it talks to the internet: next to nothing.
 *
 * Entered once, for the rest of the process's life, before the first byte of a connection is read:
 * an empty root directory and a user of its own (when silverd is root), no new privileges, no new
 * files, processes, file content or core, and a list of system calls. Any other call kills the
 * process with SIGSYS. The list has nothing that opens, connects, forks or executes; descriptors
 * only come in through the monitor's socket. */
#pragma once
#include <sys/types.h>
#include "common/mem.h"

struct sandbox {
	const char *root; /* NULL: keep root directory and user (silverd is not root) */
	uid_t uid;
	gid_t gid;
};

/* On an error the process is half-way in: end it. Errors: E_SYSTEM. */
MUST_CHECK int sandbox_enter(const struct sandbox *s, struct error *err);
