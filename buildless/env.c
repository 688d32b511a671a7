#include "buildless/env.h"

#include "buildless/report.h"
#include "buildless/verbs.h"
#include "common/fs.h"
#include "services/record.h"

#define ENV_MAX (4 << 20)

int env_read(const struct app *app, unsigned release, struct strv *env, struct error *err)
{
	autofree char *path = xasprintf("releases/%u/env", release);
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (fs_read_file(app->fd, path, ENV_MAX, &text, err) == -1)
		return -1;
	if (text.len && text.buf[text.len - 1] != '\0')
		return error_set(err, E_SYSTEM, "'%s' is cut", path);
	for (size_t at = 0; at < text.len; at += strlen(text.buf + at) + 1)
		strv_add(env, text.buf + at);
	return 0;
}

/* What the node says of the release itself. */
static bool is_of_release(const char *entry)
{
	static const char *const starts[] = {
		"SILVER_", "PATH=", "HOME=", "LANG=", "TEMP=", "TMPDIR=", "PYTHON", "STATIC_URL="};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
		if (str_starts(entry, starts[i]))
			return true;
	return false;
}

enum change { NEW, OTHER };

/* Names in `now` that `was` has not, or with another value. */
static void add_changes(struct strbuf *out, const char *what, const struct strv *was,
			const struct strv *now, enum change change)
{
	size_t n = 0;

	for (size_t i = 0; i < now->n; i++) {
		autofree char *name = xstrndup(now->v[i], strcspn(now->v[i], "="));
		const char *before = service_env_get(was, name);

		if (is_of_release(now->v[i]) || (change == NEW) != (before == NULL) ||
		    (before && strcmp(before, now->v[i] + strlen(name) + 1) == 0))
			continue;
		if (n++ == 0)
			strbuf_addf(out, "%s%s", out->len ? "; " : "", what);
		strbuf_addf(out, " %s", name);
	}
}

void env_report_changes(const struct app *app, unsigned was, unsigned now)
{
	autostrv struct strv old = STRV_INIT, new = STRV_INIT;
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error unread = ERROR_INIT;

	if ((was && env_read(app, was, &old, &unread) == -1) ||
	    env_read(app, now, &new, &unread) == -1)
		return;
	add_changes(&text, "new", &old, &new, NEW);
	add_changes(&text, "changed", &old, &new, OTHER);
	add_changes(&text, "gone", &new, &old, NEW);
	if (text.len)
		report_step("environment: %s", text.buf);
}

/* Values are for admins: the table of commands sees to that. */
int verb_env(struct verb_call *call, struct error *err)
{
	bool values = call->argc == 1 && strcmp(call->argv[0], "--values") == 0;
	unsigned current = release_current(call->app);
	autostrv struct strv env = STRV_INIT;

	if (call->argc && !values)
		return error_set(err, E_USAGE, "unknown argument '%s'", call->argv[0]);
	if (!current)
		return error_set(err, E_NOTFOUND, "nothing is live for '%s' yet", call->app->name);
	if (env_read(call->app, current, &env, err) == -1)
		return -1;
	for (size_t i = 0; i < env.n; i++) {
		const char *entry = env.v[i];
		size_t len = values ? strlen(entry) : strcspn(entry, "=");

		if (printf("%.*s\n", (int)len, entry) < 0)
			return error_set(err, E_SYSTEM, "cannot write the answer");
	}
	return 0;
}
