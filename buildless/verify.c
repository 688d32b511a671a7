#include "buildless/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "common/fs.h"

struct verify {
	struct repo *repo;
	verify_finding_fn finding;
	void *ctx;
	uint64_t files;
	struct strbuf path; /* of the directory we are in; ends in '/' unless empty */
};

struct verify_level {
	struct verify *v;
	int fd;
	struct strv expected;
};

static void found(const struct verify *v, const char *kind, const char *name)
{
	autofree char *path = xasprintf("%s%s", strbuf_str(&v->path), name);

	v->finding(v->ctx, kind, path);
}

static int verify_directory(struct verify *v, int fd, const char *tree, struct error *err);

static int verify_file(struct verify_level *level, const struct repo_entry *e,
		       const struct stat *st, struct error *err)
{
	mode_t mode = e->kind == REPO_ENTRY_EXEC ? 0755 : 0644;
	autoclose int fd = -1;
	char oid[OID_HEX];

	level->v->files++;
	if ((st->st_mode & 07777) != mode)
		found(level->v, "mode", e->name);
	if (fs_open(level->fd, e->name, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, &fd, err) == -1 ||
	    repo_hash_file(fd, oid, err) == -1)
		return -1;
	if (strcmp(oid, e->oid) != 0)
		found(level->v, "changed", e->name);
	return 0;
}

static int verify_link(struct verify_level *level, const struct repo_entry *e, struct error *err)
{
	autofree char *target = NULL;
	char oid[OID_HEX];

	level->v->files++;
	if (fs_read_link(level->fd, e->name, &target, err) == -1)
		return -1;
	repo_hash(target, strlen(target), oid);
	if (strcmp(oid, e->oid) != 0)
		found(level->v, "link", e->name);
	return 0;
}

static int verify_below(struct verify_level *level, const struct repo_entry *e,
			const struct stat *st, struct error *err)
{
	struct verify *v = level->v;
	size_t len = v->path.len;
	autoclose int fd = -1;
	int r;

	if ((st->st_mode & 07777) != 0755)
		found(v, "mode", e->name);
	if (fs_open_dir(level->fd, e->name, &fd, err) == -1)
		return -1;
	strbuf_addf(&v->path, "%s/", e->name);
	r = verify_directory(v, fd, e->oid, err);
	v->path.len = len;
	v->path.buf[len] = '\0';
	return r;
}

static int verify_entry(void *ctx, const char *name, const struct repo_entry *was,
			const struct repo_entry *now, struct error *err)
{
	struct verify_level *level = ctx;
	mode_t type = now->kind == REPO_ENTRY_TREE   ? S_IFDIR
		      : now->kind == REPO_ENTRY_LINK ? S_IFLNK
						     : S_IFREG;
	struct stat st;

	(void)was;
	strv_add(&level->expected, name);
	if (fstatat(level->fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (errno != ENOENT)
			return error_sys(err, errno, "cannot stat '%s'", name);
		found(level->v, "missing", name);
		return 0;
	}
	if ((st.st_mode & S_IFMT) != type) {
		found(level->v, "type", name);
		return 0;
	}
	if (type == S_IFDIR)
		return verify_below(level, now, &st, err);
	return type == S_IFLNK ? verify_link(level, now, err) : verify_file(level, now, &st, err);
}

/* Both are sorted by bytes. */
static int find_extra(struct verify_level *level, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	size_t at = 0;

	if (fs_list(level->fd, &names, err) == -1)
		return -1;
	strv_sort(&level->expected);
	for (size_t i = 0; i < names.n; i++) {
		while (at < level->expected.n && strcmp(level->expected.v[at], names.v[i]) < 0)
			at++;
		if (at == level->expected.n || strcmp(level->expected.v[at], names.v[i]) != 0)
			found(level->v, "extra", names.v[i]);
	}
	return 0;
}

static int verify_directory(struct verify *v, int fd, const char *tree, struct error *err)
{
	struct verify_level level = {.v = v, .fd = fd};
	int r = repo_diff_level(v->repo, "", tree, verify_entry, &level, err);

	if (r == 0)
		r = find_extra(&level, err);
	strv_free_p(&level.expected);
	return r;
}

int verify_release(const struct app *app, struct repo *repo, const struct release_info *release,
		   verify_finding_fn finding, void *ctx, uint64_t *files, struct error *err)
{
	struct verify v = {.repo = repo, .finding = finding, .ctx = ctx};
	autofree char *slot = xasprintf("slots/%u", release->slot);
	autoclose int fd = -1;
	int r;

	*files = 0;
	if (fs_open_dir(app->fd, slot, &fd, err) == -1)
		return error_prefix(err, "release %u", release->number);
	r = verify_directory(&v, fd, release->tree, err);
	strbuf_release(&v.path);
	*files = v.files;
	return r;
}
