#include "buildless/blobs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include "buildless/pack.h"
#include "common/fs.h"

/* What a thread takes at a time: neighbours, so that they share their directory, and bases of
 * deltas are still at hand. */
#define CHUNK 32
/* Larger blobs are left to the caller's thread, one by one, so that memory is what one of them
 * takes. */
#define THREAD_BYTES (1 << 20)
/* Between two early syncs. What lasts less gets none; of what lasts long (50 000 files: 2 s and
 * more) little is left for the last one. At 100 ms they get into the writers' way. */
#define SYNC_PAUSE_MS 400

struct job {
	char *path;
	char oid[OID_HEX];
	bool exec;
};

/* What one thread has at hand. */
struct writer {
	struct blobs *blobs;
	struct pack_reader *reader;
	char *dir; /* the one that dir_fd is, below the blobs' */
	int dir_fd;
};

struct blobs {
	struct repo *repo;
	struct packs *packs; /* with the first of many */
	int64_t stamp;
	int dir_fd;
	struct writer mine, others; /* `others` is the second thread's alone while it runs */
	pthread_t thread, syncer;
	bool started, threaded, synced;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t more;  /* jobs for the second thread, or none will come */
	pthread_cond_t last;  /* none will come */
	struct job *job;      /* a ring */
	size_t first, n, room;
	struct job *large;
	size_t n_large, large_room;
	bool ended; /* no more will come, or writing them makes no sense */
	struct error err;
};

struct blobs *blobs_new(struct repo *repo, int dir_fd, int64_t stamp)
{
	struct blobs *b = xcalloc(1, sizeof(*b));
	pthread_condattr_t monotonic;

	*b = (struct blobs){.repo = repo, .dir_fd = dir_fd, .stamp = stamp};
	b->mine = b->others = (struct writer){.blobs = b, .dir_fd = -1};
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->more, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&b->last, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return b;
}

static void release_writer(struct writer *w)
{
	pack_reader_free(w->reader);
	free(w->dir);
	fd_close(&w->dir_fd);
}

static void end(struct blobs *b, const struct error *err)
{
	pthread_mutex_lock(&b->lock);
	if (err && b->err.code == E_OK)
		b->err = *err;
	b->ended = true;
	pthread_cond_signal(&b->more);
	pthread_cond_signal(&b->last);
	pthread_mutex_unlock(&b->lock);
}

static void join(struct blobs *b)
{
	end(b, NULL);
	if (b->threaded)
		pthread_join(b->thread, NULL);
	if (b->synced)
		pthread_join(b->syncer, NULL);
	b->threaded = b->synced = false;
}

void blobs_free(struct blobs *b)
{
	static const struct error stopped = {E_BUSY, "stopped"};

	if (!b)
		return;
	end(b, &stopped);
	join(b);
	release_writer(&b->mine);
	release_writer(&b->others);
	packs_free(b->packs);
	for (size_t i = 0; i < b->n; i++)
		free(b->job[(b->first + i) % b->room].path);
	for (size_t i = 0; i < b->n_large; i++)
		free(b->large[i].path);
	free(b->job);
	free(b->large);
	pthread_cond_destroy(&b->more);
	pthread_cond_destroy(&b->last);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* The ring */

static void grow(struct blobs *b)
{
	size_t room = b->room ? 4 * b->room : CHUNK;
	struct job *job = xcalloc(room, sizeof(*job));

	for (size_t i = 0; i < b->n; i++)
		job[i] = b->job[(b->first + i) % b->room];
	free(b->job);
	b->job = job;
	b->room = room;
	b->first = 0;
}

void blobs_add(struct blobs *b, const char *path, const char *oid, bool exec)
{
	struct job job = {.path = xstrdup(path), .exec = exec};

	memcpy(job.oid, oid, OID_HEX);
	pthread_mutex_lock(&b->lock);
	if (b->n == b->room)
		grow(b);
	b->job[(b->first + b->n++) % b->room] = job;
	if (b->n % CHUNK == 0)
		pthread_cond_signal(&b->more);
	pthread_mutex_unlock(&b->lock);
}

size_t blobs_count(const struct blobs *b)
{
	return b->started ? 0 : b->n;
}

/* The caller's. Called with the lock. */
static size_t take(struct blobs *b, struct job chunk[CHUNK])
{
	size_t n = 0;

	for (; n < CHUNK && b->n && b->err.code == E_OK; n++, b->n--) {
		chunk[n] = b->job[b->first];
		b->first = (b->first + 1) % b->room;
	}
	return n;
}

static size_t take_some(struct blobs *b, struct job chunk[CHUNK])
{
	size_t n;

	pthread_mutex_lock(&b->lock);
	n = take(b, chunk);
	pthread_mutex_unlock(&b->lock);
	return n;
}

static size_t wait_for_some(struct blobs *b, struct job chunk[CHUNK])
{
	size_t n;

	pthread_mutex_lock(&b->lock);
	while (b->n < CHUNK && !b->ended)
		pthread_cond_wait(&b->more, &b->lock);
	n = take(b, chunk);
	pthread_mutex_unlock(&b->lock);
	return n;
}

static void keep_large(struct blobs *b, struct job *job)
{
	pthread_mutex_lock(&b->lock);
	if (b->n_large == b->large_room) {
		b->large_room = b->large_room ? 2 * b->large_room : 16;
		b->large = xrealloc_array(b->large, b->large_room, sizeof(*b->large));
	}
	b->large[b->n_large] = *job;
	b->large[b->n_large++].path = steal_ptr(&job->path);
	pthread_mutex_unlock(&b->lock);
}

/* Files */

/* Python takes a .pyc for a file's by path, size and second of modification, and slots keep their
 * paths: two versions that were written within one second would be taken for each other. */
static int set_stamp(int fd, int64_t stamp, struct error *err)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)stamp}};

	return futimens(fd, times) == -1 ? error_sys(err, errno, "cannot set a file's time") : 0;
}

/* The name in the directory that w->dir_fd becomes: opening the files by path would walk it for
 * each of them. */
static int enter_dir(struct writer *w, const char *path, const char **name, struct error *err)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	*name = slash ? slash + 1 : path;
	if (w->dir && strncmp(w->dir, path, len) == 0 && w->dir[len] == '\0')
		return 0;
	free(w->dir);
	fd_close(&w->dir_fd);
	w->dir = xstrndup(path, len);
	return fs_open_dir(w->blobs->dir_fd, len ? w->dir : ".", &w->dir_fd, err);
}

static int create(struct writer *w, const struct job *job, int *fd, struct error *err)
{
	const char *name;

	if (enter_dir(w, job->path, &name, err) == -1)
		return -1;
	return fs_open(w->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, job->exec ? 0755 : 0644, fd,
		       err);
}

/* Not by threads: it may start git. */
static int write_any(struct writer *w, const struct job *job, int *out, struct error *err)
{
	const struct blobs *b = w->blobs;
	autoclose int fd = -1;

	if (create(w, job, &fd, err) == -1 || repo_write_blob(b->repo, job->oid, fd, err) == -1 ||
	    set_stamp(fd, b->stamp, err) == -1)
		return -1;
	*out = steal_fd(&fd);
	return 0;
}

/* 1: it is too large for this. */
static int write_content(const struct writer *w, const struct job *job, int fd, struct error *err)
{
	const void *content;
	size_t len;

	content = pack_read_blob(w->reader, job->oid, THREAD_BYTES, &len);
	if (content)
		return fs_write_all(fd, content, len, err);
	if (repo_write_small_blob(w->blobs->repo, job->oid, THREAD_BYTES, fd, err) == 0)
		return 0;
	return err->code == E_REFUSED ? 1 : -1;
}

static int write_small(struct writer *w, struct job *job, struct error *err)
{
	autoclose int fd = -1;
	int r;

	if (create(w, job, &fd, err) == -1)
		return -1;
	r = write_content(w, job, fd, err);
	if (r == 1) /* it is there now, and empty */
		keep_large(w->blobs, job);
	return r == 0 ? set_stamp(fd, w->blobs->stamp, err) : r == 1 ? 0 : -1;
}

static int write_large(const struct blobs *b, const struct job *job, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open(b->dir_fd, job->path, O_WRONLY, 0, &fd, err) == -1 ||
	    repo_write_blob(b->repo, job->oid, fd, err) == -1)
		return -1;
	return set_stamp(fd, b->stamp, err);
}

static void write_chunk(struct writer *w, struct job *chunk, size_t n)
{
	struct error err = ERROR_INIT;
	int r = 0;

	if (!w->reader)
		w->reader = pack_reader_new(w->blobs->packs);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = write_small(w, &chunk[i], &err);
		free(chunk[i].path);
	}
	if (r == -1)
		end(w->blobs, &err);
}

static void *write_behind(void *arg)
{
	struct job chunk[CHUNK];
	struct writer *w = arg;

	for (size_t n; (n = wait_for_some(w->blobs, chunk));)
		write_chunk(w, chunk, n);
	return NULL;
}

/* For a while. Is there more to come then? */
static bool rest(struct blobs *b)
{
	struct timespec until;
	bool ended;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += SYNC_PAUSE_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&b->lock);
	while (!b->ended && r == 0)
		r = pthread_cond_timedwait(&b->last, &b->lock, &until);
	ended = b->ended;
	pthread_mutex_unlock(&b->lock);
	return !ended;
}

/* The disk works while the writers do: it is the kernel that finds room for all these files, with
 * one thread, and it would begin at the last sync. */
static void *sync_behind(void *arg)
{
	struct error err = ERROR_INIT;
	struct blobs *b = arg;

	while (rest(b))
		if (fs_sync_early(b->dir_fd, &err) == -1) {
			end(b, &err);
			break;
		}
	return NULL;
}

int blobs_write_each(struct blobs *b, blobs_file_fn on_file, void *ctx, struct error *err)
{
	struct job one[CHUNK];

	assert(!b->started);
	for (size_t n; (n = take_some(b, one));)
		for (size_t i = 0; i < n; i++) {
			int fd = -1, r = write_any(&b->mine, &one[i], &fd, err);

			free(one[i].path);
			if (r == -1) {
				while (++i < n)
					free(one[i].path);
				return -1;
			}
			on_file(ctx, fd);
		}
	return 0;
}

static int result(struct blobs *b, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&b->lock);
	if (b->err.code != E_OK) {
		*err = b->err;
		r = -1;
	}
	pthread_mutex_unlock(&b->lock);
	return r;
}

static size_t waiting(struct blobs *b)
{
	size_t n;

	pthread_mutex_lock(&b->lock);
	n = b->err.code == E_OK ? b->n : 0;
	pthread_mutex_unlock(&b->lock);
	return n;
}

static void help(struct blobs *b)
{
	struct job chunk[CHUNK];

	write_chunk(&b->mine, chunk, take_some(b, chunk));
}

static void start(struct blobs *b)
{
	const char *objects, *quarantine;

	repo_object_dirs(b->repo, &objects, &quarantine);
	b->packs = packs_open(objects, quarantine);
	b->started = true;
	b->synced = pthread_create(&b->syncer, NULL, sync_behind, b) == 0;
	/* where no thread is to be had, one does it all */
	b->threaded = pthread_create(&b->thread, NULL, write_behind, &b->others) == 0;
}

int blobs_start(struct blobs *b, struct error *err)
{
	if (!b->started)
		start(b);
	while (waiting(b) >= BLOBS_WAIT_MAX)
		help(b);
	return result(b, err);
}

int blobs_finish(struct blobs *b, struct error *err)
{
	if (!b->started)
		start(b);
	while (waiting(b))
		help(b);
	join(b);
	for (; b->n_large && b->err.code == E_OK; free(b->large[--b->n_large].path))
		if (write_large(b, &b->large[b->n_large - 1], err) == -1)
			return -1;
	return result(b, err);
}
