/* fsck_repo.h - the repository's part of fsck.h: what git holds, beside what the releases say. */
#pragma once
#include "buildless/release.h"
#include "common/findings.h"

/* The commit that the deploy branch names; "" where there is none. */
void fsck_repo_head(struct repo *repo, char head[OID_HEX], struct findings *f);
/* The release's commit and its tree are there. */
void fsck_repo_commit(struct repo *repo, const struct release_info *r, struct findings *f);
/* The branch and the live release agree, or `next` (0: none) says how they will. */
void fsck_repo_live(const struct app *app, unsigned current, unsigned next, const char *head,
		    struct findings *f);
/* refs/releases/N for each accepted release, and no other. */
void fsck_repo_refs(const struct app *app, struct repo *repo, struct findings *f);
/* Names in the repository: locks and temporary files that nobody holds. */
void fsck_repo_names(const struct app *app, struct findings *f);
