/* logs.h - what a release's processes wrote: log/APP/N, kept by s6-log.
 *
 *	current		being written
 *	@4000...	earlier parts, the name sorts by time */
#pragma once
#include "buildless/release.h"

/* The last `lines` lines on `to`, each with "silver: | " in place of its time; nothing where there
 * is no log. */
void logs_show_end(const struct app *app, unsigned release, size_t lines, FILE *to);
/* The last `lines` lines on stdout, as they are. release 0: the live one. E_NOTFOUND: no such log.
 * With follow it goes on with what is written, over flips if release is 0, until stdout is gone. */
MUST_CHECK int logs_print(const struct app *app, unsigned release, size_t lines, bool follow,
			  struct error *err);
