/* lock.h - one deploy per app: flock on the app's lock file.
 *
 * silverd opens the file and every process of a push inherits the open file description, so the
 * lock spans pre-receive to post-receive and the kernel drops it when the last of them dies. A lock
 * is never a file's existence; the file stays, and its text only says who holds it. */
#pragma once
#include "common/mem.h"

/* Takes the lock on the inherited fd, waiting at most wait_ms; `holder` ("alice: push of 1a2b3c4 to
 * master") is written for whoever waits. Taking it again on the same open file description is no
 * error. Errors: E_BUSY names the present holder and since when; E_SYSTEM. */
MUST_CHECK int lock_take(int fd, const char *holder, int wait_ms, struct error *err);
/* The same for a lock that is not of an app; `what` is under way while somebody has it: "packages
 * are being installed". */
MUST_CHECK int lock_take_named(int fd, const char *what, const char *holder, int wait_ms,
			       struct error *err);
void lock_drop(int fd);
