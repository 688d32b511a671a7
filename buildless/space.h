/* space.h - does what a commit brings fit on the disk? Asked before anything is touched; what grows
 * meanwhile is noticed when a write fails, and undone. */
#pragma once
#include "buildless/app.h"
#include "buildless/git.h"

/* What a difference between two trees puts on the disk. */
struct space_need {
	uint64_t bytes, files; /* files: whatever takes an inode */
};

/* One more file of that size; 0: a link. */
void space_add(struct space_need *need, uint64_t bytes);
/* One more directory. */
void space_add_dir(struct space_need *need);
/* NULL where it fits beside the reserve (common/room.h), or a slot holds `tree` already and nothing
 * is written at all; else a finding for people. The caller frees. */
char *space_problem(const struct app *app, const char *tree, const struct space_need *need);
/* For a layout that shares nothing with what is there. E_REFUSED: it does not fit. */
MUST_CHECK int space_check_whole(const struct app *app, struct repo *repo, const char *tree,
				 struct error *err);
