/* destroy.h - the end of an app, and of one that never came to be.
 *
 * apps/APP is renamed to apps/.APP.gone, on disk, and from then on the name is free: that is what
 * decides. What was the app's goes after it, and .APP.gone last of all, so that whoever finds it
 * knows that there is something left. apps/.APP.new is the same for a creation (provision.h): its
 * name comes first, what it needs later. */
#pragma once
#include "common/node.h"

/* The app's processes, locations, repository, releases, data, logs and users are gone on return.
 * E_NOTFOUND: there is nothing of that name. E_BUSY: a deploy holds the app's lock. */
MUST_CHECK int destroy_app(const struct node *node, const char *app, struct error *err);
/* Ends what an interrupted destroy_app() left to do; no error if there was none. The caller has the
 * claim of the app (claim.h). */
MUST_CHECK int destroy_finish(const struct node *node, const char *app, struct error *err);
/* At the start of a node: finishes what destroys left to do, takes back what creations had begun.
 * Data and logs that are not empty stay. An app that it cannot rid the node of does not stop the
 * start: the reason goes to stderr. */
MUST_CHECK int destroy_leftovers(const struct node *node, struct error *err);
