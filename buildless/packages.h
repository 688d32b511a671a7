/* packages.h - the Debian packages of the node that an app asks for. */
#pragma once
#include "common/mem.h"

/* Adds to `missing` the names that are not installed. Names have passed appini_parse(): "libpq5",
 * "libpq5:amd64". */
MUST_CHECK int packages_missing(const struct strv *names, struct strv *missing, struct error *err);
