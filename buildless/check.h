/* check.h - what a tree may hold, and what its app.ini may ask for; nothing is laid out in a slot
 * that was not checked here, whichever way it is deployed.
 *
 * Findings are whole sentences for people, "WHERE: what; the rule; what to do": every one, not the
 * first, collected in `errors` (the tree is refused if there is one) and `warnings`.
 *
 * Invariant: every tree that ever was live was checked, so what it has is not looked at again, and
 * a finding is about what comes. git's own fsck (receive.fsckObjects) has refused before us what is
 * malformed as an object: unsorted or double entries, and the spellings of ".git" that only other
 * file systems take for it. */
#pragma once
#include "buildless/app.h"
#include "buildless/appini.h"
#include "buildless/git.h"

/* Names, modes, links, gitlinks and LFS pointers where the tree differs from old_tree ("" for all);
 * app.ini and what it names always. *ini is the caller's: appini_release(). */
MUST_CHECK int check_tree(struct repo *repo, const struct app *app, const char *old_tree,
			  const char *new_tree, struct appini *ini, struct strv *errors,
			  struct strv *warnings, struct error *err);
/* The tree of a commit, against that of the live release. *no_room is what is wrong with the disk,
 * not with the commit: it does not fit (NULL: it does); the caller frees. */
MUST_CHECK int check_commit(struct repo *repo, const struct app *app, const char *oid,
			    struct appini *ini, struct strv *errors, struct strv *warnings,
			    char **no_room, struct error *err);
