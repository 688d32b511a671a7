/* limits.h - what [limits] gives an app on this kind of node, and what it cannot.
 *
 * Without cgroups there are the limits that a process inherits (setrlimit(2)): of memory for each
 * process, of tasks for a user, which is an app's own where the node runs as root. Nothing of the
 * kind exists for cpu. A limit that is not enforced is told to who asks for it. */
#pragma once
#include "common/node.h"
#include "runtime/runspec.h"

enum limit { LIMIT_MEMORY, LIMIT_CPU, LIMIT_TASKS, LIMIT_TIMEOUT, LIMITS };

/* Why it is not enforced here, as "there is no ..."; NULL: it is. `platform` as in app.ini. */
const char *limits_missing(const struct node *node, enum limit limit, const char *platform);
/* What the app asks for and the node has room for; 0: no limit. */
uint64_t limits_memory_bytes(const struct node *node, const struct limits_spec *asked);
unsigned limits_tasks(const struct node *node, const struct limits_spec *asked);
/* What a process is given: bytes of RLIMIT_DATA and a number of RLIMIT_NPROC; 0: none. */
struct limits {
	uint64_t data_bytes;
	unsigned tasks;
};
/* stacks: how many threads each process may have whose stacks do not count, since little of them is
 * ever used. */
struct limits limits_of(const struct node *node, const struct limits_spec *asked, unsigned stacks);
/* For this process and what it starts, for good. */
MUST_CHECK int limits_apply(const struct limits *limits, struct error *err);
/* "512 MB for each process, 512 tasks". */
void limits_add_text(const struct node *node, const struct runspec *run, struct strbuf *out);
