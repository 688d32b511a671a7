/* runner.h - the runner of app.ini: which texts name one, and which file of the tree that is. */
#pragma once
#include "common/mem.h"

/* What is wrong with `runner` by its text alone, as a sentence, or NULL. The caller frees. */
char *runner_problem(const char *platform, const char *runner);
/* "src/app.py" for "src/app.py#main", a program as it is; NULL for "module:object". The caller
 * frees. */
char *runner_file(const char *platform, const char *runner);

/* A runner to begin with, for a message. */
const char *runner_example(const char *platform);
/* Is it a path inside the tree: relative, without empty, "." and ".." parts, of plain letters? */
bool runner_is_tree_path(const char *path);

/* A value from outside, safe to print and not too long. The caller frees. */
char *appini_shown(const char *value, size_t len);
/* Printable ASCII without blanks: it can stand in a record, a request line and an argument as it
 * is. */
bool appini_is_plain(const char *s);
