/* prove.c - a release that is not live yet is started beside the one that is, and must answer. */
#include "buildless/steps.h"

#include "buildless/logs.h"
#include "buildless/report.h"
#include "common/fs.h"
#include "runtime/ask.h"
#include "runtime/health.h"

#define LOG_LINES 20

bool has_processes(const struct release_info *release)
{
	return strcmp(release->platform, "static") != 0;
}

static void still_waiting(void *ctx, int seconds)
{
	const struct release_info *release = ctx;

	report_step("release %u does not answer yet (%d s)", release->number, seconds);
}

int transaction_prove(struct app *app, struct release_info *release, struct error *err)
{
	struct health_check check = {
		.host = app->host,
		.path = release->health,
		.deadline_ms = app->node.health_ms,
	};
	autofree char *path = xasprintf("releases/%u", release->number);
	autoclose int fd = -1;

	if (!has_processes(release))
		return 0;
	if (fs_open_dir(app->fd, path, &fd, err) == -1)
		return -1;
	if (ask_start(release->number, err) == -1)
		return error_prefix(err, "starting release %u", release->number);
	check.release_fd = fd;
	if (health_wait(&check, &release->healthy_ms, still_waiting, release, err) == -1) {
		logs_show_end(app, release->number, LOG_LINES, stderr);
		return error_prefix(err, "release %u is not healthy", release->number);
	}
	return 0;
}
