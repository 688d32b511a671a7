/* args.h - the words of a command, sorted by its row of the table.
 *
 * A specification is what receiver/commands.c has: names between blanks, "--app=" takes a value,
 * "--check" none. Both "--app blog" and "--app=blog" are read; behind "--" nothing is an option. */
#pragma once
#include "common/mem.h"

struct args {
	struct strv names, values; /* of the options, side by side; "" for one without a value */
	struct strv words;         /* the others, in their order */
};
#define autoargs __attribute__((cleanup(args_release)))
void args_release(struct args *a);
/* E_USAGE names the word, and the nearest option. */
MUST_CHECK int args_parse(struct args *out, const char *spec, char *const *words, size_t n,
			  struct error *err);
bool args_has(const struct args *a, const char *name);
const char *args_value(const struct args *a, const char *name); /* NULL: absent; the last wins */
