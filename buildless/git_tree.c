/* git_tree.c - trees: their entries, and what differs between two. */
#include "buildless/git_private.h"

#include <assert.h>
#include <git2/errors.h>
#include "common/names.h"

void repo_tree_free_p(git_tree **tree)
{
	git_tree_free(*tree);
}

static enum repo_entry_kind kind_from(unsigned mode)
{
	if (mode == 0040000)
		return REPO_ENTRY_TREE;
	if (mode == 0100644)
		return REPO_ENTRY_FILE;
	if (mode == 0100755)
		return REPO_ENTRY_EXEC;
	if (mode == 0120000)
		return REPO_ENTRY_LINK;
	return mode == 0160000 ? REPO_ENTRY_GITLINK : REPO_ENTRY_BAD_MODE;
}

void repo_fill_entry(const git_tree_entry *from, struct repo_entry *out)
{
	out->name = git_tree_entry_name(from);
	out->mode = (unsigned)git_tree_entry_filemode_raw(from);
	out->kind = kind_from(out->mode);
	git_oid_tostr(out->oid, OID_HEX, git_tree_entry_id(from));
}

int repo_lookup_tree(struct repo *repo, const char *oid, git_tree **out, struct error *err)
{
	git_oid id;
	int r;

	*out = NULL;
	if (!*oid)
		return 0;
	if (repo_parse_oid(oid, &id, err) == -1)
		return -1;
	r = git_tree_lookup(out, repo->git, &id);
	return r < 0 ? repo_fail(err, r, "read the tree", oid) : 0;
}

int repo_tree_open(struct repo *repo, const char *oid, struct repo_tree **out, struct error *err)
{
	git_tree *tree;

	*out = NULL;
	if (repo_lookup_tree(repo, oid, &tree, err) == -1)
		return -1;
	*out = (struct repo_tree *)tree; /* the handle is libgit2's; callers only pass it back */
	return 0;
}

void repo_tree_free(struct repo_tree *tree)
{
	git_tree_free((git_tree *)tree);
}

bool repo_tree_find(const struct repo_tree *tree, const char *name, struct repo_entry *out)
{
	const git_tree_entry *entry =
		tree ? git_tree_entry_byname((const git_tree *)tree, name) : NULL;

	if (entry)
		repo_fill_entry(entry, out);
	return entry;
}

/* Both trees may be NULL. Trees are sorted as if a directory's name ended in '/', so a name that is
 * a file here and a directory there comes at two places; it is reported once, at the old one. */
struct merge {
	git_tree *tree[2];
	size_t at[2];
};

static const git_tree_entry *merge_entry(const struct merge *m, int side)
{
	git_tree *tree = m->tree[side];

	return tree && m->at[side] < git_tree_entrycount(tree)
		       ? git_tree_entry_byindex(tree, m->at[side])
		       : NULL;
}

static const git_tree_entry *merge_by_name(const struct merge *m, int side,
					   const git_tree_entry *other)
{
	return m->tree[side] ? git_tree_entry_byname(m->tree[side], git_tree_entry_name(other))
			     : NULL;
}

static bool same_entry(const git_tree_entry *a, const git_tree_entry *b)
{
	return git_tree_entry_filemode_raw(a) == git_tree_entry_filemode_raw(b) &&
	       git_oid_equal(git_tree_entry_id(a), git_tree_entry_id(b));
}

/* The next difference in *was, *now (one may be NULL); false at the end. */
static bool merge_next(struct merge *m, const git_tree_entry **was, const git_tree_entry **now)
{
	for (;;) {
		const git_tree_entry *a = merge_entry(m, 0), *b = merge_entry(m, 1);
		int order;

		if (!a && !b)
			return false;
		order = !a ? 1 : !b ? -1 : git_tree_entry_cmp(a, b);
		m->at[0] += order <= 0;
		m->at[1] += order >= 0;
		if (order == 0 && same_entry(a, b))
			continue;
		if (order > 0 && merge_by_name(m, 0, b))
			continue;
		*was = order <= 0 ? a : NULL;
		*now = order == 0 ? b : order < 0 ? merge_by_name(m, 1, a) : b;
		return true;
	}
}

int repo_diff_level(struct repo *repo, const char *old_tree, const char *new_tree, repo_diff_fn fn,
		    void *ctx, struct error *err)
{
	autotree git_tree *old = NULL, *new = NULL;
	const git_tree_entry *a, *b;
	struct merge merge;

	if (repo_lookup_tree(repo, old_tree, &old, err) == -1 ||
	    repo_lookup_tree(repo, new_tree, &new, err) == -1)
		return -1;
	merge = (struct merge){{old, new}, {0, 0}};
	while (merge_next(&merge, &a, &b)) {
		struct repo_entry was = {.name = NULL}, now = {.name = NULL};

		if (a)
			repo_fill_entry(a, &was);
		if (b)
			repo_fill_entry(b, &now);
		if (fn(ctx, a ? was.name : now.name, a ? &was : NULL, b ? &now : NULL, err) == -1)
			return -1;
	}
	return 0;
}

/* The first `left` differences of two trees, applied to the old one. */
struct mix {
	git_treebuilder *builder;
	size_t left;
	const char *last; /* the tree of the last of them, half applied itself; NULL: it is whole */
};

static int mix_entry(struct mix *mix, const git_tree_entry *was, const git_tree_entry *now)
{
	const char *name = git_tree_entry_name(was ? was : now);
	bool half = --mix->left == 0 && mix->last;
	git_filemode_t mode = GIT_FILEMODE_TREE;
	git_oid id;
	int r = was ? git_treebuilder_remove(mix->builder, name) : 0;

	if (r < 0 || (half ? !*mix->last : !now))
		return r;
	if (!half) {
		mode = git_tree_entry_filemode_raw(now);
		git_oid_cpy(&id, git_tree_entry_id(now));
	} else {
		r = git_oid_fromstr(&id, mix->last);
	}
	return r < 0 ? r : git_treebuilder_insert(NULL, mix->builder, name, &id, mode);
}

static int mix_write(struct mix *mix, struct merge *merge, char oid[OID_HEX])
{
	const git_tree_entry *was, *now;
	git_oid id;
	int r = 0;

	while (r == 0 && mix->left && merge_next(merge, &was, &now))
		r = mix_entry(mix, was, now);
	*oid = '\0';
	if (r < 0 || git_treebuilder_entrycount(mix->builder) == 0)
		return r;
	r = git_treebuilder_write(&id, mix->builder);
	git_oid_tostr(oid, OID_HEX, &id);
	return r;
}

int repo_mix_trees(struct repo *repo, const char *old_tree, const char *new_tree, size_t n,
		   const char *last, char oid[OID_HEX], struct error *err)
{
	autotree git_tree *old = NULL, *new = NULL;
	struct mix mix = {.left = n, .last = last};
	struct merge merge;
	int r;

	assert(!repo->in_quarantine);
	if (repo_lookup_tree(repo, old_tree, &old, err) == -1 ||
	    repo_lookup_tree(repo, new_tree, &new, err) == -1)
		return -1;
	merge = (struct merge){{old, new}, {0, 0}};
	r = git_treebuilder_new(&mix.builder, repo->git, old);
	if (r == 0)
		r = mix_write(&mix, &merge, oid);
	git_treebuilder_free(mix.builder);
	return r < 0 ? repo_fail(err, r, "write a tree between two for", new_tree) : 0;
}

struct diff {
	struct repo *repo;
	repo_diff_fn fn;
	void *ctx;
	struct strbuf path;
	unsigned depth;
};

static int too_deep(const char *path, struct error *err)
{
	autostrbuf struct strbuf shown = STRBUF_INIT;

	name_add_printable(&shown, path, strnlen(path, 100));
	return error_set(err, E_REFUSED, "%s...: directories nested deeper than %d", shown.buf,
			 REPO_DEPTH_MAX);
}

static int diff_entry(void *ctx, const char *name, const struct repo_entry *was,
		      const struct repo_entry *now, struct error *err)
{
	bool was_tree = was && was->kind == REPO_ENTRY_TREE,
	     now_tree = now && now->kind == REPO_ENTRY_TREE;
	struct diff *d = ctx;
	size_t len = d->path.len;
	int r = 0;

	strbuf_addf(&d->path, "%s%s", len ? "/" : "", name);
	if (d->depth == REPO_DEPTH_MAX)
		return too_deep(d->path.buf, err);
	if (!was_tree || !now_tree)
		r = d->fn(d->ctx, d->path.buf, was, now, err);
	if (r == 0 && (was_tree || now_tree)) {
		d->depth++;
		r = repo_diff_level(d->repo, was_tree ? was->oid : "", now_tree ? now->oid : "",
				    diff_entry, d, err);
		d->depth--;
	}
	d->path.len = len;
	d->path.buf[len] = '\0';
	return r;
}

int repo_diff(struct repo *repo, const char *old_tree, const char *new_tree, repo_diff_fn fn,
	      void *ctx, struct error *err)
{
	struct diff d = {.repo = repo, .fn = fn, .ctx = ctx};
	int r;

	if (strcmp(old_tree, new_tree) == 0)
		return 0;
	r = repo_diff_level(repo, old_tree, new_tree, diff_entry, &d, err);
	strbuf_release(&d.path);
	return r;
}

struct count {
	uint64_t n, enough;
};

static int count_entry(void *ctx, const char *path, const struct repo_entry *was,
		       const struct repo_entry *now, struct error *err)
{
	struct count *count = ctx;

	(void)path;
	if ((was && was->kind != REPO_ENTRY_TREE) || (now && now->kind != REPO_ENTRY_TREE))
		count->n++;
	return count->n < count->enough ? 0 : error_set(err, E_REFUSED, "enough is counted");
}

int repo_count_changed_to(struct repo *repo, const char *old_tree, const char *new_tree,
			  uint64_t enough, uint64_t *n, struct error *err)
{
	struct count count = {.enough = enough};
	int r = repo_diff(repo, old_tree, new_tree, count_entry, &count, err);

	*n = count.n;
	return count.n >= enough ? 0 : r;
}

int repo_count_changed(struct repo *repo, const char *old_tree, const char *new_tree, uint64_t *n,
		       struct error *err)
{
	return repo_count_changed_to(repo, old_tree, new_tree, UINT64_MAX, n, err);
}
