/* archive.h - the form of a backup, and of a tree in it; the home of libarchive in this folder.
 *
 * A backup is a tar archive, compressed by zstd:
 *
 *	manifest.ini	[backup] format app time node release commit
 *			[service.NAME] value server file bytes
 *	NAME.dump	what the driver of each service wrote, in the order of the manifest
 *	end.ini		[sha256] FILE = digest: of the manifest and each file
 *
 * end.ini is the last: an archive that was cut has none. A tree (files, writable_root) is a tar
 * archive of its own. */
#pragma once
#include "services/catalog.h"

#define BACKUP_SERVICES 32

struct backup_part {
	const struct service *service; /* the row of its record */
	char *value;                   /* as the record has it */
	char *server;                  /* what made the dump: "PostgreSQL 15.14"; or "" */
	uint64_t bytes;
	int fd; /* the dump, a file at its begin; -1: not open */
};

struct backup {
	char *app, *node, *time, *commit; /* "" where it is not known */
	unsigned release;                 /* 0: nothing was live */
	struct backup_part part[BACKUP_SERVICES];
	size_t n;
};
#define autobackup __attribute__((cleanup(backup_release)))
void backup_release(struct backup *b); /* closes no part's fd */

/* Writes all of it to fd, which may be a pipe; the parts' sizes are those of their files. */
MUST_CHECK int backup_write(struct backup *b, int fd, struct error *err);
/* Reads the archive from the begin of the file `fd` to its end and believes nothing: E_REFUSED says
 * what is wrong with it. What is inside goes to *out; the dump of the service `take` (NULL: none)
 * also to take_fd. */
MUST_CHECK int backup_read(int fd, const char *take, int take_fd, struct backup *out,
			   struct error *err);

/* What is below the directory, as it is read one by one; sockets, pipes and devices are left out.
 * Both change the working directory of the process. */
MUST_CHECK int tree_write(int dir_fd, int fd, struct error *err);
/* Into an empty directory, as files of our own. E_REFUSED: an entry would leave it, or is none that
 * tree_write makes. */
MUST_CHECK int tree_read(int dir_fd, int fd, struct error *err);
