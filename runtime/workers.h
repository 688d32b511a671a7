/* workers.h - what runs beside a release once it is live: workers, and commands by the clock.
 *
 * Only the live release has them. One call makes it so, whatever was there before: old ones are
 * ended first, and only then new ones begin, so that two releases' never run at once. Calls for one
 * app come one after the other (flock on its repo.git); one that comes too late, when another
 * release is live, ends what is too much and starts nothing. Only silver-root calls these. */
#pragma once
#include "common/node.h"

/* words: as service_expand() takes them. Ends the others of APP (SIGTERM, SIGKILL after kill_ms)
 * and starts those of `release`. E_BUSY: another call does not end. */
MUST_CHECK int workers_set(const struct node *node, const char *app, unsigned release,
			   const struct strv *words, int kill_ms, struct error *err);
/* Waits for a call that is under way in the app's directory app_fd, and keeps others out until
 * *lock_fd is closed. */
MUST_CHECK int workers_lock(int app_fd, int wait_ms, int *lock_fd, struct error *err);
