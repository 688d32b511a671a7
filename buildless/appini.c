#include "buildless/appini.h"

#include <strings.h>
#include "common/ini.h"
#include "common/names.h"

#define SECTION   "production"
#define PATH_LEN  3000
#define SHOWN_MAX 120 /* bytes of a value that a message shows */

struct parse {
	struct appini *ini;
	const char *app, *text, *end;
	struct strv *errors, *warnings;
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

static void PRINTF_LIKE(3, 0)
	add_finding(struct strv *list, unsigned line, const char *fmt, va_list args)
{
	autofree char *text = NULL;

	if (vasprintf(&text, fmt, args) == -1)
		abort();
	if (line)
		strv_addf(list, "app.ini:%u: %s", line, text);
	else
		strv_addf(list, "app.ini: %s", text);
}

static void PRINTF_LIKE(3, 4) refuse(struct parse *p, unsigned line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_finding(p->errors, line, fmt, args);
	va_end(args);
	p->n_errors++;
}

static void PRINTF_LIKE(3, 4) warn(struct parse *p, unsigned line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_finding(p->warnings, line, fmt, args);
	va_end(args);
}

/* A value from the file, safe to print and not too long. The caller frees. */
static char *shown(const char *value, size_t len)
{
	struct strbuf s = STRBUF_INIT;

	name_add_printable(&s, value, len > SHOWN_MAX ? SHOWN_MAX : len);
	if (len > SHOWN_MAX)
		strbuf_addstr(&s, "...");
	return strbuf_detach(&s);
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

/* Printable ASCII without blanks: what can stand in a record, a request line and an argument as it
 * is. */
static bool is_plain_word(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

static void take_app_name(struct parse *p, unsigned line, const char *value)
{
	autofree char *v = shown(value, strlen(value));

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
	autofree char *v = shown(value, strlen(value));
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
	autofree char *v = shown(value, strlen(value));

	if (*value != '/' || !is_plain_word(value) || strchr(value, '#'))
		refuse(p, line,
		       "health '%s' is no URL path; it starts with '/', without blanks or '#', and "
		       "what is not ASCII is written %%XX",
		       v);
	else
		p->ini->health = xstrdup(value);
}

static void take_location(struct parse *p, unsigned line, const char *value)
{
	autofree char *v = shown(value, strlen(value));
	struct error err = ERROR_INIT;

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
	autofree char *name = xstrndup(word, len), *v = shown(word, len);

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
	unsigned nth = 0;

	p->ini->packages_line = line;
	while (*value) {
		size_t len = strcspn(value, " \t,\n");

		if (len)
			take_package(p, continuation_line(p, line, nth), value, len);
		value += len;
		if (*value == '\n')
			nth++;
		value += *value != '\0';
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
	autofree char *v = shown(section, strlen(section));

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
	autofree char *v = shown(name, strlen(name)), *lower = xstrdup(name);
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

/* "key = value" or "known_key: value": an indented line that was meant to be a key of its own. */
static bool looks_like_key(const char *line)
{
	size_t len = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-"
				  "0123456789");
	autofree char *word = xstrndup(line, len);
	const char *rest = line + len + strspn(line + len, " \t");

	return len > 0 && (*rest == '=' || (*rest == ':' && find_key(word)));
}

/* False where the value's shape is wrong: nothing there, or more lines than the key takes. */
static bool check_shape(struct parse *p, unsigned line, const struct key *key, const char *value)
{
	const char *next = strchr(value, '\n');
	unsigned before = p->n_errors;

	for (unsigned nth = 1; next; next = strchr(next + 1, '\n'), nth++) {
		autofree char *v = shown(next + 1, strcspn(next + 1, "\n"));

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

/* A path inside the tree: relative, without empty, "." and ".." parts. */
static bool is_tree_path(const char *path)
{
	if (*path == '\0' || strlen(path) > PATH_LEN || !is_plain_word(path))
		return false;
	for (;;) {
		size_t len = strcspn(path, "/");

		if (len == 0 || (len == 1 && *path == '.') ||
		    (len == 2 && strncmp(path, "..", 2) == 0))
			return false;
		if (path[len] == '\0')
			return true;
		path += len + 1;
	}
}

/* "a.b.c", each part a Python identifier of ASCII. */
static bool is_dotted_name(const char *s)
{
	for (;;) {
		size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
				       "0123456789");

		if (len == 0 || (*s >= '0' && *s <= '9'))
			return false;
		if (s[len] == '\0')
			return true;
		if (s[len] != '.')
			return false;
		s += len + 1;
	}
}

static void check_python_runner(struct parse *p, const char *runner)
{
	unsigned line = p->ini->runner_line;
	autofree char *v = shown(runner, strlen(runner));
	const char *mark = strpbrk(runner, "#:");
	autofree char *file = mark ? xstrndup(runner, (size_t)(mark - runner)) : xstrdup(runner);

	if (str_ends(file, ".ini"))
		refuse(p, line,
		       "runner '%s': Paste Deploy files are not available in this version of "
		       "Silver; name a Python file",
		       v);
	else if (str_ends(file, ".py") && mark && *mark == ':')
		refuse(p, line, "runner '%s': the object of a file stands behind '#': %s#%s", v,
		       file, is_dotted_name(mark + 1) ? mark + 1 : "application");
	else if (mark && !is_dotted_name(mark + 1))
		refuse(p, line, "runner '%s': '%c' is followed by the name of a Python object", v,
		       *mark);
	else if (str_ends(file, ".py") && !is_tree_path(file))
		refuse(p, line,
		       "runner '%s' is no path in the tree; it is relative to the top, without "
		       "'.', '..' and blanks",
		       v);
	else if (!str_ends(file, ".py") && (!mark || *mark != ':' || !is_dotted_name(file)))
		refuse(p, line,
		       "runner '%s' is none of path/file.py, path/file.py#object, module:object",
		       v);
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
	if (is_python && ini->runner)
		check_python_runner(p, ini->runner);
	else if (ini->platform && !is_static && ini->runner && !is_tree_path(ini->runner))
		refuse(p, ini->runner_line,
		       "runner is the path of a program in the tree: relative to the top, without "
		       "arguments, blanks, '.' and '..'");
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
	const char *mark;

	if (!ini->runner)
		return NULL;
	if (strcmp(ini->platform, "python") != 0)
		return xstrdup(ini->runner);
	mark = strchr(ini->runner, '#');
	if (mark)
		return xstrndup(ini->runner, (size_t)(mark - ini->runner));
	return str_ends(ini->runner, ".py") ? xstrdup(ini->runner) : NULL;
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
