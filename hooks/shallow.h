/* shallow.h - where the history ends in the clone that is pushed from.
 *
 * git takes no commit at which a shallow clone ends, unless it is in the repository already, but
 * says so only after pre-receive; and it does not tell hooks. What the client said stands in a file
 * of receive-pack, GIT_DIR/shallow_XXXXXX, until that ends. */
#pragma once
#include "buildless/app.h"

/* Adds the commits of such files that are no older than this push; none where the clone is whole.
 */
MUST_CHECK int shallow_read(const struct app *app, struct strv *ends, struct error *err);
