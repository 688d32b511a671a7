#include "common/json.h"

#include <inttypes.h>
#include "common/names.h"

static void add_quoted(struct strbuf *out, const char *value)
{
	const unsigned char *p = (const unsigned char *)value;
	const unsigned char *end = p + strlen(value);

	strbuf_addch(out, '"');
	while (p < end) {
		size_t n = utf8_length(p, (size_t)(end - p));

		if (n == 0)
			strbuf_addstr(out, "\xef\xbf\xbd"); /* U+FFFD */
		else if (*p == '"' || *p == '\\')
			strbuf_addf(out, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			strbuf_addf(out, "\\u%04x", *p);
		else
			strbuf_add(out, p, n);
		p += n ? n : 1;
	}
	strbuf_addch(out, '"');
}

static void begin(struct json *j, const char *key)
{
	if (j->need_comma)
		strbuf_addch(j->out, ',');
	if (key) {
		add_quoted(j->out, key);
		strbuf_addch(j->out, ':');
	}
	j->need_comma = true;
}

void json_open(struct json *j, const char *key, char bracket)
{
	begin(j, key);
	strbuf_addch(j->out, bracket);
	j->need_comma = false;
}

void json_close(struct json *j, char bracket)
{
	strbuf_addch(j->out, bracket);
	j->need_comma = true;
}

void json_str(struct json *j, const char *key, const char *value)
{
	begin(j, key);
	if (value)
		add_quoted(j->out, value);
	else
		strbuf_addstr(j->out, "null");
}

void json_int(struct json *j, const char *key, int64_t value)
{
	begin(j, key);
	strbuf_addf(j->out, "%" PRId64, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	begin(j, key);
	strbuf_addstr(j->out, value ? "true" : "false");
}
