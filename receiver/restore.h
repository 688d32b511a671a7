/* restore.h - the data of an app as a whole: brought back, cleared, put back; silver-root's part.
 *
 * What the app has is on disk as an archive, and named by a mark (services/undo.h), before anything
 * of it is changed; the mark goes when all is done. Whatever is killed in between, recovery puts
 * the archive's data back: the data are those of before or of after, never of both. */
#pragma once
#include "common/node.h"

/* From data/APP/backups/NAME, or "-", standard input. Nothing is changed unless the archive is
 * whole and the app has all services in it. E_BUSY: a push, a backup or a restore is under way. */
MUST_CHECK int restore_data(const struct node *node, const char *app, const char *name,
			    struct error *err);
/* service NULL: all that it has. */
MUST_CHECK int restore_clear(const struct node *node, const char *app, const char *service,
			     struct error *err);

/* For who holds the app's lock, over the channel. */

/* Stops the app and keeps its data; from now on they are put back unless `release` goes live.
 * E_REFUSED: they are larger than node.ini allows. */
MUST_CHECK int restore_checkpoint(const struct node *node, const char *app, unsigned release,
				  struct error *err);
/* put: what the mark names is the app's data again; without a mark, nothing. keep: the data stay as
 * they are. After both the app is to be started, then `end` removes the mark. */
enum restore_how { RESTORE_PUT, RESTORE_KEEP, RESTORE_END };
MUST_CHECK int restore_undo(const struct node *node, const char *app, enum restore_how how,
			    struct error *err);
