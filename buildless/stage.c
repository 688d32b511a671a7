/* stage.c - a commit becomes a release that is complete, on disk, and not live. */
#include "buildless/steps.h"

#include "buildless/equip.h"
#include "buildless/install.h"
#include "buildless/report.h"
#include "buildless/space.h"
#include "common/names.h"
#include "common/proc.h"
#include "services/environment.h"

#define SUBJECT_MAX 200

static int compose_env(const struct app *app, const struct appini *ini, unsigned number,
		       unsigned slot, const char *commit, struct strv *env, char digest[OID_HEX],
		       struct error *err)
{
	autofree const char **services = xcalloc(ini->services.n + 1, sizeof(*services));
	struct environment_release release = {
		.node = &app->node,
		.app = app->name,
		.host = app->host,
		.number = number,
		.slot = slot,
		.commit = commit,
		.app_fd = app->fd,
		.services = services,
		.n_services = ini->services.n,
	};
	autostrbuf struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < ini->services.n; i++)
		services[i] = ini->services.v[i].name;
	if (environment_compose(&release, env, err) == -1)
		return error_prefix(err, "composing the environment");
	strv_sort(env);
	release_format_env(env, &text);
	repo_hash(strbuf_str(&text), text.len, digest);
	return 0;
}

/* Would a new release of the commit have the same environment as this kept one? */
static bool same_env(const struct app *app, const struct appini *ini,
		     const struct release_info *kept)
{
	autostrv struct strv env = STRV_INIT;
	struct error ignored = ERROR_INIT;
	char digest[OID_HEX];

	return compose_env(app, ini, kept->number, kept->slot, kept->commit, &env, digest,
			   &ignored) == 0 &&
	       strcmp(digest, kept->env_digest) == 0;
}

/* The newest kept release of the commit; false: none. */
static bool find_kept(const struct app *app, const struct appini *ini, const char *commit,
		      struct release_info *out)
{
	struct error ignored = ERROR_INIT;
	unsigned number;

	if (release_of_commit(app, commit, &number, &ignored) == -1 ||
	    release_read(app, number, out, &ignored) == -1)
		return false;
	if (same_env(app, ini, out) && install_has_all(app, &out->packages.store))
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

static bool holds(const struct app *app, const char *link, const char *tree, unsigned *slot)
{
	struct error none = ERROR_INIT;
	struct slot held;
	unsigned release;

	return release_link(app, link, &release, &none) == 0 &&
	       release_slot(app, release, slot, &none) == 0 &&
	       slot_read(app, *slot, &held, &none) == 0 && strcmp(held.tree, tree) == 0;
}

/* A slot that holds the very tree serves this release as well: trees in use are never changed. So
 * does that of the release before, which a reverting commit comes back to. Slots follow retention:
 * where settling was interrupted again and again, its part is done here rather than laying out yet
 * another slot from nothing. */
static int choose_slot(struct app *app, struct repo *repo, const char *tree, bool fresh,
		       unsigned *number, struct error *err)
{
	bool new;

	if (!fresh && (holds(app, "current", tree, number) || holds(app, "previous", tree, number)))
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
	    choose_slot(app, repo, r->tree, fresh, &r->slot, err) == -1 ||
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

static int stage_new(struct app *app, struct repo *repo, const char *branch,
		     const struct appini *ini, unsigned flags, struct release_info *r,
		     struct error *err)
{
	autostrv struct strv env = STRV_INIT;

	if (ready_packages(app, ini, r, err) == -1 ||
	    release_next_number(app, &r->number, err) == -1 ||
	    release_remove(app, r->number, err) == -1 || /* staged once, never accepted */
	    layout(app, repo, flags, r, err) == -1 || count_changed(app, repo, r, err) == -1)
		return -1;
	if (compose_env(app, ini, r->number, r->slot, r->commit, &env, r->env_digest, err) == -1)
		return -1;
	r->branch = xstrdup(branch);
	r->who = xstrdup(app->user);
	runspec_copy(&r->run, &ini->run);
	r->when = clock_utc_ms() / 1000;
	return release_write(app, r, &env, err);
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

int stage_release(struct app *app, struct repo *repo, const char *commit, const char *branch,
		  const struct appini *ini, unsigned flags, struct release_info *out, bool *reused,
		  struct error *err)
{
	struct repo_commit c;
	int64_t took_us;
	int r;

	*out = (struct release_info){0};
	if (equip_provide(app, ini, err) == -1)
		return -1;
	*reused = !(flags & TRANSACTION_NEW) && find_kept(app, ini, commit, out);
	if (*reused) {
		r = stage_kept(app, repo, out, err);
	} else {
		*out = (struct release_info){0};
		if (repo_read_commit(repo, commit, &c, err) == -1)
			return -1;
		memcpy(out->commit, commit, OID_HEX);
		memcpy(out->tree, c.tree, OID_HEX);
		out->subject = printable_subject(c.subject);
		repo_commit_release(&c);
		r = stage_new(app, repo, branch, ini, flags, out, err);
	}
	took_us = account_close(&app->account, ACCOUNT_STAGED);
	if (r == -1)
		release_info_release(out);
	else
		report_slow(took_us, "staged");
	return r;
}

int transaction_stage(struct app *app, struct repo *repo, const char *commit, const char *branch,
		      const struct appini *ini, struct release_info *out, bool *reused,
		      struct error *err)
{
	return stage_release(app, repo, commit, branch, ini, 0, out, reused, err);
}
