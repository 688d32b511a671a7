#include "buildless/check_appini.h"

#include "buildless/packages.h"
#include "common/words.h"
#include "runtime/php.h"

#define APPINI_MAX 262144

struct reading {
	struct repo *repo;
	const char *tree;
	struct strv *errors, *warnings;
};

/* "app.ini:7: " or "app.ini: ". The caller frees. */
static char *at_line(unsigned line)
{
	return line ? xasprintf("app.ini:%u: ", line) : xstrdup("app.ini: ");
}

/* 1: it is there; 0: it is not, and a finding says so where `what` is not NULL. */
static int check_path(struct reading *c, unsigned line, const char *what, const char *path,
		      enum repo_entry_kind *kind, struct error *err)
{
	autofree char *where = at_line(line);

	if (repo_stat_path(c->repo, c->tree, path, kind, err) == 0)
		return 1;
	if (err->code == E_NOTFOUND && what)
		strv_addf(
			c->errors,
			"%s%s '%s' is not in the tree; is it committed? `git ls-files %s` lists it "
			"then",
			where, what, path, path);
	else if (err->code == E_REFUSED)
		strv_addf(c->errors, "%s%s", where, err->text);
	else if (err->code != E_NOTFOUND)
		return -1;
	return 0;
}

static void refuse_mode(struct reading *c, unsigned line, const char *what, const char *path)
{
	strv_addf(c->errors,
		  "app.ini:%u: %s '%s' is not executable: `git update-index --chmod=+x %s`, then "
		  "commit",
		  line, what, path, path);
}

static int check_runner_file(struct reading *c, const struct appini *ini, const char *file,
			     struct error *err)
{
	enum repo_entry_kind kind = REPO_ENTRY_FILE;
	int there = check_path(c, ini->runner_line, "runner", file, &kind, err);

	if (there != 1)
		return there;
	if (kind == REPO_ENTRY_TREE || kind == REPO_ENTRY_GITLINK)
		strv_addf(c->errors, "app.ini:%u: runner '%s' is a directory; name a file",
			  ini->runner_line, file);
	else if (strcmp(ini->run.platform, "exec") == 0 && kind != REPO_ENTRY_EXEC)
		refuse_mode(c, ini->runner_line, "runner", file);
	return 0;
}

/* "shop.wsgi:app": a module that is nowhere in the tree may still be one of a Debian package. */
static int check_runner_module(struct reading *c, const struct appini *ini, struct error *err)
{
	static const char *const roots[] = {"", "src/", "lib/python/"};
	static const char *const forms[] = {".py", "/__init__.py"};
	size_t len = strcspn(ini->run.runner, ":");
	autofree char *module = xstrndup(ini->run.runner, len), *path = xstrdup(module);

	for (char *dot = strchr(path, '.'); dot; dot = strchr(dot, '.'))
		*dot = '/';
	for (size_t i = 0; i < ARRAY_SIZE(roots) * ARRAY_SIZE(forms); i++) {
		autofree char *file = xasprintf("%s%s%s", roots[i / ARRAY_SIZE(forms)], path,
						forms[i % ARRAY_SIZE(forms)]);
		int there = check_path(c, ini->runner_line, NULL, file, NULL, err);

		if (there != 0)
			return there == 1 ? 0 : -1;
	}
	strv_addf(c->warnings,
		  "app.ini:%u: no module '%s' at the top of the tree, in src/ or in lib/python/; "
		  "it has "
		  "to come from elsewhere",
		  ini->runner_line, module);
	return 0;
}

static int check_static_dir(struct reading *c, struct error *err)
{
	enum repo_entry_kind kind = REPO_ENTRY_TREE;
	int there = check_path(c, 0, NULL, "static", &kind, err);

	if (there == -1)
		return -1;
	if (there == 0 || kind != REPO_ENTRY_TREE)
		strv_addf(c->errors,
			  "app.ini: platform 'static' serves the files below static/, and the "
			  "tree has no such directory");
	return 0;
}

static int check_runner(struct reading *c, const struct appini *ini, struct error *err)
{
	autofree char *file = appini_runner_file(ini);

	if (strcmp(ini->run.platform, "static") == 0)
		return check_static_dir(c, err);
	if (file)
		return check_runner_file(c, ini, file, err);
	return ini->run.runner ? check_runner_module(c, ini, err) : 0;
}

/* path: NULL where the key is absent. */
static int check_dir(struct reading *c, unsigned line, const char *key, const char *path,
		     struct error *err)
{
	enum repo_entry_kind kind = REPO_ENTRY_TREE;
	int there;

	if (!path)
		return 0;
	there = check_path(c, line, key, path, &kind, err);
	if (there == 1 && kind != REPO_ENTRY_TREE)
		strv_addf(c->errors, "app.ini:%u: %s '%s' is no directory", line, key, path);
	return there == -1 ? -1 : 0;
}

static int check_dirs(struct reading *c, const struct appini *ini, struct error *err)
{
	const struct appini_config *config = &ini->config;

	if (check_dir(c, ini->php_root_line, "php_root", ini->run.php_root, err) == -1 ||
	    check_dir(c, config->default_line, "config.default", config->default_dir, err) == -1)
		return -1;
	return check_dir(c, config->template_line, "config.template", config->template_dir, err);
}

/* A program with a '/' in its name is one of the tree (or of the node, when it starts with one). */
static int check_command(struct reading *c, unsigned line, const char *command, struct error *err)
{
	autostrv struct strv words = STRV_INIT;
	enum repo_entry_kind kind = REPO_ENTRY_EXEC;
	const char *path;
	int there;

	if (words_split(command, strlen(command), &words, err) == -1)
		return -1;
	path = str_starts(words.v[0], "./") ? words.v[0] + 2 : words.v[0];
	if (*path == '/' || !strchr(path, '/'))
		return 0;
	there = check_path(c, line, "program", path, &kind, err);
	if (there == 1 && kind == REPO_ENTRY_TREE)
		strv_addf(c->errors, "app.ini:%u: '%s' is a directory; name a program", line, path);
	else if (there == 1 && kind != REPO_ENTRY_EXEC)
		refuse_mode(c, line, "program", path);
	return there == -1 ? -1 : 0;
}

static int check_tasks(struct reading *c, const struct appini_tasks *tasks, struct error *err)
{
	for (size_t i = 0; i < tasks->n; i++) {
		const char *text = tasks->v[i].text;

		if (str_starts(text, "script:") &&
		    check_command(c, tasks->v[i].line, text + strlen("script:"), err) == -1)
			return -1;
	}
	return 0;
}

static int check_commands(struct reading *c, const struct appini *ini, struct error *err)
{
	const struct runspec *run = &ini->run;

	for (size_t i = 0; i < run->n_processes; i++)
		if (check_command(c, run->process[i].line, run->process[i].command, err) == -1)
			return -1;
	for (size_t i = 0; i < run->n_crons; i++)
		if (check_command(c, run->cron[i].line, run->cron[i].command, err) == -1)
			return -1;
	if (check_tasks(c, &ini->update_fetch, err) == -1)
		return -1;
	return check_tasks(c, &ini->test, err);
}

/* A node that serves no PHP needs none. `packages = php-fpm` brings it, where root installs them.
 */
static void check_php(struct reading *c, const struct appini *ini)
{
	autofree char *where = at_line(ini->runner_line), *program = NULL;
	const struct runspec *run = &ini->run;

	if (strcmp(run->platform, "php") != 0)
		return;
	program = php_program();
	if (!program && !strv_has(&ini->packages, PHP_PACKAGE))
		strv_addf(c->errors,
			  "app.ini: platform 'php' needs php-fpm, which is not installed on this "
			  "node: apt-get install --no-install-recommends " PHP_PACKAGE);
	if (!php_is_path(run->runner) || (run->php_root && !php_is_path(run->php_root)))
		strv_addf(c->errors,
			  "%srunner and php_root of platform 'php' are paths of letters, digits, "
			  "'.', '_', '-' and '/'",
			  where);
}

static bool has_appini(struct reading *c, struct error *err)
{
	struct repo_tree *root = NULL;
	struct repo_entry entry;
	bool found = repo_tree_open(c->repo, c->tree, &root, err) == 0 &&
		     repo_tree_find(root, "app.ini", &entry);

	repo_tree_free(root);
	return found;
}

/* 1: read; 0: it cannot be, and a finding says why. */
static int read_appini(struct reading *c, struct strbuf *text, struct error *err)
{
	struct error ignored = ERROR_INIT;

	if (repo_read_path(c->repo, c->tree, "app.ini", APPINI_MAX, text, NULL, err) == 0)
		return 1;
	if (err->code != E_NOTFOUND && err->code != E_REFUSED)
		return -1;
	if (err->code == E_REFUSED || has_appini(c, &ignored)) /* a link that leads nowhere */
		strv_addf(c->errors, "app.ini: it cannot be read: %s", err->text);
	else
		strv_addf(c->errors,
			  "app.ini: there is none at the top of the tree; a small one is\n%s"
			  "(app.ini(5); `platform = static` serves the files below static/)",
			  appini_example());
	return 0;
}

int check_appini(struct repo *repo, const struct app *app, const char *tree, struct appini *ini,
		 struct strv *errors, struct strv *warnings, struct strv *packages,
		 struct error *err)
{
	struct reading reading = {repo, tree, errors, warnings}, *c = &reading;
	autostrbuf struct strbuf text = STRBUF_INIT;
	int there = read_appini(c, &text, err);

	if (there != 1)
		return there;
	/* a runner or a package that was refused is not looked for */
	if (appini_parse(ini, app->name, strbuf_str(&text), text.len, c->errors, c->warnings))
		return 0;
	check_php(c, ini);
	if (check_runner(c, ini, err) == -1 || check_dirs(c, ini, err) == -1 ||
	    check_commands(c, ini, err) == -1)
		return -1;
	return packages_check(app, ini, c->errors, packages, err);
}
