/* json.h - writing JSON (RFC 8259) into a strbuf; commas are kept track of.
 *
 *	json_open(&j, NULL, '{');
 *	json_str(&j, "app", app);
 *	json_int(&j, "release", 12);
 *	json_close(&j, '}'); */
#pragma once
#include "common/mem.h"

struct json {
	struct strbuf *out;
	bool need_comma;
};
/* key is NULL inside an array and at the top. Strings are escaped; bytes that are no UTF-8 become
 * U+FFFD. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
void json_str(struct json *j, const char *key, const char *value); /* NULL: null */
void json_int(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
