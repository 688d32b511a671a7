/* relocate_root.h - where the tree lay on the machine that its absolute paths come from.
 *
 * Nobody tells. It is the prefix whose remainder is in the tree: of "/home/ian/site/vendor/x",
 * where the tree has vendor/x, it is "/home/ian/site". All paths of all files must agree on it, and
 * there must be one only; else every line that speaks against it is a finding. */
#pragma once
#include "common/mem.h"

/* What is asked of the tree. 1: it is there, 0: it is not, -1: error. The last name may be a link
 * that leads nowhere; with `follow`, links before it are followed. */
struct relocate_tree {
	int (*has)(void *ctx, const char *path, bool follow, struct error *err);
	void *ctx;
};

/* One absolute path of one line. */
struct relocate_claim {
	const char *path; /* normalised */
	const char *file;
	unsigned line;
	bool must;         /* else a path that is not in the tree is only a warning */
	bool known;        /* its file was there before: no warning again */
	const char *proof; /* NULL, or a path that the tree has if `path` is its top */
};

/* *root: NULL where no path says anything; the caller frees. hint (may be NULL) is the root of the
 * tree before, and decides where several are possible. Findings go to errors, else to warnings. */
MUST_CHECK int relocate_find_root(const struct relocate_tree *tree,
				  const struct relocate_claim *claims, size_t n, const char *hint,
				  char **root, struct strv *errors, struct strv *warnings,
				  struct error *err);
/* Do all claims agree with a root that is known? 1: yes, and those that need not be in the tree are
 * in it, too; 0: no. */
MUST_CHECK int relocate_root_holds(const struct relocate_tree *tree, const char *root,
				   const struct relocate_claim *claims, size_t n,
				   struct error *err);
