/* refusal.h - apps/APP/refused: the last deploy that did not happen, and every word that was said
 * of it, for `silver why`. A line "WHEN LIVE WHO WHAT", then the text. */
#pragma once
#include "buildless/app.h"

struct refusal {
	int64_t when;  /* seconds since 1970 */
	unsigned live; /* release; 0: none was */
	char *who, *what, *text;
};
#define autorefusal __attribute__((cleanup(refusal_release)))
void refusal_release(struct refusal *r);

/* In place of the one before; the app's lock is held. What cannot be written is not missed: whoever
 * was refused has been told. `what`: "push of 1a2b3c4 to master", on one line. */
void refusal_write(const struct app *app, const char *what, const char *text);
/* E_NOTFOUND: none. */
MUST_CHECK int refusal_read(const struct app *app, struct refusal *out, struct error *err);
