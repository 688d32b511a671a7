/* words.h - what the pusher reads: lines "silver: ..." on stderr, which git shows as "remote:
 * silver: ...".
 *
 * main() has made stderr line-buffered: a line is one packet of git's, and appears when it is said.
 */
#pragma once
#include "common/mem.h"

#define WORDS_FINDINGS_MAX 50

/* One line, or several where the text has newlines; each gets the prefix. */
void words_say(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Warnings first, then errors, at most WORDS_FINDINGS_MAX of each, then how many more there are. */
void words_findings(const struct strv *errors, const struct strv *warnings);
/* A name from outside, as it may be printed. The caller frees. */
char *words_name(const char *name);
/* The same as one word of a command to paste. The caller frees. */
char *words_argument(const char *name);
/* "master" for "refs/heads/master", any other ref whole; points into ref. */
const char *words_branch(const char *ref);
