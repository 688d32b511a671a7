/* where.h - asking a node: which one, which app, and by which way.
 *
 * What is said counts, then the environment, then the git remote of the checkout we are in, then
 * ./node. A verb that needs an app gets the checkout's where none is named; '.' names it too. */
#pragma once
#include "cli/command.h"

/* Asks for a verb of the node. *status is its exit status. */
MUST_CHECK int where_ask(const struct options *options, char *const *words, size_t n, int *status,
			 struct error *err);
/* Puts the app of the checkout into the words of a verb, where they want one. `here` is its name;
 * NULL: not in a checkout with one. Returns whether it did. */
bool where_add_app(char *const *words, size_t n, const char *here, bool node_is_said,
		   struct strv *out);
