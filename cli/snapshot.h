/* snapshot.h - the working tree as a commit, made beside everything that git keeps of the
 * developer's own: HEAD, branches, index and files stay byte for byte what they were. What is new
 * are objects in the repository, which `git gc` drops when nothing needs them.
 *
 * In it is what `git add -A` would add: what is not committed and not ignored. Submodules and
 * checkouts that lie in the tree are flattened: their files are files of the commit.
 *
 * Its parent is HEAD, and a trailer of its message says that it is one (docs/WORKFLOW.md): the next
 * push may replace it without being forced. */
#pragma once
#include "common/mem.h"

struct snapshot {
	char commit[41]; /* HEAD itself, where the working tree is as committed */
	bool is_head;
	size_t changed; /* files that differ from HEAD */
	size_t flattened;
};

/* `top` is the top of the work tree. E_REFUSED: a merge is not finished, a submodule is not checked
 * out, there is nothing at all. */
MUST_CHECK int snapshot_make(struct snapshot *out, const char *top, struct error *err);
/* Whether a commit that the repository has is such a one; *base: the commit it was made on, "" for
 * none (41 bytes). */
MUST_CHECK int snapshot_is(const char *top, const char *commit, bool *is, char *base,
			   struct error *err);
/* Whether two commits hold the same tree. */
MUST_CHECK int snapshot_same_tree(const char *top, const char *a, const char *b, bool *same,
				  struct error *err);
