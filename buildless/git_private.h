/* git_private.h - what the files that hold libgit2 (git*.c) share. */
#pragma once
#include "buildless/git.h"

/* not <git2.h>: git2/index.h has a member called as a function that banned.h poisons */
#include <git2/odb.h>
#include <git2/oid.h>
#include <git2/repository.h>
#include <git2/tree.h>

struct repo {
	git_repository *git;
	git_odb *odb;
	char *path, *objects, *quarantine; /* quarantine: NULL outside of it */
	bool in_quarantine;
};

/* Once for the process; more calls do nothing. */
int repo_start_libgit2(struct error *err);
/* What libgit2 says about its result `r`; -1. */
int repo_fail(struct error *err, int r, const char *what, const char *name);
int repo_parse_oid(const char *text, git_oid *out, struct error *err);
int repo_read_header(struct repo *repo, const char *oid, git_oid *id, size_t *bytes,
		     git_object_t *type, struct error *err);
/* NULL for "", the empty tree. */
int repo_lookup_tree(struct repo *repo, const char *oid, git_tree **out, struct error *err);
void repo_fill_entry(const git_tree_entry *from, struct repo_entry *out);

void repo_tree_free_p(git_tree **tree);
#define autotree __attribute__((cleanup(repo_tree_free_p)))
