/* health.h - does a release answer?
 *
 * Speaks HTTP/1.1 over releases/N/run/http.sock, one request at a time, until the answer is good,
 * the process has exited (run/exited is there), or the deadline has passed. A release that answers,
 * but badly, is given HEALTH_BAD_MS to get better: a broken one is told to its pusher soon, one
 * that is still loading may say 503 meanwhile. */
#pragma once
#include "common/mem.h"

#define HEALTH_BAD_MS 5000

struct health_check {
	int release_fd;   /* releases/N */
	const char *host; /* Host header */
	const char *path; /* NULL: any answer below 500 at "/"; else below 400 at path, which starts
			     with '/' */
	int deadline_ms;
};

/* Has the release's main process ended since it was started? run_fd: releases/N/run. */
bool health_exited(int run_fd);
/* E_REFUSED: how it ended. */
int health_exited_error(int run_fd, struct error *err);

/* On success *took_ms is the wait. E_REFUSED says what it saw last: the status line, the exit
 * status of the process, or the time that passed. `waiting` (may be NULL) is called about once a
 * second with the seconds so far. */
MUST_CHECK int health_wait(const struct health_check *check, int64_t *took_ms,
			   void (*waiting)(void *ctx, int seconds), void *ctx, struct error *err);
