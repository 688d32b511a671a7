#include "cli/rolling.h"

#include "cli/snapshot.h"
#include "cli/tool.h"
#include "common/proc.h"

static void add_push(struct rolling *ro, const struct target *t, const char *option,
		     struct strv *argv)
{
	WORDS(argv, "git", "-c", "push.pushOption=", "push", "--no-follow-tags",
	      "--recurse-submodules=no");
	if (option)
		WORDS(argv, "--porcelain", "-o", option);
	if (t->lease)
		strv_addf(argv, "--force-with-lease=" HEADS "%s:%s", ro->branch, t->tip);
	WORDS(argv, "--", t->host->url);
	strv_addf(argv, "%s:" HEADS "%s", ro->commit, ro->branch);
}

/* What Silver says; where it says nothing, git knows why. */
static int push_tersely(struct rolling *ro, int *status)
{
	const char *said;
	bool ours;

	new_tasks(ro);
	add_push(ro, &ro->target[0], NULL, &ro->task[0].argv);
	run_tasks(ro, NULL);
	*status = ro->task[0].status;
	said = strbuf_str(&ro->task[0].said);
	ours = strstr(said, "silver: ") != NULL;
	for (const char *at = said; *at;) {
		size_t len = strcspn(at, "\n");

		if (!ours || str_starts(at, "silver: "))
			fprintf(stderr, "%.*s\n", (int)len, at);
		at += len + (at[len] == '\n');
	}
	return 0;
}

/* With git's own words and progress. */
static int push_one(struct rolling *ro, int *status, struct error *err)
{
	autostrv struct strv argv = STRV_INIT;
	struct tool git = TOOL_INHERIT(NULL);

	add_push(ro, &ro->target[0], NULL, &argv);
	git.argv = strv_argv(&argv);
	git.dir = ro->top;
	git.env = ro->env;
	git.out = STDERR_FILENO;
	if (tool_run(&git, status, err) == -1)
		return -1;
	if (*status > E_SYSTEM) /* git's 128: the node was not reached, or would not have us */
		*status = 255;
	return 0;
}

static int plan(struct rolling *ro, struct error *err)
{
	size_t refused = 0;

	new_tasks(ro);
	for (size_t i = 0; i < ro->n; i++)
		add_push(ro, &ro->target[i], "plan", &ro->task[i].argv);
	run_tasks(ro, NULL);
	for (size_t i = 0; i < ro->n; i++) {
		const char *said = strbuf_str(&ro->task[i].said);

		if (ro->n > 1)
			printf("%s== %s\n", i ? "\n" : "", ro->task[i].name);
		for (const char *at = said;
		     *at;) { /* git's own words about the refusal are noise */
			size_t len = strcspn(at, "\n");

			if (!str_starts(at, "error: failed to push") && !str_starts(at, "To "))
				printf("%.*s\n", (int)len, at);
			at += len + (at[len] == '\n');
		}
		/* a plan is always refused: what counts is how it ends */
		refused +=
			!ro->target[i].is_live && !strstr(said, "plan only: nothing was changed");
	}
	fflush(stdout);
	if (!refused)
		return 0;
	return error_set(err, E_REFUSED, "%s would be refused", ro->n > 1 ? "one of them" : "it");
}

/* "*\tOID:refs/staged/13\t[new reference]" of git push --porcelain; 0: not there. */
static unsigned staged_number(const char *out)
{
	const char *at = strstr(out, ":refs/staged/");

	return at ? (unsigned)strtoul(at + strlen(":refs/staged/"), NULL, 10) : 0;
}

static int stage_all(struct rolling *ro, struct error *err)
{
	size_t failed = 0;

	new_tasks(ro);
	for (size_t i = 0; i < ro->n; i++)
		if (!ro->target[i].is_live)
			add_push(ro, &ro->target[i], "stage", &ro->task[i].argv);
	run_tasks(ro, "staging on all nodes");
	for (size_t i = 0; i < ro->n; i++) {
		if (ro->target[i].is_live)
			continue;
		ro->target[i].staged = staged_number(strbuf_str(&ro->task[i].out));
		if (ro->task[i].status == 0 && ro->target[i].staged)
			continue;
		failed++;
		fprintf(stderr, "\n%s refused:\n%s", ro->task[i].name,
			strbuf_str(&ro->task[i].said));
	}
	if (!failed)
		return 0;
	return error_set(err, E_REFUSED,
			 "%zu of %zu nodes did not take it: nobody has flipped, and what was live "
			 "is live everywhere",
			 failed, ro->n);
}

static int finish(struct rolling *ro, struct error *err)
{
	size_t failed;

	if (activate_all(ro, err) == -1)
		return -1;
	failed = tasks_failed(ro->task, ro->n);
	if (!failed)
		return 0;
	return error_set(err, E_SYSTEM,
			 "%zu of %zu nodes did not flip; they have it staged, and `%s` finishes "
			 "there when they are back",
			 failed, ro->n, ro->r->again);
}

static bool all_live(const struct rolling *ro)
{
	for (size_t i = 0; i < ro->n; i++)
		if (!ro->target[i].is_live)
			return false;
	return true;
}

static int roll(struct rolling *ro, int *status, struct error *err)
{
	*status = 0;
	if (rolling_prepare(ro, err) == -1)
		return -1;
	if (all_live(ro)) {
		if (!ro->r->terse)
			fprintf(stderr,
				"silver: this is live already%s; `silver redeploy` deploys it once "
				"more\n",
				ro->n > 1 ? " on all nodes" : "");
		return 0;
	}
	if (ro->r->check)
		return plan(ro, err);
	if (ro->r->terse)
		return push_tersely(ro, status);
	if (ro->n == 1)
		return push_one(ro, status, err);
	if (stage_all(ro, err) == -1)
		return -1;
	return finish(ro, err);
}

int rollout_run(const struct rollout *r, int *status, struct error *err)
{
	struct rolling ro = {.r = r,
			     .app = r->app,
			     .top = r->top,
			     .env = r->env,
			     .git = {.dir = r->top, .env = r->env}};
	int result;

	rolling_init(&ro, r->place);
	result = roll(&ro, status, err);
	rolling_release(&ro);
	return result;
}
