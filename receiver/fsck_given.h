/* fsck_given.h - fsck_node.h's part about what the node holds for its apps: keys, servers of its
 * own, backups. */
#pragma once
#include "common/findings.h"
#include "common/node.h"

/* apps: all there are. Contents of keys/ are not read, nor is anything below data/ but names. */
void fsck_given(const struct node *node, const struct strv *apps, struct findings *f);
