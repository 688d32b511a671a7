/* git_path.c - what a path of a tree leads to, in-tree links followed. */
#include "buildless/git_private.h"

#include <git2/errors.h>

#define LINKS_MAX  10
#define LINK_BYTES 4096

/* Walking a path with symlinks in it: `done` is what is resolved and holds directories only, `todo`
 * the rest. */
struct path_walk {
	struct repo *repo;
	git_tree *root;
	struct strbuf done, todo;
	unsigned links;
};

static int push_link(struct path_walk *w, const char *oid, const char *path, const char *rest,
		     struct error *err)
{
	struct strbuf todo = STRBUF_INIT;

	if (++w->links > LINKS_MAX)
		return error_set(err, E_REFUSED, "'%s' leads through more than %d links", path,
				 LINKS_MAX);
	if (repo_read_blob(w->repo, oid, LINK_BYTES, &todo, err) == -1) {
		strbuf_release(&todo);
		return -1;
	}
	strbuf_addf(&todo, "/%s", rest);
	strbuf_release(&w->todo);
	w->todo = todo;
	if (todo.buf[0] == '/')
		return error_set(err, E_REFUSED, "'%s' is a link to an absolute path", path);
	return 0;
}

static int pop_directory(struct path_walk *w, struct error *err)
{
	const char *slash = w->done.len ? strrchr(w->done.buf, '/') : NULL;

	if (w->done.len == 0)
		return error_set(err, E_REFUSED, "it leads out of the tree");
	w->done.len = slash ? (size_t)(slash - w->done.buf) : 0;
	w->done.buf[w->done.len] = '\0';
	return 0;
}

/* Takes the first name off todo. `*end`: it was the last thing on the path. */
static char *take_name(struct path_walk *w, bool *end)
{
	const char *start = strbuf_str(&w->todo) + strspn(strbuf_str(&w->todo), "/");
	size_t len = strcspn(start, "/");
	char *name = xstrndup(start, len), *rest = xstrdup(start + len + strspn(start + len, "/"));

	*end = !*rest;
	strbuf_reset(&w->todo);
	strbuf_addstr(&w->todo, rest);
	free(rest);
	return name;
}

/* One name further. 1: out is what the path ends at (not a directory). */
static int path_step(struct path_walk *w, struct repo_entry *out, char **found, struct error *err)
{
	bool end;
	autofree char *name = take_name(w, &end);
	autofree char *path =
		xasprintf("%s%s%s", strbuf_str(&w->done), w->done.len ? "/" : "", name);
	git_tree_entry *entry = NULL;
	int r;

	if (!*name || strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0)
		return pop_directory(w, err);
	r = git_tree_entry_bypath(&entry, w->root, path);
	if (r < 0)
		return error_set(err, r == GIT_ENOTFOUND ? E_NOTFOUND : E_SYSTEM,
				 "there is no '%s' in the tree", path);
	repo_fill_entry(entry, out);
	out->name = "";
	git_tree_entry_free(entry);
	if (out->kind == REPO_ENTRY_TREE) {
		strbuf_reset(&w->done);
		strbuf_addstr(&w->done, path);
		return 0;
	}
	if (out->kind == REPO_ENTRY_LINK) {
		autofree char *rest = xstrdup(strbuf_str(&w->todo));

		return push_link(w, out->oid, path, rest, err);
	}
	if (!end)
		return error_set(err, E_NOTFOUND, "'%s' is no directory", path);
	*found = steal_ptr(&path);
	return 1;
}

/* out->name is ""; *found is the caller's. */
static int resolve_path(struct repo *repo, const char *tree, const char *path,
			struct repo_entry *out, char **found, struct error *err)
{
	autotree git_tree *root = NULL;
	struct path_walk w = {.repo = repo};
	int r = 0;

	*found = NULL;
	if (*path == '/')
		return error_set(err, E_REFUSED, "'%s' is an absolute path", path);
	if (repo_lookup_tree(repo, tree, &root, err) == -1)
		return -1;
	w.root = root;
	strbuf_addstr(&w.todo, path);
	while (r == 0 && w.todo.len)
		r = path_step(&w, out, found, err);
	if (r == 0) { /* ended at a directory */
		*out = (struct repo_entry){.name = "", .mode = 0040000, .kind = REPO_ENTRY_TREE};
		*found = xstrdup(strbuf_str(&w.done));
	}
	strbuf_release(&w.done);
	strbuf_release(&w.todo);
	return r == -1 ? error_prefix(err, "'%s'", path) : 0;
}

int repo_read_path(struct repo *repo, const char *tree, const char *path, size_t max_bytes,
		   struct strbuf *out, char **found, struct error *err)
{
	autofree char *where = NULL;
	struct repo_entry entry = {.name = NULL};

	if (found)
		*found = NULL;
	if (resolve_path(repo, tree, path, &entry, &where, err) == -1)
		return -1;
	if (entry.kind != REPO_ENTRY_FILE && entry.kind != REPO_ENTRY_EXEC)
		return error_set(err, E_REFUSED, "'%s' is no file", path);
	if (repo_read_blob(repo, entry.oid, max_bytes, out, err) == -1)
		return error_prefix(err, "'%s'", path);
	if (found)
		*found = steal_ptr(&where);
	return 0;
}

int repo_find_path(struct repo *repo, const char *tree, const char *path,
		   enum repo_entry_kind *kind, char **found, struct error *err)
{
	struct repo_entry entry = {.name = NULL};

	if (resolve_path(repo, tree, path, &entry, found, err) == -1) {
		free(steal_ptr(found));
		return -1;
	}
	if (kind)
		*kind = entry.kind;
	return 0;
}

int repo_stat_path(struct repo *repo, const char *tree, const char *path,
		   enum repo_entry_kind *kind, struct error *err)
{
	autofree char *found = NULL;

	return repo_find_path(repo, tree, path, kind, &found, err);
}

int repo_find_entry(struct repo *repo, const char *tree, const char *path, struct repo_entry *out,
		    struct error *err)
{
	autotree git_tree *root = NULL;
	git_tree_entry *entry = NULL;
	int r;

	if (repo_lookup_tree(repo, tree, &root, err) == -1)
		return -1;
	r = root ? git_tree_entry_bypath(&entry, root, path) : GIT_ENOTFOUND;
	if (r < 0 && r != GIT_ENOTFOUND)
		return repo_fail(err, r, "look into the tree for", path);
	if (r < 0)
		return 0;
	repo_fill_entry(entry, out);
	out->name = "";
	git_tree_entry_free(entry);
	return 1;
}
