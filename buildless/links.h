/* links.h - the symbolic links of a tree: none may lead out of it.
 *
 * A link is safe by itself when its target is relative and ".." stands only at its start, as often
 * as the link is deep at most: the directories above a link are directories, so it goes up to one
 * of them and then down, where only other safe links can be. A ".." behind a name is safe where all
 * before it are directories; what was a directory when that link was looked at may be a link in a
 * later push, so a push that brings a link has all such links looked at again. */
#pragma once
#include "buildless/git.h"

struct links;

/* whole: links_add() will be called for every link of the tree. Findings go to errors. */
struct links *links_new(struct repo *repo, const char *tree, bool whole, struct strv *errors);
void links_free(struct links *links);
void links_free_p(struct links **links);
#define autolinks __attribute__((cleanup(links_free_p)))
/* A link that the tree has and its predecessor had not; checked as far as it can be by itself. */
MUST_CHECK int links_add(struct links *links, const char *path, const char *oid, struct error *err);
/* The rest, when all were added. */
MUST_CHECK int links_check(struct links *links, struct error *err);
