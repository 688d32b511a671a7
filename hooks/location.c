#include "hooks/location.h"

#include "runtime/ask.h"

void location_choose(struct app *app, const struct appini *ini)
{
	if (!ini->default_location || strlen(ini->default_location) >= strlen(app->host))
		return;
	free(app->host);
	app->host = xstrdup(ini->default_location);
}

int location_take(const struct appini *ini, struct error *err)
{
	if (!ini->default_location || ask_locate(ini->default_location, err) == 0)
		return 0;
	return error_prefix(err, "app.ini: default_location '%s'", ini->default_location);
}
