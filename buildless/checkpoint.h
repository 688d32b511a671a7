/* checkpoint.h - the data of an app, kept before update_fetch, and put back when the push does not
 * go live (docs/DATA.md); and what an interrupted `silver restore` has begun.
 *
 * A mark (services/undo.h) says what is to be put back. The caller holds the app's lock. */
#pragma once
#include "buildless/release.h"

/* The app is stopped and what it has is kept, on disk. E_REFUSED: it is too large. */
MUST_CHECK int checkpoint_take(struct app *app, unsigned release, struct error *err);
/* The data stay as update_fetch left them, and what was live before is started again: for a release
 * that is set aside. Without a checkpoint, nothing. */
MUST_CHECK int checkpoint_keep(struct app *app, struct error *err);
/* Where there is a mark: the data are put back, unless its release went live; what is live runs
 * again; the mark is gone. Needs links that have been recovered. Costs one lstat where there is
 * none. */
MUST_CHECK int checkpoint_resolve(struct app *app, struct error *err);
