/* front_text.h - what the front is made of: the template of its configuration, and its pages. */
#pragma once
#include "common/node.h"

/* runtime/nginx.conf, as it was when this was built. */
extern const char front_template[];

/* DIR/run/pages has a page for each answer of the front's own; those of the operator in DIR/pages
 * come before them. Each start writes what is not there. */
MUST_CHECK int front_write_pages(const struct node *node, struct error *err);
