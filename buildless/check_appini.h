/* check_appini.h - app.ini of a commit, and what it names: does the tree, does the node have it? */
#pragma once
#include "buildless/app.h"
#include "buildless/appini.h"
#include "buildless/git.h"

/* Reads app.ini of `tree` for the app that is pushed to. Findings are sentences with "app.ini:LINE:
 * " in front; -1 is the machine's fault. Packages, and whether they are there, go to `packages`.
 * *ini is the caller's: appini_release(). */
MUST_CHECK int check_appini(struct repo *repo, const struct app *app, const char *tree,
			    struct appini *ini, struct strv *errors, struct strv *warnings,
			    struct strv *packages, struct error *err);
