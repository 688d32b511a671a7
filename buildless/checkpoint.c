#include "buildless/checkpoint.h"

#include "buildless/report.h"
#include "buildless/steps.h"
#include "runtime/ask.h"
#include "services/undo.h"

int start_live(struct app *app, struct error *err)
{
	autorelease struct release_info live = {0};
	unsigned current = release_current(app);

	if (!current)
		return 0;
	if (release_read(app, current, &live, err) == -1)
		return -1;
	return has_processes(&live) ? ask_start(current, err) : 0;
}

int checkpoint_take(struct app *app, unsigned release, struct error *err)
{
	if (release_current(app))
		report_step("checkpoint: the app is at rest, and its data are kept");
	if (ask_checkpoint(release, err) == -1)
		return error_prefix(err, "checkpoint");
	return 0;
}

/* What is live ran before; that it does not start now is no reason to keep anybody from pushing. */
static int start_again(struct app *app, struct error *err)
{
	struct error start = ERROR_INIT;

	if (start_live(app, &start) == -1)
		report_problem(&start, "starting what is live");
	return ask_undo("end", err);
}

int checkpoint_keep(struct app *app, struct error *err)
{
	struct undo_mark mark;

	if (undo_mark_read(app->fd, &mark, err) == -1)
		return -1;
	if (!mark.there)
		return 0;
	return ask_undo("keep", err) == -1 ? -1 : start_again(app, err);
}

int checkpoint_resolve(struct app *app, struct error *err)
{
	struct undo_mark mark;

	if (undo_mark_read(app->fd, &mark, err) == -1)
		return -1;
	if (!mark.there)
		return 0;
	if (mark.release && release_is_live(app, mark.release))
		return ask_undo("end", err);
	if (ask_undo("put", err) == -1)
		return -1;
	if (*mark.archive)
		report_step("the data of %s are again what they were before (%s)", app->name,
			    mark.archive);
	return start_again(app, err);
}
