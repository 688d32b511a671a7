/* audit.c - the verbs that compare what is there with what should be. What they find goes to
 * stdout, as text or JSON. */
#include "buildless/verbs.h"

#include "buildless/fsck.h"

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
	autofree char *path = xasprintf("apps/%s/repo.git", app->name);
	struct error err = ERROR_INIT;

	if (repo_open(repo, app->repo_path, false, &err) == -1)
		findings_add(f, &rule, path, "%s", err.text);
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
