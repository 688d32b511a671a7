/* ask.h - how `silver` reaches a node. All return the exit status of what was asked. */
#pragma once
#include "common/node.h"
#include "receiver/commands.h"

/* Replaces this process by the user's ssh. `node` is HOST:PORT, HOST, or [ADDR]:PORT. */
MUST_CHECK int ask_remote(const char *node, const struct request *request, char *const *words,
			  size_t n, struct error *err);
/* The command line of that ssh, quoted so that the words arrive byte for byte. E_USAGE: a bad
 * `node`. */
MUST_CHECK int ask_remote_argv(const char *node, bool terminal, char *const *words, size_t n,
			       struct strv *argv, struct error *err);

/* By the control socket of the node at `dir`; where none is running, `user` works all the same. */
MUST_CHECK int ask_local(const char *dir, const struct request *request, char *const *words,
			 size_t n, int *status, struct error *err);
