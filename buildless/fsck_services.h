/* fsck_services.h - fsck.h's part about apps/APP/services: what the app was given. */
#pragma once
#include "buildless/app.h"
#include "common/findings.h"

void fsck_services(const struct app *app, struct findings *f);
