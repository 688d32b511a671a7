/* backup.h - the data of an app: taken, brought back, cleared; silver-root's part (docs/DATA.md).
 *
 * Looks at names only. silver-service, never root, makes and reads the dumps and the archive
 * (services/archive.h); what passes between the two is files without a name. */
#pragma once
#include "common/node.h"

/* To data/APP/backups/NAME (name NULL: by the time), whose name goes to stdout when all of it is on
 * disk; "-": to stdout. E_BUSY: another one writes there. */
MUST_CHECK int backup_take(const struct node *node, const char *app, const char *name,
			   struct error *err);
/* One line for each backup that is kept. */
MUST_CHECK int backup_list(const struct node *node, const char *app, struct error *err);
/* From data/APP/backups/NAME, or "-", standard input. Nothing is changed unless the archive is
 * whole and the app has all services in it. What was there is kept as before-restore.tar.zst, and
 * is put back when a service fails. E_BUSY: a push is under way. */
MUST_CHECK int backup_restore(const struct node *node, const char *app, const char *name,
			      struct error *err);
/* service NULL: all that it has. */
MUST_CHECK int backup_clear(const struct node *node, const char *app, const char *service,
			    struct error *err);
