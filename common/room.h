/* room.h - how much may still be put on the disk.
 *
 * A reserve is left alone by whatever brings new content (a hundredth of the filesystem, 1 to 64
 * MB; as many files), so that records, logs, rollback and recovery find room where a push found
 * none. */
#pragma once
#include "common/mem.h"

struct room {
	uint64_t free_bytes, free_files;
	uint64_t reserve_bytes, reserve_files;
	uint64_t bytes, files; /* what may be taken of that; files UINT64_MAX: no limit is known */
};

/* Of the filesystem that fd is on, for whoever is not root. */
MUST_CHECK int room_read(int fd, struct room *out, struct error *err);
/* "812 MB", "3.4 kB". The caller frees. */
char *room_text(uint64_t bytes);
