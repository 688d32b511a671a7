/* report.h - words to people while a deploy goes on, and the last line: the outcome (DESIGN.md,
 * "Words to the pusher"). All on stderr, with "silver: " in front. */
#pragma once
#include "buildless/release.h"

void report_step(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* "DOING: TEXT", of an error that does not stop what goes on. */
void report_problem(const struct error *err, const char *doing);
/* "blog release 12 is live at http://... (84 ms; 3 of 50 112 files changed)"; of a reused release
 * "no file moved". */
void report_live(const struct app *app, const struct release_info *release, bool reused);
/* "nothing was changed; release 11 is live", or "nothing is live yet". */
void report_unchanged(const struct app *app);
/* "50 112". */
void report_add_count(struct strbuf *s, uint64_t count);
