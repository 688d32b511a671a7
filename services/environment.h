/* environment.h - the environment of a release: one set of variables, the same for its processes,
 * `silver run`, and all else.
 *
 * Written once per release as releases/N/env: NAME=VALUE, a NUL behind each, sorted by name
 * (APP.md's table). */
#pragma once
#include "common/node.h"

struct environment_release {
	const struct node *node;
	const char *app;
	const char *host; /* canonical host name */
	const char *path; /* where the app begins there: NULL, "" or "/blog" */
	unsigned number;
	unsigned slot;
	const char *commit;          /* 40 hex */
	int app_fd;                  /* apps/APP */
	const char *const *services; /* names of those that app.ini asks for */
	size_t n_services;
	const char *config_dir; /* below apps/APP: "releases/12/config.d" */
};

/* Adds every variable of the release to *env, of its services what their records say (record.h).
 * Values may hold any byte but NUL. */
MUST_CHECK int environment_compose(const struct environment_release *release, struct strv *env,
				   struct error *err);
/* Adds NAME=VALUE, in the place of what has this name already. */
void environment_put(struct strv *env, const char *entry);
