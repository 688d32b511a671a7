#include "common/words.h"

struct scan {
	const char *p, *end;
	struct strbuf word;
	bool open; /* a word has begun, though it may still be empty ('') */
};

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static int check_char(char c, bool quoted, struct error *err)
{
	if (!is_control(c) || c == '\t' || (c == '\n' && quoted))
		return 0;
	if (c == '\n')
		return error_set(err, E_USAGE, "the command has a line break outside quotes");
	return error_set(err, E_USAGE, "the command has the control character 0x%02x",
			 (unsigned)(unsigned char)c);
}

static int add_char(struct scan *s, char c, bool quoted, struct error *err)
{
	if (check_char(c, quoted, err) == -1)
		return -1;
	strbuf_addch(&s->word, c);
	s->open = true;
	return 0;
}

/* All three start behind the character that brought them here, and end behind what they took. */
static int take_single(struct scan *s, struct error *err)
{
	s->open = true;
	for (; s->p < s->end; s->p++) {
		if (*s->p == '\'') {
			s->p++;
			return 0;
		}
		if (add_char(s, *s->p, true, err) == -1)
			return -1;
	}
	return error_set(err, E_USAGE, "the command has a single quote without its pair");
}

static int take_double(struct scan *s, struct error *err)
{
	s->open = true;
	for (; s->p < s->end; s->p++) {
		char c = *s->p;

		if (c == '"') {
			s->p++;
			return 0;
		}
		if (c == '\\' && s->p + 1 < s->end && s->p[1] && strchr("$`\"\\\n", s->p[1])) {
			c = *++s->p;
			if (c == '\n') /* a continued line */
				continue;
		}
		if (add_char(s, c, true, err) == -1)
			return -1;
	}
	return error_set(err, E_USAGE, "the command has a double quote without its pair");
}

static int take_escape(struct scan *s, struct error *err)
{
	if (s->p == s->end)
		return error_set(err, E_USAGE, "the command ends in a backslash");
	if (*s->p == '\n') {
		s->p++;
		return 0;
	}
	return add_char(s, *s->p++, false, err);
}

static int end_word(struct scan *s, struct strv *out, struct error *err)
{
	if (!s->open)
		return 0;
	if (out->n == WORDS_MAX)
		return error_set(err, E_USAGE, "the command has more than %d words", WORDS_MAX);
	strv_add(out, strbuf_str(&s->word));
	strbuf_reset(&s->word);
	s->open = false;
	return 0;
}

static int take(struct scan *s, struct strv *out, struct error *err)
{
	char c = *s->p++;

	switch (c) {
	case ' ':
	case '\t':
		return end_word(s, out, err);
	case '\'':
		return take_single(s, err);
	case '"':
		return take_double(s, err);
	case '\\':
		return take_escape(s, err);
	default:
		return add_char(s, c, false, err);
	}
}

int words_split(const char *text, size_t len, struct strv *out, struct error *err)
{
	struct scan s = {.p = text, .end = text + len, .word = STRBUF_INIT};
	int r = 0;

	if (len > WORDS_MAX_BYTES)
		return error_set(err, E_USAGE, "the command is longer than %d bytes",
				 WORDS_MAX_BYTES);
	while (r == 0 && s.p < s.end)
		r = take(&s, out, err);
	if (r == 0)
		r = end_word(&s, out, err);
	strbuf_release(&s.word);
	return r;
}
