#include "hooks/connected.h"

struct check {
	struct repo *repo;
	const struct strv *ends;
};

static int missing(const char *oid, const char *path, struct error *err)
{
	return error_set(err, E_NOTFOUND, "object %s is missing%s%s", oid, *path ? ", of " : "",
			 path);
}

/* A tree is read by the comparison itself. What a submodule names is never here. */
static int check_entry(void *ctx, const char *path, const struct repo_entry *was,
		       const struct repo_entry *now, struct error *err)
{
	const struct check *c = ctx;

	(void)was;
	if (!now || now->kind == REPO_ENTRY_TREE || now->kind == REPO_ENTRY_GITLINK)
		return 0;
	return repo_has(c->repo, now->oid) ? 0 : missing(now->oid, path, err);
}

static int check_tree(struct check *c, const char *old_tree, const char *new_tree,
		      struct error *err)
{
	if (repo_diff(c->repo, old_tree, new_tree, check_entry, c, err) == 0)
		return 0;
	if (err->code == E_REFUSED) /* too deep; that a history ends is another matter */
		err->code = E_USAGE;
	return -1;
}

static int read_tree_of(struct check *c, const char *commit, char tree[OID_HEX],
			char parent[OID_HEX], struct error *err)
{
	struct repo_commit read;

	if (repo_read_commit(c->repo, commit, &read, err) == -1)
		return -1;
	memcpy(tree, read.tree, OID_HEX);
	memcpy(parent, read.parent, OID_HEX);
	repo_commit_release(&read);
	return 0;
}

static int check_commit(void *ctx, const char *oid, struct error *err)
{
	struct check *c = ctx;
	char tree[OID_HEX], parent[OID_HEX], parent_tree[OID_HEX] = "", ignored[OID_HEX];

	if (strv_has(c->ends, oid))
		return error_set(err, E_REFUSED, "the history ends at '%s'", oid);
	if (read_tree_of(c, oid, tree, parent, err) == -1)
		return -1;
	if (*parent && read_tree_of(c, parent, parent_tree, ignored, err) == -1) {
		if (err->code == E_NOTFOUND)
			err->code = E_REFUSED;
		return -1;
	}
	/* the same tree as the first parent's, or an empty one: still one that must be there */
	if (!repo_has(c->repo, tree))
		return missing(tree, "", err);
	if (check_tree(c, parent_tree, tree, err) == 0)
		return 0;
	/* what is missing may be the parent's: then all of the new tree is looked at */
	return err->code == E_NOTFOUND && *parent_tree ? check_tree(c, "", tree, err) : -1;
}

/* What a ref names, or a tag behind it: a commit for the walk, else a tree or a file. */
static int check_object(struct check *c, const char *oid, struct strv *commits, struct error *err)
{
	char target[OID_HEX];
	enum repo_type type;

	if (repo_peel(c->repo, oid, target, &type, err) == -1)
		return -1;
	if (type == REPO_COMMIT)
		strv_add(commits, target);
	return type == REPO_TREE ? check_tree(c, "", target, err) : 0;
}

int connected_check(struct repo *repo, const struct strv *oids, const struct strv *ends,
		    struct error *err)
{
	struct check c = {.repo = repo, .ends = ends};
	autostrv struct strv commits = STRV_INIT;

	for (size_t i = 0; i < oids->n; i++)
		if (check_object(&c, oids->v[i], &commits, err) == -1)
			return -1;
	return repo_walk_new(repo, &commits, check_commit, &c, err);
}
