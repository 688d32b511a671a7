/* verify.h - does the live slot hold what its commit says, byte for byte? */
#pragma once
#include "buildless/release.h"

/* kind: "changed", "extra", "missing", "mode", "link", "type". path is below the slot. */
typedef void (*verify_finding_fn)(void *ctx, const char *kind, const char *path);

/* Hashes every file of the release's slot anew; *files is how many were read. 0 also where
 * something was found. */
MUST_CHECK int verify_release(const struct app *app, struct repo *repo,
			      const struct release_info *release, verify_finding_fn finding,
			      void *ctx, uint64_t *files, struct error *err);
