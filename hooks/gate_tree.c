/* The tree of a push: what may not be laid out in a slot, and what app.ini names.
 *
 * Only what the live tree does not have is looked at, so a finding is about this push. git's own
 * fsck (receive.fsckObjects) has refused before us what is malformed as an object: unsorted or
 * double entries, and the spellings of ".git" that only other file systems take for it. */
#include "hooks/gate.h"

#include <strings.h>
#include "buildless/packages.h"
#include "common/names.h"
#include "hooks/links.h"

#define NAME_BYTES_MAX 255
#define PATH_BYTES_MAX 3000
#define APPINI_MAX     262144
#define LFS_BYTES_MIN  100 /* a pointer has a version, a sha256 and a size, so it is not shorter */
#define LFS_BYTES_MAX  1024
#define LFS_START      "version https://git-lfs.github.com/spec/"

struct gate {
	struct repo *repo;
	const struct app *app;
	const char *tree;
	struct links *links;
	struct strv *errors, *warnings;
};

static void PRINTF_LIKE(2, 3) add(struct strv *list, const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) == -1)
		abort();
	va_end(args);
	strv_add(list, text);
}

static const char *name_problem(const char *name)
{
	if (*name == '\0')
		return "an entry without a name";
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return "an entry that is called '.' or '..'";
	if (strcasecmp(name, ".git") == 0)
		return "nothing in a tree may be called .git";
	if (strchr(name, '/'))
		return "a name with a slash in it";
	if (strlen(name) > NAME_BYTES_MAX)
		return "a name of more than 255 bytes";
	return NULL;
}

static void check_name(struct gate *g, const char *path, const char *name)
{
	const char *problem = name_problem(name);
	autofree char *shown = NULL;

	if (!problem && strlen(path) <= PATH_BYTES_MAX)
		return;
	shown = name_printable(path);
	if (problem)
		add(g->errors, "%s: %s; rename or remove it", shown, problem);
	else
		add(g->errors, "%.100s...: a path of more than 3000 bytes; shorten it", shown);
}

static int check_file(struct gate *g, const char *path, const struct repo_entry *now,
		      struct error *err)
{
	autostrbuf struct strbuf content = STRBUF_INIT;
	autofree char *shown = NULL, *arg = NULL;
	uint64_t bytes;

	if (repo_blob_size(g->repo, now->oid, &bytes, err) == -1)
		return -1;
	if (bytes < LFS_BYTES_MIN || bytes > LFS_BYTES_MAX)
		return 0;
	if (repo_read_blob(g->repo, now->oid, LFS_BYTES_MAX, &content, err) == -1)
		return -1;
	if (!str_starts(content.buf, LFS_START))
		return 0;
	shown = name_printable(path);
	arg = name_shell_quoted(path);
	add(g->errors,
	    "%s: a Git LFS pointer, not the file; files are committed whole: "
	    "`git lfs untrack %s && git add --renormalize %s`, then commit",
	    shown, arg, arg);
	return 0;
}

static void refuse_kind(struct gate *g, const char *path, const struct repo_entry *now)
{
	autofree char *shown = name_printable(path), *arg = name_shell_quoted(path);

	if (now->kind == REPO_ENTRY_GITLINK)
		add(g->errors,
		    "%s: a submodule, of which a push brings no files; commit its files instead: "
		    "`git rm --cached %s && rm -rf %s/.git && git add %s`",
		    shown, arg, arg, arg);
	else
		add(g->errors,
		    "%s: mode %06o; files are 100644 or 100755, links 120000: `git rm --cached %s "
		    "&& git add %s`, then commit",
		    shown, now->mode, arg, arg);
}

static int check_entry(void *ctx, const char *path, const struct repo_entry *was,
		       const struct repo_entry *now, struct error *err)
{
	struct gate *g = ctx;

	if (!now)
		return 0;
	check_name(g, path, now->name);
	switch (now->kind) {
	case REPO_ENTRY_TREE:
		return 0;
	case REPO_ENTRY_FILE:
	case REPO_ENTRY_EXEC:
		return was && strcmp(was->oid, now->oid) == 0 ? 0 : check_file(g, path, now, err);
	case REPO_ENTRY_LINK:
		return links_add(g->links, path, now->oid, err);
	case REPO_ENTRY_GITLINK:
	case REPO_ENTRY_BAD_MODE:
		refuse_kind(g, path, now);
		return 0;
	}
	return 0;
}

static int check_entries(struct gate *g, const char *old_tree, struct error *err)
{
	autolinks struct links *links = links_new(g->repo, g->tree, *old_tree == '\0', g->errors);

	g->links = links;
	if (repo_diff(g->repo, old_tree, g->tree, check_entry, g, err) == -1) {
		if (err->code != E_REFUSED)
			return -1;
		strv_add(g->errors, err->text);
		return 0;
	}
	return links_check(links, err);
}

/* "app.ini:7: " or "app.ini: ". The caller frees. */
static char *at_line(unsigned line)
{
	return line ? xasprintf("app.ini:%u: ", line) : xstrdup("app.ini: ");
}

/* 1: it is there; 0: it is not, and a finding says so where `what` is not NULL. */
static int check_path(struct gate *g, unsigned line, const char *what, const char *path,
		      enum repo_entry_kind *kind, struct error *err)
{
	autofree char *where = at_line(line);

	if (repo_stat_path(g->repo, g->tree, path, kind, err) == 0)
		return 1;
	if (err->code == E_NOTFOUND && what)
		add(g->errors,
		    "%s%s '%s' is not in the tree; is it committed? `git ls-files %s` lists it "
		    "then",
		    where, what, path, path);
	else if (err->code == E_REFUSED)
		add(g->errors, "%s%s", where, err->text);
	else if (err->code != E_NOTFOUND)
		return -1;
	return 0;
}

static int check_runner_file(struct gate *g, const struct appini *ini, const char *file,
			     struct error *err)
{
	enum repo_entry_kind kind = REPO_ENTRY_FILE;
	int there = check_path(g, ini->runner_line, "runner", file, &kind, err);

	if (there != 1)
		return there;
	if (kind == REPO_ENTRY_TREE || kind == REPO_ENTRY_GITLINK)
		add(g->errors, "app.ini:%u: runner '%s' is a directory; name a file",
		    ini->runner_line, file);
	else if (strcmp(ini->platform, "exec") == 0 && kind != REPO_ENTRY_EXEC)
		add(g->errors,
		    "app.ini:%u: runner '%s' is not executable: `git update-index --chmod=+x %s`, "
		    "then commit",
		    ini->runner_line, file, file);
	return 0;
}

/* "shop.wsgi:app": a module that is nowhere in the tree may still be one of a Debian package. */
static int check_runner_module(struct gate *g, const struct appini *ini, struct error *err)
{
	static const char *const roots[] = {"", "src/", "lib/python/"};
	static const char *const forms[] = {".py", "/__init__.py"};
	size_t len = strcspn(ini->runner, ":");
	autofree char *module = xstrndup(ini->runner, len), *path = xstrdup(module);

	for (char *dot = strchr(path, '.'); dot; dot = strchr(dot, '.'))
		*dot = '/';
	for (size_t i = 0; i < ARRAY_SIZE(roots) * ARRAY_SIZE(forms); i++) {
		autofree char *file = xasprintf("%s%s%s", roots[i / ARRAY_SIZE(forms)], path,
						forms[i % ARRAY_SIZE(forms)]);
		int there = check_path(g, ini->runner_line, NULL, file, NULL, err);

		if (there != 0)
			return there == 1 ? 0 : -1;
	}
	add(g->warnings,
	    "app.ini:%u: no module '%s' at the top of the tree, in src/ or in lib/python/; it has "
	    "to come from elsewhere",
	    ini->runner_line, module);
	return 0;
}

static int check_static_dir(struct gate *g, struct error *err)
{
	enum repo_entry_kind kind = REPO_ENTRY_TREE;
	int there = check_path(g, 0, NULL, "static", &kind, err);

	if (there == -1)
		return -1;
	if (there == 0 || kind != REPO_ENTRY_TREE)
		add(g->errors, "app.ini: platform 'static' serves the files below static/, and the "
			       "tree has no such directory");
	return 0;
}

static int check_runner(struct gate *g, const struct appini *ini, struct error *err)
{
	autofree char *file = appini_runner_file(ini);

	if (strcmp(ini->platform, "static") == 0)
		return check_static_dir(g, err);
	if (file)
		return check_runner_file(g, ini, file, err);
	return ini->runner ? check_runner_module(g, ini, err) : 0;
}

static int check_packages(struct gate *g, const struct appini *ini, struct error *err)
{
	autostrv struct strv missing = STRV_INIT;
	autostrbuf struct strbuf names = STRBUF_INIT;

	if (packages_missing(&ini->packages, &missing, err) == -1)
		return -1;
	if (missing.n == 0)
		return 0;
	for (size_t i = 0; i < missing.n; i++)
		strbuf_addf(&names, "%s%s", i ? " " : "", missing.v[i]);
	add(g->errors,
	    "app.ini:%u: not installed on this node: %s; its operator installs them: `apt "
	    "install %s`",
	    ini->packages_line, names.buf, names.buf);
	return 0;
}

static bool has_appini(struct gate *g, struct error *err)
{
	struct repo_tree *root = NULL;
	struct repo_entry entry;
	bool found = repo_tree_open(g->repo, g->tree, &root, err) == 0 &&
		     repo_tree_find(root, "app.ini", &entry);

	repo_tree_free(root);
	return found;
}

/* 1: read; 0: it cannot be, and a finding says why. */
static int read_appini(struct gate *g, struct strbuf *text, struct error *err)
{
	struct error ignored = ERROR_INIT;

	if (repo_read_path(g->repo, g->tree, "app.ini", APPINI_MAX, text, NULL, err) == 0)
		return 1;
	if (err->code != E_NOTFOUND && err->code != E_REFUSED)
		return -1;
	if (err->code == E_REFUSED || has_appini(g, &ignored)) /* a link that leads nowhere */
		add(g->errors, "app.ini: it cannot be read: %s", err->text);
	else
		add(g->errors,
		    "app.ini: there is none at the top of the tree; a small one is\n%s"
		    "(app.ini(5); `platform = static` serves the files below static/)",
		    appini_example());
	return 0;
}

static int check_appini(struct gate *g, struct appini *ini, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	int there = read_appini(g, &text, err);

	if (there != 1)
		return there;
	/* a runner or a package that was refused is not looked for */
	if (appini_parse(ini, g->app->name, strbuf_str(&text), text.len, g->errors, g->warnings))
		return 0;
	if (check_runner(g, ini, err) == -1)
		return -1;
	return check_packages(g, ini, err);
}

int gate_tree(struct repo *repo, const struct app *app, const char *old_tree, const char *new_tree,
	      struct appini *ini, struct strv *errors, struct strv *warnings, struct error *err)
{
	struct gate g = {
		.repo = repo, .app = app, .tree = new_tree, .errors = errors, .warnings = warnings};

	*ini = (struct appini){.platform = NULL};
	if (check_appini(&g, ini, err) == -1 || check_entries(&g, old_tree, err) == -1)
		return error_prefix(err, "checking the tree");
	return 0;
}
