/* stage.c - a commit becomes a release that is complete, on disk, and not live. */
#include "buildless/steps.h"

#include "buildless/config.h"
#include "buildless/config_rules.h"
#include "buildless/env.h"
#include "buildless/equip.h"
#include "buildless/report.h"
#include "buildless/space.h"
#include "buildless/store.h"
#include "common/names.h"
#include "common/proc.h"
#include "services/environment.h"

#define SUBJECT_MAX 200

/* What `silver config` set goes over what app.ini has for it, and both over what services give. */
static int compose_env(const struct app *app, const struct release_info *r,
		       const struct stage_order *order, struct strv *env, char digest[OID_HEX],
		       struct error *err)
{
	const struct appini_config *asked = &order->ini->config;
	autofree char *config_dir = config_dir_of(asked, order->config, r->number, r->slot);
	const struct appini_services *given = &order->ini->services;
	autofree const char **services = xcalloc(given->n + 1, sizeof(*services));
	struct environment_release release = {
		.node = &app->node,
		.app = app->name,
		.host = app->host,
		.path = app->path,
		.number = r->number,
		.slot = r->slot,
		.commit = r->commit,
		.config_dir = config_dir,
		.app_fd = app->fd,
		.services = services,
		.n_services = given->n,
	};
	autostrbuf struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < given->n; i++)
		services[i] = given->v[i].name;
	if (environment_compose(&release, env, err) == -1 ||
	    store_compose(&app->node, &r->packages.store, env, err) == -1)
		return error_prefix(err, "composing the environment");
	for (size_t i = 0; i < asked->defaults.n; i++)
		environment_put(env, asked->defaults.v[i]);
	for (size_t i = 0; i < order->config->set.n; i++)
		environment_put(env, order->config->set.v[i]);
	strv_sort(env);
	release_format_env(env, &text);
	repo_hash(strbuf_str(&text), text.len, digest);
	return 0;
}

/* Would a new release of the commit have the same environment as this kept one? */
static bool same_env(const struct app *app, const struct release_info *kept,
		     const struct stage_order *order)
{
	autostrv struct strv env = STRV_INIT;
	struct error ignored = ERROR_INIT;
	char digest[OID_HEX], config[OID_HEX];

	config_digest(order->config, config);
	return strcmp(config, kept->config_digest) == 0 &&
	       compose_env(app, kept, order, &env, digest, &ignored) == 0 &&
	       strcmp(digest, kept->env_digest) == 0;
}

/* The newest kept release of the commit; false: none. */
static bool find_kept(const struct app *app, const struct stage_order *order,
		      struct release_info *out)
{
	struct error ignored = ERROR_INIT;
	unsigned number;

	if (release_of_commit(app, order->commit, &number, &ignored) == -1 ||
	    release_read(app, number, out, &ignored) == -1)
		return false;
	if (same_env(app, out, order))
		return true;
	release_info_release(out);
	return false;
}

bool live_slot(const struct app *app, struct slot *out)
{
	struct error ignored = ERROR_INIT;
	unsigned current = release_current(app), slot;

	return current && release_slot(app, current, &slot, &ignored) == 0 &&
	       slot_read(app, slot, out, &ignored) == 0;
}

static bool slot_of_release_holds(const struct app *app, unsigned release, const char *tree,
				  unsigned *slot)
{
	struct error none = ERROR_INIT;
	struct slot held;

	return release_slot(app, release, slot, &none) == 0 &&
	       slot_read(app, *slot, &held, &none) == 0 && strcmp(held.tree, tree) == 0;
}

static bool holds(const struct app *app, const char *link, const char *tree, unsigned *slot)
{
	struct error none = ERROR_INIT;
	unsigned release;

	return release_link(app, link, &release, &none) == 0 &&
	       slot_of_release_holds(app, release, tree, slot);
}

/* The slot of the newest kept release of the commit: what was pushed is as it was then, and only
 * its environment is another. */
static bool kept_holds(const struct app *app, const char *commit, const char *tree, unsigned *slot)
{
	struct error none = ERROR_INIT;
	unsigned release;

	return release_of_commit(app, commit, &release, &none) == 0 &&
	       slot_of_release_holds(app, release, tree, slot);
}

/* A slot that holds the very tree serves this release as well: trees in use are never changed. So
 * does that of the release before, which a reverting commit comes back to. Slots follow retention:
 * where settling was interrupted again and again, its part is done here rather than laying out yet
 * another slot from nothing. */
static int choose_slot(struct app *app, struct repo *repo, const struct release_info *r, bool fresh,
		       unsigned *number, struct error *err)
{
	const char *tree = r->tree;
	bool new;

	if (!fresh &&
	    (holds(app, "current", tree, number) || holds(app, "previous", tree, number) ||
	     kept_holds(app, r->commit, tree, number)))
		return 0;
	if (slot_choose(app, repo, tree, number, &new, err) == -1)
		return -1;
	if (!new)
		return 0;
	if (prune(app, NULL, err) == -1)
		return -1;
	return slot_choose(app, repo, tree, number, &new, err);
}

static int layout(struct app *app, struct repo *repo, unsigned flags, struct release_info *r,
		  struct error *err)
{
	bool fresh = flags & TRANSACTION_FRESH;
	struct slot live;
	bool link = !fresh && live_slot(app, &live);
	struct slot_work work;

	if ((fresh && space_check_whole(app, repo, r->tree, err) == -1) ||
	    choose_slot(app, repo, r, fresh, &r->slot, err) == -1 ||
	    (fresh && slot_forget(app, r->slot, err) == -1) ||
	    slot_layout(app, repo, r->slot, r->tree, link ? &live : NULL, &work, err) == -1)
		return -1;
	r->files = work.files;
	return 0;
}

static int count_changed(const struct app *app, struct repo *repo, struct release_info *r,
			 struct error *err)
{
	autorelease struct release_info live = {0};
	struct error ignored = ERROR_INIT;
	unsigned current = release_current(app);

	r->changed = r->files;
	if (!current || release_read(app, current, &live, &ignored) == -1)
		return 0;
	return repo_count_changed(repo, live.tree, r->tree, &r->changed, err);
}

static char *printable_subject(const char *subject)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	name_add_printable(&s, subject, strnlen(subject, SUBJECT_MAX));
	return strbuf_detach(&s);
}

/* Before a slot is touched: apt may take its time, and may fail. */
static int ready_packages(struct app *app, const struct appini *ini, struct release_info *r,
			  struct error *err)
{
	bool changed;

	if (packages_ready(app, ini, &r->packages, &changed, err) == -1)
		return -1;
	if (changed)
		report_slow(account_close(&app->account, ACCOUNT_INSTALLED), "packages installed");
	return 0;
}

static int stage_new(struct app *app, struct repo *repo, const struct stage_order *order,
		     struct release_info *r, struct error *err)
{
	autostrv struct strv env = STRV_INIT;

	if (ready_packages(app, order->ini, r, err) == -1 ||
	    release_next_number(app, &r->number, err) == -1 ||
	    release_remove(app, r->number, err) == -1 || /* staged once, never accepted */
	    layout(app, repo, order->flags, r, err) == -1 || count_changed(app, repo, r, err) == -1)
		return -1;
	if (compose_env(app, r, order, &env, r->env_digest, err) == -1)
		return -1;
	config_digest(order->config, r->config_digest);
	r->branch = xstrdup(order->branch);
	r->who = xstrdup(app->user);
	runspec_copy(&r->run, &order->ini->run);
	r->when = clock_utc_ms() / 1000;
	return release_write(app, r, &env, order->config, err);
}

/* A kept release is complete but for its slot, which somebody may have removed. */
static int stage_kept(struct app *app, struct repo *repo, const struct release_info *r,
		      struct error *err)
{
	struct slot live;
	bool link = live_slot(app, &live);
	struct slot_work work;

	if (packages_return(app, &r->packages, err) == -1)
		return -1;
	return slot_layout(app, repo, r->slot, r->tree, link ? &live : NULL, &work, err);
}

static int stage_commit(struct app *app, struct repo *repo, const struct stage_order *order,
			struct release_info *out, struct error *err)
{
	struct repo_commit c;

	if (repo_read_commit(repo, order->commit, &c, err) == -1)
		return -1;
	memcpy(out->commit, order->commit, OID_HEX);
	memcpy(out->tree, c.tree, OID_HEX);
	out->subject = printable_subject(order->subject ? order->subject : c.subject);
	repo_commit_release(&c);
	return stage_new(app, repo, order, out, err);
}

/* With the configuration that the release is to have. */
static int stage_whole(struct app *app, struct repo *repo, const struct stage_order *order,
		       struct release_info *out, bool *reused, struct error *err)
{
	int64_t took_us;
	int r;

	if (equip_provide(app, order->ini, err) == -1)
		return -1;
	*reused = !(order->flags & TRANSACTION_NEW) && find_kept(app, order, out);
	if (!*reused)
		*out = (struct release_info){0};
	r = *reused ? stage_kept(app, repo, out, err) : stage_commit(app, repo, order, out, err);
	if (r == 0 && !*reused)
		env_report_changes(app, release_current(app), out->number);
	took_us = account_close(&app->account, ACCOUNT_STAGED);
	if (r == -1)
		release_info_release(out);
	else
		report_slow(took_us, "staged");
	return r;
}

int stage_release(struct app *app, struct repo *repo, const struct stage_order *order,
		  struct release_info *out, bool *reused, struct error *err)
{
	autoconfig struct config carried = CONFIG_INIT;
	struct stage_order whole = *order;

	*out = (struct release_info){0};
	if (!whole.config) {
		if (config_read_live(app, &carried, err) == -1)
			return -1;
		whole.config = &carried;
	}
	return stage_whole(app, repo, &whole, out, reused, err);
}

int transaction_stage(struct app *app, struct repo *repo, const char *commit, const char *branch,
		      const struct appini *ini, struct release_info *out, bool *reused,
		      struct error *err)
{
	const struct stage_order order = {.commit = commit, .branch = branch, .ini = ini};

	return stage_release(app, repo, &order, out, reused, err);
}
