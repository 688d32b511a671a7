/* report.h - the last line that people read: the outcome (DESIGN.md, "Words to the pusher"). All on
 * stderr. */
#pragma once
#include "buildless/release.h"

/* "silver: blog release 12 is live at http://... (84 ms; 3 of 50 112 files changed)"; for a reused
 * release "no file moved". */
void report_live(const struct app *app, const struct release_info *release, bool reused);
/* "silver: nothing was changed; release 11 is live" (or "nothing is live yet"). */
void report_unchanged(const struct app *app);
/* "50 112". */
void report_add_count(struct strbuf *s, uint64_t count);
