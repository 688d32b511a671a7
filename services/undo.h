/* undo.h - a mark while the data of an app are being changed as a whole: apps/APP/services/.undo.
 *
 *	[undo]
 *	archive = before-restore.tar.zst
 *	release = 12
 *
 * Whoever finds it (silver-deploy, at the next recovery, push or verb) puts back what the archive
 * in data/APP/backups has, unless the release went live meanwhile. Without an archive the data are
 * whole, and the app was stopped: it is started again. Written by root alone; the app's owner reads
 * it. */
#pragma once
#include "common/mem.h"

struct undo_mark {
	bool there;
	char archive[128]; /* "": nothing is to be put back */
	unsigned release;  /* that the change is for; 0: none */
};

/* app_fd is apps/APP. No mark is no error. */
MUST_CHECK int undo_mark_read(int app_fd, struct undo_mark *out, struct error *err);
/* services_fd is apps/APP/services. On disk. */
MUST_CHECK int undo_mark_write(int services_fd, const char *archive, unsigned release,
			       struct error *err);
MUST_CHECK int undo_mark_remove(int services_fd, struct error *err);
