/* audit.c - the verbs that compare what is there with what should be. What they find goes to
 * stdout, as text or JSON. */
#include "buildless/verbs.h"

#include "buildless/fsck.h"
#include "buildless/report.h"
#include "buildless/steps.h"
#include "buildless/survey.h"
#include "common/lock.h"
#include "common/names.h"
#include "runtime/ask.h"

#define RELEASE_MAX 999999999

static int print(const struct strbuf *s, struct error *err)
{
	if (fputs(strbuf_str(s), stdout) == EOF || fflush(stdout) == EOF)
		return error_set(err, E_SYSTEM, "cannot write to standard output");
	return 0;
}

static void fsck_json(const struct app *app, const struct findings *f, struct strbuf *out)
{
	struct json j = {.out = out};

	json_open(&j, NULL, '{');
	json_str(&j, "app", app->name);
	json_int(&j, "damage", (int64_t)f->damage);
	json_int(&j, "pending", (int64_t)f->pending);
	json_open(&j, "findings", '[');
	strbuf_addstr(out, strbuf_str(&f->out));
	json_close(&j, ']');
	json_close(&j, '}');
	strbuf_addch(out, '\n');
}

/* A repository that does not open is a finding, so that the rest is told too. */
static void open_repo(struct repo **repo, const struct app *app, struct findings *f)
{
	static const struct finding_rule rule = {FINDING_DAMAGE, "the repository opens",
						 "put apps/APP/repo.git back from a backup, or "
						 "create it anew and push"};
	struct error err = ERROR_INIT;

	if (repo_open(repo, app->repo_path, false, &err) == -1)
		findings_add(f, &rule, "repo.git", "%s", err.text);
}

int verb_fsck(struct verb_call *call, struct error *err)
{
	bool json = call->argc == 1 && strcmp(call->argv[0], "--json") == 0;
	autostrbuf struct strbuf out = STRBUF_INIT;
	autorepo struct repo *repo = NULL;
	struct findings f;
	int r;

	if (call->argc && !json)
		return error_set(err, E_USAGE, "unknown argument '%s'", call->argv[0]);
	findings_init(&f, call->app->name, json);
	open_repo(&repo, call->app, &f);
	r = fsck_app(call->app, repo, &f, err);
	if (r == 0 && json)
		fsck_json(call->app, &f, &out);
	if (r == 0)
		r = print(json ? &out : &f.out, err);
	if (r == 0 && findings_result(&f, err) == -1)
		r = error_prefix(err, "%s", call->app->name);
	findings_release(&f);
	return r;
}

/* verify */

struct verify_words {
	bool json, all, repair;
	unsigned release; /* 0: the live one */
};

static int parse_verify(struct verb_call *call, struct verify_words *w, struct error *err)
{
	uint64_t number = 0;

	*w = (struct verify_words){0};
	for (int i = 0; i < call->argc; i++) {
		const char *word = call->argv[i];

		if (strcmp(word, "--json") == 0)
			w->json = true;
		else if (strcmp(word, "--all") == 0)
			w->all = true;
		else if (strcmp(word, "--repair") == 0)
			w->all = w->repair = true; /* a file may be several slots' */
		else if (strcmp(word, "--release") == 0 && i + 1 < call->argc &&
			 str_to_uint(call->argv[++i], RELEASE_MAX, &number) && number > 0)
			w->release = (unsigned)number;
		else
			return error_set(err, E_USAGE,
					 "'%s': verify APP [--release N | --all] [--repair]", word);
	}
	if (w->release && w->all)
		return error_set(err, E_USAGE, "one release, or all slots, not both");
	return 0;
}

static void findings_text(const struct survey_slot *slot, struct strbuf *out)
{
	for (size_t i = 0; i < slot->path.n; i++) {
		strbuf_addf(out, "%-8s ", slot->kind.v[i]);
		name_add_printable(out, slot->path.v[i], strlen(slot->path.v[i]));
		strbuf_addch(out, '\n');
	}
}

static void verify_text(const struct survey *s, bool all, struct strbuf *out)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct survey_slot *slot = &s->v[i];

		if (!slot->path.n)
			continue;
		if (all)
			strbuf_addf(out, "slot %u", slot->slot);
		for (size_t k = 0; all && k < slot->releases.n; k++)
			strbuf_addf(out, "%s%s", k ? ", " : " of release ", slot->releases.v[k]);
		if (all)
			strbuf_addstr(out, ":\n");
		findings_text(slot, out);
	}
}

static void findings_json(struct json *j, const struct survey_slot *slot)
{
	json_open(j, "findings", '[');
	for (size_t i = 0; i < slot->path.n; i++) {
		json_open(j, NULL, '{');
		json_str(j, "kind", slot->kind.v[i]);
		json_str(j, "path", slot->path.v[i]);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_int(j, "files", (int64_t)slot->files);
	json_bool(j, "ok", slot->path.n == 0);
}

static void slots_json(struct json *j, const struct survey *s)
{
	json_open(j, "slots", '[');
	for (size_t i = 0; i < s->n; i++) {
		const struct survey_slot *slot = &s->v[i];

		json_open(j, NULL, '{');
		json_int(j, "slot", slot->slot);
		json_str(j, "tree", slot->tree);
		json_open(j, "releases", '[');
		for (size_t k = 0; k < slot->releases.n; k++)
			json_str(j, NULL, slot->releases.v[k]);
		json_close(j, ']');
		findings_json(j, slot);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_bool(j, "ok", survey_found(s) == 0);
}

static int print_verify(const struct verb_call *call, const struct verify_words *w,
			const struct survey *s, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT;
	autorelease struct release_info r = {0};
	struct json j = {.out = &out};

	if (!w->json) {
		verify_text(s, w->all, &out);
		return print(&out, err);
	}
	json_open(&j, NULL, '{');
	json_str(&j, "app", call->app->name);
	if (w->all) {
		slots_json(&j, s);
	} else {
		if (release_read(call->app, w->release, &r, err) == -1)
			return -1;
		json_int(&j, "release", w->release);
		json_str(&j, "commit", r.commit);
		findings_json(&j, &s->v[0]);
	}
	json_close(&j, '}');
	strbuf_addch(&out, '\n');
	return print(&out, err);
}

/* The live slot is never touched: a new release of the same commit goes live, from the repository
 * alone, proven like any other. After that the damaged slot is a kept release's. */
static int repair(struct verb_call *call, const struct survey *s, struct error *err)
{
	autorelease struct release_info live = {0};
	unsigned current;
	bool damaged = false;

	for (size_t i = 0; i < s->n; i++)
		damaged = damaged || (s->v[i].live && s->v[i].path.n);
	if (survey_forget_free(call->app, s, err) == -1 ||
	    (damaged && verbs_deploy_fresh(call, err) == -1))
		return -1;
	current = release_current(call->app);
	if (current && release_read(call->app, current, &live, err) == -1)
		return -1;
	if (current && has_processes(&live) && ask_only(current, err) == -1)
		return error_prefix(err, "ending what runs in a damaged slot");
	return survey_repair(call->app, call->repo, s, err);
}

int audit_repair(struct verb_call *call, struct error *err)
{
	autosurvey struct survey s = SURVEY_INIT;

	if (survey_all(call->app, &s, err) == -1 ||
	    survey_compare(call->app, call->repo, &s, err) == -1)
		return -1;
	return repair(call, &s, err);
}

static int verdict(struct verb_call *call, const struct verify_words *w, const struct survey *s,
		   struct error *err)
{
	autostrbuf struct strbuf count = STRBUF_INIT;
	size_t found = survey_found(s);
	uint64_t files = 0;

	for (size_t i = 0; i < s->n; i++) {
		files += s->v[i].files;
		if (s->v[i].moved && !found)
			return error_set(err, E_BUSY,
					 "a push took slot %u while it was compared: try again",
					 s->v[i].slot);
	}
	if (found && w->repair)
		return repair(call, s, err);
	if (found)
		return error_set(err, E_REFUSED,
				 "%zu finding%s: not what the commit says; 'silver verify %s "
				 "--repair' lays the files out anew",
				 found, found == 1 ? "" : "s", call->app->name);
	report_add_count(&count, files);
	if (!w->json)
		report_step("%s: %s files of %zu slot%s are what the commit says", call->app->name,
			    count.buf, s->n, s->n == 1 ? "" : "s");
	return 0;
}

static int lock_and_recover(struct verb_call *call, struct error *err)
{
	struct app *app = call->app;
	autofree char *holder = xasprintf("%s: verify --repair", app->user);

	if (lock_take(app->lock_fd, holder, app->node.lock_wait_ms, err) == -1)
		return -1;
	return transaction_recover(app, call->repo, false, err);
}

int verb_verify(struct verb_call *call, struct error *err)
{
	autosurvey struct survey s = SURVEY_INIT;
	struct verify_words w;

	if (parse_verify(call, &w, err) == -1 || (w.repair && lock_and_recover(call, err) == -1))
		return -1;
	if (!w.all && !w.release)
		w.release = release_current(call->app);
	if (!w.all && !w.release)
		return error_set(err, E_NOTFOUND, "nothing of %s is live yet", call->app->name);
	if ((w.all ? survey_all(call->app, &s, err) : survey_one(call->app, w.release, &s, err)) ==
		    -1 ||
	    survey_compare(call->app, call->repo, &s, err) == -1 ||
	    print_verify(call, &w, &s, err) == -1)
		return -1;
	return verdict(call, &w, &s, err);
}
