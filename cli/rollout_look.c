/* rollout_look.c - before anything is changed: what the nodes have, and what it means for the push.
 */
#include "cli/ask.h"
#include "cli/rolling.h"
#include "cli/snapshot.h"
#include "cli/tool.h"

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

int rolling_prepare(struct rolling *ro, struct error *err)
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
