/* input.h - what a client gave a verb on its standard input. */
#pragma once
#include "common/mem.h"

/* All of it. Where silverd says so (SILVER_INPUT=sealed) a NUL stands behind what came whole, and
 * is taken off; without it the client was cut off on the way: E_REFUSED, as for more than
 * max_bytes. */
MUST_CHECK int input_read(struct strbuf *out, size_t max_bytes, struct error *err);
