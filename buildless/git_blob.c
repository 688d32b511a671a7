/* git_blob.c - the content of files: read, written out, hashed. */
#include "buildless/git_private.h"

#include <assert.h>
#include <git2/errors.h>
#include "common/fs.h"
#include "common/proc.h"

/* Above it a blob is streamed by git, which inflates piecewise; libgit2 would hold all of it in
 * memory. */
#define STREAM_BYTES (16 << 20)
#define autoblob     __attribute__((cleanup(blob_free_p)))

static void blob_free_p(git_odb_object **b)
{
	git_odb_object_free(*b);
}

static int read_blob(struct repo *repo, const char *oid, size_t max_bytes, git_odb_object **out,
		     struct error *err)
{
	git_object_t type;
	size_t bytes;
	git_oid id;
	int r;

	if (repo_read_header(repo, oid, &id, &bytes, &type, err) == -1)
		return -1;
	if (type != GIT_OBJECT_BLOB)
		return error_set(err, E_SYSTEM, "object '%s' is no blob", oid);
	if (bytes > max_bytes)
		return error_set(err, E_REFUSED, "blob '%s' has %zu bytes, more than %zu", oid,
				 bytes, max_bytes);
	r = git_odb_read(out, repo->odb, &id);
	return r < 0 ? repo_fail(err, r, "read the blob", oid) : 0;
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

	if (repo_read_header(repo, oid, &id, &size, &type, err) == -1)
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
	int r = repo_start_libgit2(&err);

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

	if (repo_start_libgit2(err) == -1)
		return -1;
	r = git_odb_hashfile(&id, path, GIT_OBJECT_BLOB);
	if (r < 0)
		return repo_fail(err, r, "hash", path);
	git_oid_tostr(oid, OID_HEX, &id);
	return 0;
}

/* Trees */
