/* release.h - releases/N: what went live and when, and the links that say which one is live.
 *
 *	releases/7/record.ini	commit, tree, slot, who, when ...; never changed once it is there
 *	releases/7/env		NAME=VALUE and a NUL, sorted (0640)
 *	releases/7/config	what of it was set by `silver config`, and config.d/ (config.h)
 *	releases/7/app		-> ../../slots/3
 *	releases/7/run/		sockets, written by the app's runner
 *	releases/7/live		empty; there once the release was accepted
 *	releases/7/staged	what the deploy branch named when it was set aside (`-o stage`)
 *	releases/7/times.ini	how long it took to become live; not synced, may be absent
 *	current, previous, next	-> releases/7
 *	last			-> releases/7, the highest that was ever accepted, or set aside
 *	commits/OID		-> ../releases/7, the newest accepted one of that commit
 *
 * `last` and commits/ say what all records together say, so that a push need not read them. They
 * are not trusted: what they lead to is looked at, and recovery makes them right.
 *
 * Invariant: a name without ".new" is complete and on disk. Nothing here locks: the caller holds
 * the app's lock, or only reads. */
#pragma once
#include "buildless/app.h"
#include "buildless/git.h"
#include "buildless/packages.h"
#include "runtime/runspec.h"

struct config;

struct release_info { /* record.ini */
	unsigned number, slot;
	char commit[OID_HEX], tree[OID_HEX], env_digest[OID_HEX];
	char config_digest[OID_HEX];  /* "": nothing was set */
	char *branch, *who, *subject; /* branch without "refs/heads/" */
	struct runspec run;
	struct packages packages;
	int64_t when;            /* UTC seconds */
	uint64_t files, changed; /* changed: against the release that was live then */
	struct account times;    /* of the way on which it last became live */
	bool live;               /* it was accepted once */
	bool staged;             /* set aside to be activated, and not accepted yet */
	char base[OID_HEX];      /* staged: what the deploy branch named then, zeros for nothing */
};
#define RELEASE_INFO_INIT                                                                          \
	{                                                                                          \
		0                                                                                  \
	}
#define autorelease __attribute__((cleanup(release_info_release)))

/* E_NOTFOUND. */
MUST_CHECK int release_read(const struct app *app, unsigned number, struct release_info *out,
			    struct error *err);
void release_info_release(struct release_info *r);
/* Number that a link (current, previous, next) names; E_NOTFOUND: no such link, or it dangles. */
MUST_CHECK int release_link(const struct app *app, const char *link, unsigned *number,
			    struct error *err);
/* link -> releases/N, on disk. */
MUST_CHECK int release_set_link(const struct app *app, const char *link, unsigned number,
				struct error *err);
/* Numbers in releases/, ascending; foreign names are ignored. The caller frees *out. */
MUST_CHECK int release_list(const struct app *app, unsigned **out, size_t *n, struct error *err);
/* The slot that releases/N/app leads to, there or not. */
MUST_CHECK int release_slot(const struct app *app, unsigned number, unsigned *slot,
			    struct error *err);
/* Is it there, and was it accepted once? */
bool release_is_live(const struct app *app, unsigned number);
/* Was it set aside, and not accepted since? */
bool release_is_staged(const struct app *app, unsigned number);
/* The live release's number; 0: none. */
unsigned release_current(const struct app *app);
/* The newest accepted release of the commit that is still there. E_NOTFOUND. */
MUST_CHECK int release_of_commit(const struct app *app, const char *commit, unsigned *number,
				 struct error *err);
/* Notes an accepted release in `last` and commits/. Not synced: `last` is with apps/APP. */
MUST_CHECK int release_note(const struct app *app, unsigned number, const char *commit,
			    struct error *err);
/* Removes from commits/ what leads to no such release. */
MUST_CHECK int release_forget_gone(const struct app *app, struct error *err);
/* The number of the next release: 1 + the highest that was accepted or set aside. */
MUST_CHECK int release_next_number(const struct app *app, unsigned *number, struct error *err);

/* Writes r as releases/N.new with its env (NAME=VALUE strings) and configuration (NULL: none),
 * renames it to releases/N. On disk. */
MUST_CHECK int release_write(const struct app *app, const struct release_info *r,
			     const struct strv *env, const struct config *config,
			     struct error *err);
/* What env looks like in the file. */
void release_format_env(const struct strv *env, struct strbuf *out);
/* The account so far, beside the record of releases/N. */
MUST_CHECK int release_write_times(const struct app *app, unsigned number, struct error *err);
/* releases/N/live, on disk. */
MUST_CHECK int release_mark_live(const struct app *app, unsigned number, struct error *err);
/* releases/N/staged, on disk. base: 40 hex. */
MUST_CHECK int release_mark_staged(const struct app *app, unsigned number, const char *base,
				   struct error *err);
/* On return 0 its name is gone from the disk, so its slot may be used again. Absent: no error. */
MUST_CHECK int release_remove(const struct app *app, unsigned number, struct error *err);
/* Deletes releases/NAME.new: what was not finished, or not wholly removed; *n is how many. An error
 * leaves only litter (the app's runner may have made directories in run/): warn and go on. */
MUST_CHECK int release_remove_unfinished(const struct app *app, unsigned *n, struct error *err);
