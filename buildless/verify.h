/* verify.h - does a slot hold what its tree says, byte for byte?
 *
 * One thread walks the directories, as many as there are processors hash the files into git's blob
 * ids. No symlink is followed, and what is no file is not opened. */
#pragma once
#include "buildless/release.h"

/* kind: "changed", "extra", "missing", "mode", "link", "type". path is below the slot. */
typedef void (*verify_finding_fn)(void *ctx, const char *kind, const char *path);
/* How many files were compared so far; called now and then, by the thread that verifies. */
typedef void (*verify_progress_fn)(void *ctx, uint64_t files);

struct verify_watch {
	verify_finding_fn finding;   /* sorted by path, when all is done */
	verify_progress_fn progress; /* NULL: nobody looks */
	void *ctx;
};

/* Hashes every file of a slot anew; *files is how many were compared. 0 also where something was
 * found. E_NOTFOUND: the slot, or its tree, is not there. */
MUST_CHECK int verify_slot(const struct app *app, struct repo *repo, unsigned slot,
			   const char *tree, const struct verify_watch *watch, uint64_t *files,
			   struct error *err);
/* The same of a release's slot. */
MUST_CHECK int verify_release(const struct app *app, struct repo *repo,
			      const struct release_info *release, verify_finding_fn finding,
			      void *ctx, uint64_t *files, struct error *err);
