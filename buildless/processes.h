/* processes.h - what runs of an app beside and behind the web: which processes the live release
 * asks for, that they run, and what is seen of them.
 *
 * What is seen comes from DIR/run/service, which root writes and everybody may read: `session` (the
 * pid of what runs, written when it began) and `ends` (how often and how it has ended). */
#pragma once
#include "buildless/release.h"
#include "common/json.h"

/* How many workers run when this release is live. */
unsigned processes_workers(const struct runspec *run);
/* Does the release have anything but files? */
bool processes_any(const struct runspec *run);

/* Asks that the workers and clocks of the live release run and no others; *asked: there is an
 * answer to wait for. Nothing is asked where none run and none should. */
MUST_CHECK int processes_ask(const struct app *app, bool *asked, struct error *err);
/* Does anything of this release run, or is it being ended? */
bool processes_run(const struct app *app, unsigned release);

/* For `silver status`, of the live release. */
void processes_text(const struct app *app, const struct release_info *live, struct strbuf *s);
void processes_json(const struct app *app, const struct release_info *live, struct json *j);
