/* pack.h - blobs straight out of git's packs, for laying out a whole tree: without locks between
 * threads, and inflated by libdeflate, which takes less than half of zlib's time. The only user of
 * libdeflate.
 *
 * Formats: gitformat-pack(5), index version 2. Nothing in the files is believed: what does not fit
 * is not found here, and libgit2, which is asked then, has the words for it. */
#pragma once
#include "common/mem.h"

struct packs; /* read only, so threads may share it */

/* The packs in `dir`/pack, absolute; those of more_dir too, which may be NULL. What cannot be read
 * is left out. Packs that come later are not seen, those that go stay readable. */
struct packs *packs_open(const char *dir, const char *more_dir);
void packs_free(struct packs *packs);

/* One thread's means of reading: at most some 10 MB of what other objects are deltas of. */
struct pack_reader;
struct pack_reader *pack_reader_new(const struct packs *packs);
void pack_reader_free(struct pack_reader *r);

/* The blob's content, in memory of the reader's until the next call. NULL: it is in no pack, it is
 * larger than max_bytes or a delta of something larger, it is no blob, or it is damaged. */
const void *pack_read_blob(struct pack_reader *r, const char *oid, size_t max_bytes, size_t *len);
