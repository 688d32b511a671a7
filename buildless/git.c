#include "buildless/git.h"

#include <assert.h>
/* not <git2.h>: git2/index.h has a member called as a function that banned.h poisons */
#include <git2/commit.h>
#include <git2/config.h>
#include <git2/errors.h>
#include <git2/global.h>
#include <git2/object.h>
#include <git2/odb.h>
#include <git2/refdb.h>
#include <git2/refs.h>
#include <git2/repository.h>
#include <git2/revwalk.h>
#include <git2/tree.h>
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"

/* Above it a blob is streamed by git, which inflates piecewise; libgit2 would hold all of it in
 * memory. */
#define STREAM_BYTES (16 << 20)
#define LINKS_MAX    10
#define LINK_BYTES   4096

/* Commits that a push is expected to bring, at most: more are asked of all refs. */
#define UPON_HEAD_MAX 100

#define autoobject __attribute__((cleanup(object_free_p)))
#define autotree   __attribute__((cleanup(tree_free_p)))
#define autoref    __attribute__((cleanup(ref_free_p)))
#define autoblob   __attribute__((cleanup(blob_free_p)))

struct repo {
	git_repository *git;
	git_odb *odb;
	char *path, *objects, *quarantine; /* quarantine: NULL outside of it */
	bool in_quarantine;
};

static void object_free_p(git_object **o)
{
	git_object_free(*o);
}

static void tree_free_p(git_tree **t)
{
	git_tree_free(*t);
}

static void ref_free_p(git_reference **r)
{
	git_reference_free(*r);
}

static void blob_free_p(git_odb_object **b)
{
	git_odb_object_free(*b);
}

/* What libgit2 says about its result `r`; -1. */
static int fail(struct error *err, int r, const char *what, const char *name)
{
	const git_error *last = git_error_last();
	enum error_code code = r == GIT_ENOTFOUND || r == GIT_EUNBORNBRANCH ? E_NOTFOUND : E_SYSTEM;

	return error_set(err, code, "cannot %s '%s': %s", what, name,
			 last && last->message ? last->message : "no reason given");
}

static int parse_oid(const char *text, git_oid *out, struct error *err)
{
	if (!name_is_oid(text) || git_oid_fromstr(out, text) != 0)
		return error_set(err, E_SYSTEM, "'%s' is no object id", text);
	return 0;
}

/* When libgit2 starts it parses the machine's CA bundle, which is 6 of its 7 ms, for connections
 * that nothing here makes. The program's own symbol comes before mbedtls's, and finds nothing. */
int mbedtls_x509_crt_parse_file(void *chain, const char *path);
int mbedtls_x509_crt_parse_file(void *chain, const char *path)
{
	(void)chain;
	(void)path;
	return 0;
}

static int start_libgit2(struct error *err)
{
	static bool started;
	int r;

	if (started)
		return 0;
	r = git_libgit2_init();
	if (r < 0)
		return fail(err, r, "start", "libgit2");
	/* The settings of a repository are its own: no /etc/gitconfig, nothing from a home
	 * directory. */
	for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
		git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
	/* index-pack gave every object its id from its content when it came (receive.unpackLimit=1,
	 * receive.fsckObjects), and zlib's checksum finds what the disk did since; hashing each
	 * blob again would be a third of the time of a layout. */
	git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
	git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR,
			 1); /* a ref is on disk when its function returns */
	started = true;
	return 0;
}

/* git_repository_open_bare() opens any object format and then misreads it. */
static int check_format(git_repository *git, const char *path, struct error *err)
{
	git_config *config = NULL;
	const char *format = NULL;
	int r = git_repository_config_snapshot(&config, git);

	if (r < 0)
		return fail(err, r, "read the configuration of", path);
	if (git_config_get_string(&format, config, "extensions.objectformat") == 0 &&
	    strcmp(format, "sha1") != 0)
		r = error_set(err, E_REFUSED, "'%s' has object format '%s'; only sha1 is supported",
			      path, format);
	git_config_free(config);
	return r;
}

static int open_objects(struct repo *repo, struct error *err)
{
	const char *quarantine = repo->in_quarantine ? getenv("GIT_QUARANTINE_PATH") : NULL;
	int r = git_repository_odb(&repo->odb, repo->git);

	if (r < 0)
		return fail(err, r, "open the objects of", repo->path);
	if (!quarantine) /* a push of deletions only brings no objects */
		return 0;
	repo->quarantine = xstrdup(quarantine);
	r = git_odb_add_disk_alternate(repo->odb, quarantine);
	return r < 0 ? fail(err, r, "open the pushed objects in", quarantine) : 0;
}

int repo_open(struct repo **out, const char *path, bool in_quarantine, struct error *err)
{
	autorepo struct repo *repo = xcalloc(1, sizeof(*repo));
	int r;

	*out = NULL;
	if (start_libgit2(err) == -1)
		return -1;
	repo->path = xstrdup(path);
	repo->objects = xasprintf("%s/objects", path);
	repo->in_quarantine = in_quarantine;
	r = git_repository_open_bare(&repo->git, path);
	if (r < 0)
		return fail(err, r, "open the repository", path);
	if (check_format(repo->git, path, err) == -1 || open_objects(repo, err) == -1)
		return -1;
	*out = steal_ptr(&repo);
	return 0;
}

void repo_free(struct repo *repo)
{
	if (!repo)
		return;
	git_odb_free(repo->odb);
	git_repository_free(repo->git);
	free(repo->path);
	free(repo->objects);
	free(repo->quarantine);
	free(repo);
}

void repo_free_p(struct repo **repo)
{
	repo_free(*repo);
}

void repo_object_dirs(const struct repo *repo, const char **objects, const char **quarantine)
{
	*objects = repo->objects;
	*quarantine = repo->quarantine;
}

/* Refs */

int repo_resolve(struct repo *repo, const char *ref, bool peel, char oid[OID_HEX],
		 struct error *err)
{
	autoref git_reference *named = NULL, *direct = NULL;
	autoobject git_object *object = NULL;
	const git_oid *id;
	int r = git_reference_lookup(&named, repo->git, ref);

	if (r == 0)
		r = git_reference_resolve(&direct, named);
	if (r == 0 && peel)
		r = git_reference_peel(&object, direct, GIT_OBJECT_ANY);
	if (r < 0)
		return fail(err, r, "resolve", ref);
	id = peel ? git_object_id(object) : git_reference_target(direct);
	git_oid_tostr(oid, OID_HEX, id);
	return 0;
}

int repo_head_name(struct repo *repo, char **out, struct error *err)
{
	autoref git_reference *head = NULL;
	int r = git_reference_lookup(&head, repo->git, "HEAD");

	*out = NULL;
	if (r < 0)
		return fail(err, r, "read", "HEAD");
	if (git_reference_type(head) != GIT_REFERENCE_SYMBOLIC)
		return error_set(err, E_SYSTEM, "HEAD of '%s' names no branch", repo->path);
	*out = xstrdup(git_reference_symbolic_target(head));
	return 0;
}

/* libgit2 lists every file below refs/; what git passes over (a lock, a temporary file that a crash
 * left) is no ref here either. */
static bool is_ref_name(const char *name)
{
	int valid = 0;

	return git_reference_name_is_valid(&valid, name) == 0 && valid;
}

int repo_list_refs(struct repo *repo, const char *prefix, struct strv *names, struct strv *oids,
		   struct error *err)
{
	git_reference_iterator *it = NULL;
	autofree char *glob = xasprintf("%s*", prefix);
	const char *name;
	char oid[OID_HEX];
	int r = git_reference_iterator_glob_new(&it, repo->git, glob);

	while (r == 0 && (r = git_reference_next_name(&name, it)) == 0)
		if (is_ref_name(name))
			strv_add(names, name);
	git_reference_iterator_free(it);
	if (r != GIT_ITEROVER)
		return fail(err, r, "list the refs below", prefix);
	strv_sort(names);
	for (size_t i = 0; oids && i < names->n; i++) {
		if (repo_resolve(repo, names->v[i], false, oid, err) == -1)
			return -1;
		strv_add(oids, oid);
	}
	return 0;
}

int repo_set_ref(struct repo *repo, const char *ref, const char *oid, const char *old,
		 const char *message, struct error *err)
{
	autoref git_reference *done = NULL;
	git_oid to, from;
	int r;

	assert(!repo->in_quarantine); /* the objects may yet vanish */
	if (parse_oid(oid, &to, err) == -1 || (old && parse_oid(old, &from, err) == -1))
		return -1;
	r = git_reference_create_matching(&done, repo->git, ref, &to, true, old ? &from : NULL,
					  message);
	if (r == GIT_EMODIFIED || r == GIT_ELOCKED)
		return error_set(err, E_BUSY, "'%s' was moved by somebody else", ref);
	return r < 0 ? fail(err, r, "set", ref) : 0;
}

int repo_delete_ref(struct repo *repo, const char *ref, struct error *err)
{
	int r;

	assert(!repo->in_quarantine);
	r = git_reference_remove(repo->git, ref);
	return r < 0 && r != GIT_ENOTFOUND ? fail(err, r, "delete", ref) : 0;
}

int repo_pack_refs(struct repo *repo, struct error *err)
{
	git_refdb *refs = NULL;
	int r = git_repository_refdb(&refs, repo->git);

	assert(!repo->in_quarantine);
	if (r == 0)
		r = git_refdb_compress(refs);
	git_refdb_free(refs);
	return r < 0 ? fail(err, r, "pack the refs of", repo->path) : 0;
}

/* Objects */

static enum repo_type repo_type_from(git_object_t type)
{
	if (type == GIT_OBJECT_COMMIT)
		return REPO_COMMIT;
	if (type == GIT_OBJECT_TREE)
		return REPO_TREE;
	if (type == GIT_OBJECT_BLOB)
		return REPO_BLOB;
	return type == GIT_OBJECT_TAG ? REPO_TAG : REPO_OTHER;
}

static int read_header(struct repo *repo, const char *oid, git_oid *id, size_t *bytes,
		       git_object_t *type, struct error *err)
{
	int r;

	if (parse_oid(oid, id, err) == -1)
		return -1;
	r = git_odb_read_header(bytes, type, repo->odb, id);
	return r < 0 ? fail(err, r, "read the object", oid) : 0;
}

int repo_object_type(struct repo *repo, const char *oid, enum repo_type *out, struct error *err)
{
	git_object_t type;
	size_t bytes;
	git_oid id;

	if (read_header(repo, oid, &id, &bytes, &type, err) == -1)
		return -1;
	*out = repo_type_from(type);
	return 0;
}

int repo_read_commit(struct repo *repo, const char *oid, struct repo_commit *out, struct error *err)
{
	git_commit *commit = NULL;
	const char *text;
	git_oid id;
	int r;

	*out = (struct repo_commit){0};
	if (parse_oid(oid, &id, err) == -1)
		return -1;
	r = git_commit_lookup(&commit, repo->git, &id);
	if (r < 0)
		return fail(err, r, "read the commit", oid);
	git_oid_tostr(out->tree, OID_HEX, git_commit_tree_id(commit));
	text = git_commit_message(commit);
	out->subject = xstrndup(text, strcspn(text, "\n"));
	out->when = git_commit_time(commit);
	out->n_parents = git_commit_parentcount(commit);
	if (out->n_parents)
		git_oid_tostr(out->parent, OID_HEX, git_commit_parent_id(commit, 0));
	git_commit_free(commit);
	return 0;
}

void repo_commit_release(struct repo_commit *c)
{
	free(steal_ptr(&c->subject));
}

int repo_peel_commit(struct repo *repo, const char *oid, char commit[OID_HEX], struct error *err)
{
	autoobject git_object *object = NULL, *peeled = NULL;
	git_oid id;
	int r;

	if (parse_oid(oid, &id, err) == -1)
		return -1;
	r = git_object_lookup(&object, repo->git, &id, GIT_OBJECT_ANY);
	if (r < 0)
		return fail(err, r, "read the object", oid);
	r = git_object_peel(&peeled, object, GIT_OBJECT_COMMIT);
	if (r == GIT_EPEEL || r == GIT_EINVALIDSPEC)
		return error_set(err, E_NOTFOUND, "'%s' leads to no commit", oid);
	if (r < 0)
		return fail(err, r, "peel the object", oid);
	git_oid_tostr(commit, OID_HEX, git_object_id(peeled));
	return 0;
}

int repo_peel(struct repo *repo, const char *oid, char out[OID_HEX], enum repo_type *type,
	      struct error *err)
{
	autoobject git_object *object = NULL, *peeled = NULL;
	git_oid id;
	int r;

	if (repo_object_type(repo, oid, type, err) == -1)
		return -1;
	memmove(out, oid, OID_HEX);
	if (*type != REPO_TAG)
		return 0;
	if (parse_oid(oid, &id, err) == -1)
		return -1;
	r = git_object_lookup(&object, repo->git, &id, GIT_OBJECT_TAG);
	if (r == 0) /* ANY: until it is no tag */
		r = git_object_peel(&peeled, object, GIT_OBJECT_ANY);
	if (r < 0)
		return fail(err, r, "follow the tag", oid);
	git_oid_tostr(out, OID_HEX, git_object_id(peeled));
	*type = repo_type_from(git_object_type(peeled));
	return 0;
}

/* What is hidden counts as known: all that the refs name, or HEAD alone. */
static int start_walk(struct repo *repo, const struct strv *oids, bool hide_all, git_revwalk **walk,
		      struct error *err)
{
	git_oid id;
	int r = git_revwalk_new(walk, repo->git);

	for (size_t i = 0; i < oids->n && r == 0; i++)
		r = parse_oid(oids->v[i], &id, err) == -1 ? GIT_ERROR
							  : git_revwalk_push(*walk, &id);
	if (r < 0)
		return r;
	return hide_all ? git_revwalk_hide_glob(*walk, "refs/*") : git_revwalk_hide_head(*walk);
}

static int walk_new(struct repo *repo, const struct strv *oids, bool hide_all, size_t most,
		    repo_commit_fn fn, void *ctx, struct error *err)
{
	git_revwalk *walk = NULL;
	char hex[OID_HEX] = "";
	bool stopped = false;
	git_oid id;
	int r = start_walk(repo, oids, hide_all, &walk, err);

	for (size_t n = 0; r == 0 && !stopped; n++) {
		r = git_revwalk_next(&id, walk);
		if (r == 0)
			stopped = n == most ||
				  fn(ctx, git_oid_tostr(hex, sizeof(hex), &id), err) == -1;
	}
	git_revwalk_free(walk);
	if (stopped)
		return -1;
	if (r == GIT_ITEROVER)
		return 0;
	fail(err, r, "follow the history of", oids->n ? oids->v[0] : "nothing");
	if (r == GIT_ENOTFOUND)
		err->code = E_REFUSED;
	return -1;
}

/* Nearly always what is new is little and stands upon HEAD. To hide every ref, of which each kept
 * release is one, takes a few system calls for each, so that is done only where HEAD is not enough:
 * it leaves out more commits, so what passes without it passes with it. */
int repo_walk_new(struct repo *repo, const struct strv *oids, repo_commit_fn fn, void *ctx,
		  struct error *err)
{
	struct error not_enough = ERROR_INIT;

	if (walk_new(repo, oids, false, UPON_HEAD_MAX, fn, ctx, &not_enough) == 0)
		return 0;
	return walk_new(repo, oids, true, SIZE_MAX, fn, ctx, err);
}

bool repo_has(struct repo *repo, const char *oid)
{
	git_oid id;

	return name_is_oid(oid) && git_oid_fromstr(&id, oid) == 0 && git_odb_exists(repo->odb, &id);
}

static int read_blob(struct repo *repo, const char *oid, size_t max_bytes, git_odb_object **out,
		     struct error *err)
{
	git_object_t type;
	size_t bytes;
	git_oid id;
	int r;

	if (read_header(repo, oid, &id, &bytes, &type, err) == -1)
		return -1;
	if (type != GIT_OBJECT_BLOB)
		return error_set(err, E_SYSTEM, "object '%s' is no blob", oid);
	if (bytes > max_bytes)
		return error_set(err, E_REFUSED, "blob '%s' has %zu bytes, more than %zu", oid,
				 bytes, max_bytes);
	r = git_odb_read(out, repo->odb, &id);
	return r < 0 ? fail(err, r, "read the blob", oid) : 0;
}

int repo_read_blob(struct repo *repo, const char *oid, size_t max_bytes, struct strbuf *out,
		   struct error *err)
{
	autoblob git_odb_object *blob = NULL;

	if (read_blob(repo, oid, max_bytes, &blob, err) == -1)
		return -1;
	strbuf_add(out, git_odb_object_data(blob), git_odb_object_size(blob));
	return 0;
}

int repo_blob_size(struct repo *repo, const char *oid, uint64_t *bytes, struct error *err)
{
	git_object_t type;
	size_t size;
	git_oid id;

	if (read_header(repo, oid, &id, &size, &type, err) == -1)
		return -1;
	*bytes = size;
	return 0;
}

static int stream_blob(struct repo *repo, const char *oid, int fd, struct error *err)
{
	autofree char *git_dir = xasprintf("--git-dir=%s", repo->path);
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	struct proc_spec spec = {.path = "git", .in = -1, .out = fd, .err = -1};
	int status;
	pid_t pid;

	for (size_t i = 0; i < 5; i++)
		strv_add(&argv, (const char *const[]){"git", git_dir, "cat-file", "blob", oid}[i]);
	strv_add(&env, "HOME=/nonexistent");
	strv_add(&env, "GIT_CONFIG_NOSYSTEM=1");
	strv_add(&env, "GIT_CONFIG_GLOBAL=/dev/null");
	if (repo->quarantine) {
		strv_addf(&env, "GIT_OBJECT_DIRECTORY=%s", repo->quarantine);
		strv_addf(&env, "GIT_ALTERNATE_OBJECT_DIRECTORIES=%s", repo->objects);
	}
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&env);
	if (proc_start(&spec, &pid, err) == -1 || proc_wait(pid, -1, &status, err) == -1)
		return -1;
	if (status != 0) /* a full disk ends here: git's own words went nowhere */
		return error_set(err, E_SYSTEM,
				 "cannot write blob '%s': git cat-file ended with status %d", oid,
				 status);
	return 0;
}

int repo_write_blob(struct repo *repo, const char *oid, int fd, struct error *err)
{
	if (repo_write_small_blob(repo, oid, STREAM_BYTES, fd, err) == 0)
		return 0;
	return err->code == E_REFUSED ? stream_blob(repo, oid, fd, err) : -1;
}

int repo_write_small_blob(struct repo *repo, const char *oid, size_t max_bytes, int fd,
			  struct error *err)
{
	autoblob git_odb_object *blob = NULL;

	if (read_blob(repo, oid, max_bytes, &blob, err) == -1)
		return -1;
	return fs_write_all(fd, git_odb_object_data(blob), git_odb_object_size(blob), err);
}

void repo_hash(const void *bytes, size_t len, char oid[OID_HEX])
{
	struct error err = ERROR_INIT;
	git_oid id;
	int r = start_libgit2(&err);

	if (r == 0)
		r = git_odb_hash(&id, bytes, len, GIT_OBJECT_BLOB);
	assert(r == 0); /* it fails only without memory */
	git_oid_tostr(oid, OID_HEX, &id);
}

int repo_hash_file(int fd, char oid[OID_HEX], struct error *err)
{
	autofree char *path =
		xasprintf("/proc/self/fd/%d", fd); /* libgit2 hashes piecewise only by path */
	git_oid id;
	int r;

	if (start_libgit2(err) == -1)
		return -1;
	r = git_odb_hashfile(&id, path, GIT_OBJECT_BLOB);
	if (r < 0)
		return fail(err, r, "hash", path);
	git_oid_tostr(oid, OID_HEX, &id);
	return 0;
}

/* Trees */

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

static void fill_entry(const git_tree_entry *from, struct repo_entry *out)
{
	out->name = git_tree_entry_name(from);
	out->mode = (unsigned)git_tree_entry_filemode_raw(from);
	out->kind = kind_from(out->mode);
	git_oid_tostr(out->oid, OID_HEX, git_tree_entry_id(from));
}

/* NULL for "", the empty tree. */
static int lookup_tree(struct repo *repo, const char *oid, git_tree **out, struct error *err)
{
	git_oid id;
	int r;

	*out = NULL;
	if (!*oid)
		return 0;
	if (parse_oid(oid, &id, err) == -1)
		return -1;
	r = git_tree_lookup(out, repo->git, &id);
	return r < 0 ? fail(err, r, "read the tree", oid) : 0;
}

int repo_tree_open(struct repo *repo, const char *oid, struct repo_tree **out, struct error *err)
{
	git_tree *tree;

	*out = NULL;
	if (lookup_tree(repo, oid, &tree, err) == -1)
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
		fill_entry(entry, out);
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

	if (lookup_tree(repo, old_tree, &old, err) == -1 ||
	    lookup_tree(repo, new_tree, &new, err) == -1)
		return -1;
	merge = (struct merge){{old, new}, {0, 0}};
	while (merge_next(&merge, &a, &b)) {
		struct repo_entry was = {.name = NULL}, now = {.name = NULL};

		if (a)
			fill_entry(a, &was);
		if (b)
			fill_entry(b, &now);
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
	if (lookup_tree(repo, old_tree, &old, err) == -1 ||
	    lookup_tree(repo, new_tree, &new, err) == -1)
		return -1;
	merge = (struct merge){{old, new}, {0, 0}};
	r = git_treebuilder_new(&mix.builder, repo->git, old);
	if (r == 0)
		r = mix_write(&mix, &merge, oid);
	git_treebuilder_free(mix.builder);
	return r < 0 ? fail(err, r, "write a tree between two for", new_tree) : 0;
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
	fill_entry(entry, out);
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
	if (lookup_tree(repo, tree, &root, err) == -1)
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

	if (lookup_tree(repo, tree, &root, err) == -1)
		return -1;
	r = root ? git_tree_entry_bypath(&entry, root, path) : GIT_ENOTFOUND;
	if (r < 0 && r != GIT_ENOTFOUND)
		return fail(err, r, "look into the tree for", path);
	if (r < 0)
		return 0;
	fill_entry(entry, out);
	out->name = "";
	git_tree_entry_free(entry);
	return 1;
}
