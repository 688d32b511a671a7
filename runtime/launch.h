/* launch.h - a release as silver-exec sees it, and how each platform's server is started.
 *
 * Everything here happens as the runner (runner.h): what is read was written by the app's owner. */
#pragma once
#include "common/ini.h"
#include "common/node.h"
#include "runtime/limits.h"

#define SNOOZE "/usr/bin/snooze" /* waits for the time of a [cron:NAME] */

struct launch {
	const struct node *node;
	const char *app;
	unsigned number;
	int data_fd, release_fd, run_fd; /* data/APP, releases/N, releases/N/run */
	int slot_fd;                     /* the app's files */
	struct ini record;
	struct limits limits; /* of what it becomes */
	struct strv env;      /* of the release, and what is added for its processes */
};

/* Opens release `number`, reads its record and environment, makes its TMPDIR. E_NOTFOUND: no such
 * release. */
MUST_CHECK int launch_open(struct launch *out, const struct node *node, const char *app,
			   unsigned number, struct error *err);
void launch_release(struct launch *l);
/* Does a line of its environment begin with `start`? */
bool launch_has(const struct launch *l, const char *start);
/* Number that the text of the link apps/APP/current gives. E_NOTFOUND: nothing is live. */
MUST_CHECK int launch_current(const struct node *node, const char *app, unsigned *number,
			      struct error *err);
/* The release that was live before; 0: none. */
unsigned launch_previous(const struct node *node, const char *app);
/* Have processes of the release answered requests, ever? */
bool launch_has_served(const struct node *node, const char *app, unsigned number);
/* Becomes the server of its platform, listening on run/http.sock; that of php it only starts and
 * attends (php.h), so 0 is its orderly end. Else it returns only on failure. */
MUST_CHECK int launch_server(struct launch *l, struct error *err);
/* Becomes a command in the directory of the app's files. Returns only on failure. */
MUST_CHECK int launch_command(struct launch *l, char *const *argv, struct error *err);
/* Becomes a process of [process:NAME], or the clock of [cron:NAME] and then, at its time, the
 * command. Return only on failure; E_SYSTEM also where the record has no such section. */
MUST_CHECK int launch_worker(struct launch *l, const char *name, struct error *err);
MUST_CHECK int launch_cron(struct launch *l, const char *name, struct error *err);
