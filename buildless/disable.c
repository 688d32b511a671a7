/* disable.c - an app out of service: apps/APP/disabled is there, and nginx answers 503 from the
 * next request on (runtime/front/nginx.conf). Its processes go on, and so do pushes: what is in
 * service when it is enabled again is what was pushed last. */
#include "buildless/verbs.h"

#include <sys/stat.h>
#include "buildless/report.h"
#include "common/fs.h"
#include "common/ini.h"
#include "common/proc.h"

bool app_is_disabled(const struct app *app)
{
	return fs_exists(app->fd, APP_DISABLED);
}

int verb_disable(struct verb_call *call, struct error *err)
{
	const struct app *app = call->app;
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (app_is_disabled(app)) {
		report_step("%s is out of service already", app->name);
		return 0;
	}
	strbuf_addstr(&text, "[disabled]\n");
	ini_add(&text, "who", app->user);
	ini_addf(&text, "when", "%lld", (long long)(clock_utc_ms() / 1000));
	if (fs_replace_file(app->fd, APP_DISABLED, text.buf, text.len, 0644, err) == -1)
		return -1;
	report_step("%s is out of service: every request is answered 503; `silver enable %s` ends "
		    "that",
		    app->name, app->name);
	return 0;
}

int verb_enable(struct verb_call *call, struct error *err)
{
	const struct app *app = call->app;
	autofree char *url = app_url(app);

	if (!app_is_disabled(app)) {
		report_step("%s is in service", app->name);
		return 0;
	}
	if (fs_unlink(app->fd, APP_DISABLED, err) == -1 || fs_sync(app->fd, err) == -1)
		return -1;
	report_step("%s is in service at %s", app->name, url);
	return 0;
}
