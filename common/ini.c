#include "common/ini.h"

#include <ini.h>
#include "common/fs.h"

#define LINE_LIMIT 65536
#define NAME_LIMIT 49      /* inih's MAX_SECTION and MAX_NAME, less the NUL */
#define FILE_LIMIT 1048576 /* of the files that we write ourselves */

/* What inih does not tell: lines are counted and checked here, before it cuts or merges them. A
 * line that breaks a rule is reported and handed on as an empty one. */
struct parse {
	const char *at, *end;
	unsigned line, problems;
	bool have_key;   /* inih would take an indented line as more of the value above */
	bool continuing; /* the line just handed on is such a one */
	ini_key_fn on_key;
	ini_problem_fn on_problem;
	void *ctx;
	unsigned key_line; /* the key that is being collected */
	char *section, *key;
	struct strbuf value;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static void problem(struct parse *p, const char *text)
{
	p->problems++;
	p->on_problem(p->ctx, p->line, text);
}

static void deliver(struct parse *p)
{
	if (p->key)
		p->on_key(p->ctx, p->key_line, p->section, p->key, strbuf_str(&p->value));
	free(steal_ptr(&p->section));
	free(steal_ptr(&p->key));
	strbuf_reset(&p->value);
}

/* Length of the text before any of `stops`, without the blanks behind it. */
static size_t trimmed(const char *text, size_t len, const char *stops)
{
	size_t n = 0;

	while (n < len && !strchr(stops, text[n]))
		n++;
	while (n && is_blank(text[n - 1]))
		n--;
	return n;
}

static const char *section_problem(struct parse *p, const char *text, size_t len)
{
	p->have_key = false;
	if (!memchr(text, ']', len))
		return "a section without its ']'";
	if (trimmed(text + 1, len - 1, "]") > NAME_LIMIT)
		return "a section name of more than 49 characters";
	return NULL;
}

static const char *key_problem(struct parse *p, const char *text, size_t len)
{
	size_t name = trimmed(text, len, "=:");

	if (!memchr(text, '=', len) && !memchr(text, ':', len))
		return "neither a [section], nor 'key = value', nor a comment";
	if (name == 0)
		return "a value without a key";
	if (name > NAME_LIMIT)
		return "a key of more than 49 characters";
	p->have_key = true;
	return NULL;
}

/* What is wrong with the line, or NULL. */
static const char *line_problem(struct parse *p, const char *line, size_t len)
{
	const char *text = line;

	p->continuing = false;
	if (memchr(line, '\0', len))
		return "a NUL byte";
	if (len > LINE_LIMIT)
		return "a line of more than 65536 bytes";
	if (p->line == 1 && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) { /* BOM */
		line = text += 3;
		len -= 3;
	}
	while (len && is_blank(*text)) {
		text++;
		len--;
	}
	if (len == 0 || *text == ';' || *text == '#')
		return NULL;
	if (text > line && p->have_key) {
		p->continuing = true;
		return NULL;
	}
	return *text == '[' ? section_problem(p, text, len) : key_problem(p, text, len);
}

/* inih's fgets: one whole line a call (its buffer is larger than LINE_LIMIT). */
static char *read_line(char *out, int size, void *stream)
{
	struct parse *p = stream;
	const char *line = p->at, *newline, *wrong;
	size_t len;

	if (p->at == p->end)
		return NULL;
	newline = memchr(line, '\n', (size_t)(p->end - line));
	len = (size_t)((newline ? newline : p->end) - line);
	p->at = newline ? newline + 1 : p->end;
	p->line++;
	wrong = line_problem(p, line, len);
	if (wrong) {
		problem(p, wrong);
		len = 0;
	}
	if (len + 2 > (size_t)size)
		len = (size_t)size - 2;
	memcpy(out, line, len);
	out[len] = '\n';
	out[len + 1] = '\0';
	return out;
}

static int take_pair(void *user, const char *section, const char *name, const char *value)
{
	struct parse *p = user;

	if (p->continuing && p->key) {
		strbuf_addch(&p->value, '\n');
		strbuf_addstr(&p->value, value);
		return 1;
	}
	deliver(p);
	p->key_line = p->line;
	p->section = xstrdup(section);
	p->key = xstrdup(name);
	strbuf_addstr(&p->value, value);
	return 1;
}

/* inih's settings are variables of the process (Debian's build), so they are set at each use. */
static unsigned parse_text(struct parse *p, const char *text, size_t len, bool inline_comments)
{
	int first_bad;

	p->at = text;
	p->end = text + len;
	ini_use_stack = false;
	ini_max_line = ini_initial_alloc = LINE_LIMIT + 8;
	ini_allow_realloc = false;
	ini_allow_multiline = true;
	ini_allow_bom = true;
	ini_stop_on_first_error = false;
	ini_allow_inline_comments = inline_comments;
	first_bad = ini_parse_stream(read_line, p, take_pair, p);
	deliver(p);
	strbuf_release(&p->value);
	if (first_bad != 0 &&
	    p->problems == 0) { /* a rule of inih's that line_problem() does not know */
		p->line = first_bad > 0 ? (unsigned)first_bad : 1;
		problem(p, "a line that cannot be understood");
	}
	return p->problems;
}

unsigned ini_parse_text(const char *text, size_t len, ini_key_fn on_key, ini_problem_fn on_problem,
			void *ctx)
{
	struct parse p = {.on_key = on_key, .on_problem = on_problem, .ctx = ctx};

	return parse_text(&p, text, len, true);
}

struct reading {
	struct ini *ini;
	const char *path;
	struct error *err;
	bool bad;
};

static void keep_entry(void *ctx, unsigned line, const char *section, const char *key,
		       const char *value)
{
	struct ini *ini = ((struct reading *)ctx)->ini;

	ini->v = xrealloc_array(ini->v, ini->n + 1, sizeof(*ini->v));
	ini->v[ini->n++] = (struct ini_entry){line, xstrdup(section), xstrdup(key), xstrdup(value)};
}

static void keep_first_problem(void *ctx, unsigned line, const char *text)
{
	struct reading *r = ctx;

	if (!r->bad)
		error_set(r->err, E_SYSTEM, "%s:%u: %s", r->path, line, text);
	r->bad = true;
}

int ini_read(int dir_fd, const char *path, struct ini *out, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct reading reading = {.ini = out, .path = path, .err = err};
	struct parse p = {.on_key = keep_entry, .on_problem = keep_first_problem, .ctx = &reading};

	*out = (struct ini)INI_INIT;
	if (fs_read_file(dir_fd, path, FILE_LIMIT, &text, err) == -1)
		return -1;
	if (parse_text(&p, strbuf_str(&text), text.len, false) == 0)
		return 0;
	ini_release(out);
	return -1;
}

const char *ini_get(const struct ini *ini, const char *section, const char *key)
{
	for (size_t i = ini->n; i-- > 0;)
		if (strcmp(ini->v[i].section, section) == 0 && strcmp(ini->v[i].key, key) == 0)
			return ini->v[i].value;
	return NULL;
}

void ini_release(struct ini *ini)
{
	for (size_t i = 0; i < ini->n; i++) {
		free(ini->v[i].section);
		free(ini->v[i].key);
		free(ini->v[i].value);
	}
	free(ini->v);
	*ini = (struct ini)INI_INIT;
}

void ini_add(struct strbuf *s, const char *key, const char *value)
{
	strbuf_addf(s, "%s = ", key);
	for (; *value; value++) {
		strbuf_addch(s, *value);
		if (*value == '\n')
			strbuf_addch(s, '\t');
	}
	strbuf_addch(s, '\n');
}

void ini_addf(struct strbuf *s, const char *key, const char *fmt, ...)
{
	autofree char *value = NULL;
	va_list args;

	va_start(args, fmt);
	value = xvasprintf(fmt, args);
	va_end(args);
	ini_add(s, key, value);
}
