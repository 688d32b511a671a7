/* front_bodies.h - how large the body of a request may be, for each app.
 *
 * An app takes node.ini's max_body_bytes, or what bodies/APP says: a file with a number of bytes,
 * an admin's to set. nginx takes no variable there, so its configuration has a map for what a
 * request says of its length, and locations for each size that there is. */
#pragma once
#include "common/node.h"

#define FRONT_BODY_MIN (UINT64_C(1) << 10)
#define FRONT_BODY_MAX (UINT64_C(1) << 40)

struct front_body {
	char *app;
	uint64_t bytes;
};

struct front_bodies {
	struct front_body *v; /* sorted by name */
	size_t n;
	uint64_t *size; /* each once, the node's own first */
	size_t n_sizes;
	uint64_t largest;
};

/* What is unreadable counts as not there. */
void front_bodies_read(const struct node *node, struct front_bodies *out);
void front_bodies_release(struct front_bodies *b);
/* bodies/APP; 0: the app has what the node gives. */
uint64_t front_body_of(const struct node *node, const char *app);
/* On disk when it returns. bytes 0: what the node gives. */
MUST_CHECK int front_body_set(const struct node *node, const char *app, uint64_t bytes,
			      struct error *err);
/* Lines of nginx's maps: the size of each app, and the lengths that are more than a size. */
void front_bodies_add_apps(const struct front_bodies *b, struct strbuf *out);
void front_bodies_add_over(const struct front_bodies *b, struct strbuf *out);
