/* relocate_scan.c - where the paths are, file by file: what Python and its installers read and
 * write. */
#include "buildless/relocate.h"

#include <ctype.h>

#define PYTHON_HOME "/usr/bin" /* where the node's Python is */

/* Takes its path. */
static void add_span(struct relocate_spans *spans, struct relocate_span span)
{
	if (spans->n == spans->cap) {
		spans->cap = spans->cap ? spans->cap * 2 : 4;
		spans->v = xrealloc_array(spans->v, spans->cap, sizeof(*spans->v));
	}
	spans->v[spans->n++] = span;
}

struct line {
	const char *text;  /* of the whole file */
	size_t start, end; /* of the line, without what Python strips at its end */
	size_t next;       /* where the line behind it starts */
	unsigned number;
};

static bool next_line(struct line *l, const char *text, size_t len)
{
	const char *newline;

	if (l->next >= len)
		return false;
	l->text = text;
	l->start = l->next;
	newline = memchr(text + l->start, '\n', len - l->start);
	l->end = newline ? (size_t)(newline - text) : len;
	l->next = l->end + 1;
	l->number++;
	while (l->end > l->start && isspace((unsigned char)text[l->end - 1]))
		l->end--;
	return true;
}

static bool line_starts(const struct line *l, const char *with)
{
	size_t len = strlen(with);

	return l->end - l->start >= len && strncmp(l->text + l->start, with, len) == 0;
}

static void add_in_line(struct relocate_spans *spans, const struct line *l, enum relocate_role role,
			size_t start, size_t end)
{
	const char *text = l->text + start;
	struct relocate_span span = {.start = start, .end = end, .line = l->number, .role = role};

	span.path = role == RELOCATE_RELATIVE ? xstrndup(text, end - start)
					      : relocate_normalise(text, end - start);
	add_span(spans, span);
}

static void add_path_line(struct relocate_spans *spans, const struct line *l)
{
	add_in_line(spans, l, l->text[l->start] == '/' ? RELOCATE_MUST : RELOCATE_RELATIVE,
		    l->start, l->end);
}

/* As Python's site module reads it. */
static void scan_pth(const char *text, size_t len, struct relocate_spans *spans)
{
	struct line l = {0};

	while (next_line(&l, text, len))
		if (l.end > l.start && !line_starts(&l, "#") && !line_starts(&l, "import ") &&
		    !line_starts(&l, "import\t"))
			add_path_line(spans, &l);
}

/* The second line is relative to the first. */
static void scan_egg_link(const char *text, size_t len, struct relocate_spans *spans)
{
	struct line l = {0};

	while (next_line(&l, text, len)) {
		if (l.end == l.start)
			continue;
		add_path_line(spans, &l);
		return;
	}
}

/* `key = value` of pyvenv.cfg; where the value starts, 0: another key. */
static size_t value_of(const struct line *l, const char *key)
{
	size_t at = l->start + strlen(key);

	if (!line_starts(l, key))
		return 0;
	at += strspn(l->text + at, " \t");
	if (l->text[at] != '=')
		return 0;
	at++;
	return at + strspn(l->text + at, " \t");
}

static void scan_home(const struct line *l, size_t start, struct relocate_spans *spans)
{
	autofree char *home = NULL;

	if (start >= l->end || l->text[start] != '/')
		return;
	home = relocate_normalise(l->text + start, l->end - start);
	if (strcmp(home, PYTHON_HOME) != 0)
		add_in_line(spans, l, RELOCATE_FOREIGN, start, l->end);
}

/* `/usr/bin/python3 -m venv --options /home/ian/site/venv`: the path ends the line, and may hold
 * blanks. */
static void scan_command(const struct line *l, size_t start, struct relocate_spans *spans)
{
	static const char venv[] = " -m venv ";
	const char *at = memmem(l->text + start, l->end - start, venv, strlen(venv)), *path;
	size_t rest;

	if (!at)
		return;
	at += strlen(venv) - 1;
	rest = l->end - (size_t)(at - l->text);
	path = memmem(at, rest, " /", 2);
	if (path)
		add_in_line(spans, l, RELOCATE_SELF, (size_t)(path - l->text) + 1, l->end);
}

static void scan_pyvenv(const char *text, size_t len, struct relocate_spans *spans)
{
	struct line l = {0};

	while (next_line(&l, text, len)) {
		size_t home = value_of(&l, "home"), command = value_of(&l, "command");

		if (home)
			scan_home(&l, home, spans);
		if (command && command < l.end)
			scan_command(&l, command, spans);
	}
}

/* Python's repr() of a string, from its quote; what is behind it. Other escapes than these do not
 * come in a path that anybody has, and are taken as they stand. */
static size_t read_literal(const struct line *l, size_t at, struct strbuf *out)
{
	char quote = l->text[at++];

	while (at < l->end && l->text[at] != quote) {
		bool escape = l->text[at] == '\\' && at + 1 < l->end;
		int byte = escape && l->text[at + 1] == 'x' && at + 3 < l->end
				   ? relocate_hex(l->text + at + 2)
				   : -1;

		if (byte > 0 && byte < 0x80) {
			strbuf_addch(out, (char)byte);
			at += 4;
			continue;
		}
		if (escape && strchr("\\'\"", l->text[at + 1]))
			at++;
		strbuf_addch(out, l->text[at++]);
	}
	return at < l->end ? at + 1 : l->end;
}

static void scan_literals(const struct line *l, size_t at, struct relocate_spans *spans)
{
	while (at < l->end) {
		autostrbuf struct strbuf value = STRBUF_INIT;
		size_t start = at;

		if (l->text[at] != '\'' && l->text[at] != '"') {
			at++;
			continue;
		}
		at = read_literal(l, at, &value);
		if (*strbuf_str(&value) == '/')
			add_span(spans, (struct relocate_span){
						.start = start,
						.end = at,
						.line = l->number,
						.role = RELOCATE_MUST,
						.path = relocate_normalise(value.buf, value.len)});
	}
}

/* setuptools writes each of the two on a line of its own. */
static void scan_finder(const char *text, size_t len, struct relocate_spans *spans)
{
	struct line l = {0};

	while (next_line(&l, text, len)) {
		const char *equals = memchr(text + l.start, '=', l.end - l.start);

		if (equals && (line_starts(&l, "MAPPING") || line_starts(&l, "NAMESPACES")))
			scan_literals(&l, (size_t)(equals - text) + 1, spans);
	}
}

/* Where the value of a key of a JSON text starts, behind the colon and blanks; 0: there is none. */
static size_t json_value(const char *text, size_t len, const char *key)
{
	const char *at = memmem(text, len, key, strlen(key));
	size_t i;

	if (!at)
		return 0;
	i = (size_t)(at - text) + strlen(key);
	while (i < len && (isspace((unsigned char)text[i]) || text[i] == ':'))
		i++;
	return i < len ? i : 0;
}

static char *percent_decode(const char *text, size_t len)
{
	struct strbuf s = STRBUF_INIT;

	for (size_t i = 0; i < len; i++) {
		int byte = text[i] == '%' && i + 2 < len ? relocate_hex(text + i + 1) : -1;

		if (byte > 0)
			i += 2;
		strbuf_addch(&s, (char)(byte > 0 ? byte : text[i]));
	}
	return strbuf_detach(&s);
}

/* {"url": "file:///home/ian/site/vendor/x", "dir_info": {"editable": true}}, as PEP 610 has it */
static void scan_direct_url(const char *text, size_t len, struct relocate_spans *spans)
{
	static const char file[] = "\"file://";
	size_t start = json_value(text, len, "\"url\""),
	       editable = json_value(text, len, "\"editable\""), path = start + strlen(file);
	const char *end = start ? memchr(text + start + 1, '"', len - start - 1) : NULL;
	autofree char *decoded = NULL;
	struct relocate_span span = {.line = 1, .role = RELOCATE_MAY};

	if (!end || strncmp(text + start, file, strlen(file)) != 0 || text[path] != '/')
		return;
	if (editable && str_starts(text + editable, "true"))
		span.role = RELOCATE_MUST;
	decoded = percent_decode(text + path, (size_t)(end - text) - path);
	span.path = relocate_normalise(decoded, strlen(decoded));
	span.start = start + 1;
	span.end = (size_t)(end - text);
	for (size_t i = 0; i < start; i++)
		span.line += text[i] == '\n';
	add_span(spans, span);
}

/* A Python that may be one of the tree: the system's own are not. */
static bool is_interpreter(const char *path)
{
	static const char *const usual[] = {"/usr/bin", "/bin", "/usr/local/bin"};
	const char *name = strrchr(path, '/') + 1;

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if (strncmp(path, usual[i], strlen(usual[i])) == 0 &&
		    path + strlen(usual[i]) + 1 == name)
			return false;
	return str_starts(name, "python") || str_starts(name, "pypy");
}

static void add_interpreter(struct relocate_spans *spans, const struct line *l, size_t start,
			    size_t end)
{
	autofree char *path = relocate_normalise(l->text + start, end - start);

	if (l->text[start] == '/' && is_interpreter(path))
		/* these would end the string that the new line is to Python */
		add_in_line(spans, l, strpbrk(path, "'\\") ? RELOCATE_FOREIGN : RELOCATE_MAY, start,
			    end);
}

/* Where a first line has no room for the path, or it holds a blank, pip writes
 *
 *	#!/bin/sh
 *	'''exec' "/home/ian/my site/venv/bin/python3" "$0" "$@"
 *	' ''' */
static void scan_exec_line(const struct line *l, struct relocate_spans *spans)
{
	static const char exec[] = "'''exec' ";
	size_t start = l->start + strlen(exec), end;

	if (!line_starts(l, exec))
		return;
	if (l->text[start] != '"') {
		end = start;
		while (end < l->end && l->text[end] != ' ')
			end++;
		add_interpreter(spans, l, start, end);
		return;
	}
	const char *quote = memchr(l->text + start + 1, '"', l->end - start - 1);
	size_t before = spans->n;

	if (quote)
		add_interpreter(spans, l, start + 1, (size_t)(quote - l->text));
	if (spans->n > before) { /* the quotes go, too */
		spans->v[before].start--;
		spans->v[before].end++;
	}
}

static void scan_script(const char *text, size_t len, struct relocate_spans *spans)
{
	struct line first = {0}, second;
	size_t start, end;

	if (len < 2 || strncmp(text, "#!", 2) != 0 || !next_line(&first, text, len))
		return;
	second = first;
	if (!next_line(&second, text, len))
		second.end = second.start = len;
	start = 2 + strspn(text + 2, " \t");
	end = start;
	while (end < first.end && !isspace((unsigned char)text[end]))
		end++;
	if (end - start == 7 && strncmp(text + start, "/bin/sh", 7) == 0) {
		scan_exec_line(&second, spans);
		return;
	}
	add_interpreter(spans, &first, start, end);
	if (!spans->n)
		return;
	spans->v[0].whole = true;
	spans->v[0].arguments = xstrndup(text + end, first.end - end);
	spans->v[0].start = 0;
	spans->v[0].end = first.end;
	/* the coding of a Python file must stay on the second line */
	if (line_starts(&second, "#"))
		spans->v[0].end = second.end;
}

void relocate_scan(enum relocate_kind kind, const char *text, size_t len,
		   struct relocate_spans *spans)
{
	static void (*const scan[])(const char *, size_t, struct relocate_spans *) = {
		[RELOCATE_PTH] = scan_pth,       [RELOCATE_EGG_LINK] = scan_egg_link,
		[RELOCATE_FINDER] = scan_finder, [RELOCATE_DIRECT_URL] = scan_direct_url,
		[RELOCATE_PYVENV] = scan_pyvenv, [RELOCATE_SCRIPT] = scan_script,
	};

	if (kind != RELOCATE_NONE && len && !memchr(text, '\0', len))
		scan[kind](text, len, spans);
}
