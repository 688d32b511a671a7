#include "cli/rolling.h"

#include "cli/ask.h"

void rolling_init(struct rolling *ro, const struct place *place)
{
	ro->n = place->n;
	ro->target = xcalloc(ro->n, sizeof(*ro->target));
	ro->task = xcalloc(ro->n, sizeof(*ro->task));
	for (size_t i = 0; i < ro->n; i++) {
		ro->target[i].host = &place->host[i];
		task_init(&ro->task[i], name_of(&place->host[i]));
	}
}

void rolling_release(struct rolling *ro)
{
	for (size_t i = 0; i < ro->n; i++)
		task_release(&ro->task[i]);
	free(ro->target);
	free(ro->task);
}

const char *name_of(const struct host *host)
{
	return host->node ? host->node : host->url;
}

/* One more question to each node. */
void new_tasks(struct rolling *ro)
{
	for (size_t i = 0; i < ro->n; i++) {
		task_release(&ro->task[i]);
		task_init(&ro->task[i], name_of(ro->target[i].host));
	}
}

void run_tasks(struct rolling *ro, const char *title)
{
	tasks_run(ro->task, ro->n, ro->top, ro->env, title, title == NULL);
}

void add_words(struct strv *argv, const char *const *words)
{
	for (; *words; words++)
		strv_add(argv, *words);
}

int check_nodes(const struct rolling *ro, struct error *err)
{
	for (size_t i = 0; i < ro->n && ro->n > 1; i++)
		if (!ro->target[i].host->node)
			return error_set(err, E_USAGE,
					 "'%s' is no node: expected "
					 "ssh://silver@HOST:PORT/APP",
					 ro->target[i].host->url);
	return 0;
}

/* --- activate ------------------------------------------------------------------------------------
 */

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
int activate_all(struct rolling *ro, struct error *err)
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
