#include "runtime/runspec.h"

#include "common/names.h"

static const char process_prefix[] = "process:", cron_prefix[] = "cron:";

static char *copy(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_process(const struct process_spec *a, const struct process_spec *b)
{
	return same(a->name, b->name) && same(a->command, b->command) && a->count == b->count;
}

static bool same_cron(const struct cron_spec *a, const struct cron_spec *b)
{
	return same(a->name, b->name) && same(a->schedule, b->schedule) &&
	       same(a->command, b->command);
}

bool runspec_equal(const struct runspec *a, const struct runspec *b)
{
	if (!same(a->platform, b->platform) || !same(a->runner, b->runner) ||
	    !same(a->php_root, b->php_root) || !same(a->health, b->health) ||
	    a->n_processes != b->n_processes || a->n_crons != b->n_crons ||
	    a->limits.memory_bytes != b->limits.memory_bytes ||
	    a->limits.cpu_percent != b->limits.cpu_percent || a->limits.tasks != b->limits.tasks ||
	    a->limits.timeout_s != b->limits.timeout_s)
		return false;
	for (size_t i = 0; i < a->n_processes; i++)
		if (!same_process(&a->process[i], &b->process[i]))
			return false;
	for (size_t i = 0; i < a->n_crons; i++)
		if (!same_cron(&a->cron[i], &b->cron[i]))
			return false;
	return true;
}

static void add_if(struct strbuf *out, const char *key, const char *value)
{
	if (value)
		ini_add(out, key, value);
}

static void add_limit(struct strbuf *out, const char *key, uint64_t value)
{
	if (value)
		ini_addf(out, key, "%llu", (unsigned long long)value);
}

void runspec_format(const struct runspec *spec, struct strbuf *out)
{
	strbuf_addstr(out, "[run]\n");
	ini_add(out, "platform", spec->platform);
	add_if(out, "runner", spec->runner);
	add_if(out, "php_root", spec->php_root);
	add_if(out, "health", spec->health);
	for (size_t i = 0; i < spec->n_processes; i++) {
		strbuf_addf(out, "[%s%s]\n", process_prefix, spec->process[i].name);
		ini_add(out, "command", spec->process[i].command);
		ini_addf(out, "count", "%u", spec->process[i].count);
	}
	for (size_t i = 0; i < spec->n_crons; i++) {
		strbuf_addf(out, "[%s%s]\n", cron_prefix, spec->cron[i].name);
		ini_add(out, "schedule", spec->cron[i].schedule);
		ini_add(out, "command", spec->cron[i].command);
	}
	if (spec->limits.memory_bytes || spec->limits.cpu_percent || spec->limits.tasks ||
	    spec->limits.timeout_s)
		strbuf_addstr(out, "[limits]\n");
	add_limit(out, "memory", spec->limits.memory_bytes);
	add_limit(out, "cpu", spec->limits.cpu_percent);
	add_limit(out, "tasks", spec->limits.tasks);
	add_limit(out, "timeout", spec->limits.timeout_s);
}

static int bad_record(const char *section, const char *key, struct error *err)
{
	return error_set(err, E_SYSTEM, "a record without a good '%s' in [%s]", key, section);
}

/* The program's own name in a section that is named after it. */
static char *checked_name(const char *section, const char *prefix)
{
	const char *name = section + strlen(prefix);
	struct error ignored = ERROR_INIT;

	return name_check_app(name, &ignored) == 0 ? xstrdup(name) : NULL;
}

static int read_process(const struct ini *ini, const char *section, struct runspec *out,
			struct error *err)
{
	const char *command = ini_get(ini, section, "command"),
		   *count = ini_get(ini, section, "count");
	autofree char *name = checked_name(section, process_prefix);
	uint64_t n;

	if (!name || !command)
		return bad_record(section, "command", err);
	if (!count || !str_to_uint(count, PROCESS_COUNT_MAX, &n))
		return bad_record(section, "count", err);
	out->process = xrealloc_array(out->process, out->n_processes + 1, sizeof(*out->process));
	out->process[out->n_processes++] = (struct process_spec){
		.name = steal_ptr(&name), .command = xstrdup(command), .count = (unsigned)n};
	return 0;
}

static int read_cron(const struct ini *ini, const char *section, struct runspec *out,
		     struct error *err)
{
	const char *command = ini_get(ini, section, "command"),
		   *schedule = ini_get(ini, section, "schedule");
	autofree char *name = checked_name(section, cron_prefix);

	if (!name || !command)
		return bad_record(section, "command", err);
	if (!schedule)
		return bad_record(section, "schedule", err);
	out->cron = xrealloc_array(out->cron, out->n_crons + 1, sizeof(*out->cron));
	out->cron[out->n_crons++] = (struct cron_spec){.name = steal_ptr(&name),
						       .schedule = xstrdup(schedule),
						       .command = xstrdup(command)};
	return 0;
}

static int read_limit(const struct ini *ini, const char *key, uint64_t max, uint64_t *out,
		      struct error *err)
{
	const char *text = ini_get(ini, "limits", key);

	*out = 0;
	return !text || str_to_uint(text, max, out) ? 0 : bad_record("limits", key, err);
}

static int read_limits(const struct ini *ini, struct limits_spec *out, struct error *err)
{
	uint64_t cpu, tasks, timeout;

	if (read_limit(ini, "memory", INT64_MAX, &out->memory_bytes, err) == -1 ||
	    read_limit(ini, "cpu", INT32_MAX, &cpu, err) == -1 ||
	    read_limit(ini, "tasks", INT32_MAX, &tasks, err) == -1 ||
	    read_limit(ini, "timeout", INT32_MAX, &timeout, err) == -1)
		return -1;
	out->cpu_percent = (unsigned)cpu;
	out->tasks = (unsigned)tasks;
	out->timeout_s = (unsigned)timeout;
	return 0;
}

static int read_sections(const struct ini *ini, struct runspec *out, struct error *err)
{
	const char *last = "";

	for (size_t i = 0; i < ini->n; i++) { /* the keys of a section stand together */
		const char *section = ini->v[i].section;
		int r = 0;

		if (strcmp(section, last) == 0)
			continue;
		last = section;
		if (str_starts(section, process_prefix))
			r = read_process(ini, section, out, err);
		else if (str_starts(section, cron_prefix))
			r = read_cron(ini, section, out, err);
		if (r == -1)
			return -1;
	}
	return read_limits(ini, &out->limits, err);
}

int runspec_read(const struct ini *ini, struct runspec *out, struct error *err)
{
	const char *platform = ini_get(ini, "run", "platform");

	*out = (struct runspec){0};
	if (!platform)
		return bad_record("run", "platform", err);
	out->platform = xstrdup(platform);
	out->runner = copy(ini_get(ini, "run", "runner"));
	out->php_root = copy(ini_get(ini, "run", "php_root"));
	out->health = copy(ini_get(ini, "run", "health"));
	if (read_sections(ini, out, err) == 0)
		return 0;
	runspec_release(out);
	return -1;
}

void runspec_copy(struct runspec *out, const struct runspec *from)
{
	*out = (struct runspec){
		.platform = copy(from->platform),
		.runner = copy(from->runner),
		.php_root = copy(from->php_root),
		.health = copy(from->health),
		.process = xcalloc(from->n_processes + 1, sizeof(*from->process)),
		.n_processes = from->n_processes,
		.cron = xcalloc(from->n_crons + 1, sizeof(*from->cron)),
		.n_crons = from->n_crons,
		.limits = from->limits,
	};
	for (size_t i = 0; i < from->n_processes; i++)
		out->process[i] =
			(struct process_spec){.name = xstrdup(from->process[i].name),
					      .command = xstrdup(from->process[i].command),
					      .count = from->process[i].count};
	for (size_t i = 0; i < from->n_crons; i++)
		out->cron[i] = (struct cron_spec){.name = xstrdup(from->cron[i].name),
						  .schedule = xstrdup(from->cron[i].schedule),
						  .command = xstrdup(from->cron[i].command)};
}

void runspec_release(struct runspec *spec)
{
	for (size_t i = 0; i < spec->n_processes; i++) {
		free(spec->process[i].name);
		free(spec->process[i].command);
	}
	for (size_t i = 0; i < spec->n_crons; i++) {
		free(spec->cron[i].name);
		free(spec->cron[i].schedule);
		free(spec->cron[i].command);
	}
	free(spec->process);
	free(spec->cron);
	free(spec->platform);
	free(spec->runner);
	free(spec->php_root);
	free(spec->health);
	*spec = (struct runspec){0};
}
