/* words.h - the words of a command, as a POSIX shell would unquote them, and nothing more.
 *
 * ssh sends a command as one string, which git and people quote for a shell; app.ini has commands
 * in one line. There is no shell here: quotes and backslashes are taken off, nothing is expanded,
 * and `;`, `|`, `$`, `*` are letters. */
#pragma once
#include "common/mem.h"

#define WORDS_MAX       256
#define WORDS_MAX_BYTES 32768

/* Appends the words of text[0..len) to out; there may be none. Refused as E_USAGE, with out in any
 * state: a quote without its pair, a backslash at the end, more than the limits above, a NUL, and
 * any other control character but tab (a blank outside quotes) and newline inside quotes. */
MUST_CHECK int words_split(const char *text, size_t len, struct strv *out, struct error *err);
