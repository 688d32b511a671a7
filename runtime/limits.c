#include "runtime/limits.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define STACK_BYTES (8 << 20) /* where the node has no limit of it */

/* As root every app has a user of its own (runner.h), whose processes are the app's. */
static bool apps_have_users(const struct node *node)
{
	struct stat st;

	return fstat(node->fd, &st) == 0 && st.st_uid == 0;
}

const char *limits_missing(const struct node *node, enum limit limit, const char *platform)
{
	switch (limit) {
	case LIMIT_CPU:
		return "a node without systemd has no limit of processor time";
	case LIMIT_TASKS:
		return apps_have_users(node) ? NULL
					     : "the node does not run as root, so that its apps "
					       "have no users of their own";
	case LIMIT_TIMEOUT:
		return strcmp(platform, "python") == 0 || strcmp(platform, "php") == 0
			       ? NULL
			       : "only requests of Python and PHP are watched; a program sees to "
				 "its own";
	case LIMIT_MEMORY:
	case LIMITS:
		break;
	}
	return NULL;
}

uint64_t limits_memory_bytes(const struct node *node, const struct limits_spec *asked)
{
	uint64_t max = node->max_app_memory_bytes, want = asked->memory_bytes;

	return max && (!want || want > max) ? max : want;
}

unsigned limits_tasks(const struct node *node, const struct limits_spec *asked)
{
	unsigned want = asked->tasks ? asked->tasks : node->app_tasks;

	return want < node->max_app_tasks ? want : node->max_app_tasks;
}

static uint64_t stack_bytes(void)
{
	struct rlimit r;

	return getrlimit(RLIMIT_STACK, &r) == 0 && r.rlim_cur != RLIM_INFINITY ? r.rlim_cur
									       : STACK_BYTES;
}

/* A limit that is lower already stays. */
static int lower(__rlimit_resource_t resource, uint64_t value, const char *what, struct error *err)
{
	struct rlimit r;

	if (getrlimit(resource, &r) == -1)
		return error_sys(err, errno, "cannot read the limit of %s", what);
	if (value < r.rlim_max)
		r.rlim_max = value;
	if (r.rlim_cur > r.rlim_max)
		r.rlim_cur = r.rlim_max;
	return setrlimit(resource, &r) == -1 ? error_sys(err, errno, "cannot limit %s", what) : 0;
}

struct limits limits_of(const struct node *node, const struct limits_spec *asked, unsigned stacks)
{
	uint64_t memory = limits_memory_bytes(node, asked);
	bool tasks = !limits_missing(node, LIMIT_TASKS, "");

	return (struct limits){.data_bytes = memory ? memory + stacks * stack_bytes() : 0,
			       .tasks = tasks ? limits_tasks(node, asked) : 0};
}

int limits_apply(const struct limits *limits, struct error *err)
{
	if (limits->data_bytes && lower(RLIMIT_DATA, limits->data_bytes, "memory", err) == -1)
		return -1;
	return limits->tasks ? lower(RLIMIT_NPROC, limits->tasks, "tasks", err) : 0;
}

static void add_part(struct strbuf *out, size_t start, const char *text)
{
	strbuf_addf(out, "%s%s", out->len > start ? ", " : "", text);
}

void limits_add_text(const struct node *node, const struct runspec *run, struct strbuf *out)
{
	uint64_t memory = limits_memory_bytes(node, &run->limits);
	size_t start = out->len;

	if (memory) {
		autofree char *text =
			xasprintf("%llu MB for each process", (unsigned long long)(memory >> 20));

		add_part(out, start, text);
	}
	if (!limits_missing(node, LIMIT_TASKS, run->platform)) {
		autofree char *text = xasprintf("%u tasks", limits_tasks(node, &run->limits));

		add_part(out, start, text);
	}
	if (run->limits.timeout_s && !limits_missing(node, LIMIT_TIMEOUT, run->platform)) {
		autofree char *text = xasprintf("%u s for a request", run->limits.timeout_s);

		add_part(out, start, text);
	}
	if (run->limits.cpu_percent)
		add_part(out, start, "cpu not enforced");
	if (run->limits.tasks && limits_missing(node, LIMIT_TASKS, run->platform))
		add_part(out, start, "tasks not enforced");
	if (out->len == start)
		strbuf_addstr(out, "none");
}
