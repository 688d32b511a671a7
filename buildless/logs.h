/* logs.h - what a release's processes wrote: log/APP/N and log/APP/N.NAME.I (runtime/s6name.h),
 *kept by s6-log.
 *
 *	current		being written
 *	@4000...	earlier parts, the name sorts by time */
#pragma once
#include "buildless/release.h"

/* The last `lines` lines of what serves requests on `to`, each with "silver: | " in place of its
 * time; nothing where there is no log. */
void logs_show_end(const struct app *app, unsigned release, size_t lines, FILE *to);

struct logs_query {
	unsigned release; /* 0: the live one */
	const char
		*process; /* NULL: all; "web", "mail" for all of that name, "mail.2", "cron-tidy" */
	size_t lines;
	bool follow; /* goes on with what is written, over flips if release is 0, until stdout is
			gone */
};
/* The last lines on stdout: of one log as they are, of more in the order of time, with "[N
 * PROCESS]" behind the time. E_NOTFOUND: no such log. */
MUST_CHECK int logs_print(const struct app *app, const struct logs_query *query, struct error *err);
