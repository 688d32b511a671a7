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
/* Another name and password for what the app has; what runs keeps its own until equip_retire().
 * E_REFUSED: the service has none. E_NOTFOUND: the app has no such service. */
MUST_CHECK int equip_rotate(const struct app *app, const char *name, struct error *err);
/* When nothing runs any more but the live release: passwords that were rotated, and that it does
 * not use, are good no more. */
MUST_CHECK int equip_retire(const struct app *app, struct error *err);
/* Has the release a password that is good no more? E_REFUSED says what to do instead. */
MUST_CHECK int equip_check_passwords(const struct app *app, unsigned release, const char *commit,
				     const char *branch, struct error *err);
/* Which of them are not given yet, for who wants to say so: adds their names. */
MUST_CHECK int equip_missing(const struct app *app, const struct appini *ini, struct strv *names,
			     struct error *err);
