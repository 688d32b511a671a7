/* check.h - what a tree may hold, and what its app.ini may ask for; nothing is laid out in a slot
 * that was not checked here, whichever way it is deployed.
 *
 * Findings are whole sentences for people, "WHERE: what; the rule; what to do": every one, not the
 * first, collected in a report: the tree is refused if it has errors.
 *
 * Invariant: every tree that ever was live was checked, so what it has is not looked at again, and
 * a finding is about what comes. git's own fsck (receive.fsckObjects) has refused before us what is
 * malformed as an object: unsorted or double entries, and the spellings of ".git" that only other
 * file systems take for it. */
#pragma once
#include "buildless/app.h"
#include "buildless/appini.h"
#include "buildless/git.h"
#include "buildless/relocation.h"

struct check_report {
	struct strv errors, warnings;
	struct strv relocated; /* "lib/python/x.pth:3": lines that the slot will have otherwise */
	struct strv packages;  /* "libpq5 15.3-0, installed", "... would be installed" */
	char *no_room;         /* what is wrong with the disk, not with the commit: it does not fit;
				* NULL: it does */
};
#define CHECK_REPORT_INIT                                                                          \
	{                                                                                          \
		STRV_INIT, STRV_INIT, STRV_INIT, STRV_INIT, NULL                                   \
	}
#define autocheck __attribute__((cleanup(check_report_release)))
void check_report_release(struct check_report *report);

/* Names, modes, links, gitlinks and LFS pointers where the tree differs from old_tree ("" for all);
 * absolute paths where it differs from what `relocation` (NULL: look at all) says of old_tree;
 * app.ini and what it names always. *ini is the caller's: appini_release(). */
MUST_CHECK int check_tree(struct repo *repo, const struct app *app, const char *old_tree,
			  const struct relocation *relocation, const char *new_tree,
			  struct appini *ini, struct check_report *report, struct error *err);
/* The tree of a commit, against that of the live release, and whether it fits. */
MUST_CHECK int check_commit(struct repo *repo, const struct app *app, const char *oid,
			    struct appini *ini, struct check_report *report, struct error *err);
