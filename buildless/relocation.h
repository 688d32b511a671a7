/* relocation.h - which files of a tree are not laid out as they were pushed, and what they become.
 *
 * The paths of every file that names some (relocate.h) are kept with the tree that a slot holds:
 * where a later tree is compared with it, only files that differ are read again, and all of them
 * only when a path that one of them might name has gone. What comes out depends on the new tree
 * alone, but for this: where its paths allow several old roots, that of the tree before is taken.
 */
#pragma once
#include "buildless/git.h"
#include "common/ini.h"

struct relocation_file {
	char *path;
	char in[OID_HEX], out[OID_HEX]; /* blobs: as pushed, as laid out; the same where all is
					 * relative already */
	bool rooted;                    /* it speaks for the root */
};
struct relocation {
	char *root;                /* where the tree lay before; NULL: nothing tells */
	char *site;                /* where lib/python is, links followed; "" where there is none */
	struct relocation_file *v; /* sorted by path */
	size_t n;
};
#define RELOCATION_INIT                                                                            \
	{                                                                                          \
		NULL, NULL, NULL, 0                                                                \
	}
#define autorelocation __attribute__((cleanup(relocation_release)))
void relocation_release(struct relocation *r);

/* What people are told. */
struct relocation_report {
	struct strv *errors; /* the tree cannot be laid out if there is one */
	struct strv *warnings;
	struct strv *places; /* "lib/python/x.pth:3": lines that change, of files that differ
			      * from the base; may be NULL */
};

/* base: the relocation of base_tree, or NULL: nothing is known of it. Findings are "FILE:LINE:
 * ...", all of them. */
MUST_CHECK int relocation_plan(struct repo *repo, const struct relocation *base,
			       const char *base_tree, const char *tree, struct relocation *out,
			       const struct relocation_report *report, struct error *err);
/* NULL: laid out as it is. */
const struct relocation_file *relocation_find(const struct relocation *r, const char *path);
/* Does what lies in a slot by `held` serve `wanted`, too, where the blobs are the same? */
bool relocation_agrees(const struct relocation *held, const struct relocation *wanted);
/* The same for one path. */
bool relocation_same_file(const struct relocation *held, const struct relocation *wanted,
			  const char *path);
/* Of a tree that is part of one and part of the other, file by file. */
MUST_CHECK int relocation_between(struct repo *repo, const char *tree,
				  const struct relocation *held, const struct relocation *wanted,
				  struct relocation *out, struct error *err);
/* The content of a file as it is laid out. */
MUST_CHECK int relocation_text(struct repo *repo, const struct relocation *r,
			       const struct relocation_file *file, struct strbuf *out,
			       struct error *err);

/* Are the places there that those of its files name which Python reads as it starts? `files` are
 * paths, others are passed over. */
MUST_CHECK int relocation_check(struct repo *repo, const struct relocation *r,
				const struct strv *files, int slot_fd, struct error *err);

/* A section of a slot's record. */
void relocation_format(const struct relocation *r, struct strbuf *out);
/* false: the record has none, or it is damaged. */
bool relocation_parse(const struct ini *ini, struct relocation *out);
