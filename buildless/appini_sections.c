/* appini_sections.c - the sections of app.ini: further processes, commands by the clock, limits. */
#include "buildless/appini_parse.h"

#include <strings.h>
#include "buildless/runner.h"
#include "common/words.h"
#include "runtime/schedule.h"

#define PROCESSES_MAX 32 /* kinds of them */
#define CRONS_MAX     64
#define WORKERS_MAX   256 /* of all kinds together */

char *appini_command_problem(const char *command)
{
	autostrv struct strv words = STRV_INIT;
	struct error err = ERROR_INIT;

	if (words_split(command, strlen(command), &words, &err) == -1)
		return xstrdup(err.text);
	if (words.n == 0 || *words.v[0] == '\0')
		return xstrdup("no program is named");
	if (strchr(words.v[0], '=') && !strchr(words.v[0], '/'))
		return xstrdup("a command is a program and its arguments, without a shell; "
			       "for variables there is `env NAME=VALUE PROGRAM`");
	return NULL;
}

/* The command, checked; NULL, and a finding says why. The caller frees. */
static char *take_command(struct parse *p, const struct place *at, const char *value)
{
	autofree char *problem = appini_command_problem(value);

	if (!problem)
		return xstrdup(value);
	appini_refuse(p, at->line, "%s: %s", at->name, problem);
	return NULL;
}

static bool one_more(struct parse *p, const struct place *at, size_t n, size_t max)
{
	if (n < max)
		return true;
	appini_refuse(p, at->line, "more than %zu such sections", max);
	return false;
}

static struct process_spec *find_process(struct parse *p, const struct place *at)
{
	struct runspec *run = &p->ini->run;

	for (size_t i = 0; i < run->n_processes; i++)
		if (strcmp(run->process[i].name, at->item) == 0)
			return &run->process[i];
	if (!one_more(p, at, run->n_processes, PROCESSES_MAX))
		return NULL;
	run->process = xrealloc_array(run->process, run->n_processes + 1, sizeof(*run->process));
	run->process[run->n_processes] = (struct process_spec){
		.name = xstrdup(at->item), .count = 1, .line = appini_section_line(p, at->line)};
	return &run->process[run->n_processes++];
}

static void take_process_command(struct parse *p, const struct place *at, const char *value)
{
	struct process_spec *process = find_process(p, at);

	if (!process)
		return;
	process->command = take_command(p, at, value);
	process->line = process->command ? at->line : 0; /* 0: told */
}

static void take_process_count(struct parse *p, const struct place *at, const char *value)
{
	struct process_spec *process = find_process(p, at);
	autofree char *v = appini_shown(value, strlen(value));
	uint64_t count;

	if (!process)
		return;
	if (str_to_uint(value, PROCESS_COUNT_MAX, &count))
		process->count = (unsigned)count;
	else
		appini_refuse(p, at->line, "count '%s' is no number from 0 to %d", v,
			      PROCESS_COUNT_MAX);
}

static void check_processes(struct parse *p)
{
	unsigned long all = 0;

	for (size_t i = 0; i < p->ini->run.n_processes; i++) {
		const struct process_spec *process = &p->ini->run.process[i];

		all += process->count;
		if (!process->command && process->line)
			appini_refuse(p, process->line,
				      "[process:%s] has no 'command'; for example: command = "
				      "bin/%s",
				      process->name, process->name);
	}
	if (all > WORKERS_MAX)
		appini_refuse(p, 0, "%lu processes in all are more than %d: lower 'count'", all,
			      WORKERS_MAX);
}

static struct cron_spec *find_cron(struct parse *p, const struct place *at)
{
	struct runspec *run = &p->ini->run;

	for (size_t i = 0; i < run->n_crons; i++)
		if (strcmp(run->cron[i].name, at->item) == 0)
			return &run->cron[i];
	if (!one_more(p, at, run->n_crons, CRONS_MAX))
		return NULL;
	run->cron = xrealloc_array(run->cron, run->n_crons + 1, sizeof(*run->cron));
	run->cron[run->n_crons] = (struct cron_spec){.name = xstrdup(at->item),
						     .line = appini_section_line(p, at->line)};
	return &run->cron[run->n_crons++];
}

static void take_cron_command(struct parse *p, const struct place *at, const char *value)
{
	struct cron_spec *cron = find_cron(p, at);

	if (!cron)
		return;
	cron->command = take_command(p, at, value);
	cron->line = cron->command ? at->line : 0;
}

static void take_cron_schedule(struct parse *p, const struct place *at, const char *value)
{
	struct cron_spec *cron = find_cron(p, at);
	struct error err = ERROR_INIT;
	struct schedule schedule;

	if (!cron)
		return;
	cron->schedule = xstrdup(value);
	if (schedule_parse(value, &schedule, &err) == -1)
		appini_refuse(p, at->line, "%s", err.text);
}

static void check_crons(struct parse *p)
{
	for (size_t i = 0; i < p->ini->run.n_crons; i++) {
		const struct cron_spec *cron = &p->ini->run.cron[i];

		if (!cron->command && cron->line)
			appini_refuse(p, cron->line, "[cron:%s] has no 'command'", cron->name);
		if (!cron->schedule && cron->line)
			appini_refuse(p, cron->line,
				      "[cron:%s] has no 'schedule'; for example: schedule = 30 4 * "
				      "* *",
				      cron->name);
	}
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* "512M": a number and one of the units; the first unit's name may be "". */
static bool parse_amount(const char *text, const struct unit *units, size_t n, uint64_t max,
			 uint64_t *out)
{
	size_t digits = strspn(text, "0123456789");
	autofree char *number = xstrndup(text, digits);
	const char *unit = text + digits + strspn(text + digits, " ");
	uint64_t value;

	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(unit, units[i].name) != 0)
			continue;
		if (!str_to_uint(number, max / units[i].factor, &value) || value == 0)
			return false;
		*out = value * units[i].factor;
		return true;
	}
	return false;
}

static void refuse_limit(struct parse *p, const struct place *at, const char *value,
			 const char *rule)
{
	autofree char *v = appini_shown(value, strlen(value));

	appini_refuse(p, at->line, "%s '%s' is none: %s", at->name, v, rule);
}

static void take_memory(struct parse *p, const struct place *at, const char *value)
{
	static const struct unit units[] = {
		{"M", 1 << 20}, {"G", 1 << 30}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"K", 1 << 10}};
	uint64_t bytes;

	p->ini->memory_line = at->line;
	if (!parse_amount(value, units, ARRAY_SIZE(units), UINT64_C(1) << 50, &bytes) ||
	    bytes < 1 << 20)
		refuse_limit(p, at, value, "a number with its unit, as 512M or 2G, at least 1M");
	else
		p->ini->run.limits.memory_bytes = bytes;
}

static void take_cpu(struct parse *p, const struct place *at, const char *value)
{
	static const struct unit units[] = {{"%", 1}};
	uint64_t percent;

	p->ini->cpu_line = at->line;
	if (parse_amount(value, units, ARRAY_SIZE(units), 100000, &percent))
		p->ini->run.limits.cpu_percent = (unsigned)percent;
	else
		refuse_limit(p, at, value, "percent of one core, as 50% or 200%");
}

static void take_task_limit(struct parse *p, const struct place *at, const char *value)
{
	static const struct unit units[] = {{"", 1}};
	uint64_t n;

	p->ini->tasks_line = at->line;
	if (parse_amount(value, units, ARRAY_SIZE(units), 1000000, &n))
		p->ini->run.limits.tasks = (unsigned)n;
	else
		refuse_limit(p, at, value, "a number of processes and threads, as 100");
}

static void take_timeout(struct parse *p, const struct place *at, const char *value)
{
	static const struct unit units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"min", 60}};
	uint64_t seconds;

	p->ini->timeout_line = at->line;
	if (parse_amount(value, units, ARRAY_SIZE(units), 86400, &seconds))
		p->ini->run.limits.timeout_s = (unsigned)seconds;
	else
		refuse_limit(p, at, value, "seconds that a request may take, as 30 or 30s, or 5m");
}

static const struct key process_keys[] = {
	{"command", take_process_command, NULL,
	 "A program of the tree or of the node, and its arguments; no shell.", 0},
	{"count", take_process_count, NULL, "How many of them run; default 1.", 0},
	{NULL, NULL, NULL, NULL, 0},
};

static const struct key cron_keys[] = {
	{"schedule", take_cron_schedule, NULL,
	 "Minute, hour, day of the month, month, day of the week, as crontab(5) has them.", 0},
	{"command", take_cron_command, NULL,
	 "A program of the tree or of the node, and its arguments; no shell.", 0},
	{NULL, NULL, NULL, NULL, 0},
};

static const struct key limit_keys[] = {
	{"memory", take_memory, NULL, "What each process may have, as 512M.", 0},
	{"cpu", take_cpu, NULL, "Percent of one core, as 50%.", 0},
	{"tasks", take_task_limit, NULL, "Processes and threads of the app together.", 0},
	{"timeout", take_timeout, NULL, "Seconds that one request may take.", 0},
	{NULL, NULL, NULL, NULL, 0},
};

static void check_static_tasks(struct parse *p, const char *what, const struct appini_tasks *tasks)
{
	for (size_t i = 0; i < tasks->n; i++)
		if (*tasks->v[i].text == '/')
			appini_refuse(
				p, tasks->v[i].line,
				"%s %s: a static app has no process to ask; script:PROGRAM runs "
				"one",
				what, tasks->v[i].text);
}

static void check_production(struct parse *p)
{
	struct appini *ini = p->ini;
	const char *platform = ini->run.platform ? ini->run.platform : "";
	bool is_static = strcmp(platform, "static") == 0;
	autofree char *problem = NULL;

	if (ini->run.php_root && *platform && strcmp(platform, "php") != 0)
		appini_refuse(p, ini->php_root_line, "'php_root' is for platform = php only");
	if (is_static && ini->run.runner)
		appini_refuse(p, ini->runner_line,
			      "platform 'static' has no runner: remove it, or set platform = "
			      "python, php or exec");
	if (is_static && ini->run.health)
		appini_warn(p, 0, "'health' has no effect: a static app has no process to ask");
	if (is_static) {
		check_static_tasks(p, "update_fetch", &ini->update_fetch);
		check_static_tasks(p, "test", &ini->test);
	}
	if (!*platform || is_static)
		return;
	if (!ini->run.runner && !p->runner_told)
		appini_refuse(
			p, 0,
			"'runner' is missing; platform '%s' needs it, for example: runner = %s",
			platform, runner_example(platform));
	problem = ini->run.runner ? runner_problem(platform, ini->run.runner) : NULL;
	if (problem)
		appini_refuse(p, ini->runner_line, "%s", problem);
}

const struct section appini_sections[] = {
	{"production", "The app.", appini_production_keys, check_production},
	{"process:", "A further process of the app, restarted with each release.", process_keys,
	 check_processes},
	{"cron:", "A command that runs by the clock.", cron_keys, check_crons},
	{"limits", "What the app may take, within what the node allows.", limit_keys, NULL},
	{NULL, NULL, NULL, NULL},
};
