/* keys.h - named keys of the node, granted to apps: DIR/keys/NAME.
 *
 *	keys/maps/value		what it is (0600)
 *	keys/maps/apps/blog	it was granted to blog (empty)
 *	data/blog/keys/maps	blog's copy, readable by its runner (0640)
 *
 * The grant is written before the copy, and removed after it: where there is a copy something says
 * so, whoever was stopped in between. A key without its name is removed by the next call. Root
 * never reads below data/, where a runner may write: what is granted stands in keys/. */
#pragma once
#include "common/node.h"

/* E_USAGE: no key has such a name. */
MUST_CHECK int keys_check_name(const char *name, struct error *err);
/* Each says what it did on stdout. The value comes on standard input; every app that the key is
 * granted to has a new one when keys_set() returns. */
MUST_CHECK int keys_set(const struct node *node, const char *name, struct error *err);
MUST_CHECK int keys_grant(const struct node *node, const char *name, const char *app,
			  struct error *err);
MUST_CHECK int keys_revoke(const struct node *node, const char *name, const char *app,
			   struct error *err);
MUST_CHECK int keys_remove(const struct node *node, const char *name, struct error *err);
MUST_CHECK int keys_list(const struct node *node, bool as_json, struct error *err);
/* Removes what a call that was killed left of a key; at the start of the node. */
MUST_CHECK int keys_tidy(const struct node *node, struct error *err);
/* An app that is being destroyed has no grants: the next of its name must not find them. */
MUST_CHECK int keys_forget_app(const struct node *node, const char *app, struct error *err);
