#include "hooks/location.h"

#include "common/fs.h"
#include "runtime/ask.h"

void location_check(const struct app *app, const struct appini *ini, struct strv *errors)
{
	autofree char *ours = xasprintf("../apps/%s/current", app->name), *target = NULL;
	struct error ignored = ERROR_INIT;
	autoclose int fd = -1;

	if (!ini->default_location || fs_open_dir(app->node.fd, "hosts", &fd, &ignored) == -1 ||
	    fs_read_link(fd, ini->default_location, &target, &ignored) == -1)
		return; /* location_take() is who decides */
	if (strcmp(target, ours) != 0)
		strv_addf(errors,
			  "app.ini:%u: default_location '%s' leads to another app of this node "
			  "already; choose another name, or leave it out",
			  ini->location_line, ini->default_location);
}

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
	return error_prefix(err, "app.ini:%u: default_location", ini->location_line);
}
