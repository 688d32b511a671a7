/* connected.h - is everything there that a push needs? What `git rev-list --objects` asks, but of
 * the changed paths alone: git's own check reads every tree of the commit before, which costs what
 * the app has and not what the push changes. silver-git (exec_git.c) leaves it to us.
 *
 * A commit that a ref has is complete, so of each new one only what differs from its first parent
 * is looked at: each tree is read, each file's object must be there. */
#pragma once
#include "buildless/git.h"

/* oids: what the refs are to name, any objects. E_REFUSED: a history ends, at a parent that is not
 * there or at one of `ends` (a shallow clone's; may be empty). E_NOTFOUND: a tree or a file is
 * missing, with its id. E_USAGE: a tree is too deep to be looked at. */
MUST_CHECK int connected_check(struct repo *repo, const struct strv *oids, const struct strv *ends,
			       struct error *err);
