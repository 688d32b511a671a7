#include "hooks/pre_receive.h"

#include <unistd.h>
#include "buildless/check.h"
#include "buildless/refusal.h"
#include "buildless/equip.h"
#include "buildless/report.h"
#include "buildless/transaction.h"
#include "common/lock.h"
#include "common/names.h"
#include "common/proc.h"
#include "hooks/gate.h"
#include "hooks/location.h"
#include "hooks/plan.h"

struct pre_receive {
	struct app app;
	struct push push;
	struct repo *repo;
	struct release_info live; /* number 0: nothing is live yet */
	struct release_info staged;
	bool locked, is_staged, planned;
	struct appini ini;
	struct check_report report;
};

/* 0: go on; 1: the end, and the push is taken; -1: refused. */
typedef int (*step_fn)(struct pre_receive *p, struct error *err);

/* The time since the last step was that part's; told at once only where it was long. */
static void step_done(struct pre_receive *p, enum account_part part, const char *what)
{
	report_slow(account_close(&p->app.account, part), what);
}

static int read_push(struct pre_receive *p, struct error *err)
{
	return push_read(&p->push, STDIN_FILENO, err);
}

/* "alice: push of 1a2b3c4 to master", for whoever waits. The caller frees. */
static char *holder_text(const struct pre_receive *p)
{
	const struct push_ref *ref = p->push.ref;
	autofree char *name = NULL;

	if (p->push.n != 1)
		return xasprintf("%s: push of %zu refs", p->app.user, p->push.n);
	name = name_printable(name_branch(ref->name));
	if (push_ref_deletes(ref))
		return xasprintf("%s: deletion of %s", p->app.user, name);
	return xasprintf("%s: push of %.7s to %s", p->app.user, ref->new_oid, name);
}

static int take_lock(struct pre_receive *p, struct error *err)
{
	autofree char *holder = holder_text(p);
	char *advice;

	p->locked = lock_take(p->app.lock_fd, holder, 0, err) == 0;
	if (p->locked)
		return 0;
	account_close(&p->app.account, ACCOUNT_CHECKED);
	if (err->code != E_BUSY)
		return -1;
	advice = strstr(err->text, "; try again");
	report_step("waiting: %.*s", (int)(advice ? advice - err->text : 1000), err->text);
	if (lock_take(p->app.lock_fd, holder, p->app.node.lock_wait_ms, err) == -1)
		return -1;
	p->locked = true;
	step_done(p, ACCOUNT_WAITED, "its turn came");
	return 0;
}

static int open_repo(struct pre_receive *p, struct error *err)
{
	return repo_open(&p->repo, p->app.repo_path, true, err);
}

static int recover(struct pre_receive *p, struct error *err)
{
	return transaction_recover_links(&p->app, p->repo, err);
}

static int find_live(struct pre_receive *p, struct error *err)
{
	unsigned number;

	if (release_link(&p->app, "current", &number, err) == 0)
		return release_read(&p->app, number, &p->live, err);
	return err->code == E_NOTFOUND ? 0 : -1;
}

static int check_deploy(struct pre_receive *p, struct error *err)
{
	if (check_commit(p->repo, &p->app, p->push.deploy->new_oid, &p->ini, &p->report, err) == -1)
		return -1;
	if (p->report.no_room)
		strv_add(&p->report.errors, p->report.no_room);
	if (p->live.number == 0)
		location_check(&p->app, &p->ini, &p->report.errors);
	return 0;
}

static int check(struct pre_receive *p, struct error *err)
{
	struct strv *errors = &p->report.errors, *warnings = &p->report.warnings;

	if (gate_refs(&p->push, p->repo, &p->app, errors, warnings, err) == -1)
		return -1;
	/* a deploy ref that is itself refused may name no commit */
	if (errors->n == 0 && p->push.deploy && check_deploy(p, err) == -1)
		return -1;
	report_findings(errors, warnings);
	if (errors->n && p->push.n > 1)
		report_step("a push is refused as a whole: none of its %zu refs moves", p->push.n);
	if (errors->n)
		return error_set(err, E_REFUSED, "%s", ""); /* all is said */
	step_done(p, ACCOUNT_CHECKED, "checked");
	return 0;
}

static int plan(struct pre_receive *p, struct error *err)
{
	if (!p->push.plan)
		return 0;
	if (plan_say(&p->app, p->repo, &p->push, p->live.number ? &p->live : NULL, &p->ini, err) ==
	    -1)
		return -1;
	report_places(&p->report.packages, "plan: package: ");
	report_places(&p->report.relocated, "plan: relocates ");
	p->planned = true;
	return error_set(err, E_REFUSED, "%s", "");
}

/* proc-receive has one answer for the push, and what it sets aside is one release. */
static int check_stage(struct pre_receive *p, struct error *err)
{
	if (!p->push.stage || (p->push.deploy && p->push.n == 1))
		return 0;
	return error_set(err, E_USAGE,
			 "-o stage is for the deploy branch, alone; push the others without it");
}

static int needs_release(struct pre_receive *p, struct error *err)
{
	(void)err;
	return p->push.deploy ? 0 : 1;
}

/* The environment of the first release already has the host name that it is given. */
static int choose_host(struct pre_receive *p, struct error *err)
{
	(void)err;
	if (p->live.number == 0)
		location_choose(&p->app, &p->ini);
	return 0;
}

static int provide(struct pre_receive *p, struct error *err)
{
	return equip_provide(&p->app, &p->ini, err);
}

static int stage_commit(struct pre_receive *p, const struct push_ref *ref, bool *reused,
			struct error *err)
{
	const char *branch = name_branch(ref->name);

	*reused = false;
	if (p->push.stage)
		return transaction_stage_aside(&p->app, p->repo, ref->new_oid, branch, &p->ini,
					       &p->staged, err);
	return transaction_stage(&p->app, p->repo, ref->new_oid, branch, &p->ini, &p->staged,
				 reused, err);
}

static int stage(struct pre_receive *p, struct error *err)
{
	const struct push_ref *ref = p->push.deploy;
	bool reused;

	if (stage_commit(p, ref, &reused, err) == -1)
		return error_prefix(err, "staging %.7s", ref->new_oid);
	p->is_staged = true;
	if (!reused)
		report_places(&p->report.relocated, "relocated ");
	return 0;
}

static int prove(struct pre_receive *p, struct error *err)
{
	return transaction_prove(&p->app, &p->staged, p->staged.live ? NULL : &p->ini, err);
}

static int take_host(struct pre_receive *p, struct error *err)
{
	return p->live.number == 0 ? location_take(&p->ini, err) : 0;
}

/* What is set aside is proc-receive's to mark, when the objects are there to stay. */
static int intend(struct pre_receive *p, struct error *err)
{
	struct error later = ERROR_INIT;

	if (p->push.stage)
		return transaction_rest(&p->app, &p->staged, err);
	if (transaction_intend(&p->app, p->staged.number, err) == -1)
		return -1;
	account_close(&p->app.account, ACCOUNT_STAGED);
	if (release_write_times(&p->app, p->staged.number, &later) == -1)
		report_problem(&later, "how long the steps took could not be recorded");
	return 0;
}

static const step_fn steps[] = {
	read_push,     take_lock,   open_repo, recover, find_live, check,     plan,   check_stage,
	needs_release, choose_host, provide,   stage,   prove,     take_host, intend,
};

static int run_steps(struct pre_receive *p, struct error *err)
{
	int result = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps) && result == 0; i++)
		result = steps[i](p, err);
	return result;
}

/* The last line: what is live. */
static void tell_unchanged(const struct pre_receive *p)
{
	unsigned live = release_current(&p->app);

	if (!p->planned)
		report_unchanged(&p->app);
	else if (live)
		report_step("plan only: nothing was changed; release %u is live", live);
	else
		report_step("plan only: nothing was changed; nothing is live yet");
}

/* For `silver why`. A plan was no attempt, and one that never had its turn has nothing to tell. */
static void keep_refusal(const struct pre_receive *p)
{
	autofree char *whole = holder_text(p);
	const char *what = strchr(whole, ' '); /* "alice: push of ..." */

	if (p->locked && !p->planned)
		refusal_write(&p->app, what ? what + 1 : whole, report_kept());
}

static void refuse(struct pre_receive *p, const struct error *err)
{
	if (p->is_staged)
		transaction_abandon(&p->app, p->staged.number);
	error_report(err);
	tell_unchanged(p);
	keep_refusal(p);
}

int pre_receive(void)
{
	struct pre_receive p = {.app = {.fd = -1}};
	struct error err = ERROR_INIT;
	int result;

	report_keep();
	if (app_open_from_environment(&p.app, &err) == -1) {
		error_report(&err);
		report_step("nothing was changed");
		return E_REFUSED;
	}
	account_close(&p.app.account, ACCOUNT_RECEIVED);
	result = run_steps(&p, &err);
	if (result == -1)
		refuse(&p, &err);
	appini_release(&p.ini);
	release_info_release(&p.live);
	release_info_release(&p.staged);
	check_report_release(&p.report);
	repo_free(p.repo);
	push_release(&p.push);
	app_release(&p.app);
	return result == -1 ? E_REFUSED : E_OK;
}
