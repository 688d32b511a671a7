/* relocate.h - the paths that Python's installers write into a tree, and how they become relative.
 *
 * Pure functions on text: nothing here opens a file or knows a repository. What is found depends on
 * the file's path and content alone, and the new text on these and the old root. So a file is
 * relocated alike in every slot, and relocating twice is relocating once: what comes out names no
 * absolute path that would be found again.
 *
 *	*.pth below a site directory		lines; comments and `import` lines stay
 *	*.egg-link below one			the first line
 *	__editable___*_finder.py below one	MAPPING and NAMESPACES
 *	direct_url.json in *.dist-info		"url", where it is a file's
 *	pyvenv.cfg				the end of `command`; `home` must be the node's
 *Python bin/NAME				a first line that names a Python of the tree
 *
 * A site directory is lib/python, wherever its links lead, or one that is called site-packages or
 * dist-packages. Paths of the tree have no slash at their ends; "" is its top. */
#pragma once
#include "common/mem.h"

#define RELOCATE_BYTES_MAX 1048576 /* what is larger was written by no installer */

enum relocate_kind {
	RELOCATE_NONE,
	RELOCATE_PTH,
	RELOCATE_EGG_LINK,
	RELOCATE_FINDER,
	RELOCATE_DIRECT_URL,
	RELOCATE_PYVENV,
	RELOCATE_SCRIPT,
};

enum relocate_role {
	RELOCATE_MUST,     /* absolute; what is imported comes from there */
	RELOCATE_MAY,      /* absolute; names the tree or something else that nothing needs */
	RELOCATE_RELATIVE, /* is so already; must be there in a site directory */
	RELOCATE_SELF,     /* absolute; the file's own directory, whatever it says */
	RELOCATE_FOREIGN,  /* absolute; can be nothing in the tree, and nothing on the node */
};

/* One path in a text. */
struct relocate_span {
	size_t start, end; /* of the bytes that are replaced */
	unsigned line;     /* from 1 */
	enum relocate_role role;
	char *path;      /* absolute: normalised; relative: as it stands */
	char *arguments; /* of a script's first line, or NULL */
	bool whole;      /* a script: the first line, not a word of it */
};
struct relocate_spans {
	struct relocate_span *v;
	size_t n, cap;
};
#define autospans __attribute__((cleanup(relocate_spans_release)))
void relocate_spans_release(struct relocate_spans *spans);

/* By its path alone; site: where lib/python really is. */
enum relocate_kind relocate_kind(const char *path, const char *site);
/* Is it read by Python as it starts: directly in a site directory? */
bool relocate_in_site(const char *path, const char *site);
/* Adds the paths of a file, in their order. There is a NUL behind the text; a text with a NUL in it
 * has no paths: it is something else. */
void relocate_scan(enum relocate_kind kind, const char *text, size_t len,
		   struct relocate_spans *spans);
/* Does the span become another text when the tree lay at `root` (NULL: nobody knows)? */
bool relocate_applies(const struct relocate_span *span, const char *root);
/* Appends the relocated text to out. */
void relocate_rewrite(enum relocate_kind kind, const char *path, const char *text, size_t len,
		      const struct relocate_spans *spans, const char *root, struct strbuf *out);

/* "/a//b/./c/../d/" -> "/a/b/d"; ".." at the top stays there. The caller frees. */
char *relocate_normalise(const char *path, size_t len);
/* What is behind root and its slash; "" for root itself, NULL where path is elsewhere. */
const char *relocate_below(const char *path, const char *root);
/* The path of `to` seen from the directory of the file `from`: "../x", ".". The caller frees. */
char *relocate_relative(const char *from, const char *to);
/* Two hex digits as a byte; -1: they are none. */
int relocate_hex(const char *text);
/* Where a relative path in the file `from` leads: a path of the tree, NULL where it leaves it. The
 * caller frees. */
char *relocate_resolve(const char *from, const char *relative);
