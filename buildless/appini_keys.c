/* appini_keys.c - the keys of [production], and what each of them takes. */
#include "buildless/appini_parse.h"

#include "buildless/runner.h"
#include "common/names.h"
#include "common/words.h"
#include "runtime/location.h"

static void take_app_name(struct parse *p, const struct place *at, const char *value)
{
	autofree char *v = appini_shown(value, strlen(value));

	p->ini->app_name = xstrdup(value);
	if (strcmp(value, p->app) != 0)
		appini_refuse(p, at->line,
			      "app_name is '%s', but the push goes to '%s'; remove the line, or "
			      "push to the app it names",
			      v, p->app);
}

static void take_platform(struct parse *p, const struct place *at, const char *value)
{
	static const char *const platforms[] = {"python", "php", "static", "exec"};
	autofree char *v = appini_shown(value, strlen(value));
	const char *near = name_nearest(value, platforms, ARRAY_SIZE(platforms));
	struct runspec *run = &p->ini->run;

	free(steal_ptr(&run->platform));
	for (size_t i = 0; i < ARRAY_SIZE(platforms); i++)
		if (strcmp(value, platforms[i]) == 0)
			run->platform = xstrdup(value);
	if (!run->platform) /* and no more findings that guess at it */
		appini_refuse(p, at->line,
			      "unknown platform '%s'%s%s%s; it is one of python, php, static, exec",
			      v, near ? " (did you mean '" : "", near ? near : "",
			      near ? "'?)" : "");
}

static void take_runner(struct parse *p, const struct place *at, const char *value)
{
	p->ini->run.runner = xstrdup(value);
	p->ini->runner_line = at->line;
}

static void take_php_root(struct parse *p, const struct place *at, const char *value)
{
	autofree char *v = appini_shown(value, strlen(value)), *path = xstrdup(value);

	while (str_ends(path, "/"))
		path[strlen(path) - 1] = '\0';
	p->ini->php_root_line = at->line;
	if (runner_is_tree_path(path))
		p->ini->run.php_root = steal_ptr(&path);
	else
		appini_refuse(p, at->line,
			      "php_root '%s' is no directory of the tree; it is relative to the "
			      "top, without '.', '..' and blanks",
			      v);
}

static bool is_url_path(const char *value)
{
	return *value == '/' && appini_is_plain(value) && !strchr(value, '#');
}

static void take_health(struct parse *p, const struct place *at, const char *value)
{
	autofree char *v = appini_shown(value, strlen(value));

	if (is_url_path(value))
		p->ini->run.health = xstrdup(value);
	else
		appini_refuse(p, at->line,
			      "health '%s' is no URL path; it starts with '/', without blanks or "
			      "'#', and what is not ASCII is written %%XX",
			      v);
}

/* What is wrong with "/path" or "script:bin/x args", or NULL. The caller frees. */
static char *task_problem(const char *task)
{
	autofree char *v = appini_shown(task, strlen(task));

	if (str_starts(task, "script:"))
		return appini_command_problem(task + strlen("script:"));
	if (is_url_path(task))
		return NULL;
	return xasprintf("'%s' is neither a URL path like /setup nor script:bin/program ARGS", v);
}

static void take_tasks(struct parse *p, const struct place *at, const char *value,
		       struct appini_tasks *out)
{
	for (unsigned nth = 0; *value; nth++) {
		size_t len = strcspn(value, "\n");
		autofree char *task = xstrndup(value, len), *problem = NULL;
		unsigned line = appini_continuation_line(p, at->line, nth);

		value += len + (value[len] == '\n');
		if (len == 0 || (nth && appini_looks_like_key(task)))
			continue; /* the value begins in the next line; told already */
		problem = task_problem(task);
		if (problem) {
			appini_refuse(p, line, "%s: %s", at->name, problem);
			continue;
		}
		out->v = xrealloc_array(out->v, out->n + 1, sizeof(*out->v));
		out->v[out->n++] = (struct appini_task){steal_ptr(&task), line};
	}
}

static void take_update_fetch(struct parse *p, const struct place *at, const char *value)
{
	take_tasks(p, at, value, &p->ini->update_fetch);
}

static void take_checkpoint(struct parse *p, const struct place *at, const char *value)
{
	autofree char *v = appini_shown(value, strlen(value));
	bool yes = false;

	if (!appini_is_yes_or_no(value, &yes))
		appini_refuse(p, at->line, "checkpoint '%s' is neither true nor false", v);
	p->ini->checkpoint_line = yes ? at->line : 0;
}

static void take_test(struct parse *p, const struct place *at, const char *value)
{
	take_tasks(p, at, value, &p->ini->test);
}

static void take_location(struct parse *p, const struct place *at, const char *value)
{
	autofree char *v = appini_shown(value, strlen(value));
	autofree char *host = xstrndup(value, strcspn(value, "/"));
	struct error err = ERROR_INIT;

	p->ini->location_line = at->line;
	if (strstr(value, "://"))
		appini_refuse(p, at->line,
			      "default_location '%s' is a host name, without 'http://'", v);
	else if (name_check_host(host, &err) == -1)
		appini_refuse(p, at->line, "default_location: %s", err.text);
	else if (!location_path_is_good(value + strlen(host)))
		appini_refuse(p, at->line,
			      "default_location '%s': the path is /one/two, of letters, digits and "
			      "'._~-', without a '/' at its end",
			      v);
	else
		p->ini->default_location = xstrdup(value);
}

static void take_package(struct parse *p, unsigned line, const char *word, size_t len)
{
	autofree char *name = xstrndup(word, len), *v = appini_shown(word, len);

	if (!name_is_package(name)) {
		appini_refuse(p, line,
			      "'%s' is no name of a Debian package: a-z, 0-9, '+', '-' and '.', at "
			      "least two characters, no version",
			      v);
	} else if (!strv_has(&p->ini->packages, name)) {
		strv_add(&p->ini->packages, name);
		strv_addf(&p->ini->package_lines, "%s %u", name, line);
	}
}

static void take_packages(struct parse *p, const struct place *at, const char *value)
{
	p->ini->packages_line = at->line;
	for (unsigned nth = 0; *value; nth++) {
		const char *end = value + strcspn(value, "\n");
		unsigned line = appini_continuation_line(p, at->line, nth);
		bool is_names = nth == 0 || !appini_looks_like_key(value); /* else told already */

		while (value < end) {
			size_t len = strcspn(value, " \t,\n");

			if (len && is_names)
				take_package(p, line, value, len);
			value += len + (value + len < end);
		}
		value += *value == '\n';
	}
}

/* "service.NAME". Which names a node has is not known here (check_services.h). */
static void take_service(struct parse *p, const struct place *at, const char *value)
{
	struct appini_services *s = &p->ini->services;
	autofree char *name = xstrdup(at->name + strlen("service."));
	struct error err = ERROR_INIT;

	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + ('a' - 'A'));
	if (name_check_service(name, &err) == -1) {
		appini_refuse(p, at->line, "%s", err.text);
		return;
	}
	s->v = xrealloc_array(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = (struct appini_service){steal_ptr(&name), xstrdup(value), at->line};
}

static void is_legacy(struct parse *p, const struct place *at, const char *advice)
{
	appini_warn(p, at->line, "'%s' has no effect: %s", at->name, advice);
}

static void is_never(struct parse *p, const struct place *at, const char *advice)
{
	appini_refuse(p, at->line, "'%s' is not accepted: %s", at->name, advice);
}

const struct key appini_production_keys[] = {
	{"app_name", take_app_name, NULL, "Must equal the app that is pushed to.", 0},
	{"platform", take_platform, NULL,
	 "What runs the app: python (default), php, static or exec.", 0},
	{"runner", take_runner, NULL, "The file that serves requests; required but for static.", 0},
	{"php_root", take_php_root, NULL, "php: a directory whose files are served, except PHP's.",
	 0},
	{"health", take_health, NULL,
	 "URL path that must answer below 400 before a release goes live.", 0},
	{"update_fetch", take_update_fetch, NULL,
	 "URL paths and script:PROGRAM lines, run in order before a release goes live.", KEY_LINES},
	{"test", take_test, NULL, "The same, run after update_fetch: checks that must pass.",
	 KEY_LINES},
	{"checkpoint", take_checkpoint, NULL,
	 "true: the data are kept before update_fetch, and put back when the push is refused.", 0},
	{"default_location", take_location, NULL,
	 "HOST or HOST/PATH given to the app on its first deploy.", 0},
	{"packages", take_packages, NULL,
	 "Debian packages that the app needs; the node installs what is missing.", KEY_LINES},

	{"config.required", appini_take_config_required, NULL,
	 "Variables and files that `silver config` must have set; or true: anything.", KEY_LINES},
	{"config.default", appini_take_config_default, NULL,
	 "NAME=VALUE lines for what is not set; a directory, where no file was put.",
	 KEY_LINES | KEY_ASSIGNS},
	{"config.template", appini_take_config_template, NULL,
	 "A directory of the tree that helps to write a configuration.", 0},
	{"config.checker", appini_take_config_checker, NULL,
	 "module:function, called with the configuration's directory; it may raise.", 0},
	{"service.php", NULL, is_legacy, "'platform' says what runs the app", 0},
	{"service.", take_service, NULL, "Asks for the service NAME: postgresql, postgis, ...",
	 KEY_MAY_BE_EMPTY},

	{"version", NULL, is_legacy, "the releases are numbered by the node; remove it", 0},
	{"default_host", NULL, is_legacy, "'default_location' replaces it", 0},
	{"default_hostname", NULL, is_legacy, "'default_location' replaces it", 0},
	{"default_node", NULL, is_legacy, "the git remote that is pushed to replaces it", 0},
	{"package_install_script", NULL, is_never,
	 "root never runs a file of the app; the operator adds apt sources, and 'packages' names "
	 "what is needed",
	 0},
	{"after_install_script", NULL, is_never,
	 "root never runs a file of the app; 'packages' names what is needed, and 'update_fetch' "
	 "prepares a release",
	 0},
	{NULL, NULL, NULL, NULL, 0},
};
