/* release.h - releases/N: records, links, and which of them are kept (docs/CONTRACT.md, "Files").
 *
 * Invariant: a name without ".new" is complete and on disk. Nothing here locks: the caller holds
 * the app's lock, or only reads. */
#pragma once
#include "buildless/app.h"
#include "buildless/git.h"

struct release_info { /* record.ini */
	unsigned number, slot;
	char commit[OID_HEX], tree[OID_HEX], env_digest[OID_HEX];
	char *branch, *who, *subject;
	char *platform, *runner, *health; /* runner, health: NULL where absent */
	int64_t when;                     /* UTC seconds */
	uint64_t files, changed;
	int64_t check_ms, stage_ms, sync_ms, healthy_ms;
	bool live; /* the file `live` is there: it was accepted once */
};
#define RELEASE_INFO_INIT                                                                          \
	{                                                                                          \
		0                                                                                  \
	}

MUST_CHECK int release_read(const struct app *app, unsigned number, struct release_info *out,
			    struct error *err); /* E_NOTFOUND */
void release_info_release(struct release_info *r);
/* Number that a link (current, previous, next) names; E_NOTFOUND: no such link, or no such release.
 */
MUST_CHECK int release_link(const struct app *app, const char *link, unsigned *number,
			    struct error *err);
/* Numbers in releases/, ascending; foreign names are ignored. The caller frees *out. */
MUST_CHECK int release_list(const struct app *app, unsigned **out, size_t *n, struct error *err);
/* Writes r as releases/N.new with its env (NAME=VALUE strings), renames it to releases/N. On disk.
 */
MUST_CHECK int release_write(const struct app *app, const struct release_info *r,
			     const struct strv *env, struct error *err);
/* Adds measured times to the record of a release that is not live yet. Not synced: an account, not
 * a fact others build on. */
MUST_CHECK int release_write_times(const struct app *app, const struct release_info *r,
				   struct error *err);
