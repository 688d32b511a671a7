/* rollout_back.c - going back on several nodes: all of them, or none. */
#include <limits.h>
#include "cli/ask.h"
#include "cli/rolling.h"
#include "common/json_read.h"

/* Number of the release before the live one, of status --json; 0: none. */
static void take_previous(void *ctx, size_t object, const char *key, const char *value)
{
	uint64_t number;

	if (object == 0 && !strcmp(key, "previous") && str_to_uint(value, UINT_MAX, &number))
		*(unsigned *)ctx = (unsigned)number;
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
		if (json_read(ro->task[i].out.buf, ro->task[i].out.len, take_previous,
			      &ro->target[i].staged, NULL, err) == -1)
			return error_prefix(err, "what %s said of its status", ro->task[i].name);
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
