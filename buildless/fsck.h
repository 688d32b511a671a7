/* fsck.h - does everything below apps/APP say the same, as docs/CONTRACT.md has it?
 *
 * Looks at names, links, records, slots, refs and objects, never at the files of a tree: that is
 * verify.h. Changes nothing. The caller holds the app's lock, or what is under way looks pending.
 */
#pragma once
#include "buildless/app.h"
#include "buildless/git.h"
#include "common/findings.h"

/* repo is NULL where it cannot be opened: then what needs it is left out. 0 also where something
 * was found. */
MUST_CHECK int fsck_app(const struct app *app, struct repo *repo, struct findings *f,
			struct error *err);
