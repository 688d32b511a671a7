/* runner.h - the user that an app's processes run as, and becoming it.
 *
 * Who it is stands in the file system: the owner of data/APP (docs/CONTRACT.md, "Users"). When we
 * are not root it is ourselves. What comes after runner_become() in a program is what an app's
 * files may influence. */
#pragma once
#include <sys/types.h>
#include "common/node.h"

struct runner {
	uid_t uid;
	gid_t gid;
};

/* E_NOTFOUND: no such app. E_SYSTEM: data/APP belongs to root, or (when we are not root) to
 * somebody else. */
MUST_CHECK int runner_find(const struct node *node, const char *app, struct runner *out,
			   struct error *err);
/* For good: no other group, no capability, no way to gain any, limits set. */
MUST_CHECK int runner_become(const struct runner *runner, struct error *err);

/* SIGKILL to every process whose session is `session`, ours excepted; as the caller, who may not be
 * root. */
void runner_kill_session(pid_t session);
/* SIGKILL to every process of a user until there is none, at most for a second. uid is not 0 nor
 * our own. */
void runner_kill_user(uid_t uid);
