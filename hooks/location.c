#include "hooks/location.h"

#include "common/fs.h"
#include "runtime/ask.h"
#include "runtime/location.h"

void location_check(const struct app *app, const struct appini *ini, struct strv *errors)
{
	autolocation struct location taken = {0};
	struct error none = ERROR_INIT;
	autofree char *name = NULL;
	autoclose int fd = -1;

	if (!ini->default_location || fs_open_dir(app->node.fd, "hosts", &fd, &none) == -1)
		return; /* location_take() is who decides */
	name = location_name(ini->default_location);
	if (location_read(fd, name, &taken, &none) == -1)
		return;
	if (strcmp(taken.app, app->name) != 0)
		strv_addf(errors,
			  "app.ini:%u: default_location '%s' leads to another app of this node "
			  "already; choose another name, or leave it out",
			  ini->location_line, ini->default_location);
}

void location_choose(struct app *app, const struct appini *ini)
{
	size_t len = ini->default_location ? strcspn(ini->default_location, "/") : 0;

	if (len == 0 || len >= strlen(app->host))
		return;
	free(app->host);
	free(app->path);
	app->host = xstrndup(ini->default_location, len);
	app->path = xstrdup(ini->default_location + len);
}

int location_take(const struct appini *ini, struct error *err)
{
	if (!ini->default_location || ask_locate(ini->default_location, err) == 0)
		return 0;
	return error_prefix(err, "app.ini:%u: default_location", ini->location_line);
}
