/* env.h - the environment that a release has, and what is different in that of another. */
#pragma once
#include "buildless/app.h"

/* NAME=VALUE of releases/N/env, sorted. */
MUST_CHECK int env_read(const struct app *app, unsigned release, struct strv *env,
			struct error *err);
/* Says on stderr which names are new, gone or have another value in release `now`; `was` 0: nothing
 * was live. Never a value, and not what each release has of its own. */
void env_report_changes(const struct app *app, unsigned was, unsigned now);
