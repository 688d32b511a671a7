/* fsck_config.h - the configuration's part of fsck.h: what was set, and what the record says. */
#pragma once
#include "buildless/release.h"
#include "common/findings.h"

void fsck_config_release(const struct app *app, const struct release_info *r, struct findings *f);
/* apps/APP/config: what an app without a release was told. */
void fsck_config_waiting(const struct app *app, struct findings *f);
