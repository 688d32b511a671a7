#include "cli/rollout.h"

#include "cli/ask.h"
#include "cli/git.h"
#include "cli/parallel.h"
#include "cli/snapshot.h"
#include "cli/tool.h"
#include "common/proc.h"

#define HEADS "refs/heads/"

/* What is known of one node. */
struct target {
	const struct host *host;
	char branch[256]; /* that it deploys; "": none yet */
	char tip[41];     /* of that branch; "": none */
	bool lease;       /* tip may be replaced */
	bool is_live;     /* it has the commit already */
	bool activated;
	unsigned staged; /* release to activate */
};

struct rolling {
	const struct rollout *r; /* NULL: going back */
	const char *app, *top;
	char *const *env;
	struct git git;
	struct target *target;
	struct task *task;
	size_t n;
	char branch[256], commit[41];
};

static const char *name_of(const struct host *host)
{
	return host->node ? host->node : host->url;
}

/* One more question to each node. */
static void new_tasks(struct rolling *ro)
{
	for (size_t i = 0; i < ro->n; i++) {
		task_release(&ro->task[i]);
		task_init(&ro->task[i], name_of(ro->target[i].host));
	}
}

static void run_tasks(struct rolling *ro, const char *title)
{
	tasks_run(ro->task, ro->n, ro->top, ro->env, title, title == NULL);
}

static void add_words(struct strv *argv, const char *const *words)
{
	for (; *words; words++)
		strv_add(argv, *words);
}
#define WORDS(argv, ...) add_words((argv), (const char *const[]){__VA_ARGS__, NULL})

/* --- what the nodes have ------------------------------------------------------------------------
 */

/* "ref: refs/heads/master\tHEAD", "OID\trefs/heads/master", of git ls-remote --symref. */
static void read_refs(struct target *t, const char *text, const char *fallback)
{
	autofree char *wanted = NULL;

	for (const char *at = text; *at;
	     at += strcspn(at, "\n") + (at[strcspn(at, "\n")] == '\n')) {
		size_t len = strcspn(at, "\t\n");

		if (str_starts(at, "ref: " HEADS) && str_starts(at + len, "\tHEAD"))
			snprintf(t->branch, sizeof(t->branch), "%.*s",
				 (int)(len - strlen("ref: " HEADS)), at + strlen("ref: " HEADS));
	}
	wanted = xasprintf("\t" HEADS "%s\n", *t->branch ? t->branch : fallback);
	for (const char *at = text; *at; at += strcspn(at, "\n") + (at[strcspn(at, "\n")] == '\n'))
		if (strcspn(at, "\t\n") == 40 && !strncmp(at + 40, wanted, strlen(wanted)))
			snprintf(t->tip, sizeof(t->tip), "%.40s", at);
}

/* Asked for its status: 4 says that there is no such app, which the push will make. */
static int ask_status(struct rolling *ro, size_t i, bool *missing, struct error *err)
{
	autostrv struct strv argv = STRV_INIT;
	struct tool ssh = {.dir = ro->top, .env = ro->env};
	autofree char *app = xstrdup(ro->app), *verb = xstrdup("status");
	char *words[] = {verb, app};
	int status;

	*missing = false;
	if (!ro->target[i].host->node)
		return 0;
	if (ask_ssh(ro->top, ro->env, &argv, err) == -1 ||
	    ask_remote_argv(ro->target[i].host->node, false, words, 2, &argv, err) == -1)
		return -1;
	ssh.argv = strv_argv(&argv);
	if (tool_capture(&ssh, NULL, NULL, NULL, &status, err) == -1)
		return -1;
	*missing = status == E_NOTFOUND;
	return 0;
}

static int look(struct rolling *ro, const char *fallback, struct error *err)
{
	size_t failed = 0;

	new_tasks(ro);
	for (size_t i = 0; i < ro->n; i++)
		WORDS(&ro->task[i].argv, "git", "ls-remote", "--symref", "--quiet",
		      ro->target[i].host->url, "HEAD", "refs/heads/*");
	run_tasks(ro, NULL);
	for (size_t i = 0; i < ro->n; i++) {
		bool missing = false;

		if (ro->task[i].status != 0 && ask_status(ro, i, &missing, err) == -1)
			return -1;
		if (ro->task[i].status == 0) {
			read_refs(&ro->target[i], strbuf_str(&ro->task[i].out), fallback);
		} else if (!missing) {
			fprintf(stderr, "%s%s%s", ro->n > 1 ? ro->task[i].name : "",
				ro->n > 1 ? ":\n" : "", strbuf_str(&ro->task[i].said));
			failed++;
		}
	}
	if (!failed)
		return 0;
	return error_set(err, E_REFUSED,
			 "%zu of %zu nodes could not be asked; nothing was changed anywhere",
			 failed, ro->n);
}

/* --- which branch, which commit -----------------------------------------------------------------
 */

static int choose_branch(struct rolling *ro, const char *fallback, struct error *err)
{
	for (size_t i = 0; i < ro->n; i++) {
		const char *one = ro->target[i].branch;

		if (*one && *ro->branch && strcmp(one, ro->branch) != 0)
			return error_set(err, E_REFUSED,
					 "the nodes deploy different branches, '%s' and '%s'; "
					 "`silver --node HOST branch %s NAME` sets one",
					 ro->branch, one, ro->r->app);
		if (*one)
			snprintf(ro->branch, sizeof(ro->branch), "%s", one);
	}
	if (!*ro->branch)
		snprintf(ro->branch, sizeof(ro->branch), "%s", fallback);
	return 0;
}

static int resolve_commit(struct rolling *ro, struct error *err)
{
	autofree char *ref = xasprintf(HEADS "%s^{commit}", ro->branch);
	autostrbuf struct strbuf out = STRBUF_INIT;
	int status;

	if (ro->r->commit) {
		snprintf(ro->commit, sizeof(ro->commit), "%s", ro->r->commit);
		return 0;
	}
	if (GIT_ASK(&ro->git, &out, &status, err, "rev-parse", "--verify", "--quiet", ref) == -1)
		return -1;
	if (status || !name_is_oid(strbuf_str(&out)))
		return error_set(err, E_REFUSED,
				 "the nodes deploy '%s', and there is no such branch here with a "
				 "commit; `%s HEAD` pushes what you are on",
				 ro->branch, ro->r->again);
	memcpy(ro->commit, out.buf, sizeof(ro->commit));
	return 0;
}

/* A first push needs a branch that is taken as the deploy branch. */
static int local_branch(struct rolling *ro, char *out, size_t size, struct error *err)
{
	autostrbuf struct strbuf head = STRBUF_INIT;
	int status;

	if (GIT_ASK(&ro->git, &head, &status, err, "symbolic-ref", "--quiet", "--short", "HEAD") ==
	    -1)
		return -1;
	snprintf(out, size, "%s", !strcmp(strbuf_str(&head), "main") ? "main" : "master");
	return 0;
}

/* --- what may be replaced ------------------------------------------------------------------------
 */

static int is_ancestor(struct rolling *ro, const char *old, const char *new, bool *is,
		       struct error *err)
{
	int status;

	if (GIT_ASK(&ro->git, NULL, &status, err, "merge-base", "--is-ancestor", old, new) == -1)
		return -1;
	*is = status == 0;
	return 0;
}

/* The commit that a node has, made sure to be here too. */
static int have_tip(struct rolling *ro, const struct target *t, struct error *err)
{
	autofree char *name = xasprintf("%s^{commit}", t->tip);
	autofree char *ref = xasprintf(HEADS "%s", ro->branch);
	int status;

	if (GIT_ASK(&ro->git, NULL, &status, err, "cat-file", "-e", name) == -1)
		return -1;
	if (status == 0)
		return 0;
	return GIT(&ro->git, NULL, err, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
		   t->host->url, ref);
}

/* A working tree that was sent may be followed by what it was made on, or by another one. */
static int may_replace(struct rolling *ro, struct target *t, struct error *err)
{
	char base[41];
	bool snapshot, follows = true;

	if (snapshot_is(ro->top, t->tip, &snapshot, base, err) == -1)
		return -1;
	if (snapshot && *base && is_ancestor(ro, base, ro->commit, &follows, err) == -1)
		return -1;
	if (ro->r->force || (snapshot && follows)) {
		t->lease = true;
		return 0;
	}
	return error_set(err, E_REFUSED,
			 "'%s' on %s is at %.7s, which is not in what you push; `git fetch %s` and "
			 "merge it, or `%s --force` to go there all the same",
			 ro->branch, name_of(t->host), t->tip, ro->r->place->remote, ro->r->again);
}

/* The same files once more, on the same commit: another time of day is no reason for a release. */
static int is_resent(struct rolling *ro, struct target *t, struct error *err)
{
	char base[41], our_base[41];
	bool is, ours;

	if (snapshot_same_tree(ro->top, t->tip, ro->commit, &is, err) == -1)
		return -1;
	if (!is)
		return 0;
	if (snapshot_is(ro->top, t->tip, &is, base, err) == -1 ||
	    snapshot_is(ro->top, ro->commit, &ours, our_base, err) == -1)
		return -1;
	t->is_live = is && ours && !strcmp(base, our_base);
	return 0;
}

static int check_tip(struct rolling *ro, struct target *t, struct error *err)
{
	bool follows;

	if (!*t->tip)
		return 0;
	t->is_live = !strcmp(t->tip, ro->commit);
	if (t->is_live)
		return 0;
	if (have_tip(ro, t, err) == -1 || (ro->r->snapshot && is_resent(ro, t, err) == -1))
		return -1;
	if (t->is_live)
		return 0;
	if (is_ancestor(ro, t->tip, ro->commit, &follows, err) == -1)
		return -1;
	return follows ? 0 : may_replace(ro, t, err);
}

/* --- the push ------------------------------------------------------------------------------------
 */

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

static int add_activate(struct rolling *ro, const struct target *t, struct task *task,
			struct error *err)
{
	autofree char *number = xasprintf("%u", t->staged);
	autofree char *verb = xstrdup("activate"), *app = xstrdup(ro->app);
	char *words[] = {verb, app, number};

	if (ask_ssh(ro->top, ro->env, &task->argv, err) == -1)
		return -1;
	return ask_remote_argv(t->host->node, false, words, 3, &task->argv, err);
}

/* From the first node that had flipped to the last. */
static void tell_skew(const struct rolling *ro)
{
	int64_t first = 0, last = 0;
	size_t flipped = 0;

	for (size_t i = 0; i < ro->n; i++) {
		if (!ro->target[i].activated)
			continue;
		flipped++;
		if (!first || ro->task[i].ended_ms < first)
			first = ro->task[i].ended_ms;
		if (ro->task[i].ended_ms > last)
			last = ro->task[i].ended_ms;
	}
	if (flipped > 1)
		fprintf(stderr, "silver: %zu nodes flipped within %lld ms\n", flipped,
			(long long)(last - first));
}

static void tell_table(const struct rolling *ro)
{
	int width = 4;

	for (size_t i = 0; i < ro->n; i++)
		if ((int)strlen(ro->task[i].name) > width)
			width = (int)strlen(ro->task[i].name);
	printf("%-*s  RELEASE  STATE\n", width, "NODE");
	for (size_t i = 0; i < ro->n; i++) {
		const struct target *t = &ro->target[i];

		if (t->is_live)
			printf("%-*s  %7s  live before\n", width, ro->task[i].name, "-");
		else
			printf("%-*s  %7u  %s\n", width, ro->task[i].name, t->staged,
			       t->activated ? "live" : "NOT LIVE");
	}
	fflush(stdout);
}

/* Which did not, is in `activated`. */
static int activate_all(struct rolling *ro, struct error *err)
{
	new_tasks(ro);
	for (size_t i = 0; i < ro->n; i++)
		if (!ro->target[i].is_live &&
		    add_activate(ro, &ro->target[i], &ro->task[i], err) == -1)
			return -1;
	run_tasks(ro, "activating on all nodes");
	for (size_t i = 0; i < ro->n; i++)
		ro->target[i].activated = !ro->target[i].is_live && ro->task[i].status == 0;
	tell_table(ro);
	tell_skew(ro);
	return 0;
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

static int check_nodes(const struct rolling *ro, struct error *err)
{
	for (size_t i = 0; i < ro->n && ro->n > 1; i++)
		if (!ro->target[i].host->node)
			return error_set(err, E_USAGE,
					 "'%s' is no node: expected "
					 "ssh://silver@HOST:PORT/APP",
					 ro->target[i].host->url);
	return 0;
}

static int prepare(struct rolling *ro, struct error *err)
{
	char fallback[16];

	if (check_nodes(ro, err) == -1 || local_branch(ro, fallback, sizeof(fallback), err) == -1 ||
	    look(ro, fallback, err) == -1 || choose_branch(ro, fallback, err) == -1 ||
	    resolve_commit(ro, err) == -1)
		return -1;
	for (size_t i = 0; i < ro->n; i++)
		if (check_tip(ro, &ro->target[i], err) == -1)
			return -1;
	return 0;
}

static int roll(struct rolling *ro, int *status, struct error *err)
{
	*status = 0;
	if (prepare(ro, err) == -1)
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

static void rolling_init(struct rolling *ro, const struct place *place)
{
	ro->n = place->n;
	ro->target = xcalloc(ro->n, sizeof(*ro->target));
	ro->task = xcalloc(ro->n, sizeof(*ro->task));
	for (size_t i = 0; i < ro->n; i++) {
		ro->target[i].host = &place->host[i];
		task_init(&ro->task[i], name_of(&place->host[i]));
	}
}

static void rolling_release(struct rolling *ro)
{
	for (size_t i = 0; i < ro->n; i++)
		task_release(&ro->task[i]);
	free(ro->target);
	free(ro->task);
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

/* --- back ----------------------------------------------------------------------------------------
 */

/* Number of the release before the live one, of status --json; 0: none. */
static unsigned previous_of(const char *json)
{
	static const char key[] = "\"previous\":";
	const char *at = strstr(json, key);

	return at ? (unsigned)strtoul(at + strlen(key), NULL, 10) : 0;
}

/* "OID\trefs/releases/N": of release `number` the commit, or of `commit` the highest number. */
static void find_release(struct target *t, const char *refs, const char *commit)
{
	for (const char *at = refs; *at;
	     at += strcspn(at, "\n") + (at[strcspn(at, "\n")] == '\n')) {
		const char *tab = at + strcspn(at, "\t\n");
		unsigned number;

		if (tab - at != 40 || !str_starts(tab, "\trefs/releases/"))
			continue;
		number = (unsigned)strtoul(tab + strlen("\trefs/releases/"), NULL, 10);
		if (commit ? !strncmp(at, commit, 40) && number > t->staged : number == t->staged) {
			snprintf(t->tip, sizeof(t->tip), "%.40s", at);
			t->staged = number;
		}
	}
}

static int ask_all(struct rolling *ro, struct error *err)
{
	size_t failed;

	run_tasks(ro, NULL);
	failed = tasks_failed(ro->task, ro->n);
	for (size_t i = 0; i < ro->n; i++)
		if (ro->task[i].status != 0)
			fprintf(stderr, "%s:\n%s", ro->task[i].name, strbuf_str(&ro->task[i].said));
	if (!failed)
		return 0;
	return error_set(err, E_REFUSED, "%zu of %zu nodes could not be asked; nobody went back",
			 failed, ro->n);
}

static int ask_previous(struct rolling *ro, struct error *err)
{
	autofree char *verb = xstrdup("status"), *app = xstrdup(ro->app), *json = xstrdup("--json");
	char *words[] = {verb, app, json};

	new_tasks(ro);
	for (size_t i = 0; i < ro->n; i++)
		if (ask_ssh(ro->top, ro->env, &ro->task[i].argv, err) == -1 ||
		    ask_remote_argv(ro->target[i].host->node, false, words, 3, &ro->task[i].argv,
				    err) == -1)
			return -1;
	if (ask_all(ro, err) == -1)
		return -1;
	for (size_t i = 0; i < ro->n; i++)
		ro->target[i].staged = previous_of(strbuf_str(&ro->task[i].out));
	return 0;
}

static int find_releases(struct rolling *ro, const char *commit, struct error *err)
{
	new_tasks(ro);
	for (size_t i = 0; i < ro->n; i++)
		WORDS(&ro->task[i].argv, "git", "ls-remote", "--quiet", ro->target[i].host->url,
		      "refs/releases/*");
	if (ask_all(ro, err) == -1)
		return -1;
	for (size_t i = 0; i < ro->n; i++)
		find_release(&ro->target[i], strbuf_str(&ro->task[i].out), commit);
	return 0;
}

/* All have it, and it is the same everywhere. */
static int check_back(const struct rolling *ro, const char *commit, struct error *err)
{
	for (size_t i = 0; i < ro->n; i++) {
		const struct target *t = &ro->target[i], *first = &ro->target[0];

		if (!*t->tip && commit)
			return error_set(err, E_NOTFOUND,
					 "%s keeps no release of %.7s; nobody went back",
					 name_of(t->host), commit);
		if (!*t->tip)
			return error_set(err, E_NOTFOUND,
					 "%s has no release before the live one; nobody went back",
					 name_of(t->host));
		if (strcmp(t->tip, first->tip) != 0)
			return error_set(err, E_REFUSED,
					 "the release before the live one is of %.7s on %s and of "
					 "%.7s on %s; nobody went back: `silver rollback --all "
					 "COMMIT` says which",
					 first->tip, name_of(first->host), t->tip,
					 name_of(t->host));
	}
	return 0;
}

static int go_back(struct rolling *ro, const char *commit, struct error *err)
{
	size_t failed;

	if (check_nodes(ro, err) == -1 || (!commit && ask_previous(ro, err) == -1) ||
	    find_releases(ro, commit, err) == -1 || check_back(ro, commit, err) == -1 ||
	    activate_all(ro, err) == -1)
		return -1;
	failed = tasks_failed(ro->task, ro->n);
	if (!failed)
		return 0;
	return error_set(err, E_SYSTEM,
			 "%zu of %zu nodes did not go back; `silver rollback --all %.12s` finishes "
			 "there when they can",
			 failed, ro->n, ro->target[0].tip);
}

int rollout_back(const struct place *place, const char *app, const char *commit, struct error *err)
{
	struct rolling ro = {.app = app};
	int result;

	rolling_init(&ro, place);
	result = go_back(&ro, commit, err);
	rolling_release(&ro);
	return result;
}
