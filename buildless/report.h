/* report.h - words to people while a deploy goes on, and the last line: the outcome. All on stderr,
 * each line with "silver: " in front, which git shows as "remote: silver: ...". A line is one
 * write, so it appears, as one packet of git's, when it is said. */
#pragma once
#include "buildless/release.h"

#define REPORT_FINDINGS_MAX 50

/* One line, or several where the text has newlines. */
void report_step(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* "DOING: TEXT", of an error that does not stop what goes on. */
void report_problem(const struct error *err, const char *doing);
/* Warnings (or NULL) first, then errors, at most REPORT_FINDINGS_MAX of each, then how many more
 * there are. */
void report_findings(const struct strv *errors, const struct strv *warnings);
/* "DOING lib/python/x.pth:3", a line each, at most REPORT_FINDINGS_MAX. */
void report_places(const struct strv *places, const char *doing);
/* The account and the outcome, and writes the account down:
 *
 *	received 42 ms, checked 3.1 ms, 3 of 50 112 files 8.0 ms, synced 4.0 ms, ...
 *	blog release 12 is live at http://... (84 ms; 3 of 50 112 files changed)
 *
 * of a reused release "no file moved". */
void report_live(struct app *app, const struct release_info *release, bool reused);
/* "WHAT after 3.2 s", of a step that took so long that somebody wondered. */
void report_slow(int64_t took_us, const char *what);
/* "blog release 13 is staged (84 ms; ...): `silver activate blog 13` makes it live", and what is.
 */
void report_staged(struct app *app, const struct release_info *release);
/* "nothing was changed; release 11 is live", or "nothing is live yet". */
void report_unchanged(const struct app *app);
/* "50 112". */
void report_add_count(struct strbuf *s, uint64_t count);

/* From now on what this process says on stderr is kept beside: the last REPORT_KEPT bytes of it. */
#define REPORT_KEPT 32768
void report_keep(void);
const char *report_kept(void);
