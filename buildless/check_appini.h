/* check_appini.h - app.ini of a commit, and what it names: does the tree, does the node have it? */
#pragma once
#include "buildless/appini.h"
#include "buildless/git.h"

/* Reads app.ini of `tree` for the app that is pushed to. Findings are sentences with "app.ini:LINE:
 * " in front; -1 is the machine's fault. *ini is the caller's: appini_release(). */
MUST_CHECK int check_appini(struct repo *repo, const char *app, const char *tree,
			    struct appini *ini, struct strv *errors, struct strv *warnings,
			    struct error *err);
