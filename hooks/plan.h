/* plan.h - `git push -o plan`: what a push would do, in words. */
#pragma once
#include "buildless/appini.h"
#include "buildless/release.h"
#include "hooks/gate.h"

/* live is NULL where nothing is live yet. */
MUST_CHECK int plan_say(const struct app *app, struct repo *repo, const struct push *push,
			const struct release_info *live, const struct appini *ini,
			struct error *err);
