/* locate.h - which app is reached where: hosts/, which decides, and what is made of it.
 *
 * A link in hosts/ is made or removed first, on disk; then locations/APP is written, and where
 * nginx's configuration has to say something else (a path, a suffix, '*', an alias) that is made
 * anew, tried and taken by the running nginx. Stopped in between, the next change of that app or
 * the next start of the node does the rest. One at a time, by a lock on hosts/. Called by
 * silver-root only. */
#pragma once
#include "runtime/location.h"

/* Where an app's location leads. */
struct locate_to {
	const char *alias; /* a location of the app's that it redirects to; NULL: it does not */
	bool previous;     /* to the release that was live before */
};
extern const struct locate_to locate_to_live;

/* The location leads to the app; no error if it did. E_REFUSED: another app has it, or nginx
 * refuses it, and all is as it was. */
MUST_CHECK int locate_add(const struct node *node, const char *app, const char *text,
			  const struct locate_to *to, struct error *err);
/* The same for what a push asks for: a host, or a path of a host that no other app has. */
MUST_CHECK int locate_for_push(const struct node *node, const char *app, const char *text,
			       struct error *err);
/* E_NOTFOUND: it is not the app's. E_REFUSED: it is the last one, or an alias leads to it. */
MUST_CHECK int locate_remove(const struct node *node, const char *app, const char *text,
			     struct error *err);
/* For people, or as JSON, to stdout. */
MUST_CHECK int locate_list(const struct node *node, const char *app, bool as_json,
			   struct error *err);
/* The largest body of a request to the app, from the next one on; 0: the node's max_body_bytes. */
MUST_CHECK int locate_body(const struct node *node, const char *app, uint64_t bytes,
			   struct error *err);
/* None leads to the app any more. */
MUST_CHECK int locate_remove_all(const struct node *node, const char *app, struct error *err);
/* locations/ says what hosts/ says: at the start of a node. */
MUST_CHECK int locate_repair(const struct node *node, struct error *err);
