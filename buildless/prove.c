/* prove.c - a release that is not live yet is started beside the one that is, and must answer. */
#include "buildless/steps.h"

#include "buildless/logs.h"
#include "buildless/report.h"
#include "common/fs.h"
#include "runtime/ask.h"
#include "runtime/health.h"

#define LOG_LINES 12

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

int transaction_prove(struct app *app, struct release_info *release, struct error *err)
{
	struct health_check check = {
		.host = app->host,
		.path = release->run.health,
		.deadline_ms = app->node.health_ms,
	};
	struct wait wait = {.release = release->number};
	autofree char *path = xasprintf("releases/%u", release->number);
	autoclose int fd = -1;
	int64_t took_ms;

	if (!has_processes(release))
		return 0;
	if (fs_open_dir(app->fd, path, &fd, err) == -1)
		return -1;
	if (ask_start(release->number, err) == -1)
		return error_prefix(err, "starting release %u", release->number);
	check.release_fd = fd;
	if (health_wait(&check, &took_ms, still_waiting, &wait, err) == -1) {
		logs_show_end(app, release->number, LOG_LINES, stderr);
		return error_prefix(err, "release %u is not healthy", release->number);
	}
	report_slow(account_close(&app->account, ACCOUNT_HEALTHY), "healthy");
	return 0;
}
