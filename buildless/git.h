/* git.h - objects and refs of an app's repository; the only user of libgit2.
 *
 * libgit2 is initialised by the first repo_open() (about 9 ms: it parses the CA bundle), never
 * before: what needs no object starts without it. Oids are 40 lower-case hex digits and a NUL.
 * Errors are E_SYSTEM unless said. */
#pragma once
#include "common/mem.h"

#define OID_HEX 41

struct repo;

enum repo_type { REPO_COMMIT, REPO_TREE, REPO_BLOB, REPO_TAG, REPO_OTHER };

/* What a tree may hold; everything else is REPO_ENTRY_BAD_MODE. */
enum repo_entry_kind {
	REPO_ENTRY_TREE,
	REPO_ENTRY_FILE,
	REPO_ENTRY_EXEC,
	REPO_ENTRY_LINK,
	REPO_ENTRY_GITLINK,
	REPO_ENTRY_BAD_MODE
};

struct repo_entry {
	const char *name; /* as in the tree: any bytes but NUL */
	unsigned mode;
	enum repo_entry_kind kind;
	char oid[OID_HEX];
};

struct repo_commit {
	char tree[OID_HEX];
	char parent[OID_HEX]; /* the first; "": none */
	char *subject;        /* first line, any bytes */
	int64_t when;         /* committer time, UTC seconds */
	size_t n_parents;
};

/* No directory of a tree may lie deeper; all walks refuse it (E_REFUSED), so none runs out of stack
 * or descriptors. */
#define REPO_DEPTH_MAX 512

/* Starts libgit2 and hashes with it; *library is the file that it came from, the caller's. */
MUST_CHECK int repo_try_libgit2(char **library, struct error *err);
/* path is repo.git, absolute. in_quarantine: from pre-receive; the pushed objects are seen too
 * (GIT_QUARANTINE_PATH), and refs are never written. A sha256 repository is refused. */
MUST_CHECK int repo_open(struct repo **out, const char *path, bool in_quarantine,
			 struct error *err);
void repo_free(struct repo *repo);
/* Directories of objects, repo's: what has been pushed only now is in *quarantine, else NULL. */
void repo_object_dirs(const struct repo *repo, const char **objects, const char **quarantine);
void repo_free_p(struct repo **repo);
#define autorepo __attribute__((cleanup(repo_free_p)))

/* E_NOTFOUND: no such ref, or HEAD names a branch without commits. Annotated tags are peeled where
 * peel is true. */
MUST_CHECK int repo_resolve(struct repo *repo, const char *ref, bool peel, char oid[OID_HEX],
			    struct error *err);
/* What HEAD names ("refs/heads/master"), existing or not. The caller frees. */
MUST_CHECK int repo_head_name(struct repo *repo, char **out, struct error *err);
/* Everything below `prefix`, sorted: "NAME" in names, its oid at the same index of oids (NULL:
 * wanted by nobody, and not looked up, which takes a system call or three for each). */
MUST_CHECK int repo_list_refs(struct repo *repo, const char *prefix, struct strv *names,
			      struct strv *oids, struct error *err);
MUST_CHECK int repo_object_type(struct repo *repo, const char *oid, enum repo_type *out,
				struct error *err);
MUST_CHECK int repo_read_commit(struct repo *repo, const char *oid, struct repo_commit *out,
				struct error *err);
void repo_commit_release(struct repo_commit *c);
/* The commit that a tag leads to, or the commit itself. E_NOTFOUND: it leads to a tree or a file.
 */
MUST_CHECK int repo_peel_commit(struct repo *repo, const char *oid, char commit[OID_HEX],
				struct error *err);
/* What a tag leads to in the end, or the object itself, and what that is. E_NOTFOUND. */
MUST_CHECK int repo_peel(struct repo *repo, const char *oid, char out[OID_HEX],
			 enum repo_type *type, struct error *err);
/* Calls fn for each commit that `oids` have and the present refs have not, and perhaps for some
 * that they have, and for some twice; -1 from it for one that they have not ends the walk and is
 * returned. E_REFUSED: a parent is missing. */
typedef int (*repo_commit_fn)(void *ctx, const char *oid, struct error *err);
MUST_CHECK int repo_walk_new(struct repo *repo, const struct strv *oids, repo_commit_fn fn,
			     void *ctx, struct error *err);
/* Is the object there? It is not read. */
bool repo_has(struct repo *repo, const char *oid);
/* Blob content of at most max_bytes (larger: E_REFUSED). */
MUST_CHECK int repo_read_blob(struct repo *repo, const char *oid, size_t max_bytes,
			      struct strbuf *out, struct error *err);
MUST_CHECK int repo_blob_size(struct repo *repo, const char *oid, uint64_t *bytes,
			      struct error *err);
/* The file at `path` of a tree, in-tree symlinks followed (at most 10). E_NOTFOUND; E_REFUSED:
 * leaves the tree, or is no file. found (may be NULL) gets the path it was found at; the caller
 * frees. */
MUST_CHECK int repo_read_path(struct repo *repo, const char *tree, const char *path,
			      size_t max_bytes, struct strbuf *out, char **found,
			      struct error *err);
/* Does `path` exist in the tree, links followed? kind (may be NULL) is what it ends at. E_NOTFOUND,
 * E_REFUSED as above. */
MUST_CHECK int repo_stat_path(struct repo *repo, const char *tree, const char *path,
			      enum repo_entry_kind *kind, struct error *err);
/* The same; *found is where it ends, the caller's. */
MUST_CHECK int repo_find_path(struct repo *repo, const char *tree, const char *path,
			      enum repo_entry_kind *kind, char **found, struct error *err);
/* Is there an entry of this very path, no link followed? 1, 0, or -1. out->name is "". */
MUST_CHECK int repo_find_entry(struct repo *repo, const char *tree, const char *path,
			       struct repo_entry *out, struct error *err);

/* The differences of two trees, compared by oid, equal subtrees skipped; "" is the empty tree.
 * Called once for each path that differs, parents before children; was/now is NULL where there is
 * none. A directory that vanished or came is itself reported and then all that is below it; one
 * that only differs inside is not reported itself. path has no leading slash. -1 from the callback
 * stops and is returned with its err. */
typedef int (*repo_diff_fn)(void *ctx, const char *path, const struct repo_entry *was,
			    const struct repo_entry *now, struct error *err);
MUST_CHECK int repo_diff(struct repo *repo, const char *old_tree, const char *new_tree,
			 repo_diff_fn fn, void *ctx, struct error *err);
/* One level of it: names that differ, path is the name, and a directory that only differs inside is
 * reported, too. */
MUST_CHECK int repo_diff_level(struct repo *repo, const char *old_tree, const char *new_tree,
			       repo_diff_fn fn, void *ctx, struct error *err);
/* How many files and links a tree holds ("" as old_tree), or differ between two: paths, so a
 * changed file is one. */
MUST_CHECK int repo_count_changed(struct repo *repo, const char *old_tree, const char *new_tree,
				  uint64_t *n, struct error *err);
/* The same, but the count ends at `enough`. */
MUST_CHECK int repo_count_changed_to(struct repo *repo, const char *old_tree, const char *new_tree,
				     uint64_t enough, uint64_t *n, struct error *err);
/* Writes the tree that old_tree is after the first n differences of repo_diff_level(). `last`
 * (NULL: the new tree's) is the directory that the n-th of them comes to; "" is an empty one, as
 * for oid. On disk; no ref names it. Never in quarantine. */
MUST_CHECK int repo_mix_trees(struct repo *repo, const char *old_tree, const char *new_tree,
			      size_t n, const char *last, char oid[OID_HEX], struct error *err);

/* One tree, to look names up in. NULL is the empty tree. */
struct repo_tree;
MUST_CHECK int repo_tree_open(struct repo *repo, const char *oid, struct repo_tree **out,
			      struct error *err);
void repo_tree_free(struct repo_tree *tree);
bool repo_tree_find(const struct repo_tree *tree, const char *name,
		    struct repo_entry *out); /* out->name is the tree's */

/* Writes the blob's content to fd; a large one is streamed by `git cat-file`, so that memory stays
 * small. Not synced. */
MUST_CHECK int repo_write_blob(struct repo *repo, const char *oid, int fd, struct error *err);
/* The same for one of at most max_bytes (larger: E_REFUSED, nothing is written), all of it in
 * memory. Several threads may do this with one repository at a time, while one other reads
 * trees and blobs; nobody writes objects then. */
MUST_CHECK int repo_write_small_blob(struct repo *repo, const char *oid, size_t max_bytes, int fd,
				     struct error *err);
/* The blob id of some bytes, without storing them. */
void repo_hash(const void *bytes, size_t len, char oid[OID_HEX]);
MUST_CHECK int repo_hash_file(int fd, char oid[OID_HEX], struct error *err);

/* Refs, on disk when they return (core.fsync=all). old may be NULL (any), or the value that it must
 * have (E_BUSY). */
MUST_CHECK int repo_set_ref(struct repo *repo, const char *ref, const char *oid, const char *old,
			    const char *message, struct error *err);
MUST_CHECK int repo_delete_ref(struct repo *repo, const char *ref, struct error *err);
/* All refs into one file, which is read at once where each loose one is opened. On disk. */
MUST_CHECK int repo_pack_refs(struct repo *repo, struct error *err);
