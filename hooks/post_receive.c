#include "hooks/post_receive.h"

#include <unistd.h>
#include "buildless/report.h"
#include "buildless/transaction.h"
#include "common/fs.h"
#include "common/lock.h"
#include "hooks/gate.h"
#include "hooks/words.h"

#define REFS_TOLD_MAX 10

/* Is it in a ref's own file that the ref names this commit? git has just written it there. */
static bool ref_file_names(const struct app *app, const char *ref, const char *oid)
{
	autofree char *path = xasprintf("repo.git/%s", ref);
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error ignored = ERROR_INIT;

	return fs_read_file(app->fd, path, 256, &text, &ignored) == 0 && text.len == 41 &&
	       strncmp(text.buf, oid, 40) == 0;
}

/* The line of the push that the staged release waits for, or NULL. */
static const struct push_ref *find_staged_ref(const struct app *app, const struct push *push,
					      const struct release_info *staged)
{
	autofree char *name = xasprintf("refs/heads/%s", staged->branch);

	for (size_t i = 0; i < push->n; i++)
		if (strcmp(push->ref[i].name, name) == 0 &&
		    strcmp(push->ref[i].new_oid, staged->commit) == 0 &&
		    ref_file_names(app, name, staged->commit))
			return &push->ref[i];
	return NULL;
}

/* 1: the staged release is live; 0: nothing is staged for what was pushed. */
static int activate_staged(struct app *app, struct push *push, struct error *err)
{
	struct release_info staged = RELEASE_INFO_INIT;
	const struct push_ref *ref;
	unsigned number;
	int result = 0;

	if (release_link(app, "next", &number, err) == -1 ||
	    release_read(app, number, &staged, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	ref = find_staged_ref(app, push, &staged);
	if (ref) {
		/* the first push of main: what HEAD names decides whoever comes next */
		if (transaction_set_head(app, ref->name, err) == -1 ||
		    transaction_activate(app, number, ref->new_oid, err) == -1) {
			result = -1;
		} else {
			push->deploy = ref;
			report_live(app, &staged, staged.live);
			result = 1;
		}
	}
	release_info_release(&staged);
	return result;
}

static bool is_live(const struct app *app, const char *commit)
{
	struct release_info live = RELEASE_INFO_INIT;
	struct error ignored = ERROR_INIT;
	unsigned number;
	bool same;

	if (release_link(app, "current", &number, &ignored) == -1 ||
	    release_read(app, number, &live, &ignored) == -1)
		return false;
	same = strcmp(live.commit, commit) == 0;
	release_info_release(&live);
	return same;
}

static int check_tree(struct app *app, struct repo *repo, const char *commit_oid,
		      struct appini *ini, struct error *err)
{
	autostrv struct strv errors = STRV_INIT, warnings = STRV_INIT;
	struct repo_commit commit;
	int result;

	if (repo_read_commit(repo, commit_oid, &commit, err) == -1)
		return -1;
	result = gate_tree(repo, app, "", commit.tree, ini, &errors, &warnings, err);
	repo_commit_release(&commit);
	words_findings(&errors, &warnings);
	if (result == 0 && errors.n)
		return error_set(err, E_REFUSED, "the pushed tree cannot be deployed");
	return result;
}

/* All steps, for a commit that the deploy ref names already. */
static int deploy_now(struct app *app, struct repo *repo, const struct push_ref *ref,
		      struct error *err)
{
	struct release_info done = RELEASE_INFO_INIT;
	struct appini ini = {.platform = NULL};
	char now[OID_HEX];
	bool reused = false;
	int result;

	if (repo_resolve(repo, ref->name, false, now, err) == -1)
		return -1;
	if (strcmp(now, ref->new_oid) != 0 || is_live(app, ref->new_oid))
		return 0; /* git did not move it after all, or whoever came first has deployed it */
	result = check_tree(app, repo, ref->new_oid, &ini, err);
	if (result == 0)
		result = transaction_set_head(app, ref->name, err);
	if (result == 0)
		result = transaction_deploy(app, repo, ref->new_oid, words_branch(ref->name), &ini,
					    0, &done, &reused, err);
	if (result == 0)
		report_live(app, &done, reused);
	release_info_release(&done);
	appini_release(&ini);
	return result;
}

/* *deploy_ref is NULL where the staged release was activated; else it is known now, and deployed if
 * it was pushed. */
static int deploy(struct app *app, struct push *push, char **deploy_ref, struct error *err)
{
	autostrv struct strv warnings = STRV_INIT;
	autorepo struct repo *repo = NULL;
	int done = activate_staged(app, push, err);

	if (done != 0)
		return done == 1 ? 0 : -1;
	if (repo_open(&repo, app->repo_path, false, err) == -1 ||
	    push_choose(push, repo, deploy_ref, &warnings, err) == -1)
		return -1;
	return push->deploy ? deploy_now(app, repo, push->deploy, err) : 0;
}

/* What became of the refs that are not deployed. */
static void tell_others(const struct push *push, const char *deploy_ref)
{
	size_t told = 0, others = push->n - (push->deploy ? 1 : 0);
	const char *branch = push->deploy ? push->deploy->name : deploy_ref;

	for (size_t i = 0; i < push->n && told < REFS_TOLD_MAX; i++) {
		const struct push_ref *ref = &push->ref[i];
		autofree char *shown = words_name(ref->name);

		if (ref == push->deploy)
			continue;
		told++;
		if (push_ref_deletes(ref))
			words_say("%s deleted, nothing deployed", shown);
		else
			words_say("%s stored, not deployed (the deploy branch is %s)", shown,
				  branch ? words_branch(branch) : "not known");
	}
	if (others > told)
		words_say("and %zu more refs, not deployed", others - told);
}

static void tell_failure(const struct app *app, const struct push *push, const struct error *err)
{
	error_report(err);
	words_say("THE DEPLOY FAILED after git had moved %s",
		  push->deploy ? words_branch(push->deploy->name) : "the ref");
	report_unchanged(app);
	words_say("the node tries again by itself; `silver status %s` tells, `silver redeploy %s` "
		  "tries now",
		  app->name, app->name);
}

static int receive(struct app *app, struct push *push, struct error *err)
{
	autofree char *deploy_ref = NULL;
	int result;

	if (push_read(push, STDIN_FILENO, err) == -1)
		return -1;
	if (lock_take(app->lock_fd, app->user, app->node.lock_wait_ms, err) == -1)
		return -1; /* held since pre-receive; only where that did not run must it be taken
			    */
	result = deploy(app, push, &deploy_ref, err);
	if (result == 0)
		tell_others(push, deploy_ref);
	return result;
}

int post_receive(void)
{
	struct error err = ERROR_INIT;
	struct app app = {.fd = -1};
	struct push push = {.ref = NULL};
	int result;

	if (app_open_from_environment(&app, &err) == -1)
		return error_report(&err);
	result = receive(&app, &push, &err);
	if (result == -1)
		tell_failure(&app, &push, &err);
	push_release(&push);
	app_release(&app);
	return result == -1 ? (int)err.code : E_OK;
}
