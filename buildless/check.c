#include "buildless/check.h"

#include <strings.h>
#include "buildless/check_appini.h"
#include "buildless/config_rules.h"
#include "buildless/check_node.h"
#include "buildless/equip.h"
#include "buildless/links.h"
#include "buildless/release.h"
#include "buildless/slot.h"
#include "buildless/space.h"
#include "common/names.h"

#define NAME_BYTES_MAX 255
#define PATH_BYTES_MAX 3000
#define LFS_BYTES_MIN  100 /* a pointer has a version, a sha256 and a size, so it is not shorter */
#define LFS_BYTES_MAX  1024
#define LFS_START      "version https://git-lfs.github.com/spec/"

struct check {
	struct repo *repo;
	const char *tree;
	struct links *links;
	struct space_need need;
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

static int check_file(struct check *c, const char *path, const struct repo_entry *was,
		      const struct repo_entry *now, struct error *err)
{
	autostrbuf struct strbuf content = STRBUF_INIT;
	autofree char *shown = NULL, *arg = NULL;
	uint64_t bytes;

	if (repo_blob_size(c->repo, now->oid, &bytes, err) == -1)
		return -1;
	space_add(&c->need, bytes);
	if (was && strcmp(was->oid, now->oid) == 0)
		return 0; /* only its mode is new */
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

/* An app that brings packages expects them to be installed; ignored they would be missed later. */
static void refuse_deb(struct check *c, const char *path)
{
	autofree char *shown = NULL;

	if (!str_starts(path, "debs/") || !str_ends(path, ".deb"))
		return;
	shown = name_printable(path);
	strv_addf(c->errors,
		  "%s: a package in the tree is not installed, because root takes no file from it; "
		  "its operator puts it into an apt source of the node, and 'packages' in app.ini "
		  "names it (docs/PACKAGES.md): `git rm -r --cached debs`, then commit",
		  shown);
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
		space_add_dir(&c->need);
		return 0;
	case REPO_ENTRY_FILE:
	case REPO_ENTRY_EXEC:
		refuse_deb(c, path);
		return check_file(c, path, was, now, err);
	case REPO_ENTRY_LINK:
		space_add(&c->need, 0);
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

/* Before anything is touched: where does every path that an installer left lead? */
static int check_paths(struct check *c, const char *old_tree, const struct relocation *known,
		       struct strv *places, struct error *err)
{
	const struct relocation_report report = {c->errors, c->warnings, places};
	autorelocation struct relocation r = RELOCATION_INIT;

	if (relocation_plan(c->repo, known, old_tree, c->tree, &r, &report, err) == 0)
		return 0;
	return err->code == E_REFUSED ? 0 : -1; /* check_entries() has told of such a tree */
}

void check_report_release(struct check_report *report)
{
	strv_free_p(&report->errors);
	strv_free_p(&report->warnings);
	strv_free_p(&report->relocated);
	strv_free_p(&report->packages);
	free(steal_ptr(&report->no_room));
}

static int run_checks(struct check *c, const struct app *app, const char *old_tree,
		      const struct relocation *known, struct appini *ini,
		      struct check_report *report, struct error *err)
{
	*ini = (struct appini){0};
	c->errors = &report->errors;
	c->warnings = &report->warnings;
	if (check_appini(c->repo, app, c->tree, ini, c->errors, c->warnings, &report->packages,
			 err) == -1)
		return error_prefix(err, "checking the tree");
	if (report->errors.n == 0)
		check_node(&app->node, ini, c->errors, c->warnings);
	if (check_entries(c, old_tree, err) == -1 ||
	    check_paths(c, old_tree, known, &report->relocated, err) == -1)
		return error_prefix(err, "checking the tree");
	return 0;
}

int check_tree(struct repo *repo, const struct app *app, const char *old_tree,
	       const struct relocation *relocation, const char *new_tree, struct appini *ini,
	       struct check_report *report, struct error *err)
{
	struct check c = {.repo = repo, .tree = new_tree};

	return run_checks(&c, app, old_tree, relocation, ini, report, err);
}

/* The tree of the live release, "" while nothing is live; known: its slot says how it was
 * relocated. */
static int live_tree(const struct app *app, char tree[OID_HEX], struct relocation *relocation,
		     bool *known, struct error *err)
{
	autorelease struct release_info live = RELEASE_INFO_INIT;
	unsigned current = release_current(app);

	*tree = '\0';
	*known = false;
	if (!current)
		return 0;
	if (release_read(app, current, &live, err) == -1)
		return -1;
	memcpy(tree, live.tree, OID_HEX);
	*known = slot_read_relocation(app, live.slot, tree, relocation);
	return 0;
}

/* Against what the release would have: that of the live one. */
static int check_config(const struct app *app, const struct appini *ini, struct strv *errors,
			struct error *err)
{
	autoconfig struct config config = CONFIG_INIT;

	if (!ini->config.anything && ini->config.required.n == 0)
		return 0;
	if (config_read_live(app, &config, err) == -1)
		return -1;
	config_check_required(app, ini, &config, errors);
	return 0;
}

int check_commit(struct repo *repo, const struct app *app, const char *oid, struct appini *ini,
		 struct check_report *report, struct error *err)
{
	autorelocation struct relocation relocation = RELOCATION_INIT;
	struct check c = {.repo = repo};
	struct repo_commit commit;
	char live[OID_HEX];
	bool known;
	int result;

	*ini = (struct appini){0};
	if (live_tree(app, live, &relocation, &known, err) == -1 ||
	    repo_read_commit(repo, oid, &commit, err) == -1)
		return -1;
	c.tree = commit.tree;
	result = run_checks(&c, app, live, known ? &relocation : NULL, ini, report, err);
	if (result == 0)
		result = equip_check(app, ini, &report->errors, err);
	if (result == 0)
		result = check_config(app, ini, &report->errors, err);
	if (result == 0)
		report->no_room = space_problem(app, commit.tree, &c.need);
	repo_commit_release(&commit);
	return result;
}
