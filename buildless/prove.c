/* prove.c - a release that is not live yet is started beside the one that is, and must answer. */
#include "buildless/steps.h"

#include "buildless/checkpoint.h"
#include "buildless/logs.h"
#include "buildless/report.h"
#include "buildless/tasks.h"
#include "common/fs.h"
#include "runtime/ask.h"
#include "runtime/health.h"

#define LOG_LINES 40 /* a stack trace, whose first line is the one that tells, is some 20 */

bool has_processes(const struct release_info *release)
{
	return strcmp(release->run.platform, "static") != 0;
}

struct wait {
	unsigned release;
	int told_at; /* seconds: when it is told next */
};

static int told_after(int seconds)
{
	static const int times[] = {1, 2, 5, 10, 20, 30};

	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		if (times[i] > seconds)
			return times[i];
	return (seconds / 60 + 1) * 60;
}

/* Ever more rarely: that somebody waits is news at first, and then a sign of life. */
static void still_waiting(void *ctx, int seconds)
{
	struct wait *wait = ctx;

	if (seconds < wait->told_at)
		return;
	report_step("release %u does not answer yet (%d s)", wait->release, seconds);
	wait->told_at = told_after(seconds);
}

struct proof {
	struct app *app;
	struct release_info *release;
	int release_fd;
	bool started;
};

static int start(void *ctx, struct error *err)
{
	struct proof *proof = ctx;

	if (proof->started)
		return 0;
	proof->started = true;
	if (ask_start(proof->release->number, err) == -1)
		return error_prefix(err, "starting release %u", proof->release->number);
	return 0;
}

/* Before the processes are started where that is possible: they may need what update_fetch makes.
 */
static int run_tasks(struct proof *proof, const struct appini *ini, struct error *err)
{
	struct tasks_of of = {.app = proof->app,
			      .release = proof->release->number,
			      .release_fd = proof->release_fd,
			      .start = start,
			      .ctx = proof};

	if (ini->checkpoint_line && ini->update_fetch.n &&
	    checkpoint_take(proof->app, proof->release->number, err) == -1)
		return error_prefix(err, "app.ini:%u", ini->checkpoint_line);
	if (ini->config.checker &&
	    tasks_run_checker(&of, ini->config.checker, ini->config.checker_line, err) == -1)
		return -1;
	if (tasks_run(&of, "update_fetch", &ini->update_fetch, err) == -1 ||
	    tasks_run(&of, "test", &ini->test, err) == -1)
		return -1;
	if (ini->config.checker || ini->update_fetch.n + ini->test.n)
		report_slow(account_close(&proof->app->account, ACCOUNT_UPDATED),
			    "update_fetch and test");
	return 0;
}

static int wait_until_healthy(struct proof *proof, struct error *err)
{
	struct wait wait = {.release = proof->release->number};
	struct health_check check = {
		.release_fd = proof->release_fd,
		.host = proof->app->host,
		.path = proof->release->run.health,
		.deadline_ms = proof->app->node.health_ms,
	};
	int64_t took_ms;

	if (start(proof, err) == -1)
		return -1;
	if (health_wait(&check, &took_ms, still_waiting, &wait, err) == -1)
		return error_prefix(err, "release %u is not healthy", proof->release->number);
	report_slow(account_close(&proof->app->account, ACCOUNT_HEALTHY), "healthy");
	return 0;
}

int transaction_prove(struct app *app, struct release_info *release, const struct appini *ini,
		      struct error *err)
{
	struct proof proof = {.app = app, .release = release};
	autofree char *path = xasprintf("releases/%u", release->number);
	autoclose int fd = -1;
	int result = 0;

	if (fs_open_dir(app->fd, path, &fd, err) == -1)
		return -1;
	proof.release_fd = fd;
	if (ini)
		result = run_tasks(&proof, ini, err);
	if (result == 0 && has_processes(release))
		result = wait_until_healthy(&proof, err);
	if (result == -1 && proof.started && err->code == E_REFUSED)
		logs_show_end(app, release->number, LOG_LINES, stderr);
	return result;
}
