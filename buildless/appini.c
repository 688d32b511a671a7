#include "buildless/appini.h"

#include <strings.h>
#include "buildless/appini_parse.h"
#include "buildless/runner.h"
#include "common/ini.h"
#include "common/names.h"

#define PRODUCTION (&appini_sections[0])
#define ITEMS_MAX  256 /* keys of all sections together: far more than anybody needs */

const struct key *appini_find_key(const struct section *section, const char *name)
{
	for (const struct key *key = section->keys; key->name; key++) {
		size_t len = strlen(key->name);

		if (key->name[len - 1] == '.' ? strncasecmp(name, key->name, len) == 0
					      : strcasecmp(name, key->name) == 0)
			return key;
	}
	return NULL;
}

static bool is_named(const struct section *section)
{
	return str_ends(section->name, ":");
}

/* *item is the NAME of [process:NAME]. */
static const struct section *find_section(const char *name, const char **item)
{
	*item = "";
	for (size_t i = 0; appini_sections[i].name; i++) {
		const struct section *section = &appini_sections[i];

		if (!is_named(section) && strcmp(name, section->name) == 0)
			return section;
		if (is_named(section) && str_starts(name, section->name)) {
			*item = name + strlen(section->name);
			return section;
		}
	}
	return NULL;
}

/* "[production], [process:NAME]": the caller frees. */
static char *all_sections(void)
{
	struct strbuf s = STRBUF_INIT;

	for (size_t i = 0; appini_sections[i].name; i++)
		strbuf_addf(&s, "%s[%s%s]", i ? ", " : "", appini_sections[i].name,
			    is_named(&appini_sections[i]) ? "NAME" : "");
	return strbuf_detach(&s);
}

/* The section that was meant, or NULL. */
static const struct section *nearest_section(const char *name)
{
	autofree char *kind = xstrndup(name, strcspn(name, ":"));

	for (size_t i = 0; appini_sections[i].name; i++) {
		const char *known = appini_sections[i].name;
		autofree char *known_kind = xstrndup(known, strcspn(known, ":"));
		const char *const candidates[] = {known_kind};

		if (strcasecmp(kind, known_kind) == 0 || name_nearest(kind, candidates, 1))
			return &appini_sections[i];
	}
	return NULL;
}

static void refuse_section(struct parse *p, unsigned line, const char *section)
{
	const struct section *near = nearest_section(section);
	autofree char *v = appini_shown(section, strlen(section)), *all = all_sections();

	if (p->refused_section && strcmp(p->refused_section, section) == 0)
		return;
	free(p->refused_section);
	p->refused_section = xstrdup(section);
	p->runner_told = true;
	if (*section == '\0')
		appini_refuse(p, line, "a key above the first section; put [production] above it");
	else if (near)
		appini_refuse(p, appini_section_line(p, line),
			      "unknown section [%s] (did you mean [%s%s]?)", v, near->name,
			      is_named(near) ? "NAME" : "");
	else
		appini_refuse(p, appini_section_line(p, line),
			      "unknown section [%s]; the sections are %s", v, all);
}

static bool check_item(struct parse *p, unsigned line, const struct section *section,
		       const char *item)
{
	struct error err = ERROR_INIT;
	autofree char *whole = xasprintf("%s%s", section->name, item);

	if (!is_named(section) || (name_check_app(item, &err) == 0 && strcmp(item, "web") != 0))
		return true;
	if (p->refused_section && strcmp(p->refused_section, whole) == 0)
		return false;
	free(p->refused_section);
	p->refused_section = steal_ptr(&whole);
	if (strcmp(item, "web") == 0)
		appini_refuse(
			p, appini_section_line(p, line),
			"[%sweb]: 'web' is what serves requests, which 'runner' names; choose "
			"another name",
			section->name);
	else
		appini_refuse(p, appini_section_line(p, line),
			      "[%s...]: the name has a-z, 0-9 and '-', starts with a letter and is "
			      "at most %d long",
			      section->name, APP_NAME_MAX);
	return false;
}

static void refuse_unknown(struct parse *p, const struct section *section, const struct place *at)
{
	const char *names[64], *near;
	autofree char *v = appini_shown(at->name, strlen(at->name)), *lower = xstrdup(at->name);
	autostrbuf struct strbuf all = STRBUF_INIT;
	size_t n = 0;

	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
	for (const struct key *key = section->keys; key->name && n < ARRAY_SIZE(names); key++) {
		names[n++] = key->name;
		if (key->take)
			strbuf_addf(&all, "%s%s%s", all.len ? ", " : "", key->name,
				    str_ends(key->name, ".") ? "NAME" : "");
	}
	near = name_nearest(lower, names, n);
	if (near && strcmp(near, "runner") == 0)
		p->runner_told = true;
	if (near)
		appini_refuse(p, at->line, "unknown key '%s' (did you mean '%s'?)", v, near);
	else
		appini_refuse(p, at->line, "unknown key '%s'; the keys of [%s%s] are %s", v,
			      section->name, at->item, strbuf_str(&all));
}

/* The line that set this key before; 0: none, and from now on it is set. */
static unsigned seen_before(struct parse *p, const char *section, const struct place *at)
{
	for (size_t i = 0; i < p->n_seen; i++)
		if (strcmp(p->seen[i].section, section) == 0 &&
		    strcasecmp(p->seen[i].key, at->name) == 0)
			return p->seen[i].line;
	if (p->n_seen == ITEMS_MAX) {
		appini_refuse(p, at->line, "more than %d keys", ITEMS_MAX);
		return at->line;
	}
	p->seen = xrealloc_array(p->seen, p->n_seen + 1, sizeof(*p->seen));
	p->seen[p->n_seen++] = (struct seen){xstrdup(section), xstrdup(at->name), at->line};
	return 0;
}

/* Was a continuation line meant to be a key of its own? */
static bool is_stray_key(const struct key *key, const char *line)
{
	autofree char *word = xstrndup(line, strcspn(line, " \t=\n"));

	return appini_looks_like_key(line) &&
	       (!(key->flags & KEY_ASSIGNS) || appini_find_key(PRODUCTION, word));
}

/* False where the value's shape is wrong: nothing there, or more lines than the key takes. */
static bool check_shape(struct parse *p, unsigned line, const struct key *key, const char *value)
{
	const char *next = strchr(value, '\n');
	unsigned before = p->n_errors;

	for (unsigned nth = 1; next; next = strchr(next + 1, '\n'), nth++) {
		autofree char *v = appini_shown(next + 1, strcspn(next + 1, "\n"));

		if (is_stray_key(key, next + 1))
			appini_refuse(p, appini_continuation_line(p, line, nth),
				      "'%s' is indented, so it is read as part of '%s' in line %u; "
				      "remove the blanks before it",
				      v, key->name, line);
		else if (key->take && !(key->flags & KEY_LINES))
			appini_refuse(p, appini_continuation_line(p, line, nth),
				      "'%s' has a second line, '%s'; it takes one", key->name, v);
	}
	if (key->take && *value == '\0' && !(key->flags & KEY_MAY_BE_EMPTY))
		appini_refuse(p, line, "'%s' has no value; remove the line, or set it", key->name);
	return p->n_errors == before;
}

static void take_key(struct parse *p, const struct section *section, const struct key *key,
		     const struct place *at, const char *value)
{
	const char *interpolated = strstr(value, "%(");

	if (interpolated && strstr(interpolated, ")s"))
		appini_warn(p, at->line,
			    "'%%(...)s' in '%s' is taken as it stands: write the "
			    "value out",
			    key->name);
	if (!check_shape(p, at->line, key, value)) {
		p->runner_told = p->runner_told || section == PRODUCTION;
		if (!(key->flags & KEY_LINES))
			return;
	}
	if (key->take)
		key->take(p, at, value);
	else
		key->decline(p, at, key->words);
}

static void on_key(void *ctx, unsigned line, const char *section_name, const char *name,
		   const char *value)
{
	struct parse *p = ctx;
	struct place at = {.line = line, .name = name};
	const struct section *section = find_section(section_name, &at.item);
	const struct key *key = section ? appini_find_key(section, name) : NULL;
	unsigned before;

	if (p->n_seen == ITEMS_MAX) /* told */
		return;
	if (!section) {
		refuse_section(p, line, section_name);
		return;
	}
	if (!check_item(p, line, section, at.item))
		return;
	if (!key) {
		refuse_unknown(p, section, &at);
		return;
	}
	before = seen_before(p, section_name, &at);
	if (before && before != line)
		appini_refuse(p, line, "'%s' is set twice, here and in line %u; keep one",
			      str_ends(key->name, ".") ? name : key->name, before);
	else if (!before)
		take_key(p, section, key, &at, value);
}

static void on_problem(void *ctx, unsigned line, const char *text)
{
	appini_refuse(ctx, line, "%s", text);
}

unsigned appini_parse(struct appini *out, const char *app, const char *text, size_t len,
		      struct strv *errors, struct strv *warnings)
{
	struct parse p = {
		.ini = out,
		.app = app,
		.text = text,
		.end = text + len,
		.errors = errors,
		.warnings = warnings,
		.first_error = errors->n,
		.first_warning = warnings->n,
	};

	*out = (struct appini){.run = {.platform = xstrdup("python")}};
	(void)ini_parse_text(text, len, on_key, on_problem, &p); /* on_problem counts them */
	for (size_t i = 0; appini_sections[i].name; i++)
		if (appini_sections[i].check)
			appini_sections[i].check(&p);
	strv_sort(&out->packages);
	if (!out->run.platform)
		out->run.platform = xstrdup("python");
	for (size_t i = 0; i < p.n_seen; i++) {
		free(p.seen[i].section);
		free(p.seen[i].key);
	}
	free(p.seen);
	free(p.refused_section);
	return p.n_errors;
}

static void tasks_release(struct appini_tasks *tasks)
{
	for (size_t i = 0; i < tasks->n; i++)
		free(tasks->v[i].text);
	free(tasks->v);
}

static void services_release(struct appini_services *services)
{
	for (size_t i = 0; i < services->n; i++) {
		free(services->v[i].name);
		free(services->v[i].value);
	}
	free(services->v);
}

void appini_release(struct appini *ini)
{
	free(ini->app_name);
	runspec_release(&ini->run);
	tasks_release(&ini->update_fetch);
	tasks_release(&ini->test);
	free(ini->default_location);
	strv_free_p(&ini->packages);
	services_release(&ini->services);
	strv_free_p(&ini->package_lines);
	strv_free_p(&ini->config.required);
	strv_free_p(&ini->config.defaults);
	free(ini->config.default_dir);
	free(ini->config.template_dir);
	free(ini->config.checker);
	*ini = (struct appini){0};
}

char *appini_runner_file(const struct appini *ini)
{
	return ini->run.runner ? runner_file(ini->run.platform, ini->run.runner) : NULL;
}

unsigned appini_package_line(const struct appini *ini, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < ini->package_lines.n; i++) {
		const char *text = ini->package_lines.v[i];

		if (str_starts(text, name) && text[len] == ' ')
			return (unsigned)strtoul(text + len + 1, NULL, 10);
	}
	return 0;
}

void appini_describe(struct strbuf *out)
{
	for (size_t i = 0; appini_sections[i].name; i++) {
		const struct section *section = &appini_sections[i];

		strbuf_addf(out, "[%s%s]\t%s\n", section->name, is_named(section) ? "NAME" : "",
			    section->words);
		for (const struct key *key = section->keys; key->name; key++)
			if (key->take)
				strbuf_addf(out, "%s%s\t%s\n", key->name,
					    str_ends(key->name, ".") ? "NAME" : "", key->words);
	}
}

const char *appini_example(void)
{
	return "[production]\n"
	       "platform = python\n"
	       "runner = app.py#application\n";
}
