/* access.h - what the front wrote down of an app's requests: the lines of log/nginx/access.log, and
 * of those that were rotated, whose second word is the app. */
#pragma once
#include "common/node.h"

/* The last `lines` of them to stdout; with `follow` it goes on until it is ended. Becomes nginx's
 * user first: what is read comes from the network. */
MUST_CHECK int access_print(const struct node *node, const char *app, uint64_t lines, bool follow,
			    struct error *err);
