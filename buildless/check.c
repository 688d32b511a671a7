#include "buildless/check.h"

#include <strings.h>
#include "buildless/links.h"
#include "buildless/packages.h"
#include "buildless/release.h"
#include "common/names.h"

#define NAME_BYTES_MAX 255
#define PATH_BYTES_MAX 3000
#define APPINI_MAX     262144
#define LFS_BYTES_MIN  100 /* a pointer has a version, a sha256 and a size, so it is not shorter */
#define LFS_BYTES_MAX  1024
#define LFS_START      "version https://git-lfs.github.com/spec/"

struct check {
	struct repo *repo;
	const struct app *app;
	const char *tree;
	struct links *links;
	struct strv *errors, *warnings;
};

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

static void check_name(struct check *c, const char *path, const char *name)
{
	const char *problem = name_problem(name);
	autofree char *shown = NULL;

	if (!problem && strlen(path) <= PATH_BYTES_MAX)
		return;
	shown = name_printable(path);
	if (problem)
		strv_addf(c->errors, "%s: %s; rename or remove it", shown, problem);
	else
		strv_addf(c->errors, "%.100s...: a path of more than 3000 bytes; shorten it",
			  shown);
}

static int check_file(struct check *c, const char *path, const struct repo_entry *now,
		      struct error *err)
{
	autostrbuf struct strbuf content = STRBUF_INIT;
	autofree char *shown = NULL, *arg = NULL;
	uint64_t bytes;

	if (repo_blob_size(c->repo, now->oid, &bytes, err) == -1)
		return -1;
	if (bytes < LFS_BYTES_MIN || bytes > LFS_BYTES_MAX)
		return 0;
	if (repo_read_blob(c->repo, now->oid, LFS_BYTES_MAX, &content, err) == -1)
		return -1;
	if (!str_starts(content.buf, LFS_START))
		return 0;
	shown = name_printable(path);
	arg = name_shell_quoted(path);
	strv_addf(c->errors,
		  "%s: a Git LFS pointer, not the file; files are committed whole: "
		  "`git lfs untrack %s && git add --renormalize %s`, then commit",
		  shown, arg, arg);
	return 0;
}

static void refuse_kind(struct check *c, const char *path, const struct repo_entry *now)
{
	autofree char *shown = name_printable(path), *arg = name_shell_quoted(path);

	if (now->kind == REPO_ENTRY_GITLINK)
		strv_addf(c->errors,
			  "%s: a submodule, of which a push brings no files; commit its files "
			  "instead: "
			  "`git rm --cached %s && rm -rf %s/.git && git add %s`",
			  shown, arg, arg, arg);
	else
		strv_addf(c->errors,
			  "%s: mode %06o; files are 100644 or 100755, links 120000: `git rm "
			  "--cached %s "
			  "&& git add %s`, then commit",
			  shown, now->mode, arg, arg);
}

static int check_entry(void *ctx, const char *path, const struct repo_entry *was,
		       const struct repo_entry *now, struct error *err)
{
	struct check *c = ctx;

	if (!now)
		return 0;
	check_name(c, path, now->name);
	switch (now->kind) {
	case REPO_ENTRY_TREE:
		return 0;
	case REPO_ENTRY_FILE:
	case REPO_ENTRY_EXEC:
		return was && strcmp(was->oid, now->oid) == 0 ? 0 : check_file(c, path, now, err);
	case REPO_ENTRY_LINK:
		return links_add(c->links, path, now->oid, err);
	case REPO_ENTRY_GITLINK:
	case REPO_ENTRY_BAD_MODE:
		refuse_kind(c, path, now);
		return 0;
	}
	return 0;
}

static int check_entries(struct check *c, const char *old_tree, struct error *err)
{
	autolinks struct links *links = links_new(c->repo, c->tree, *old_tree == '\0', c->errors);

	c->links = links;
	if (repo_diff(c->repo, old_tree, c->tree, check_entry, c, err) == -1) {
		if (err->code != E_REFUSED)
			return -1;
		strv_add(c->errors, err->text);
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
static int check_path(struct check *c, unsigned line, const char *what, const char *path,
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

static int check_runner_file(struct check *c, const struct appini *ini, const char *file,
			     struct error *err)
{
	enum repo_entry_kind kind = REPO_ENTRY_FILE;
	int there = check_path(c, ini->runner_line, "runner", file, &kind, err);

	if (there != 1)
		return there;
	if (kind == REPO_ENTRY_TREE || kind == REPO_ENTRY_GITLINK)
		strv_addf(c->errors, "app.ini:%u: runner '%s' is a directory; name a file",
			  ini->runner_line, file);
	else if (strcmp(ini->platform, "exec") == 0 && kind != REPO_ENTRY_EXEC)
		strv_addf(c->errors,
			  "app.ini:%u: runner '%s' is not executable: `git update-index --chmod=+x "
			  "%s`, "
			  "then commit",
			  ini->runner_line, file, file);
	return 0;
}

/* "shop.wsgi:app": a module that is nowhere in the tree may still be one of a Debian package. */
static int check_runner_module(struct check *c, const struct appini *ini, struct error *err)
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

static int check_static_dir(struct check *c, struct error *err)
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

static int check_runner(struct check *c, const struct appini *ini, struct error *err)
{
	autofree char *file = appini_runner_file(ini);

	if (strcmp(ini->platform, "static") == 0)
		return check_static_dir(c, err);
	if (file)
		return check_runner_file(c, ini, file, err);
	return ini->runner ? check_runner_module(c, ini, err) : 0;
}

static int check_packages(struct check *c, const struct appini *ini, struct error *err)
{
	autostrv struct strv missing = STRV_INIT;
	autostrbuf struct strbuf names = STRBUF_INIT;

	if (packages_missing(&ini->packages, &missing, err) == -1)
		return -1;
	if (missing.n == 0)
		return 0;
	for (size_t i = 0; i < missing.n; i++)
		strbuf_addf(&names, "%s%s", i ? " " : "", missing.v[i]);
	strv_addf(c->errors,
		  "app.ini:%u: not installed on this node: %s; its operator installs them: `apt "
		  "install %s`",
		  ini->packages_line, names.buf, names.buf);
	return 0;
}

static bool has_appini(struct check *c, struct error *err)
{
	struct repo_tree *root = NULL;
	struct repo_entry entry;
	bool found = repo_tree_open(c->repo, c->tree, &root, err) == 0 &&
		     repo_tree_find(root, "app.ini", &entry);

	repo_tree_free(root);
	return found;
}

/* 1: read; 0: it cannot be, and a finding says why. */
static int read_appini(struct check *c, struct strbuf *text, struct error *err)
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

static int check_appini(struct check *c, struct appini *ini, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	int there = read_appini(c, &text, err);

	if (there != 1)
		return there;
	/* a runner or a package that was refused is not looked for */
	if (appini_parse(ini, c->app->name, strbuf_str(&text), text.len, c->errors, c->warnings))
		return 0;
	if (check_runner(c, ini, err) == -1)
		return -1;
	return check_packages(c, ini, err);
}

int check_tree(struct repo *repo, const struct app *app, const char *old_tree, const char *new_tree,
	       struct appini *ini, struct strv *errors, struct strv *warnings, struct error *err)
{
	struct check c = {
		.repo = repo, .app = app, .tree = new_tree, .errors = errors, .warnings = warnings};

	*ini = (struct appini){.platform = NULL};
	if (check_appini(&c, ini, err) == -1 || check_entries(&c, old_tree, err) == -1)
		return error_prefix(err, "checking the tree");
	return 0;
}

/* The tree of the live release; "" while nothing is live. */
static int live_tree(const struct app *app, char tree[OID_HEX], struct error *err)
{
	autorelease struct release_info live = RELEASE_INFO_INIT;
	unsigned current = release_current(app);

	*tree = '\0';
	if (!current)
		return 0;
	if (release_read(app, current, &live, err) == -1)
		return -1;
	memcpy(tree, live.tree, OID_HEX);
	return 0;
}

int check_commit(struct repo *repo, const struct app *app, const char *oid, struct appini *ini,
		 struct strv *errors, struct strv *warnings, struct error *err)
{
	struct repo_commit commit;
	char live[OID_HEX];
	int result;

	*ini = (struct appini){.platform = NULL};
	if (live_tree(app, live, err) == -1 || repo_read_commit(repo, oid, &commit, err) == -1)
		return -1;
	result = check_tree(repo, app, live, commit.tree, ini, errors, warnings, err);
	repo_commit_release(&commit);
	return result;
}
