#include "buildless/relocate.h"

#include <ctype.h>
#include <fnmatch.h>

void relocate_spans_release(struct relocate_spans *spans)
{
	for (size_t i = 0; i < spans->n; i++) {
		free(spans->v[i].path);
		free(spans->v[i].arguments);
	}
	free(steal_ptr(&spans->v));
	spans->n = spans->cap = 0;
}

/* Names */

static bool is_site_name(const char *name, size_t len)
{
	static const char *const names[] = {"site-packages", "dist-packages"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (len == strlen(names[i]) && strncmp(name, names[i], len) == 0)
			return true;
	return false;
}

static bool is_below_site(const char *path, const char *site)
{
	if (*site && relocate_below(path, site))
		return true;
	for (const char *slash; (slash = strchr(path, '/')); path = slash + 1)
		if (is_site_name(path, (size_t)(slash - path)))
			return true;
	return false;
}

/* The name of the directory that a file is in; "" at the top. */
static const char *parent_name(const char *path, size_t *len)
{
	const char *slash = strrchr(path, '/'), *start = slash;

	*len = 0;
	if (!slash)
		return "";
	while (start > path && start[-1] != '/')
		start--;
	*len = (size_t)(slash - start);
	return start;
}

bool relocate_in_site(const char *path, const char *site)
{
	const char *rest = *site ? relocate_below(path, site) : NULL;
	size_t len;
	const char *parent = parent_name(path, &len);

	return (rest && !strchr(rest, '/')) || is_site_name(parent, len);
}

enum relocate_kind relocate_kind(const char *path, const char *site)
{
	static const struct {
		const char *pattern; /* of the name */
		enum relocate_kind kind;
	} below_site[] = {
		{"*.pth", RELOCATE_PTH},
		{"*.egg-link", RELOCATE_EGG_LINK},
		{"__editable___*_finder.py", RELOCATE_FINDER},
		{"direct_url.json", RELOCATE_DIRECT_URL},
	};
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t len;
	const char *parent = parent_name(path, &len);

	for (size_t i = 0; i < ARRAY_SIZE(below_site); i++)
		if (fnmatch(below_site[i].pattern, name, 0) == 0)
			return is_below_site(path, site) ? below_site[i].kind : RELOCATE_NONE;
	if (strcmp(name, "pyvenv.cfg") == 0)
		return RELOCATE_PYVENV;
	return len == 3 && strncmp(parent, "bin", 3) == 0 ? RELOCATE_SCRIPT : RELOCATE_NONE;
}

/* New text */

bool relocate_applies(const struct relocate_span *span, const char *root)
{
	if (span->role == RELOCATE_SELF)
		return true;
	return root && (span->role == RELOCATE_MUST || span->role == RELOCATE_MAY) &&
	       relocate_below(span->path, root);
}

/* Relative paths mean nothing to the finder, so its own place is put before them when it runs. */
static void add_finder_path(struct strbuf *out, const char *to)
{
	strbuf_addstr(out, "__import__('os').path.normpath(__import__('os').path.join(__file__, "
			   "'../");
	for (; *to; to++) {
		if (*to == '\\' || *to == '\'')
			strbuf_addch(out, '\\');
		if ((unsigned char)*to < ' ' || *to == 0x7f)
			strbuf_addf(out, "\\x%02x", (unsigned)*to);
		else
			strbuf_addch(out, *to);
	}
	strbuf_addstr(out, "'))");
}

static void add_url(struct strbuf *out, const char *to)
{
	strbuf_addstr(out, "file:");
	for (; *to; to++)
		if (isalnum((unsigned char)*to) || strchr("/._-~", *to))
			strbuf_addch(out, *to);
		else
			strbuf_addf(out, "%%%02X", (unsigned)(unsigned char)*to);
}

/* A first line cannot be relative: the kernel would look from the caller's directory. So sh finds
 * the interpreter beside the script, and Python takes the same lines for a string. */
static void add_interpreter_word(struct strbuf *out, const char *to)
{
	strbuf_addf(out, "\"$(dirname -- \"$(realpath -- \"$0\")\")\"/'%s'", to);
}

static void add_first_line(struct strbuf *out, const struct relocate_span *span, const char *text,
			   const char *to)
{
	const char *kept = memchr(text, '\n', span->end);

	strbuf_addstr(out, "#!/bin/sh\n");
	if (kept) {
		strbuf_add(out, kept + 1, span->end - (size_t)(kept + 1 - text));
		strbuf_addch(out, '\n');
	}
	strbuf_addstr(out, "'''exec' ");
	add_interpreter_word(out, to);
	strbuf_addf(out, "%s \"$0\" \"$@\"\n' '''", span->arguments);
}

static void add_path(struct strbuf *out, enum relocate_kind kind, const struct relocate_span *span,
		     const char *text, const char *to)
{
	if (kind == RELOCATE_FINDER)
		add_finder_path(out, to);
	else if (kind == RELOCATE_DIRECT_URL)
		add_url(out, to);
	else if (kind == RELOCATE_SCRIPT && span->whole)
		add_first_line(out, span, text, to);
	else if (kind == RELOCATE_SCRIPT)
		add_interpreter_word(out, to);
	else
		strbuf_addstr(out, to);
}

void relocate_rewrite(enum relocate_kind kind, const char *path, const char *text, size_t len,
		      const struct relocate_spans *spans, const char *root, struct strbuf *out)
{
	size_t at = 0;

	for (size_t i = 0; i < spans->n; i++) {
		const struct relocate_span *span = &spans->v[i];
		autofree char *to = NULL;

		if (!relocate_applies(span, root))
			continue;
		to = span->role == RELOCATE_SELF
			     ? xstrdup(".")
			     : relocate_relative(path, relocate_below(span->path, root));
		strbuf_add(out, text + at, span->start - at);
		add_path(out, kind, span, text, to);
		at = span->end;
	}
	strbuf_add(out, text + at, len - at);
}
