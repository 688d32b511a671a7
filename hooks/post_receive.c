#include "hooks/post_receive.h"

#include <unistd.h>
#include "buildless/report.h"
#include "buildless/transaction.h"
#include "common/fs.h"
#include "common/lock.h"
#include "common/names.h"
#include "hooks/gate.h"

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

/* What HEAD names, or NULL. The caller frees. */
static char *read_head(const struct app *app)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error ignored = ERROR_INIT;
	const char *name;

	if (fs_read_file(app->fd, "repo.git/HEAD", 4096, &text, &ignored) == -1 ||
	    !str_starts(strbuf_str(&text), "ref: "))
		return NULL;
	name = text.buf + strlen("ref: ");
	return xstrndup(name, strcspn(name, "\n"));
}

static const struct push_ref *find_ref(const struct push *push, const char *name)
{
	for (size_t i = 0; name && i < push->n; i++)
		if (strcmp(push->ref[i].name, name) == 0)
			return &push->ref[i];
	return NULL;
}

/* The line of the push that the staged release waits for, or NULL: HEAD's, or on the first push of
 * all, before HEAD is right, that of the branch it was staged from. */
static const struct push_ref *find_staged_ref(const struct app *app, const struct push *push,
					      const struct release_info *staged)
{
	autofree char *head = read_head(app), *from = xasprintf("refs/heads/%s", staged->branch);
	const struct push_ref *ref = find_ref(push, head);

	if (!ref && !staged->live)
		ref = find_ref(push, from);
	if (!ref || strcmp(ref->new_oid, staged->commit) != 0 ||
	    !ref_file_names(app, ref->name, ref->new_oid))
		return NULL;
	return ref;
}

/* 1: the staged release is live; 0: nothing is staged for what was pushed. */
static int activate_staged(struct app *app, struct push *push, struct release_info *staged,
			   struct error *err)
{
	unsigned number;

	if (release_link(app, "next", &number, err) == -1 ||
	    release_read(app, number, staged, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	push->deploy = find_staged_ref(app, push, staged);
	if (!push->deploy)
		return 0;
	account_resume(&app->account, &staged->times);
	account_close(&app->account, ACCOUNT_ACCEPTED);
	/* the first push of main: what HEAD names decides for whoever comes next */
	if (transaction_set_head(app, push->deploy->name, err) == -1 ||
	    transaction_activate(app, number, push->deploy->new_oid, err) == -1)
		return -1;
	return 1;
}

bool is_live_commit(const struct app *app, const char *commit)
{
	autorelease struct release_info live = RELEASE_INFO_INIT;
	struct error ignored = ERROR_INIT;
	unsigned number = release_current(app);

	return number && release_read(app, number, &live, &ignored) == 0 &&
	       strcmp(live.commit, commit) == 0;
}

/* Why the other refs of a push are not deployed. The caller frees. */
static char *why_stored(const struct app *app, const char *deploy_ref)
{
	autofree char *shown = name_printable(name_branch(deploy_ref));

	if (release_current(app))
		return xasprintf("the deploy branch is %s", shown);
	return xstrdup("the first push of master or main will be");
}

static void tell_others(const struct app *app, const struct push *push, const char *deploy_ref)
{
	autofree char *why = why_stored(app, push->deploy ? push->deploy->name : deploy_ref);
	size_t told = 0, others = push->n - (push->deploy ? 1 : 0);

	for (size_t i = 0; i < push->n && told < REFS_TOLD_MAX; i++) {
		const struct push_ref *ref = &push->ref[i];
		autofree char *shown = name_printable(ref->name);

		if (ref == push->deploy)
			continue;
		told++;
		if (push_ref_deletes(ref))
			report_step("%s deleted, nothing deployed", shown);
		else
			report_step("%s stored, not deployed (%s)", shown, why);
	}
	if (others > told)
		report_step("%zu more refs, not deployed", others - told);
}

static void tell_failure(const struct app *app, const struct push *push, const struct error *err)
{
	unsigned live = release_current(app);

	error_report(err);
	report_step("THE DEPLOY FAILED, and git has moved %s already",
		    push->deploy ? name_branch(push->deploy->name) : "the ref");
	report_step("what is live and the branch are made to agree when this push has ended; "
		    "`silver redeploy %s` tries the deploy again",
		    app->name);
	if (live)
		report_step("release %u is live", live);
	else
		report_step("nothing is live yet");
}

static int receive(struct app *app, struct push *push, unstaged_fn unstaged, struct error *err)
{
	autorelease struct release_info release = RELEASE_INFO_INIT;
	autofree char *deploy_ref = NULL;
	bool reused = false;
	int result;

	/* held since pre-receive; only where that did not run must it be taken */
	if (push_read(push, STDIN_FILENO, err) == -1 ||
	    lock_take(app->lock_fd, app->user, app->node.lock_wait_ms, err) == -1)
		return -1;
	if (push->stage) /* no branch moved, and proc-receive has said what happened */
		return 0;
	result = activate_staged(app, push, &release, err);
	reused = release.live;
	if (result == 0) {
		release_info_release(&release);
		result = unstaged(app, push, &deploy_ref, &release, &reused, err);
	}
	if (result == -1)
		return -1;
	tell_others(app, push, deploy_ref);
	if (result == 1)
		report_live(app, &release, reused);
	else if (push->deploy && is_live_commit(app, push->deploy->new_oid))
		report_step("release %u is live", release_current(app));
	return 0;
}

int post_receive(unstaged_fn unstaged)
{
	struct error err = ERROR_INIT;
	struct app app = {.fd = -1};
	struct push push = {.ref = NULL};
	int result;

	if (app_open_from_environment(&app, &err) == -1)
		return error_report(&err);
	result = receive(&app, &push, unstaged, &err);
	if (result == -1)
		tell_failure(&app, &push, &err);
	push_release(&push);
	app_release(&app);
	return result == -1 ? (int)err.code : E_OK;
}
