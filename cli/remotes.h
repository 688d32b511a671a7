/* remotes.h - nodes as a git remote of a checkout, so that plain git pushes there too. */
#pragma once
#include "common/mem.h"

/* Makes the remote `name` in the checkout at `dir`, or adds to it what it does not have yet. Each
 * of nodes is [USER@]HOST[:PORT] or an ssh URL. Says what was made. */
MUST_CHECK int remotes_add(const char *dir, const char *name, const char *app, char *const *nodes,
			   size_t n, struct error *err);
/* The app of a checkout: `said` (may be NULL), else app_name of its app.ini, else the name of its
 * directory. The caller frees. E_USAGE: it is no name for an app. */
MUST_CHECK int remotes_app(const char *top, const char *said, char **app, struct error *err);
