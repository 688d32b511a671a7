#include "buildless/check_node.h"

#include <unistd.h>
#include "runtime/launch.h"
#include "runtime/limits.h"

/* A limit as it was asked for, and the most that the node gives: in the units of both. */
struct asked {
	const char *key, *setting; /* setting NULL: there is none */
	uint64_t value, max;       /* max 0: none */
	enum limit limit;
	unsigned line;
};

static void check_limit(const struct node *node, const struct asked *a, const char *platform,
			struct strv *errors, struct strv *warnings)
{
	const char *missing = limits_missing(node, a->limit, platform);

	if (!a->value)
		return;
	if (a->max && a->value > a->max)
		strv_addf(errors,
			  "app.ini:%u: %s of %llu is more than this node gives: %llu (%s in its "
			  "node.ini)",
			  a->line, a->key, (unsigned long long)a->value, (unsigned long long)a->max,
			  a->setting);
	else if (missing)
		strv_addf(warnings, "app.ini:%u: [limits] %s is not enforced on this node: %s",
			  a->line, a->key, missing);
}

static void check_clock(const struct runspec *run, struct strv *errors)
{
	if (run->n_crons && access(SNOOZE, X_OK) == -1)
		strv_addf(errors,
			  "app.ini:%u: [cron:%s]: this node has no %s; its operator installs it: "
			  "`apt install snooze`",
			  run->cron[0].line, run->cron[0].name, SNOOZE);
}

void check_node(const struct node *node, const struct appini *ini, struct strv *errors,
		struct strv *warnings)
{
	const struct limits_spec *l = &ini->run.limits;
	const struct asked asked[] = {
		{"memory", "max_app_memory_bytes", l->memory_bytes, node->max_app_memory_bytes,
		 LIMIT_MEMORY, ini->memory_line},
		{"cpu", NULL, l->cpu_percent, 0, LIMIT_CPU, ini->cpu_line},
		{"tasks", "max_app_tasks", l->tasks, node->max_app_tasks, LIMIT_TASKS,
		 ini->tasks_line},
		{"timeout", "max_app_timeout_s", l->timeout_s, node->max_app_timeout_s,
		 LIMIT_TIMEOUT, ini->timeout_line},
	};

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
		check_limit(node, &asked[i], ini->run.platform, errors, warnings);
	check_clock(&ini->run, errors);
}
