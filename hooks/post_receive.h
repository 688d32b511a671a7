/* post_receive.h - after git moved the refs: the staged release of the deploy ref's new commit goes
 * live.
 *
 * Complete by itself: where nothing is staged for that commit it runs the steps that are missing.
 * They need libgit2, whose start costs more than all of the usual way, so there are two programs:
 * silver-activate, which has the usual way, and silver-hook, which it becomes for the rest. */
#pragma once
#include "buildless/release.h"
#include "hooks/gate.h"

/* Nothing is staged for the push. 1: what it deploys is live, in *out, the caller's, and
 * push->deploy says which ref; 0: it deploys nothing. *deploy_ref: as push_choose(). */
typedef int (*unstaged_fn)(struct app *app, struct push *push, char **deploy_ref,
			   struct release_info *out, bool *reused, struct error *err);

/* All steps, for a commit that the deploy ref may name already. */
MUST_CHECK int post_receive_unstaged(struct app *app, struct push *push, char **deploy_ref,
				     struct release_info *out, bool *reused, struct error *err);
/* The hook; its exit status, which git does not look at. */
int post_receive(unstaged_fn unstaged);
/* Is it the commit of the live release? */
bool is_live_commit(const struct app *app, const char *commit);
