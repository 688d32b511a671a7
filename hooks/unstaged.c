/* unstaged.c - the rare way of post-receive: no release waits for what git has moved to. The only
 * part of it that needs libgit2. */
#include "hooks/post_receive.h"

#include "buildless/transaction.h"
#include "common/names.h"
#include "hooks/location.h"

static int make_release(struct app *app, struct repo *repo, const struct push_ref *ref,
			struct release_info *out, bool *reused, struct error *err)
{
	bool first = release_current(app) == 0;
	struct appini ini = {0};
	int result = transaction_check(app, repo, ref->new_oid, &ini, err);

	if (result == 0 && first) {
		location_choose(app, &ini);
		result = location_take(&ini, err);
	}
	if (result == 0)
		result = transaction_set_head(app, ref->name, err);
	if (result == 0)
		result = transaction_deploy(app, repo, ref->new_oid, name_branch(ref->name), &ini,
					    0, out, reused, err);
	appini_release(&ini);
	return result;
}

/* All steps, for a commit that the deploy ref may name already. 1: it is live. */
int post_receive_unstaged(struct app *app, struct push *push, char **deploy_ref,
			  struct release_info *out, bool *reused, struct error *err)
{
	autostrv struct strv warnings = STRV_INIT;
	autorepo struct repo *repo = NULL;
	char now[OID_HEX];

	account_close(&app->account, ACCOUNT_RECEIVED);
	if (repo_open(&repo, app->repo_path, false, err) == -1 ||
	    push_choose(push, repo, deploy_ref, &warnings, err) == -1)
		return -1;
	if (!push->deploy)
		return 0;
	if (repo_resolve(repo, push->deploy->name, false, now, err) == -1)
		return -1;
	if (strcmp(now, push->deploy->new_oid) != 0 || is_live_commit(app, now))
		return 0; /* git did not move it after all, or whoever came first has deployed it */
	return make_release(app, repo, push->deploy, out, reused, err) == -1 ? -1 : 1;
}
