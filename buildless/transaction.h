/* transaction.h - how a commit becomes the live release; the steps of a push and of every verb.
 *
 *	pre-receive:	lock_take; transaction_recover_links; gate;
 *			transaction_stage; transaction_prove; transaction_intend
 *	git moves the ref
 *	post-receive:	transaction_activate
 *	later, idle:	transaction_settle
 *
 * The caller holds the app's lock. Order on disk: content, its directory, the record, the ref, the
 * link (docs/DURABILITY.md). A failed step leaves the live release as it was; transaction_abandon
 * undoes what was staged. */
#pragma once
#include "buildless/app.h"
#include "buildless/appini.h"
#include "buildless/git.h"
#include "buildless/release.h"

/* May this commit be deployed? Every way to deploy one asks here first, pre-receive check_commit()
 * (check.h) itself, since its findings are told with those about refs. They go to stderr; E_REFUSED
 * says how many. *ini is the caller's on success: appini_release(). */
MUST_CHECK int transaction_check(struct app *app, struct repo *repo, const char *commit,
				 struct appini *ini, struct error *err);
/* A new release of a checked `commit` in releases/N, complete and on disk; or, where a kept release
 * has this commit (and the same environment), that one: *reused is true then and no file moved. out
 * is the caller's: release_info_release(). */
MUST_CHECK int transaction_stage(struct app *app, struct repo *repo, const char *commit,
				 const char *branch, const struct appini *ini,
				 struct release_info *out, bool *reused, struct error *err);
/* Runs update_fetch and test of ini (NULL: a kept release, for which they ran once), starts its
 * processes beside the live ones and waits until it is healthy; progress goes to stderr. E_REFUSED
 * holds the reason; the end of its log goes to stderr before. */
MUST_CHECK int transaction_prove(struct app *app, struct release_info *release,
				 const struct appini *ini, struct error *err);
/* `git push -o stage`: as transaction_stage(), but always a release of its own; proven, its
 * processes are stopped again, since it may never go live. */
MUST_CHECK int transaction_stage_aside(struct app *app, struct repo *repo, const char *commit,
				       const char *branch, const struct appini *ini,
				       struct release_info *out, struct error *err);
MUST_CHECK int transaction_rest(struct app *app, const struct release_info *release,
				struct error *err);
/* When git has taken the objects over: refs/staged/N, then releases/N/staged with `base`, what the
 * deploy branch names now (zeros: nothing). On return 0 the newest release of `commit` is set aside
 * until it is activated, another one is, or some days are over. E_NOTFOUND: none was staged. *out
 * is the caller's: release_info_release(). */
MUST_CHECK int transaction_set_aside(struct app *app, const char *commit, const char *base,
				     struct release_info *out, struct error *err);
/* next -> releases/N, on disk: from here on recovery rolls forward as soon as the ref names its
 * commit. */
MUST_CHECK int transaction_intend(struct app *app, unsigned release, struct error *err);
/* The flip, then refs/releases/N. Needs no libgit2. On return 0 the release is live and stays so
 * over a power cut. */
MUST_CHECK int transaction_activate(struct app *app, unsigned release, const char *commit,
				    struct error *err);
/* Takes back a staged release that will not go live: next, processes, releases/N. Problems are only
 * reported: recovery does the same. */
void transaction_abandon(struct app *app, unsigned release);

/* The ref whose pushes are deployed ("refs/heads/master"): what HEAD names if that exists, else
 * refs/heads/master or refs/heads/main if one of them exists. E_NOTFOUND: no such yet; the first
 * push of master or main will be it (both at once: what HEAD names). The caller frees. */
MUST_CHECK int transaction_deploy_ref(struct repo *repo, char **out, struct error *err);
/* HEAD names `ref` from now on; nothing is written where it does. On disk. Needs no libgit2, so
 * that post-receive can call it behind the first push. */
MUST_CHECK int transaction_set_head(const struct app *app, const char *ref, struct error *err);

/* The part of recovery that needs no ref written, for the beginning of a push; says what it did on
 * stderr. */
MUST_CHECK int transaction_recover_links(struct app *app, struct repo *repo, struct error *err);
/* All of it (docs/CONTRACT.md, "recovery"), then live processes running if start_processes. */
MUST_CHECK int transaction_recover(struct app *app, struct repo *repo, bool start_processes,
				   struct error *err);
/* After the answer: recover, drain, publish refs, prune, spare slot, delete what is left over. */
MUST_CHECK int transaction_settle(struct app *app, struct repo *repo, struct error *err);
/* A whole deploy of a commit that the ref already names (post-receive without a staged release,
 * redeploy, recovery by hand). flags: 0 or the following. *out is the caller's:
 * release_info_release(). */
#define TRANSACTION_NEW 1u /* a new release even where a kept one has this commit */
#define TRANSACTION_FRESH                                                                          \
	2u /* every file from the repository: nothing shared with another slot                     \
	    */
MUST_CHECK int transaction_deploy(struct app *app, struct repo *repo, const char *commit,
				  const char *branch, const struct appini *ini, unsigned flags,
				  struct release_info *out, bool *reused, struct error *err);
/* A new release of what is live, with another configuration (config.h) and this subject: proven and
 * flipped to as a deploy is. Something is live. *out is the caller's: release_info_release(). */
struct config;
MUST_CHECK int transaction_configure(struct app *app, struct repo *repo,
				     const struct config *config, const char *subject,
				     struct release_info *out, struct error *err);
/* Makes release N, kept or set aside, live: prove, intend, move the deploy branch to its commit,
 * activate. E_NOTFOUND lists those there are; E_REFUSED: it is live already, or it was set aside
 * and the deploy branch has moved since. */
MUST_CHECK int transaction_activate_kept(struct app *app, struct repo *repo, unsigned release,
					 struct error *err);
