#include "runtime/s6name.h"

#include "runtime/runspec.h"

#define CRON_PREFIX "cron-"

static bool take_name(char out[APP_NAME_MAX + 1], const char *text, size_t len)
{
	autofree char *name = xstrndup(text, len);
	struct error bad = ERROR_INIT;

	if (name_check_app(name, &bad) == -1)
		return false;
	snprintf(out, APP_NAME_MAX + 1, "%s", name);
	return true;
}

/* "mail.2" or "cron-tidy". */
static bool parse_behind(const char *text, struct s6name *out)
{
	const char *dot = strchr(text, '.');
	uint64_t index;

	if (!dot) {
		out->kind = S6_CRON;
		return str_starts(text, CRON_PREFIX) &&
		       take_name(out->name, text + strlen(CRON_PREFIX),
				 strlen(text) - strlen(CRON_PREFIX));
	}
	if (!str_to_uint(dot + 1, PROCESS_COUNT_MAX, &index) || index == 0)
		return false;
	out->kind = S6_WORKER;
	out->index = (unsigned)index;
	return take_name(out->name, text, (size_t)(dot - text));
}

bool s6name_parse_part(const char *app, const char *part, struct s6name *out)
{
	size_t len = strcspn(part, ".");
	autofree char *digits = xstrndup(part, len);
	uint64_t release;

	*out = (struct s6name){.kind = S6_WEB};
	if (!take_name(out->app, app, strlen(app)) || !str_to_uint(digits, INT32_MAX, &release) ||
	    release == 0)
		return false;
	out->release = (unsigned)release;
	return part[len] == '\0' || parse_behind(part + len + 1, out);
}

bool s6name_parse(const char *text, struct s6name *out)
{
	size_t len = strcspn(text, ".");
	autofree char *app = xstrndup(text, len);

	return text[len] == '.' && s6name_parse_part(app, text + len + 1, out);
}

bool s6name_parse_entry(const char *entry, struct s6name *out)
{
	autofree char *inner = NULL;

	if (*entry != '.')
		return s6name_parse(entry, out);
	if (!str_ends(entry, ".gone"))
		return false;
	inner = xstrndup(entry + 1, strlen(entry) - 1 - strlen(".gone"));
	return s6name_parse(inner, out);
}

char *s6name_label(const struct s6name *s)
{
	if (s->kind == S6_WORKER)
		return xasprintf("%s.%u", s->name, s->index);
	return s->kind == S6_CRON ? xasprintf(CRON_PREFIX "%s", s->name) : xstrdup("web");
}

char *s6name_format(const struct s6name *s)
{
	autofree char *label = s6name_label(s);

	if (s->kind == S6_WEB)
		return xasprintf("%s.%u", s->app, s->release);
	return xasprintf("%s.%u.%s", s->app, s->release, label);
}

int s6name_expand(const char *app, unsigned release, const char *word, struct strv *out,
		  struct error *err)
{
	struct s6name s = {.release = release};
	unsigned count;

	if (!take_name(s.app, app, strlen(app)) || !parse_behind(word, &s))
		return error_set(err, E_USAGE, "'%s' names no process: NAME.COUNT or cron-NAME",
				 word);
	count = s.kind == S6_WORKER ? s.index : 1;
	for (unsigned i = 1; i <= count; i++) {
		autofree char *name = NULL;

		s.index = s.kind == S6_WORKER ? i : 0;
		name = s6name_format(&s);
		strv_add(out, name);
	}
	return 0;
}
