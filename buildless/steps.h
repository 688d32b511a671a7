/* steps.h - what the files of the transaction share among themselves; others use transaction.h. */
#pragma once
#include "buildless/layout.h"
#include "buildless/transaction.h"

struct stage_order {
	const char *commit, *branch;
	const struct appini *ini;
	unsigned flags;              /* of transaction_deploy() */
	const struct config *config; /* NULL: that of the live release */
	const char *subject;         /* NULL: the commit's */
};
/* transaction_stage(). */
MUST_CHECK int stage_release(struct app *app, struct repo *repo, const struct stage_order *order,
			     struct release_info *out, bool *reused, struct error *err);
/* Stage, prove, intend, activate: of a commit that the ref already names. */
MUST_CHECK int deploy_order(struct app *app, struct repo *repo, const struct stage_order *order,
			    struct release_info *out, bool *reused, struct error *err);
/* The slot of the live release, if it is clean; *out is not set otherwise. */
bool live_slot(const struct app *app, struct slot *out);

/* The flip alone: `live`, previous, current. On disk. */
MUST_CHECK int flip(const struct app *app, unsigned release, struct error *err);
/* refs/releases/N, refs/staged/N names the commit. On disk. Needs no libgit2. */
MUST_CHECK int publish_ref(const struct app *app, unsigned release, const char *commit,
			   struct error *err);
MUST_CHECK int publish_staged_ref(const struct app *app, unsigned release, const char *commit,
				  struct error *err);
/* fsync of a directory below apps/APP; none there is no error. */
MUST_CHECK int sync_dir(const struct app *app, const char *path, struct error *err);
/* The release that is set aside and kept: the newest staged one that is not too old; 0: none. */
unsigned kept_staged(const struct app *app);
/* May the staged release go live: does the deploy branch still name what it did then, and is the
 * configuration the same? E_REFUSED. */
MUST_CHECK int check_base(const struct app *app, struct repo *repo,
			  const struct release_info *staged, struct error *err);
/* refs/staged/N for the release that is set aside, and no other. */
MUST_CHECK int recover_staged_refs(struct app *app, struct repo *repo, struct error *err);
/* Removes `next`. On disk. */
MUST_CHECK int drop_next(const struct app *app, struct error *err);

/* The processes of the live release are started, where it has any. */
MUST_CHECK int start_live(struct app *app, struct error *err);
/* Does the release have processes at all? */
bool has_processes(const struct release_info *release);

/* Removes releases that retention does not keep; with their refs, if repo is not NULL. */
MUST_CHECK int prune(struct app *app, struct repo *repo, struct error *err);
