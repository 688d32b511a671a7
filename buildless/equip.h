/* equip.h - the services that an app's app.ini asks for (docs/SERVICES.md).
 *
 * What an app was given stands in its record (services/record.h), so a push that asks for nothing
 * new reads a small file a service and asks nobody. */
#pragma once
#include "buildless/app.h"
#include "buildless/appini.h"

/* May the node give them? Findings "app.ini:LINE: service.NAME: ..." are added to errors. */
MUST_CHECK int equip_check(const struct app *app, const struct appini *ini, struct strv *errors,
			   struct error *err);
/* Has the monitor provide those that the app has not; what it did goes to stderr. Additive: what
 * was given before stays as it is, and a push that is refused later leaves what it was given.
 * Called again it does nothing. */
MUST_CHECK int equip_provide(const struct app *app, const struct appini *ini, struct error *err);
/* Which of them are not given yet, for who wants to say so: adds their names. */
MUST_CHECK int equip_missing(const struct app *app, const struct appini *ini, struct strv *names,
			     struct error *err);
