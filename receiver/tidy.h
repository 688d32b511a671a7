/* tidy.h - what the processes of an app left where its owner, who prunes releases, may not write.
 *
 *	data/APP/tmp/N	TMPDIR of release N: gone with its processes
 *	log/APP/N	its logs, also N.NAME.I (runtime/s6name.h): kept as long as releases/N is
 */
#pragma once
#include "common/node.h"

/* After release N was stopped. */
MUST_CHECK int tidy_release(const struct node *node, const char *app, unsigned release,
			    struct error *err);
/* After all releases but `live` and `previous` (0: none) were drained. */
MUST_CHECK int tidy_others(const struct node *node, const char *app, unsigned live,
			   unsigned previous, struct error *err);
