/* verbs.c - the verbs that change what is live. Their words go to stderr, like a push's. */
#include "buildless/verbs.h"

#include "buildless/equip.h"
#include "buildless/report.h"
#include "buildless/transaction.h"
#include "buildless/verify.h"
#include "common/names.h"

#define RELEASE_MAX 999999999

int verb_settle(struct verb_call *call, struct error *err)
{
	return transaction_settle(call->app, call->repo, err);
}

int verb_recover(struct verb_call *call, struct error *err)
{
	return transaction_recover(call->app, call->repo, true, err);
}

/* Somebody's push may have ended between its ref and its flip. */
static int recover_first(struct verb_call *call, struct error *err)
{
	return transaction_recover(call->app, call->repo, false, err);
}

static int parse_release(const char *text, unsigned *number, struct error *err)
{
	uint64_t value;

	if (!str_to_uint(text, RELEASE_MAX, &value) || value == 0)
		return error_set(err, E_USAGE, "'%s' is no release number", text);
	*number = (unsigned)value;
	return 0;
}

static int activate(struct verb_call *call, unsigned number, struct error *err)
{
	autorelease struct release_info r = {0};

	if (number == release_current(call->app)) { /* wanted on many hosts, and here it is so */
		report_step("%s release %u is live already", call->app->name, number);
		return 0;
	}
	if (transaction_activate_kept(call->app, call->repo, number, err) == -1 ||
	    release_read(call->app, number, &r, err) == -1)
		return -1;
	report_live(call->app, &r, true);
	return 0;
}

int verb_activate(struct verb_call *call, struct error *err)
{
	unsigned number = 0;

	if (call->argc != 1)
		return error_set(err, E_USAGE, "which release? 'silver releases %s' lists them",
				 call->app->name);
	if (parse_release(call->argv[0], &number, err) == -1 || recover_first(call, err) == -1)
		return -1;
	return activate(call, number, err);
}

int verb_rollback(struct verb_call *call, struct error *err)
{
	struct error none = ERROR_INIT;
	unsigned number;

	if (call->argc == 1)
		return verb_activate(call, err);
	if (call->argc > 1)
		return error_set(err, E_USAGE, "at most one release number");
	if (recover_first(call, err) == -1)
		return -1;
	if (release_link(call->app, "previous", &number, &none) == -1)
		return error_set(err, E_NOTFOUND, "%s has no release before the live one",
				 call->app->name);
	return activate(call, number, err);
}

static int deploy(struct verb_call *call, const char *commit, const char *branch, unsigned flags,
		  struct error *err)
{
	autorelease struct release_info done = {0};
	struct appini ini;
	bool reused;
	int r;

	if (transaction_check(call->app, call->repo, commit, &ini, err) == -1)
		return -1;
	r = transaction_deploy(call->app, call->repo, commit, branch, &ini, flags, &done, &reused,
			       err);
	appini_release(&ini);
	if (r == 0)
		report_live(call->app, &done, reused);
	return r;
}

static void count_finding(void *ctx, const char *kind, const char *path)
{
	(void)kind;
	(void)path;
	++*(size_t *)ctx;
}

/* A redeploy is also how a damaged release is healed. */
static bool is_damaged(struct verb_call *call)
{
	autorelease struct release_info live = {0};
	struct error err = ERROR_INIT;
	uint64_t files;
	size_t found = 0;

	if (release_read(call->app, release_current(call->app), &live, &err) == -1)
		return false;
	if (verify_release(call->app, call->repo, &live, count_finding, &found, &files, &err) == -1)
		report_problem(&err, "comparing the live files with their commit");
	else if (!found)
		return false;
	report_step("the live files are not what their commit says; all are laid out anew");
	return true;
}

static int deploy_head(struct verb_call *call, unsigned flags, struct error *err)
{
	autofree char *ref = NULL;
	char commit[OID_HEX];

	if (transaction_deploy_ref(call->repo, &ref, err) == -1 ||
	    repo_resolve(call->repo, ref, false, commit, err) == -1)
		return -1;
	return deploy(call, commit, name_branch(ref), flags, err);
}

int verbs_deploy_fresh(struct verb_call *call, struct error *err)
{
	return deploy_head(call, TRANSACTION_NEW | TRANSACTION_FRESH, err);
}

static int report_current(struct verb_call *call, struct error *err)
{
	autorelease struct release_info live = {0};

	if (release_read(call->app, release_current(call->app), &live, err) == -1)
		return -1;
	report_live(call->app, &live, false);
	return 0;
}

/* The release that is live goes on with the password it has until it is drained. */
int verb_rotate(struct verb_call *call, struct error *err)
{
	if (call->argc != 1)
		return error_set(err, E_USAGE, "which service?");
	if (recover_first(call, err) == -1 || equip_rotate(call->app, call->argv[0], err) == -1)
		return -1;
	return deploy_head(call, TRANSACTION_NEW, err);
}

int verb_redeploy(struct verb_call *call, struct error *err)
{
	unsigned before = release_current(call->app);

	if (call->argc)
		return error_set(err, E_USAGE, "unknown argument '%s'", call->argv[0]);
	if (recover_first(call, err) == -1)
		return -1;
	if (before != release_current(call->app)) /* that was it: a push had not been finished */
		return report_current(call, err);
	if (before && is_damaged(call))
		return audit_repair(call, err);
	return deploy_head(call, TRANSACTION_NEW, err);
}

/* HEAD is the ref that moves here: staged and proven before it, flipped behind it. */
static int switch_branch(struct verb_call *call, const char *ref, const char *commit,
			 struct error *err)
{
	autorelease struct release_info r = {0};
	struct app *app = call->app;
	struct appini ini;
	bool reused;
	int done;

	if (transaction_check(app, call->repo, commit, &ini, err) == -1)
		return -1;
	done = transaction_stage(app, call->repo, commit, name_branch(ref), &ini, &r, &reused, err);
	if (done == -1) {
		appini_release(&ini);
		return -1;
	}
	done = transaction_prove(app, &r, reused ? NULL : &ini, err);
	appini_release(&ini);
	if (done == -1 || transaction_intend(app, r.number, err) == -1 ||
	    transaction_set_head(app, ref, err) == -1) {
		transaction_abandon(app, r.number);
		return -1;
	}
	if (transaction_activate(app, r.number, commit, err) == -1)
		return -1;
	report_live(app, &r, reused);
	return 0;
}

static bool is_live_commit(const struct app *app, const char *commit)
{
	autorelease struct release_info live = {0};
	struct error none = ERROR_INIT;
	unsigned current = release_current(app);

	return current && release_read(app, current, &live, &none) == 0 &&
	       strcmp(live.commit, commit) == 0;
}

int verb_branch(struct verb_call *call, struct error *err)
{
	autofree char *head = NULL, *ref = NULL;
	struct error none = ERROR_INIT;
	char commit[OID_HEX];

	if (call->argc > 1)
		return error_set(err, E_USAGE, "at most one branch");
	if (call->argc == 0) {
		if (transaction_deploy_ref(call->repo, &head, &none) == -1 &&
		    repo_head_name(call->repo, &head, err) == -1)
			return -1;
		return printf("%s\n", name_branch(head)) < 0 ? -1 : 0;
	}
	if (recover_first(call, err) == -1)
		return -1;
	ref = xasprintf("refs/heads/%s", name_branch(call->argv[0]));
	if (repo_resolve(call->repo, ref, false, commit, &none) == -1)
		return error_set(err, E_REFUSED,
				 "branch '%s' has no commits; 'git push silver %s' first",
				 name_branch(ref), name_branch(ref));
	if (!is_live_commit(call->app, commit))
		return switch_branch(call, ref, commit, err);
	if (transaction_set_head(call->app, ref, err) == -1)
		return -1;
	report_step("pushes to '%s' are deployed from now on", name_branch(ref));
	return 0;
}
