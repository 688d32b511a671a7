/* config_text.h - variables as text that people read and edit: NAME=VALUE, a line each.
 *
 *	GREETING=Hello, $NAME!
 *	KEY="-----BEGIN KEY-----\nAbC\n"
 *
 * A value stands in double quotes where it would not survive as it is: with \n, \t, \r, \\, \" and
 * \xNN for any byte. Reading what was written gives the same bytes. Blank lines and lines that
 *begin with '#' say nothing. */
#pragma once
#include "common/mem.h"

void config_text_add(struct strbuf *out, const char *name, const char *value);
/* Adds NAME=VALUE strings to *set, in the order of the text. Names are checked by the caller. Every
 * line that is wrong is a finding "WHERE:LINE: ..."; how many there were is returned. */
unsigned config_text_parse(const char *text, size_t len, const char *where, struct strv *set,
			   struct strv *errors);
