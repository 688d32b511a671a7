#include "buildless/transaction.h"

#include "buildless/check.h"
#include "buildless/config.h"
#include "buildless/config_rules.h"
#include "buildless/equip.h"
#include "buildless/report.h"
#include "buildless/steps.h"

static bool ref_exists(struct repo *repo, const char *ref)
{
	struct error none = ERROR_INIT;
	char oid[OID_HEX];

	return repo_resolve(repo, ref, false, oid, &none) == 0;
}

int transaction_deploy_ref(struct repo *repo, char **out, struct error *err)
{
	static const char *const usual[] = {"refs/heads/master", "refs/heads/main"};
	autofree char *head = NULL;

	*out = NULL;
	if (repo_head_name(repo, &head, err) == -1)
		return -1;
	if (ref_exists(repo, head))
		*out = steal_ptr(&head);
	for (size_t i = 0; !*out && i < ARRAY_SIZE(usual); i++)
		if (ref_exists(repo, usual[i]))
			*out = xstrdup(usual[i]);
	return *out ? 0 : error_set(err, E_NOTFOUND, "nothing was pushed to a deploy branch yet");
}

int transaction_check(struct app *app, struct repo *repo, const char *commit, struct appini *ini,
		      struct error *err)
{
	autocheck struct check_report report = CHECK_REPORT_INIT;
	int result = check_commit(repo, app, commit, ini, &report, err);
	size_t errors = report.errors.n;

	account_close(&app->account, ACCOUNT_CHECKED);
	report_findings(&report.errors, &report.warnings);
	if (result == 0 && errors == 0 && !report.no_room) {
		report_places(&report.relocated, "relocated ");
		return 0;
	}
	appini_release(ini);
	if (result == -1)
		return -1;
	if (errors == 0) /* the machine is at fault: recovery tries again */
		return error_set(err, E_SYSTEM, "%s", report.no_room);
	return error_set(err, E_REFUSED, "commit %.7s cannot be deployed: %zu problem%s", commit,
			 errors, errors == 1 ? "" : "s");
}

int deploy_order(struct app *app, struct repo *repo, const struct stage_order *order,
		 struct release_info *out, bool *reused, struct error *err)
{
	if (stage_release(app, repo, order, out, reused, err) == -1)
		return -1;
	if (transaction_prove(app, out, *reused ? NULL : order->ini, err) == 0 &&
	    transaction_intend(app, out->number, err) == 0 &&
	    transaction_activate(app, out->number, order->commit, err) == 0)
		return 0;
	transaction_abandon(app, out->number);
	release_info_release(out);
	return -1;
}

int transaction_deploy(struct app *app, struct repo *repo, const char *commit, const char *branch,
		       const struct appini *ini, unsigned flags, struct release_info *out,
		       bool *reused, struct error *err)
{
	const struct stage_order order = {
		.commit = commit, .branch = branch, .ini = ini, .flags = flags};

	return deploy_order(app, repo, &order, out, reused, err);
}

/* Same commit, same slot: no file moves. */
int transaction_configure(struct app *app, struct repo *repo, const struct config *config,
			  const char *subject, struct release_info *out, struct error *err)
{
	autorelease struct release_info live = RELEASE_INFO_INIT;
	autostrv struct strv missing = STRV_INIT;
	struct stage_order order = {.flags = TRANSACTION_NEW, .config = config, .subject = subject};
	struct appini ini;
	bool reused;
	int r = -1;

	if (release_read(app, release_current(app), &live, err) == -1 ||
	    transaction_check(app, repo, live.commit, &ini, err) == -1)
		return -1;
	order.commit = live.commit;
	order.branch = live.branch;
	order.ini = &ini;
	config_check_required(app, &ini, config, &missing);
	report_findings(&missing, NULL);
	if (missing.n)
		error_set(err, E_REFUSED, "the configuration lacks what app.ini requires");
	else
		r = deploy_order(app, repo, &order, out, &reused, err);
	appini_release(&ini);
	return r;
}

static int unknown_release(const struct app *app, unsigned release, struct error *err)
{
	autostrbuf struct strbuf list = STRBUF_INIT;
	autofree unsigned *kept = NULL;
	size_t n;

	if (release_list(app, &kept, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (release_is_live(app, kept[i]))
			strbuf_addf(&list, "%s%u", list.len ? ", " : "", kept[i]);
	return error_set(err, E_NOTFOUND, "%s has no release %u; it has %s", app->name, release,
			 list.len ? list.buf : "none");
}

static int ready_kept(struct app *app, struct repo *repo, struct release_info *r, struct error *err)
{
	struct slot live;
	bool link = live_slot(app, &live);
	struct slot_work work;

	account_close(&app->account, ACCOUNT_CHECKED);
	if (packages_return(app, &r->packages, err) == -1 ||
	    slot_layout(app, repo, r->slot, r->tree, link ? &live : NULL, &work, err) == -1)
		return -1;
	account_close(&app->account, ACCOUNT_STAGED);
	if (transaction_prove(app, r, NULL, err) == -1)
		return -1;
	return transaction_intend(app, r->number, err);
}

/* The first release of an app, set aside and now activated, makes the branch it was pushed to. */
static int make_deploy_branch(const struct app *app, struct repo *repo,
			      const struct release_info *r, struct error *err)
{
	autofree char *ref = xasprintf("refs/heads/%s", r->branch);

	if (repo_set_ref(repo, ref, r->commit, r->base, "silver: activate", err) == -1)
		return -1;
	return transaction_set_head(app, ref, err);
}

/* From the intent on, recovery finishes what the ref says. */
static int move_deploy_branch(const struct app *app, struct repo *repo,
			      const struct release_info *r, struct error *err)
{
	autofree char *ref = NULL;
	char old[OID_HEX];

	if (transaction_deploy_ref(repo, &ref, err) == -1)
		return err->code == E_NOTFOUND && r->staged ? make_deploy_branch(app, repo, r, err)
							    : -1;
	if (repo_resolve(repo, ref, false, old, err) == -1)
		return -1;
	return repo_set_ref(repo, ref, r->commit, old, "silver: activate", err);
}

int transaction_activate_kept(struct app *app, struct repo *repo, unsigned release,
			      struct error *err)
{
	autorelease struct release_info r = {0};

	if (!release_is_live(app, release) && !release_is_staged(app, release))
		return unknown_release(app, release, err);
	if (release == release_current(app))
		return error_set(err, E_REFUSED, "release %u is live already", release);
	if (release_read(app, release, &r, err) == -1)
		return -1;
	if (r.staged && check_base(app, repo, &r, err) == -1)
		return -1;
	if (equip_check_passwords(app, release, r.commit, r.branch, err) == -1)
		return -1;
	if (ready_kept(app, repo, &r, err) == -1 || move_deploy_branch(app, repo, &r, err) == -1) {
		transaction_abandon(app, release);
		return -1;
	}
	account_close(&app->account, ACCOUNT_ACCEPTED);
	return transaction_activate(app, release, r.commit, err);
}
