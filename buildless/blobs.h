/* blobs.h - blobs of a tree that become files of a slot, collected and then written together.
 *
 * Many of them are written by two threads, since inflating takes more time than the disk; the order
 * in which they were added means nothing. Not synced. */
#pragma once
#include "buildless/git.h"

struct blobs;

/* Files are made below dir_fd, which stays the caller's, as is repo. Their time of modification is
 * `stamp`, UTC seconds. */
struct blobs *blobs_new(struct repo *repo, int dir_fd, int64_t stamp);
void blobs_free(struct blobs *b);
/* `path` is made with the next blobs_write(), where nothing is yet and its directory is there. */
void blobs_add(struct blobs *b, const char *path, const char *oid, bool exec);
size_t blobs_count(const struct blobs *b);
/* Writes what was added, and forgets it. on_file (NULL: it is closed) takes each descriptor; with
 * it there are no threads. After an error some of them are there. */
typedef void (*blobs_file_fn)(void *ctx, int fd);
MUST_CHECK int blobs_write(struct blobs *b, blobs_file_fn on_file, void *ctx, struct error *err);
