/* git.c - the repository, its refs, commits and tags. */
#include "buildless/git_private.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <git2/commit.h>
#include <git2/config.h>
#include <git2/errors.h>
#include <git2/global.h>
#include <git2/object.h>
#include <git2/refdb.h>
#include <git2/refs.h>
#include <git2/revwalk.h>
#ifdef SILVER_SANITIZE
#include <sanitizer/lsan_interface.h>
#endif
#include "common/names.h"

/* Commits that a push is expected to bring, at most: more are asked of all refs. */
#define UPON_HEAD_MAX 100

#define autoobject __attribute__((cleanup(object_free_p)))
#define autoref    __attribute__((cleanup(ref_free_p)))

static void object_free_p(git_object **o)
{
	git_object_free(*o);
}

static void ref_free_p(git_reference **r)
{
	git_reference_free(*r);
}

int repo_fail(struct error *err, int r, const char *what, const char *name)
{
	const git_error *last = git_error_last();
	enum error_code code = r == GIT_ENOTFOUND || r == GIT_EUNBORNBRANCH ? E_NOTFOUND : E_SYSTEM;

	return error_set(err, code, "cannot %s '%s': %s", what, name,
			 last && last->message ? last->message : "no reason given");
}

int repo_parse_oid(const char *text, git_oid *out, struct error *err)
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

int repo_start_libgit2(struct error *err)
{
	static bool started;
	int r;

	if (started)
		return 0;
	r = git_libgit2_init();
	if (r < 0)
		return repo_fail(err, r, "start", "libgit2");
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

int repo_try_libgit2(char **library, struct error *err)
{
	static const char empty[] = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
	char oid[OID_HEX];
	Dl_info from;

	if (repo_start_libgit2(err) == -1)
		return -1;
	repo_hash("", 0, oid);
	if (strcmp(oid, empty) != 0 || !dladdr(dlsym(RTLD_DEFAULT, "git_libgit2_init"), &from))
		return error_set(err, E_SYSTEM, "libgit2 says that an empty blob is %s", oid);
	*library = realpath(from.dli_fname, NULL);
	return *library ? 0 : error_sys(err, errno, "cannot find '%s'", from.dli_fname);
}

/* git_repository_open_bare() opens any object format and then misreads it. */
static int check_format(git_repository *git, const char *path, struct error *err)
{
	git_config *config = NULL;
	const char *format = NULL;
	int r = git_repository_config_snapshot(&config, git);

	if (r < 0)
		return repo_fail(err, r, "read the configuration of", path);
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
		return repo_fail(err, r, "open the objects of", repo->path);
	if (!quarantine) /* a push of deletions only brings no objects */
		return 0;
	repo->quarantine = xstrdup(quarantine);
	r = git_odb_add_disk_alternate(repo->odb, quarantine);
	return r < 0 ? repo_fail(err, r, "open the pushed objects in", quarantine) : 0;
}

int repo_open(struct repo **out, const char *path, bool in_quarantine, struct error *err)
{
	autorepo struct repo *repo = xcalloc(1, sizeof(*repo));
	int r;

	*out = NULL;
	if (repo_start_libgit2(err) == -1)
		return -1;
	repo->path = xstrdup(path);
	repo->objects = xasprintf("%s/objects", path);
	repo->in_quarantine = in_quarantine;
	r = git_repository_open_bare(&repo->git, path);
	if (r < 0)
		return repo_fail(err, r, "open the repository", path);
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
		return repo_fail(err, r, "resolve", ref);
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
		return repo_fail(err, r, "read", "HEAD");
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
		return repo_fail(err, r, "list the refs below", prefix);
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
	if (repo_parse_oid(oid, &to, err) == -1 || (old && repo_parse_oid(old, &from, err) == -1))
		return -1;
	r = git_reference_create_matching(&done, repo->git, ref, &to, true, old ? &from : NULL,
					  message);
	if (r == GIT_EMODIFIED || r == GIT_ELOCKED)
		return error_set(err, E_BUSY, "'%s' was moved by somebody else", ref);
	return r < 0 ? repo_fail(err, r, "set", ref) : 0;
}

int repo_delete_ref(struct repo *repo, const char *ref, struct error *err)
{
	int r;

	assert(!repo->in_quarantine);
	r = git_reference_remove(repo->git, ref);
	return r < 0 && r != GIT_ENOTFOUND ? repo_fail(err, r, "delete", ref) : 0;
}

int repo_pack_refs(struct repo *repo, struct error *err)
{
	git_refdb *refs = NULL;
	int r = git_repository_refdb(&refs, repo->git);

	assert(!repo->in_quarantine);
	if (r == 0)
		r = git_refdb_compress(refs);
	git_refdb_free(refs);
	return r < 0 ? repo_fail(err, r, "pack the refs of", repo->path) : 0;
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

int repo_read_header(struct repo *repo, const char *oid, git_oid *id, size_t *bytes,
		     git_object_t *type, struct error *err)
{
	int r;

	if (repo_parse_oid(oid, id, err) == -1)
		return -1;
	r = git_odb_read_header(bytes, type, repo->odb, id);
	return r < 0 ? repo_fail(err, r, "read the object", oid) : 0;
}

int repo_object_type(struct repo *repo, const char *oid, enum repo_type *out, struct error *err)
{
	git_object_t type;
	size_t bytes;
	git_oid id;

	if (repo_read_header(repo, oid, &id, &bytes, &type, err) == -1)
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
	if (repo_parse_oid(oid, &id, err) == -1)
		return -1;
	r = git_commit_lookup(&commit, repo->git, &id);
	if (r < 0)
		return repo_fail(err, r, "read the commit", oid);
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

	if (repo_parse_oid(oid, &id, err) == -1)
		return -1;
	r = git_object_lookup(&object, repo->git, &id, GIT_OBJECT_ANY);
	if (r < 0)
		return repo_fail(err, r, "read the object", oid);
	r = git_object_peel(&peeled, object, GIT_OBJECT_COMMIT);
	if (r == GIT_EPEEL || r == GIT_EINVALIDSPEC)
		return error_set(err, E_NOTFOUND, "'%s' leads to no commit", oid);
	if (r < 0)
		return repo_fail(err, r, "peel the object", oid);
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
	if (repo_parse_oid(oid, &id, err) == -1)
		return -1;
	r = git_object_lookup(&object, repo->git, &id, GIT_OBJECT_TAG);
	if (r == 0) /* ANY: until it is no tag */
		r = git_object_peel(&peeled, object, GIT_OBJECT_ANY);
	if (r < 0)
		return repo_fail(err, r, "follow the tag", oid);
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
		r = repo_parse_oid(oids->v[i], &id, err) == -1 ? GIT_ERROR
							       : git_revwalk_push(*walk, &id);
	if (r < 0)
		return r;
	return hide_all ? git_revwalk_hide_glob(*walk, "refs/*") : git_revwalk_hide_head(*walk);
}

/* libgit2 1.5.1 forgets what it read when a walk meets a missing commit. The process ends soon. */
static int next_commit(git_oid *id, git_revwalk *walk)
{
	int r;

#ifdef SILVER_SANITIZE
	__lsan_disable();
#endif
	r = git_revwalk_next(id, walk);
#ifdef SILVER_SANITIZE
	__lsan_enable();
#endif
	return r;
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
		r = next_commit(&id, walk);
		if (r == 0)
			stopped = n == most ||
				  fn(ctx, git_oid_tostr(hex, sizeof(hex), &id), err) == -1;
	}
	git_revwalk_free(walk);
	if (stopped)
		return -1;
	if (r == GIT_ITEROVER)
		return 0;
	repo_fail(err, r, "follow the history of", oids->n ? oids->v[0] : "nothing");
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
