/* tls_call.h - silver-tls, called as the user of nginx: nothing of it runs as root. */
#pragma once
#include "common/node.h"

/* `silver-tls --dir DIR VERB WORD...` with our standard input; it writes to out_fd. Its error is
 * what it says. */
MUST_CHECK int tls_call(const struct node *node, const char *verb, char *const *words, size_t n,
			int out_fd, struct error *err);
