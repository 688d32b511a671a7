#include "hooks/plan.h"

#include "buildless/equip.h"
#include "buildless/processes.h"
#include "buildless/report.h"
#include "common/names.h"

#define PATHS_MAX 20

struct plan {
	uint64_t added, changed, removed;
	struct strv paths; /* the first ones, as printed */
};

static int count_path(void *ctx, const char *path, const struct repo_entry *was,
		      const struct repo_entry *now, struct error *err)
{
	struct plan *plan = ctx;
	bool was_file = was && was->kind != REPO_ENTRY_TREE,
	     is_file = now && now->kind != REPO_ENTRY_TREE;
	autofree char *shown = NULL;

	(void)err;
	if (!was_file && !is_file)
		return 0;
	plan->added += !was_file;
	plan->removed += !is_file;
	plan->changed += was_file && is_file;
	if (plan->paths.n == PATHS_MAX)
		return 0;
	shown = name_printable(path);
	strv_addf(&plan->paths, "  %c %s", !was_file ? '+' : is_file ? '~' : '-', shown);
	return 0;
}

static int say_files(struct repo *repo, const char *old_tree, const char *new_tree,
		     struct error *err)
{
	struct plan plan = {0};
	autostrbuf struct strbuf counts = STRBUF_INIT;
	int result = repo_diff(repo, old_tree, new_tree, count_path, &plan, err);
	uint64_t sum = plan.added + plan.changed + plan.removed;

	if (result == 0) {
		report_add_count(&counts, plan.added);
		strbuf_addstr(&counts, " added, ");
		report_add_count(&counts, plan.changed);
		strbuf_addstr(&counts, " changed, ");
		report_add_count(&counts, plan.removed);
		report_step("plan: files: %s removed", counts.buf);
		for (size_t i = 0; i < plan.paths.n; i++)
			report_step("%s", plan.paths.v[i]);
		if (sum > plan.paths.n)
			report_step("  and %llu more", (unsigned long long)(sum - plan.paths.n));
	}
	strv_free_p(&plan.paths);
	return result;
}

/* The newest kept release of the commit, which would be live again; 0: none. */
static unsigned find_kept(const struct app *app, const char *commit)
{
	struct error none = ERROR_INIT;
	unsigned number;

	return release_of_commit(app, commit, &number, &none) == 0 ? number : 0;
}

static void say_setting(const char *key, const char *was, const char *now)
{
	if (!was && !now)
		return;
	if (was && now && strcmp(was, now) == 0)
		return;
	if (was && now)
		report_step("plan: %s: %s, was %s", key, now, was);
	else
		report_step("plan: %s: %s", key, now ? now : "none any more");
}

static void say_count(const char *key, size_t was, size_t now)
{
	if (was != now)
		report_step("plan: %s: %zu, was %zu", key, now, was);
}

static void say_settings(const struct release_info *live, const struct appini *ini)
{
	say_setting("platform", live ? live->run.platform : NULL, ini->run.platform);
	say_setting("runner", live ? live->run.runner : NULL, ini->run.runner);
	say_setting("health", live ? live->run.health : NULL, ini->run.health);
	say_count("workers", live ? processes_workers(&live->run) : 0,
		  processes_workers(&ini->run));
	say_count("commands by the clock", live ? live->run.n_crons : 0, ini->run.n_crons);
	if (!live && ini->default_location)
		report_step("plan: location: %s", ini->default_location);
}

static int say_services(const struct app *app, const struct appini *ini, struct error *err)
{
	autostrv struct strv missing = STRV_INIT;

	if (equip_missing(app, ini, &missing, err) == -1)
		return -1;
	for (size_t i = 0; i < missing.n; i++)
		report_step("plan: service: %s, would be provided", missing.v[i]);
	return 0;
}

static int say_deploy(const struct app *app, struct repo *repo, const struct push_ref *ref,
		      const struct release_info *live, const struct appini *ini, struct error *err)
{
	autofree char *subject = NULL;
	struct repo_commit commit;
	unsigned kept = find_kept(app, ref->new_oid), next;
	int result;

	if (release_next_number(app, &next, err) == -1 ||
	    repo_read_commit(repo, ref->new_oid, &commit, err) == -1)
		return -1;
	subject = name_printable(commit.subject);
	report_step("plan: %.7s '%.100s' would be %s release %u%s", ref->new_oid, subject,
		    app->name, kept ? kept : next, kept ? " again, which is kept" : "");
	result = say_files(repo, live ? live->tree : "", commit.tree, err);
	if (result == 0) {
		say_settings(live, ini);
		result = say_services(app, ini, err);
	}
	repo_commit_release(&commit);
	return result;
}

int plan_say(const struct app *app, struct repo *repo, const struct push *push,
	     const struct release_info *live, const struct appini *ini, struct error *err)
{
	if (push->deploy && say_deploy(app, repo, push->deploy, live, ini, err) == -1)
		return error_prefix(err, "planning");
	for (size_t i = 0; i < push->n; i++) {
		autofree char *shown = name_printable(push->ref[i].name);

		if (&push->ref[i] != push->deploy)
			report_step("plan: %s would be %s, not deployed", shown,
				    push_ref_deletes(&push->ref[i]) ? "deleted" : "stored");
	}
	return 0;
}
