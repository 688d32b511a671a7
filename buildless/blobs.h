/* blobs.h - blobs of a tree that become files of a slot, collected and then written together.
 *
 * Few are written one by one, so that each can be synced. Many are written by two threads, since
 * reading and making them takes more time than the disk: a second one from blobs_start() on, and
 * the caller's own whenever too many wait. The order in which they were added means nothing. Not
 * synced, but what takes long is written back meanwhile. */
#pragma once
#include "buildless/git.h"

struct blobs;

/* Files are made below dir_fd, which stays the caller's, as is repo. Their time of modification is
 * `stamp`, UTC seconds. */
struct blobs *blobs_new(struct repo *repo, int dir_fd, int64_t stamp);
/* Ends the writing; what is not written stays so. */
void blobs_free(struct blobs *b);
/* `path` is made from now on, where nothing is yet; its directory is there. */
void blobs_add(struct blobs *b, const char *path, const char *oid, bool exec);
/* How many wait. */
size_t blobs_count(const struct blobs *b);
/* Writes those that wait; on_file takes each descriptor. Not once they are started. */
typedef void (*blobs_file_fn)(void *ctx, int fd);
MUST_CHECK int blobs_write_each(struct blobs *b, blobs_file_fn on_file, void *ctx,
				struct error *err);
/* They are being written while the caller goes on and adds more; to be called again after each
 * blobs_add(), for no more than BLOBS_WAIT_MAX may wait. An error is of any that were added. */
#define BLOBS_WAIT_MAX 4096
MUST_CHECK int blobs_start(struct blobs *b, struct error *err);
/* Returns when all are written. */
MUST_CHECK int blobs_finish(struct blobs *b, struct error *err);
