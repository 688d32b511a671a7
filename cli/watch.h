/* watch.h - a working tree, watched for changes: every directory that git does not ignore. */
#pragma once
#include "common/mem.h"

struct watch;
MUST_CHECK int watch_new(struct watch **out, const char *top, struct error *err);
void watch_free(struct watch *w);
int watch_fd(const struct watch *w); /* readable: something has changed */
/* Looks for new directories. To be called before the tree is read: what changes behind it is seen.
 */
MUST_CHECK int watch_again(struct watch *w, struct error *err);
/* Takes what has happened; whether anything of it counts. */
bool watch_take(struct watch *w);
