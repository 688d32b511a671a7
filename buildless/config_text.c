#include "buildless/config_text.h"

#include "common/names.h"

/* Printable, and nothing at its ends that an eye or an editor would miss. */
static bool is_plain(const char *value)
{
	const unsigned char *p = (const unsigned char *)value, *end = p + strlen(value);

	if (*value && (strchr("\"' ", *value) || end[-1] == ' '))
		return false;
	while (p < end) {
		size_t n = utf8_length(p, (size_t)(end - p));

		if (n == 0 || *p < 0x20 || *p == 0x7f || (n == 2 && *p == 0xc2 && p[1] < 0xa0))
			return false;
		p += n;
	}
	return true;
}

static const struct {
	char byte, letter;
} escapes[] = {{'\n', 'n'}, {'\t', 't'}, {'\r', 'r'}, {'\\', '\\'}, {'"', '"'}};

static void add_escaped(struct strbuf *out, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(escapes); i++)
		if (*p == (unsigned char)escapes[i].byte) {
			strbuf_addf(out, "\\%c", escapes[i].letter);
			return;
		}
	if (n == 0 || *p < 0x20 || *p == 0x7f || (n == 2 && *p == 0xc2 && p[1] < 0xa0))
		for (size_t i = 0; i < (n ? n : 1); i++)
			strbuf_addf(out, "\\x%02x", p[i]);
	else
		strbuf_add(out, p, n);
}

void config_text_add(struct strbuf *out, const char *name, const char *value)
{
	const unsigned char *p = (const unsigned char *)value, *end = p + strlen(value);

	if (is_plain(value)) {
		strbuf_addf(out, "%s=%s\n", name, value);
		return;
	}
	strbuf_addf(out, "%s=\"", name);
	while (p < end) {
		size_t n = utf8_length(p, (size_t)(end - p));

		add_escaped(out, p, n);
		p += n ? n : 1;
	}
	strbuf_addstr(out, "\"\n");
}

static int hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Behind a backslash; NULL: no such escape. */
static const char *take_escape(const char *p, struct strbuf *out)
{
	int high, low;

	for (size_t i = 0; i < ARRAY_SIZE(escapes); i++)
		if (*p == escapes[i].letter) {
			strbuf_addch(out, escapes[i].byte);
			return p + 1;
		}
	if (*p != 'x' || (high = hex(p[1])) == -1 || (low = hex(p[2])) == -1 || high + low == 0)
		return NULL;
	strbuf_addch(out, (char)(high * 16 + low));
	return p + 3;
}

/* What is wrong, or NULL. */
static const char *take_quoted(const char *p, struct strbuf *out)
{
	while (*p && *p != '"') {
		if (*p != '\\') {
			strbuf_addch(out, *p++);
			continue;
		}
		p = take_escape(p + 1, out);
		if (!p)
			return "after a backslash comes n, t, r, \\, \" or xNN (not x00)";
	}
	if (*p != '"')
		return "the double quotes do not end; a line break is written \\n";
	return p[1] ? "something stands behind the closing double quote" : NULL;
}

static const char *take_value(const char *p, struct strbuf *out)
{
	if (*p == '"')
		return take_quoted(p + 1, out);
	if (*p == '\'')
		return "single quotes quote nothing here; use double quotes, or none";
	for (; *p; p++) {
		if ((unsigned char)*p < 0x20 && *p != '\t')
			return "a control character; in double quotes it is written \\xNN";
		strbuf_addch(out, *p);
	}
	return NULL;
}

static const char *take_line(const char *line, struct strv *set)
{
	autostrbuf struct strbuf value = STRBUF_INIT;
	const char *equals = strchr(line, '='), *problem;

	if (*line == '\0' || *line == '#')
		return NULL;
	if (!equals)
		return "a line is NAME=VALUE";
	problem = take_value(equals + 1, &value);
	if (!problem)
		strv_addf(set, "%.*s=%s", (int)(equals - line), line, strbuf_str(&value));
	return problem;
}

unsigned config_text_parse(const char *text, size_t len, const char *where, struct strv *set,
			   struct strv *errors)
{
	const char *end = text + len;
	unsigned line = 0, wrong = 0;

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((stop ? stop : end) - text);
		autofree char *one = xstrndup(text, n);
		const char *problem;

		line++;
		if (n && one[n - 1] == '\r') /* of Windows */
			one[n - 1] = '\0';
		problem = strlen(one) + 1 < n ? "a NUL" : take_line(one, set);
		if (problem) {
			strv_addf(errors, "%s:%u: %s", where, line, problem);
			wrong++;
		}
		text += n + 1;
	}
	return wrong;
}
