/* ini.h - INI files; the only user of inih, set up so that nothing is cut silently.
 *
 * The callback gets every key with the line it starts on. `section` is "" before the first. Keys
 * and sections come as written. A continuation (indented line) is appended to the value with '\n'.
 * NULs, lines over 65 536 bytes, sections or keys over 49 characters and lines that are neither are
 * errors with "FILE:LINE: " in front. */
#pragma once
#include "common/mem.h"

typedef void (*ini_key_fn)(void *ctx, unsigned line, const char *section, const char *key,
			   const char *value);
typedef void (*ini_problem_fn)(void *ctx, unsigned line, const char *text);

/* Parses text of `len` bytes. Each problem goes to `problem`, and parsing goes on: all are reported
 * at once. Returns the number of problems. */
unsigned ini_parse_text(const char *text, size_t len, ini_key_fn on_key, ini_problem_fn on_problem,
			void *ctx);

/* A small file of ours ([section] key = value, read whole): record.ini, slots/i.ini, users/NAME. */
struct ini_entry {
	unsigned line;
	char *section, *key, *value;
};
struct ini {
	struct ini_entry *v;
	size_t n;
};
#define INI_INIT                                                                                   \
	{                                                                                          \
		NULL, 0                                                                            \
	}
#define autoini __attribute__((cleanup(ini_release)))
/* E_NOTFOUND if absent; any problem is E_SYSTEM "NAME:LINE: ...". */
MUST_CHECK int ini_read(int dir_fd, const char *path, struct ini *out, struct error *err);
const char *ini_get(const struct ini *ini, const char *section,
		    const char *key); /* NULL: none; the last wins */
void ini_release(struct ini *ini);
/* Writes "key = value\n" with newlines in the value continued by a tab; for values read back by
 * ini_read. */
void ini_add(struct strbuf *s, const char *key, const char *value);
void ini_addf(struct strbuf *s, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);
