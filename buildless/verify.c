#include "buildless/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include "buildless/slot.h"
#include "common/fs.h"

#define CHUNK_FILES  32 /* what a thread takes at once: small enough that all end together */
#define QUEUE_CHUNKS 64 /* each may hold a directory open */
#define THREADS_MAX  16
#define MEMORY_BYTES (256 << 10) /* a larger file is hashed piecewise */

/* Open as long as somebody has files of it to look at. */
struct directory {
	int fd;
	unsigned users; /* under the mutex */
	char *path;     /* ends in '/' unless empty */
};

struct chunk {
	struct directory *dir;
	struct {
		char *name, oid[OID_HEX];
		enum repo_entry_kind kind;
	} file[CHUNK_FILES];
	size_t n;
	struct chunk *next;
};

struct finding {
	const char *kind;
	char *path;
};

struct verify {
	struct repo *repo;                   /* the walking thread's */
	const struct relocation *relocation; /* too: what the slot has otherwise than the commit */
	const struct verify_watch *watch;
	pthread_mutex_t mutex; /* of all that follows */
	pthread_cond_t changed;
	struct chunk *first, **last;
	size_t queued;
	bool closed, failed;
	struct error err; /* of a thread, when failed */
	struct finding *finding;
	size_t n, cap;
	uint64_t files;
};

/* Findings */

static void found(struct verify *v, const char *kind, const struct directory *dir, const char *name)
{
	char *path = xasprintf("%s%s", dir->path, name);

	pthread_mutex_lock(&v->mutex);
	if (v->n == v->cap) {
		v->cap = v->cap ? 2 * v->cap : 16;
		v->finding = xrealloc_array(v->finding, v->cap, sizeof(*v->finding));
	}
	v->finding[v->n++] = (struct finding){kind, path};
	pthread_mutex_unlock(&v->mutex);
}

static int by_path(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void tell(struct verify *v)
{
	if (v->n)
		qsort(v->finding, v->n, sizeof(*v->finding), by_path);
	for (size_t i = 0; i < v->n; i++) {
		v->watch->finding(v->watch->ctx, v->finding[i].kind, v->finding[i].path);
		free(v->finding[i].path);
	}
	free(v->finding);
}

/* The queue */

/* name "": the slot itself. */
static struct directory *directory_new(int fd, const char *above, const char *name)
{
	struct directory *dir = xcalloc(1, sizeof(*dir));

	*dir = (struct directory){.fd = fd, .users = 1};
	dir->path = xasprintf("%s%s%s", above, name, *name ? "/" : "");
	return dir;
}

static void directory_leave(struct verify *v, struct directory *dir)
{
	bool last;

	pthread_mutex_lock(&v->mutex);
	last = --dir->users == 0;
	pthread_mutex_unlock(&v->mutex);
	if (!last)
		return;
	fd_close(&dir->fd);
	free(dir->path);
	free(dir);
}

static void chunk_free(struct verify *v, struct chunk *c)
{
	directory_leave(v, c->dir);
	for (size_t i = 0; i < c->n; i++)
		free(c->file[i].name);
	free(c);
}

/* Takes the chunk; waits for room. -1: a thread has failed. */
static int push(struct verify *v, struct chunk *c, struct error *err)
{
	uint64_t files;
	bool failed;

	pthread_mutex_lock(&v->mutex);
	while (v->queued == QUEUE_CHUNKS && !v->failed)
		pthread_cond_wait(&v->changed, &v->mutex);
	*v->last = c;
	v->last = &c->next;
	v->queued++;
	files = v->files;
	failed = v->failed;
	if (failed)
		*err = v->err;
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->mutex);
	if (v->watch->progress)
		v->watch->progress(v->watch->ctx, files);
	return failed ? -1 : 0;
}

/* NULL: that was all. */
static struct chunk *pop(struct verify *v)
{
	struct chunk *c;

	pthread_mutex_lock(&v->mutex);
	while (!v->first && !v->closed)
		pthread_cond_wait(&v->changed, &v->mutex);
	c = v->first;
	if (c) {
		v->first = c->next;
		if (!v->first)
			v->last = &v->first;
		v->queued--;
		pthread_cond_broadcast(&v->changed);
	}
	pthread_mutex_unlock(&v->mutex);
	return c;
}

/* Comparing; in the threads */

/* The id of what the descriptor reads. `memory` has MEMORY_BYTES. */
static int hash(int fd, char *memory, char oid[OID_HEX], struct error *err)
{
	size_t len = 0;
	ssize_t n;

	while (len < MEMORY_BYTES && (n = read(fd, memory + len, MEMORY_BYTES - len)) != 0) {
		if (n == -1 && errno != EINTR)
			return error_sys(err, errno, "cannot read");
		len += n > 0 ? (size_t)n : 0;
	}
	if (len == MEMORY_BYTES) /* by path, from its beginning */
		return repo_hash_file(fd, oid, err);
	repo_hash(memory, len, oid);
	return 0;
}

static int compare_file(struct verify *v, const struct chunk *c, size_t i, const struct stat *st,
			char *memory, struct error *err)
{
	mode_t mode = c->file[i].kind == REPO_ENTRY_EXEC ? 0755 : 0644;
	autoclose int fd = -1;
	char oid[OID_HEX];

	if ((st->st_mode & 07777) != mode)
		found(v, "mode", c->dir, c->file[i].name);
	if (fs_open(c->dir->fd, c->file[i].name, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, &fd, err) ==
		    -1 ||
	    hash(fd, memory, oid, err) == -1)
		return error_prefix(err, "'%s%s'", c->dir->path, c->file[i].name);
	if (strcmp(oid, c->file[i].oid) != 0)
		found(v, "changed", c->dir, c->file[i].name);
	return 0;
}

static int compare_link(struct verify *v, const struct chunk *c, size_t i, struct error *err)
{
	autofree char *target = NULL;
	char oid[OID_HEX];

	if (fs_read_link(c->dir->fd, c->file[i].name, &target, err) == -1)
		return -1;
	repo_hash(target, strlen(target), oid);
	if (strcmp(oid, c->file[i].oid) != 0)
		found(v, "link", c->dir, c->file[i].name);
	return 0;
}

static int compare(struct verify *v, const struct chunk *c, size_t i, char *memory,
		   struct error *err)
{
	bool is_link = c->file[i].kind == REPO_ENTRY_LINK;
	const char *name = c->file[i].name;
	struct stat st;

	if (fstatat(c->dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (errno != ENOENT)
			return error_sys(err, errno, "cannot stat '%s%s'", c->dir->path, name);
		found(v, "missing", c->dir, name);
		return 0;
	}
	if ((st.st_mode & S_IFMT) != (is_link ? S_IFLNK : S_IFREG)) {
		found(v, "type", c->dir, name);
		return 0;
	}
	return is_link ? compare_link(v, c, i, err) : compare_file(v, c, i, &st, memory, err);
}

static void *work(void *ctx)
{
	autofree char *memory = xmalloc(MEMORY_BYTES);
	struct error err = ERROR_INIT;
	struct verify *v = ctx;
	struct chunk *c;

	while ((c = pop(v)) != NULL) {
		size_t i = 0;

		while (i < c->n && compare(v, c, i, memory, &err) == 0)
			i++;
		pthread_mutex_lock(&v->mutex);
		v->files += i;
		if (i < c->n && !v->failed) {
			v->failed = true;
			v->err = err;
			pthread_cond_broadcast(&v->changed);
		}
		pthread_mutex_unlock(&v->mutex);
		chunk_free(v, c);
	}
	return NULL;
}

/* Walking */

struct level {
	struct verify *v;
	struct directory *dir;
	struct chunk *chunk; /* being filled */
	struct strv expected;
	unsigned depth;
};

static int flush(struct level *level, struct error *err)
{
	struct chunk *c = steal_ptr(&level->chunk);

	return c ? push(level->v, c, err) : 0;
}

/* The blob that the slot should have. */
static const char *expected_blob(const struct level *level, const struct repo_entry *e)
{
	const struct relocation_file *file;
	autofree char *path = NULL;

	if (level->v->relocation->n == 0)
		return e->oid;
	path = xasprintf("%s%s", level->dir->path, e->name);
	file = relocation_find(level->v->relocation, path);
	return file && strcmp(file->in, e->oid) == 0 ? file->out : e->oid;
}

static int add_file(struct level *level, const struct repo_entry *e, struct error *err)
{
	struct chunk *c = level->chunk;

	if (!c) {
		c = level->chunk = xcalloc(1, sizeof(*c));
		c->dir = level->dir;
		pthread_mutex_lock(&level->v->mutex);
		c->dir->users++;
		pthread_mutex_unlock(&level->v->mutex);
	}
	c->file[c->n].name = xstrdup(e->name);
	memcpy(c->file[c->n].oid, expected_blob(level, e), OID_HEX);
	c->file[c->n++].kind = e->kind;
	return c->n == CHUNK_FILES ? flush(level, err) : 0;
}

static int walk(struct verify *v, struct directory *dir, const char *tree, unsigned depth,
		struct error *err);

static int enter(struct level *level, const struct repo_entry *e, struct error *err)
{
	struct directory *up = level->dir;
	struct stat st;
	int fd;

	if (fstatat(up->fd, e->name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (errno != ENOENT)
			return error_sys(err, errno, "cannot stat '%s%s'", up->path, e->name);
		found(level->v, "missing", up, e->name);
		return 0;
	}
	if (!S_ISDIR(st.st_mode)) {
		found(level->v, "type", up, e->name);
		return 0;
	}
	if ((st.st_mode & 07777) != 0755)
		found(level->v, "mode", up, e->name);
	if (level->depth == REPO_DEPTH_MAX)
		return error_set(err, E_REFUSED, "'%.200s...' is nested too deep", up->path);
	if (fs_open_dir(up->fd, e->name, &fd, err) == -1)
		return -1;
	return walk(level->v, directory_new(fd, up->path, e->name), e->oid, level->depth + 1, err);
}

static int add_entry(void *ctx, const char *name, const struct repo_entry *was,
		     const struct repo_entry *now, struct error *err)
{
	struct level *level = ctx;

	(void)was;
	strv_add(&level->expected, name);
	return now->kind == REPO_ENTRY_TREE ? enter(level, now, err) : add_file(level, now, err);
}

/* Both are sorted by bytes. */
static int find_extra(struct level *level, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	size_t at = 0;

	if (fs_list(level->dir->fd, &names, err) == -1)
		return -1;
	strv_sort(&level->expected);
	for (size_t i = 0; i < names.n; i++) {
		while (at < level->expected.n && strcmp(level->expected.v[at], names.v[i]) < 0)
			at++;
		if (at == level->expected.n || strcmp(level->expected.v[at], names.v[i]) != 0)
			found(level->v, "extra", level->dir, names.v[i]);
	}
	return 0;
}

/* Takes the directory. */
static int walk(struct verify *v, struct directory *dir, const char *tree, unsigned depth,
		struct error *err)
{
	struct level level = {.v = v, .dir = dir, .depth = depth};
	int r = repo_diff_level(v->repo, "", tree, add_entry, &level, err);

	if (r == 0)
		r = flush(&level, err);
	if (r == 0)
		r = find_extra(&level, err);
	if (level.chunk)
		chunk_free(v, level.chunk);
	strv_free_p(&level.expected);
	directory_leave(v, dir);
	return r;
}

static unsigned threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static int verify(struct verify *v, int fd, const char *tree, struct error *err)
{
	pthread_t thread[THREADS_MAX];
	unsigned n = 0, wanted = threads();
	int r = 0, code = 0;

	while (n < wanted && (code = pthread_create(&thread[n], NULL, work, v)) == 0)
		n++;
	if (n > 0)
		r = walk(v, directory_new(steal_fd(&fd), "", ""), tree, 0, err);
	else
		r = error_sys(err, code, "cannot start a thread");
	fd_close(&fd);
	pthread_mutex_lock(&v->mutex);
	v->closed = true;
	pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->mutex);
	for (unsigned i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	if (r == 0 && v->failed) {
		*err = v->err;
		r = -1;
	}
	return r;
}

int verify_slot(const struct app *app, struct repo *repo, unsigned slot, const char *tree,
		const struct verify_watch *watch, uint64_t *files, struct error *err)
{
	autofree char *path = xasprintf("slots/%u", slot);
	autorelocation struct relocation relocation = RELOCATION_INIT;
	struct verify v = {
		.repo = repo, .relocation = &relocation, .watch = watch, .last = &v.first};
	int fd, r;

	*files = 0;
	if (fs_open_dir(app->fd, path, &fd, err) == -1)
		return -1;
	/* a slot without a record is told of elsewhere; its files must be the commit's, then */
	if (!slot_read_relocation(app, slot, tree, &relocation))
		relocation = (struct relocation)RELOCATION_INIT;
	pthread_mutex_init(&v.mutex, NULL);
	pthread_cond_init(&v.changed, NULL);
	r = verify(&v, fd, tree, err);
	tell(&v);
	pthread_cond_destroy(&v.changed);
	pthread_mutex_destroy(&v.mutex);
	*files = v.files;
	return r;
}

int verify_release(const struct app *app, struct repo *repo, const struct release_info *release,
		   verify_finding_fn finding, void *ctx, uint64_t *files, struct error *err)
{
	const struct verify_watch watch = {.finding = finding, .ctx = ctx};

	if (verify_slot(app, repo, release->slot, release->tree, &watch, files, err) == -1)
		return error_prefix(err, "release %u", release->number);
	return 0;
}
