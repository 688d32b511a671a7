/* fsck_node.h - the verb `fsck`: is the state directory as docs/CONTRACT.md says?
 *
 * The node's part (directories, users, hosts, whose is what) is looked at here; of each app its
 * owner's `silver-deploy fsck` tells, which holds the app's lock meanwhile. Needs no silverd. */
#pragma once
#include "common/node.h"

/* words: "[--json] [APP]". What is found goes to stdout. 0: nothing; E_REFUSED: damage; E_BUSY:
 * only what the next recovery sees to, or an app whose lock was not to be had; E_SYSTEM: an app
 * that could not be looked at. */
MUST_CHECK int fsck_node(const struct node *node, char *const *words, size_t n, struct error *err);
