#include "cli/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include "cli/git.h"
#include "common/fs.h"
#include "common/names.h"

#define TRAILER "Silver-Working-Tree-Of: "
#define NONE    "0000000000000000000000000000000000000000"
#define DEEPEST 32 /* checkouts in checkouts */

struct making {
	const char *top;
	char *tmp;       /* a directory of ours */
	struct strv env; /* the index there, instead of the developer's */
	struct git git;
	struct strbuf paths, links; /* NUL-terminated each: to add; gitlinks to take away */
	struct snapshot *out;
};

/* --- the index ---------------------------------------------------------------------------------
 */

static int make_tmp(struct making *m, struct error *err)
{
	const char *base = getenv("TMPDIR");

	m->tmp = xasprintf("%s/silver-XXXXXX", base && *base == '/' ? base : "/tmp");
	if (mkdtemp(m->tmp))
		return 0;
	return error_sys(err, errno, "cannot make a directory in '%s'",
			 base && *base == '/' ? base : "/tmp");
}

static int copy_all(int from, int to, struct error *err)
{
	ssize_t n;

	while ((n = sendfile(to, from, NULL, 1 << 20)) > 0)
		;
	return n == -1 ? error_sys(err, errno, "cannot copy the index") : 0;
}

/* The copy has the time of the original: git takes a file that was changed in the same instant as
 * the index for one to look at again. */
static int copy_index(struct making *m, struct error *err)
{
	struct git own = {.dir = m->top};
	autostrbuf struct strbuf name = STRBUF_INIT;
	autofree char *from_path = NULL, *to_path = xasprintf("%s/index", m->tmp);
	autoclose int from = -1, to = -1;
	struct stat st;

	if (GIT(&own, &name, err, "rev-parse", "--git-path", "index") == -1)
		return -1;
	from_path = *strbuf_str(&name) == '/' ? xstrdup(name.buf)
					      : xasprintf("%s/%s", m->top, strbuf_str(&name));
	from = open(from_path, O_RDONLY | O_CLOEXEC);
	if (from == -1 && errno == ENOENT) /* nothing was ever added */
		return 0;
	if (from == -1 || fstat(from, &st) == -1)
		return error_sys(err, errno, "cannot read '%s'", from_path);
	to = open(to_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to == -1)
		return error_sys(err, errno, "cannot make '%s'", to_path);
	if (copy_all(from, to, err) == -1)
		return -1;
	if (futimens(to, (const struct timespec[]){st.st_atim, st.st_mtim}) == -1)
		return error_sys(err, errno, "cannot set the time of '%s'", to_path);
	return 0;
}

static int check_merged(struct making *m, struct error *err)
{
	autostrbuf struct strbuf names = STRBUF_INIT;

	if (GIT(&m->git, &names, err, "ls-files", "-u", "-z") == -1)
		return -1;
	if (names.len == 0)
		return 0;
	return error_set(err, E_REFUSED,
			 "a merge is not finished: '%s'; resolve it and `git add` it first",
			 strchr(names.buf, '\t') ? strchr(names.buf, '\t') + 1 : names.buf);
}

/* --- what lies in the tree ---------------------------------------------------------------------
 */

static void add_path(struct strbuf *list, const char *prefix, const char *path)
{
	strbuf_addstr(list, prefix);
	strbuf_add(list, path, strlen(path) + 1);
}

static bool is_there(const char *top, const char *prefix, const char *path)
{
	autofree char *full = xasprintf("%s/%s%s", top, prefix, path);
	struct stat st;

	return lstat(full, &st) == 0;
}

static int add_checkout(struct making *m, const char *path, unsigned depth, struct error *err);

/* "MODE OID STAGE\tPATH" of one entry of an index: a checkout below, or a file. */
static int take_tracked(struct making *m, const char *prefix, const char *entry, unsigned depth,
			struct error *err)
{
	const char *tab = strchr(entry, '\t');
	autofree char *path = tab ? xasprintf("%s%s", prefix, tab + 1) : NULL;

	if (!path)
		return error_set(err, E_SYSTEM, "git ls-files does not speak as its manual says");
	if (str_starts(entry, "160000 ")) {
		if (depth == 0)
			add_path(&m->links, "", path);
		return is_there(m->top, "", path) ? add_checkout(m, path, depth + 1, err) : 0;
	}
	if (depth > 0 && is_there(m->top, "", path)) /* at the top `git add -u` sees to them */
		add_path(&m->paths, "", path);
	return 0;
}

/* A directory with a slash behind its name is a checkout of its own. */
static int take_other(struct making *m, const char *prefix, const char *name, unsigned depth,
		      struct error *err)
{
	size_t len = strlen(name);
	autofree char *path = NULL;

	if (len == 0 || name[len - 1] != '/') {
		add_path(&m->paths, prefix, name);
		return 0;
	}
	path = xasprintf("%s%.*s", prefix, (int)len - 1, name);
	return add_checkout(m, path, depth + 1, err);
}

typedef int (*take_fn)(struct making *m, const char *prefix, const char *entry, unsigned depth,
		       struct error *err);

static int take_each(struct making *m, const struct strbuf *list, const char *prefix,
		     unsigned depth, take_fn take, struct error *err)
{
	const char *end = strbuf_str(list) + list->len;

	for (const char *at = strbuf_str(list); at < end; at += strlen(at) + 1)
		if (take(m, prefix, at, depth, err) == -1)
			return -1;
	return 0;
}

static int list_tree(struct making *m, const struct git *g, const char *prefix, unsigned depth,
		     struct error *err)
{
	autostrbuf struct strbuf tracked = STRBUF_INIT, others = STRBUF_INIT;

	if (GIT(g, &tracked, err, "ls-files", "-s", "-z") == -1 ||
	    take_each(m, &tracked, prefix, depth, take_tracked, err) == -1)
		return -1;
	if (GIT(g, &others, err, "ls-files", "-o", "--exclude-standard", "-z") == -1)
		return -1;
	return take_each(m, &others, prefix, depth, take_other, err);
}

/* Its files by its own .gitignore and index. */
static int add_checkout(struct making *m, const char *path, unsigned depth, struct error *err)
{
	autofree char *dir = xasprintf("%s/%s", m->top, path), *prefix = xasprintf("%s/", path);
	autostrv struct strv env = STRV_INIT;
	struct git g = {.dir = dir};

	if (depth > DEEPEST)
		return error_set(err, E_REFUSED, "'%s' is too deep a checkout in checkouts", path);
	if (!is_there(m->top, prefix, ".git"))
		return error_set(err, E_REFUSED,
				 "the submodule '%s' is not checked out; `git submodule update "
				 "--init --recursive` does it",
				 path);
	git_own_env(&env);
	g.env = strv_argv(&env);
	m->out->flattened++;
	if (list_tree(m, &g, prefix, depth, err) == -1)
		return error_prefix(err, "in the checkout '%s'", path);
	return 0;
}

static int fill_index(struct making *m, struct error *err)
{
	if (list_tree(m, &m->git, "", 0, err) == -1)
		return -1;
	if (m->links.len && GIT_WITH(&m->git, &m->links, NULL, err, "update-index",
				     "--force-remove", "-z", "--stdin") == -1)
		return -1;
	if (GIT(&m->git, NULL, err, "add", "-u") == -1)
		return -1;
	if (m->paths.len == 0)
		return 0;
	return GIT_WITH(&m->git, &m->paths, NULL, err, "update-index", "--add", "--remove",
			"--replace", "-z", "--stdin");
}

/* --- the commit --------------------------------------------------------------------------------
 */

static int resolve(const struct git *g, const char *name, char *oid, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT;
	int status;

	if (GIT_ASK(g, &out, &status, err, "rev-parse", "--verify", "--quiet", name) == -1)
		return -1;
	snprintf(oid, 41, "%s", status == 0 && name_is_oid(strbuf_str(&out)) ? out.buf : "");
	return 0;
}

static int count_changed(struct making *m, const char *head, const char *tree, struct error *err)
{
	autostrbuf struct strbuf names = STRBUF_INIT;

	if (*head ? GIT(&m->git, &names, err, "diff-tree", "-r", "-z", "--name-only", head, tree)
		  : GIT(&m->git, &names, err, "ls-tree", "-r", "-z", "--name-only", tree))
		return -1;
	for (size_t i = 0; i < names.len; i++)
		m->out->changed += names.buf[i] == '\0';
	return 0;
}

/* Whoever has told git no name may deploy all the same. */
static int add_identity(struct making *m, struct error *err)
{
	const char *user = getenv("USER");
	int status;

	if (GIT_ASK(&m->git, NULL, &status, err, "var", "GIT_COMMITTER_IDENT") == -1)
		return -1;
	if (status == 0)
		return 0;
	user = user && *user ? user : "silver";
	strv_addf(&m->env, "GIT_AUTHOR_NAME=%s", user);
	strv_addf(&m->env, "GIT_COMMITTER_NAME=%s", user);
	strv_addf(&m->env, "GIT_AUTHOR_EMAIL=%s@localhost", user);
	strv_addf(&m->env, "GIT_COMMITTER_EMAIL=%s@localhost", user);
	m->git.env = strv_argv(&m->env);
	return 0;
}

static int write_message(struct making *m, const char *head, struct strbuf *out, struct error *err)
{
	autostrbuf struct strbuf subject = STRBUF_INIT;

	if (*head && GIT(&m->git, &subject, err, "show", "-s", "--format=%s", head) == -1)
		return -1;
	strbuf_addf(out, "%zu file%s not committed", m->out->changed,
		    m->out->changed == 1 ? "" : "s");
	if (*head)
		strbuf_addf(out, ", on: %s", strbuf_str(&subject));
	strbuf_addf(out, "\n\nThe working tree, sent by `silver deploy`.\n\n" TRAILER "%s\n",
		    *head ? head : NONE);
	return 0;
}

static int commit_tree(struct making *m, const char *head, const char *tree, struct error *err)
{
	autostrbuf struct strbuf message = STRBUF_INIT, commit = STRBUF_INIT;

	if (add_identity(m, err) == -1 || write_message(m, head, &message, err) == -1)
		return -1;
	if (*head ? GIT_WITH(&m->git, &message, &commit, err, "commit-tree", tree, "-p", head)
		  : GIT_WITH(&m->git, &message, &commit, err, "commit-tree", tree))
		return -1;
	snprintf(m->out->commit, sizeof(m->out->commit), "%s", strbuf_str(&commit));
	return 0;
}

static int make_commit(struct making *m, struct error *err)
{
	autostrbuf struct strbuf tree = STRBUF_INIT;
	char head[41], head_tree[41];

	if (GIT(&m->git, &tree, err, "write-tree") == -1 ||
	    resolve(&m->git, "HEAD^{commit}", head, err) == -1 ||
	    resolve(&m->git, "HEAD^{tree}", head_tree, err) == -1)
		return -1;
	if (!strcmp(strbuf_str(&tree), head_tree)) {
		memcpy(m->out->commit, head, sizeof(head));
		m->out->is_head = true;
		return 0;
	}
	if (count_changed(m, head, tree.buf, err) == -1)
		return -1;
	if (!*head && m->out->changed == 0)
		return error_set(err, E_REFUSED, "there is no file in '%s' to deploy", m->top);
	return commit_tree(m, head, tree.buf, err);
}

static void remove_tmp(struct making *m)
{
	char *slash = m->tmp ? strrchr(m->tmp, '/') : NULL;
	autoclose int dir = -1;
	struct error none = ERROR_INIT;

	if (!slash)
		return;
	*slash = '\0';
	if (fs_open_dir(AT_FDCWD, *m->tmp ? m->tmp : "/", &dir, &none) == -1 ||
	    fs_remove_tree(dir, slash + 1, &none) == -1)
		error_report(&none);
}

int snapshot_make(struct snapshot *out, const char *top, struct error *err)
{
	struct making m = {.top = top, .out = out, .git = {.dir = top}};
	int r;

	*out = (struct snapshot){.commit = ""};
	r = make_tmp(&m, err);
	if (r == 0) {
		strv_addf(&m.env, "GIT_INDEX_FILE=%s/index", m.tmp);
		m.git.env = strv_argv(&m.env);
		r = copy_index(&m, err) == -1 || check_merged(&m, err) == -1 ||
				    fill_index(&m, err) == -1 || make_commit(&m, err) == -1
			    ? -1
			    : 0;
		remove_tmp(&m);
	}
	free(m.tmp);
	strv_free_p(&m.env);
	strbuf_release(&m.paths);
	strbuf_release(&m.links);
	return r;
}

int snapshot_is(const char *top, const char *commit, bool *is, char *base, struct error *err)
{
	struct git g = {.dir = top};
	autostrbuf struct strbuf text = STRBUF_INIT;
	const char *at;

	*is = false;
	*base = '\0';
	if (GIT(&g, &text, err, "cat-file", "commit", commit) == -1)
		return -1;
	at = strstr(strbuf_str(&text), "\n" TRAILER);
	if (!at)
		return 0;
	snprintf(base, 41, "%s", at + strlen("\n" TRAILER));
	*is = name_is_oid(base);
	if (!*is || !strcmp(base, NONE))
		*base = '\0';
	return 0;
}

int snapshot_same_tree(const char *top, const char *a, const char *b, bool *same, struct error *err)
{
	struct git g = {.dir = top};
	autofree char *name_a = xasprintf("%s^{tree}", a), *name_b = xasprintf("%s^{tree}", b);
	char tree_a[41], tree_b[41];

	if (resolve(&g, name_a, tree_a, err) == -1 || resolve(&g, name_b, tree_b, err) == -1)
		return -1;
	*same = *tree_a && !strcmp(tree_a, tree_b);
	return 0;
}
