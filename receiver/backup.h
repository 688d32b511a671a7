/* backup.h - archives of an app's data, in data/APP/backups (docs/DATA.md); silver-root's part. */
#pragma once
#include "common/node.h"
#include "receiver/dumps.h"

#define BACKUP_ENDING ".tar.zst"

/* To data/APP/backups/NAME (name NULL: by the time), whose name goes to stdout when all of it is on
 * disk; "-": to stdout. E_BUSY: a backup or a restore of this app is under way. */
MUST_CHECK int backup_take(const struct node *node, const char *app, const char *name,
			   struct error *err);
/* One line for each backup that is kept. */
MUST_CHECK int backup_list(const struct node *node, const char *app, struct error *err);

/* The directory, made where it is missing, and its lock: the data are as they are until the
 * descriptor is closed. What backups that were cut off left in it is removed. E_BUSY. */
MUST_CHECK int backup_begin(const struct node *node, const char *app, int *dir_fd,
			    struct error *err);
/* The archive of these dumps under that name, on disk. */
MUST_CHECK int backup_write_kept(const struct node *node, const char *app, int dir_fd,
				 const struct dumps *dumps, const char *name, struct error *err);
/* One that is kept, to read. */
MUST_CHECK int backup_open(const struct node *node, const char *app, const char *name, int *out,
			   struct error *err);
