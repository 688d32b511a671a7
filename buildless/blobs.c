#include "buildless/blobs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include "common/fs.h"

/* What a thread takes at a time: neighbours, so that bases of deltas are still at hand. */
#define CHUNK 32
/* Larger blobs are left to the caller's thread, one by one, so that memory is what one of them
 * takes. */
#define THREAD_BYTES (1 << 20)

struct job {
	char *path;
	char oid[OID_HEX];
	bool exec, large;
};

struct blobs {
	struct repo *repo;
	struct job *job;
	size_t n, room;
	int64_t stamp;
	int dir_fd;
};

/* What the writers of one blobs_write() share. */
struct batch {
	struct blobs *blobs;
	atomic_size_t next;
	atomic_bool failed;
};

struct writer {
	struct batch *batch;
	struct error err;
};

struct blobs *blobs_new(struct repo *repo, int dir_fd, int64_t stamp)
{
	struct blobs *b = xcalloc(1, sizeof(*b));

	*b = (struct blobs){.repo = repo, .dir_fd = dir_fd, .stamp = stamp};
	return b;
}

static void forget(struct blobs *b)
{
	while (b->n)
		free(b->job[--b->n].path);
}

void blobs_free(struct blobs *b)
{
	if (!b)
		return;
	forget(b);
	free(b->job);
	free(b);
}

void blobs_add(struct blobs *b, const char *path, const char *oid, bool exec)
{
	struct job *job;

	if (b->n == b->room) {
		b->room = b->room ? 2 * b->room : 16;
		b->job = xrealloc_array(b->job, b->room, sizeof(*b->job));
	}
	job = &b->job[b->n++];
	*job = (struct job){.path = xstrdup(path), .exec = exec};
	memcpy(job->oid, oid, OID_HEX);
}

size_t blobs_count(const struct blobs *b)
{
	return b->n;
}

/* Python takes a .pyc for a file's by path, size and second of modification, and slots keep their
 * paths: two versions that were written within one second would be taken for each other. */
static int set_stamp(int fd, int64_t stamp, struct error *err)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)stamp}};

	return futimens(fd, times) == -1 ? error_sys(err, errno, "cannot set a file's time") : 0;
}

static int create(const struct blobs *b, const struct job *job, int *fd, struct error *err)
{
	return fs_open(b->dir_fd, job->path, O_WRONLY | O_CREAT | O_EXCL, job->exec ? 0755 : 0644,
		       fd, err);
}

static int write_one(const struct blobs *b, const struct job *job, int *out, struct error *err)
{
	autoclose int fd = -1;

	if (create(b, job, &fd, err) == -1 || repo_write_blob(b->repo, job->oid, fd, err) == -1 ||
	    set_stamp(fd, b->stamp, err) == -1)
		return -1;
	*out = steal_fd(&fd);
	return 0;
}

static int write_small(const struct blobs *b, struct job *job, struct error *err)
{
	autoclose int fd = -1;

	if (create(b, job, &fd, err) == -1)
		return -1;
	if (repo_write_small_blob(b->repo, job->oid, THREAD_BYTES, fd, err) == -1) {
		job->large = err->code == E_REFUSED;
		return job->large ? 0 : -1;
	}
	return set_stamp(fd, b->stamp, err);
}

static void *write_chunks(void *arg)
{
	struct writer *w = arg;
	struct batch *batch = w->batch;
	struct blobs *b = batch->blobs;

	while (!batch->failed) {
		size_t from = atomic_fetch_add(&batch->next, CHUNK);

		if (from >= b->n)
			break;
		for (size_t i = from; i < b->n && i < from + CHUNK; i++) {
			struct error err = ERROR_INIT;

			if (write_small(b, &b->job[i], &err) == 0)
				continue;
			w->err = err;
			batch->failed = true;
			break;
		}
	}
	return NULL;
}

static int write_large(const struct blobs *b, const struct job *job, struct error *err)
{
	autoclose int fd = -1; /* it was made already, and is empty */

	if (fs_open(b->dir_fd, job->path, O_WRONLY, 0, &fd, err) == -1 ||
	    repo_write_blob(b->repo, job->oid, fd, err) == -1)
		return -1;
	return set_stamp(fd, b->stamp, err);
}

static int write_together(struct blobs *b, struct error *err)
{
	struct batch batch = {.blobs = b};
	struct writer writer[2] = {{.batch = &batch}, {.batch = &batch}};
	pthread_t other;
	/* where no thread is to be had, one does it all */
	bool two = pthread_create(&other, NULL, write_chunks, &writer[1]) == 0;

	write_chunks(&writer[0]);
	if (two)
		pthread_join(other, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(writer); i++)
		if (writer[i].err.code != E_OK) {
			*err = writer[i].err;
			return -1;
		}
	for (size_t i = 0; i < b->n; i++)
		if (b->job[i].large && write_large(b, &b->job[i], err) == -1)
			return -1;
	return 0;
}

static int write_each(struct blobs *b, blobs_file_fn on_file, void *ctx, struct error *err)
{
	for (size_t i = 0; i < b->n; i++) {
		int fd;

		if (write_one(b, &b->job[i], &fd, err) == -1)
			return -1;
		on_file(ctx, fd);
	}
	return 0;
}

int blobs_write(struct blobs *b, blobs_file_fn on_file, void *ctx, struct error *err)
{
	int r = on_file ? write_each(b, on_file, ctx, err) : write_together(b, err);

	forget(b);
	return r;
}
