/* location.h - the host name that app.ini asks for (default_location), given to an app on its first
 * deploy. */
#pragma once
#include "buildless/app.h"
#include "buildless/appini.h"

/* A finding where another app has it: told with the others, before anything is prepared. */
void location_check(const struct app *app, const struct appini *ini, struct strv *errors);
/* app->host is what it will be then: an app's canonical host is its shortest. */
void location_choose(struct app *app, const struct appini *ini);
/* hosts/HOST leads to the app. E_REFUSED: another app has it. */
MUST_CHECK int location_take(const struct appini *ini, struct error *err);
