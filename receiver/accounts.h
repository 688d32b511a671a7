/* accounts.h - system users of a node that runs as root; nothing here is called otherwise.
 *
 * Of each app: an owner (its repository and releases) and a runner (its processes and data), with
 * one group for both. Their names are labels, "so-HASH-APP" and "sr-HASH-APP", where HASH tells
 * this node from others on the machine; who somebody is stands in the file system
 * (docs/CONTRACT.md, "Users"). */
#pragma once
#include <sys/types.h>
#include "common/node.h"

struct accounts {
	uid_t owner, runner;
	gid_t group;
};

/* Makes them where they are missing. E_SYSTEM: useradd's words. */
MUST_CHECK int accounts_ensure(const struct node *node, const char *app, struct accounts *out,
			       struct error *err);
/* Ends their processes and removes them; none there is no error. */
MUST_CHECK int accounts_remove(const struct node *node, const char *app, struct error *err);
/* A user of the node itself, with a group of its own name. */
MUST_CHECK int accounts_ensure_system(const char *name, const char *comment, uid_t *uid, gid_t *gid,
				      struct error *err);
