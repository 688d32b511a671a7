#include "buildless/appini.h"

#include <limits.h>
#include <strings.h>
#include "buildless/runner.h"
#include "common/ini.h"
#include "common/names.h"

#define SECTION "production"

struct parse {
	struct appini *ini;
	const char *app, *text, *end;
	struct strv *errors, *warnings;
	size_t first_error, first_warning; /* of ours in the lists */
	unsigned n_errors;
	unsigned *seen;        /* per key: the line that set it */
	char *refused_section; /* told already, its other keys are passed over */
	bool runner_told;      /* what a finding is about may be the runner: it is not missing */
};

struct key {
	const char *name; /* one that ends in '.' stands for all that start with it */
	void (*take)(struct parse *p, unsigned line, const char *value); /* NULL: not taken */
	void (*decline)(struct parse *p, unsigned line, const char *key, const char *advice);
	const char *words; /* taken: its meaning, as app.ini(5) has it; declined: the advice */
};

/* "app.ini:7: ..." is of line 7; one about the whole file comes last. */
static unsigned long line_of(const char *finding)
{
	return finding[strlen("app.ini:")] == ' ' ? ULONG_MAX
						  : strtoul(finding + strlen("app.ini:"), NULL, 10);
}

/* What is known only when all was read takes its place among the lines. */
static void PRINTF_LIKE(4, 0)
	add_finding(struct strv *list, size_t first, unsigned line, const char *fmt, va_list args)
{
	autofree char *text = NULL;

	text = xvasprintf(fmt, args);
	if (line)
		strv_addf(list, "app.ini:%u: %s", line, text);
	else
		strv_addf(list, "app.ini: %s", text);
	for (size_t i = list->n - 1; i > first; i--) {
		char *later = list->v[i - 1];

		if (line_of(later) <= line_of(list->v[i]))
			break;
		list->v[i - 1] = list->v[i];
		list->v[i] = later;
	}
}

static void PRINTF_LIKE(3, 4) refuse(struct parse *p, unsigned line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_finding(p->errors, p->first_error, line, fmt, args);
	va_end(args);
	p->n_errors++;
}

static void PRINTF_LIKE(3, 4) warn(struct parse *p, unsigned line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_finding(p->warnings, p->first_warning, line, fmt, args);
	va_end(args);
}

/* The line of the file that holds the n-th continuation of the key in `line` (0: the key itself).
 */
static unsigned continuation_line(const struct parse *p, unsigned line, unsigned n)
{
	const char *at = p->text;
	unsigned number = 1;

	for (; at < p->end && number < line; number++) {
		const char *newline = memchr(at, '\n', (size_t)(p->end - at));

		at = newline ? newline + 1 : p->end;
	}
	while (at < p->end) {
		const char *newline = memchr(at, '\n', (size_t)(p->end - at));
		const char *stop = newline ? newline : p->end;
		const char *word = at;

		while (word < stop && strchr(" \t\r\v\f", *word))
			word++;
		if (number == line || (word < stop && *word != '#' && *word != ';')) {
			if (n-- == 0)
				return number;
		}
		at = newline ? newline + 1 : p->end;
		number++;
	}
	return line;
}

/* The line of the [section] that the key in `line` belongs to. */
static unsigned section_line(const struct parse *p, unsigned line)
{
	unsigned number = 1, found = line;

	for (const char *at = p->text; at < p->end && number < line; number++) {
		const char *newline = memchr(at, '\n', (size_t)(p->end - at));

		if (*at == '[')
			found = number;
		at = newline ? newline + 1 : p->end;
	}
	return found;
}

static void take_app_name(struct parse *p, unsigned line, const char *value)
{
	autofree char *v = appini_shown(value, strlen(value));

	p->ini->app_name = xstrdup(value);
	if (strcmp(value, p->app) != 0)
		refuse(p, line,
		       "app_name is '%s', but the push goes to '%s'; remove the line, or push to "
		       "the app it names",
		       v, p->app);
}

static void take_platform(struct parse *p, unsigned line, const char *value)
{
	static const char *const platforms[] = {"python", "static", "exec"};
	autofree char *v = appini_shown(value, strlen(value));
	const char *near = name_nearest(value, platforms, ARRAY_SIZE(platforms));

	for (size_t i = 0; i < ARRAY_SIZE(platforms); i++)
		if (strcmp(value, platforms[i]) == 0) {
			free(p->ini->platform);
			p->ini->platform = xstrdup(value);
			return;
		}
	free(steal_ptr(&p->ini->platform)); /* no more findings that guess at the platform */
	if (strcmp(value, "php") == 0)
		refuse(p, line,
		       "platform 'php' is not available in this version of Silver; it runs python, "
		       "static and exec");
	else
		refuse(p, line, "unknown platform '%s'%s%s%s; it is one of python, static, exec", v,
		       near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static void take_runner(struct parse *p, unsigned line, const char *value)
{
	p->ini->runner = xstrdup(value);
	p->ini->runner_line = line;
}

static void take_health(struct parse *p, unsigned line, const char *value)
{
	autofree char *v = appini_shown(value, strlen(value));

	if (*value != '/' || !appini_is_plain(value) || strchr(value, '#'))
		refuse(p, line,
		       "health '%s' is no URL path; it starts with '/', without blanks or '#', and "
		       "what is not ASCII is written %%XX",
		       v);
	else
		p->ini->health = xstrdup(value);
}

static void take_location(struct parse *p, unsigned line, const char *value)
{
	autofree char *v = appini_shown(value, strlen(value));
	struct error err = ERROR_INIT;

	p->ini->location_line = line;
	if (strstr(value, "://"))
		refuse(p, line, "default_location '%s' is a host name, without 'http://'", v);
	else if (strchr(value, '/'))
		refuse(p, line,
		       "default_location '%s': a path behind the host is not available in this "
		       "version of Silver; give the host alone",
		       v);
	else if (name_check_host(value, &err) == -1)
		refuse(p, line, "default_location: %s", err.text);
	else
		p->ini->default_location = xstrdup(value);
}

static const struct key *find_key(const char *name);

/* "key = value" or "known_key: value": an indented line that was meant to be a key of its own. */
static bool looks_like_key(const char *line)
{
	size_t len = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-"
				  "0123456789");
	autofree char *word = xstrndup(line, len);
	const char *rest = line + len + strspn(line + len, " \t");

	return len > 0 && (*rest == '=' || (*rest == ':' && find_key(word)));
}

/* Debian's rule for package names (policy 5.6.1), with an architecture behind ':' where one is
 * given. */
static bool is_package_name(const char *s)
{
	static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char any[] = "abcdefghijklmnopqrstuvwxyz0123456789+-.";
	size_t n = strspn(s, any);

	if (n < 2 || strspn(s, lower) == 0 || n > 100)
		return false;
	if (s[n] == ':')
		return s[n + 1] && strspn(s + n + 1, lower) == strlen(s + n + 1) && strlen(s) < 120;
	return s[n] == '\0';
}

static void take_package(struct parse *p, unsigned line, const char *word, size_t len)
{
	autofree char *name = xstrndup(word, len), *v = appini_shown(word, len);

	if (!is_package_name(name))
		refuse(p, line,
		       "'%s' is no name of a Debian package: a-z, 0-9, '+', '-' and '.', at least "
		       "two characters, no version",
		       v);
	else if (!strv_has(&p->ini->packages, name))
		strv_add(&p->ini->packages, name);
}

static void take_packages(struct parse *p, unsigned line, const char *value)
{
	p->ini->packages_line = line;
	for (unsigned nth = 0; *value; nth++) {
		const char *end = value + strcspn(value, "\n");
		bool is_names = nth == 0 || !looks_like_key(value); /* else told already */

		while (value < end) {
			size_t len = strcspn(value, " \t,\n");

			if (len && is_names)
				take_package(p, continuation_line(p, line, nth), value, len);
			value += len + (value + len < end);
		}
		value += *value == '\n';
	}
}

static void is_for_later(struct parse *p, unsigned line, const char *key, const char *advice)
{
	refuse(p, line, "'%s' is not available in this version of Silver: %s", key, advice);
}

static void is_legacy(struct parse *p, unsigned line, const char *key, const char *advice)
{
	warn(p, line, "'%s' has no effect: %s", key, advice);
}

static void is_never(struct parse *p, unsigned line, const char *key, const char *advice)
{
	refuse(p, line, "'%s' is not accepted: %s", key, advice);
}

static const struct key keys[] = {
	{"app_name", take_app_name, NULL, "Must equal the app that is pushed to."},
	{"platform", take_platform, NULL, "What runs the app: python (default), static or exec."},
	{"runner", take_runner, NULL, "The file that serves requests; required but for static."},
	{"health", take_health, NULL,
	 "URL path that must answer below 400 before a release goes live."},
	{"default_location", take_location, NULL,
	 "Host name given to the app on its first deploy."},
	{"packages", take_packages, NULL, "Debian packages that must be installed on the node."},

	{"php_root", NULL, is_for_later, "it runs python, static and exec"},
	{"update_fetch", NULL, is_for_later, "nothing is run before a release is live; remove it"},
	{"test", NULL, is_for_later, "no checks of the app are run; 'health' is what it has"},
	{"service.php", NULL, is_legacy, "'platform' says what runs the app"},
	{"service.", NULL, is_for_later, "no services are provided; remove it"},
	{"config.", NULL, is_for_later, "apps have no configuration yet; remove it"},

	{"version", NULL, is_legacy, "the releases are numbered by the node; remove it"},
	{"default_host", NULL, is_legacy, "'default_location' replaces it"},
	{"default_hostname", NULL, is_legacy, "'default_location' replaces it"},
	{"default_node", NULL, is_legacy, "the git remote that is pushed to replaces it"},
	{"package_install_script", NULL, is_never,
	 "root never runs a file of the app; the operator adds apt sources, and 'packages' names "
	 "what is needed"},
	{"after_install_script", NULL, is_never,
	 "root never runs a file of the app; 'packages' names what is needed, and the app prepares "
	 "itself when it starts"},
};

/* What a section that is not [production] is for, or NULL. */
static const char *later_section(const char *section)
{
	static const char *const later[] = {"process:", "cron:", "limits"};

	for (size_t i = 0; i < ARRAY_SIZE(later); i++)
		if (strncasecmp(section, later[i], strlen(later[i])) == 0)
			return later[i];
	return NULL;
}

static void refuse_section(struct parse *p, unsigned line, const char *section)
{
	static const char *const sections[] = {SECTION};
	autofree char *v = appini_shown(section, strlen(section));

	if (p->refused_section && strcmp(p->refused_section, section) == 0)
		return;
	free(p->refused_section);
	p->refused_section = xstrdup(section);
	p->runner_told = p->runner_told || !later_section(section);
	if (*section == '\0')
		refuse(p, line, "a key above the first section; put [" SECTION "] above it");
	else if (later_section(section))
		refuse(p, section_line(p, line),
		       "section [%s] is not available in this version of Silver; remove it", v);
	else if (name_nearest(section, sections, 1) || strcasecmp(section, SECTION) == 0)
		refuse(p, section_line(p, line),
		       "unknown section [%s] (did you mean [" SECTION "]?)", v);
	else
		refuse(p, section_line(p, line),
		       "unknown section [%s]; app.ini has one, [" SECTION "]", v);
}

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		size_t len = strlen(keys[i].name);

		if (keys[i].name[len - 1] == '.' ? strncasecmp(name, keys[i].name, len) == 0
						 : strcasecmp(name, keys[i].name) == 0)
			return &keys[i];
	}
	return NULL;
}

static void refuse_unknown(struct parse *p, unsigned line, const char *name)
{
	const char *names[ARRAY_SIZE(keys)], *near;
	autofree char *v = appini_shown(name, strlen(name)), *lower = xstrdup(name);
	autostrbuf struct strbuf all = STRBUF_INIT;

	for (char *c = lower; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		names[i] = keys[i].name;
		if (keys[i].take)
			strbuf_addf(&all, "%s%s", all.len ? ", " : "", keys[i].name);
	}
	near = name_nearest(lower, names, ARRAY_SIZE(names));
	if (near && strcmp(near, "runner") == 0)
		p->runner_told = true;
	if (near)
		refuse(p, line, "unknown key '%s' (did you mean '%s'?)", v, near);
	else
		refuse(p, line, "unknown key '%s'; the keys are %s", v, strbuf_str(&all));
}

/* False where the value's shape is wrong: nothing there, or more lines than the key takes. */
static bool check_shape(struct parse *p, unsigned line, const struct key *key, const char *value)
{
	const char *next = strchr(value, '\n');
	unsigned before = p->n_errors;

	for (unsigned nth = 1; next; next = strchr(next + 1, '\n'), nth++) {
		autofree char *v = appini_shown(next + 1, strcspn(next + 1, "\n"));

		if (looks_like_key(next + 1))
			refuse(p, continuation_line(p, line, nth),
			       "'%s' is indented, so it is read as part of '%s' in line %u; remove "
			       "the blanks before it",
			       v, key->name, line);
		else if (key->take && key->take != take_packages)
			refuse(p, continuation_line(p, line, nth),
			       "'%s' has a second line, '%s'; it takes one", key->name, v);
	}
	if (key->take && *value == '\0')
		refuse(p, line, "'%s' has no value; remove the line, or set it", key->name);
	return p->n_errors == before;
}

static void on_key(void *ctx, unsigned line, const char *section, const char *name,
		   const char *value)
{
	struct parse *p = ctx;
	const struct key *key = find_key(name);
	const char *interpolated = strstr(value, "%(");
	unsigned *seen;

	if (strcmp(section, SECTION) != 0) {
		refuse_section(p, line, section);
		return;
	}
	if (!key) {
		refuse_unknown(p, line, name);
		return;
	}
	seen = &p->seen[key - keys];
	if (*seen && key->take) {
		refuse(p, line, "'%s' is set twice, here and in line %u; keep one", key->name,
		       *seen);
		return;
	}
	*seen = line;
	if (interpolated && strstr(interpolated, ")s"))
		warn(p, line, "'%%(...)s' in '%s' is taken as it stands: write the value out",
		     key->name);
	if (!check_shape(p, line, key, value)) {
		p->runner_told = true;
		if (key->take != take_packages)
			return;
	}
	if (key->take)
		key->take(p, line, value);
	else
		key->decline(p, line, name, key->words);
}

static void on_problem(void *ctx, unsigned line, const char *text)
{
	refuse(ctx, line, "%s", text);
}

static void check_whole(struct parse *p)
{
	struct appini *ini = p->ini;
	bool is_python = ini->platform && strcmp(ini->platform, "python") == 0;
	bool is_static = ini->platform && strcmp(ini->platform, "static") == 0;

	if (is_static && ini->runner)
		refuse(p, ini->runner_line,
		       "platform 'static' has no runner: remove it, or set platform = python or "
		       "exec");
	if (is_static && ini->health)
		warn(p, 0, "'health' has no effect: a static app has no process to ask");
	if (ini->platform && !is_static && !ini->runner && !p->runner_told)
		refuse(p, 0,
		       "'runner' is missing; platform '%s' needs it, for example: runner = %s",
		       ini->platform, is_python ? "src/app.py#application" : "bin/serve");
	if (ini->platform && !is_static && ini->runner) {
		autofree char *problem = runner_problem(ini->platform, ini->runner);

		if (problem)
			refuse(p, ini->runner_line, "%s", problem);
	}
}

unsigned appini_parse(struct appini *out, const char *app, const char *text, size_t len,
		      struct strv *errors, struct strv *warnings)
{
	unsigned seen[ARRAY_SIZE(keys)] = {0};
	struct parse p = {
		.ini = out,
		.app = app,
		.text = text,
		.end = text + len,
		.errors = errors,
		.warnings = warnings,
		.first_error = errors->n,
		.first_warning = warnings->n,
		.seen = seen,
	};

	*out = (struct appini){.platform = xstrdup("python")};
	(void)ini_parse_text(text, len, on_key, on_problem, &p); /* on_problem counts them */
	check_whole(&p);
	strv_sort(&out->packages);
	if (!out->platform)
		out->platform = xstrdup("python");
	free(p.refused_section);
	return p.n_errors;
}

void appini_release(struct appini *ini)
{
	free(ini->app_name);
	free(ini->platform);
	free(ini->runner);
	free(ini->health);
	free(ini->default_location);
	strv_free_p(&ini->packages);
	*ini = (struct appini){0};
}

char *appini_runner_file(const struct appini *ini)
{
	return ini->runner ? runner_file(ini->platform, ini->runner) : NULL;
}

void appini_describe(struct strbuf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].take)
			strbuf_addf(out, "%s\t%s\n", keys[i].name, keys[i].words);
}

const char *appini_example(void)
{
	return "[production]\n"
	       "platform = python\n"
	       "runner = app.py#application\n";
}
