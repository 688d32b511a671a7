/* tasks.h - update_fetch and test: what an app wants run on a release before that is live.
 *
 * A task is a GET that the release must answer with 2xx, or a command that must end with status 0.
 * What they say goes to the pusher as it comes, each line with "silver: | " in front. */
#pragma once
#include "buildless/appini.h"
#include "buildless/release.h"

struct tasks_of {
	struct app *app;
	unsigned release;
	int release_fd; /* releases/N */
	/* Called before the first GET: the release's processes are started. */
	int (*start)(void *ctx, struct error *err);
	void *ctx;
};

/* config.checker, MODULE:FUNCTION: as a command of the app's. E_REFUSED: it raised. */
MUST_CHECK int tasks_run_checker(const struct tasks_of *of, const char *checker, unsigned line,
				 struct error *err);
/* In their order; the first that fails ends it: E_REFUSED "WHAT: TASK ...". */
MUST_CHECK int tasks_run(const struct tasks_of *of, const char *what,
			 const struct appini_tasks *tasks, struct error *err);
