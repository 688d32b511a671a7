/* relocate_path.c - paths as text. */
#include "buildless/relocate.h"

#include <ctype.h>

/* Adds the names of a path, "." and empty ones left out; ".." takes one back. false: it went above
 * the start. */
static bool add_names(struct strv *names, const char *path, size_t len)
{
	bool inside = true;

	for (size_t at = 0; at < len;) {
		size_t n = 0;

		while (at + n < len && path[at + n] != '/')
			n++;
		if (n == 2 && strncmp(path + at, "..", 2) == 0) {
			inside = inside && names->n;
			if (names->n)
				free(steal_ptr(&names->v[--names->n]));
		} else if (n > 0 && !(n == 1 && path[at] == '.')) {
			autofree char *name = xstrndup(path + at, n);

			strv_add(names, name);
		}
		at += n + 1;
	}
	return inside;
}

/* "a/b"; "" for none. */
static char *join_names(const struct strv *names, const char *first)
{
	struct strbuf s = STRBUF_INIT;

	for (size_t i = 0; i < names->n; i++)
		strbuf_addf(&s, "%s%s", i ? "/" : first, names->v[i]);
	return strbuf_detach(&s);
}

char *relocate_normalise(const char *path, size_t len)
{
	autostrv struct strv names = STRV_INIT;

	add_names(&names, path, len);
	return names.n ? join_names(&names, "/") : xstrdup("/");
}

const char *relocate_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	if (strncmp(path, root, len) != 0)
		return NULL;
	if (path[len] == '\0')
		return path + len;
	return path[len] == '/' ? path + len + 1 : NULL;
}

static size_t directory_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

char *relocate_relative(const char *from, const char *to)
{
	autostrv struct strv here = STRV_INIT, there = STRV_INIT;
	struct strbuf s = STRBUF_INIT;
	size_t same = 0;

	add_names(&here, from, directory_length(from));
	add_names(&there, to, strlen(to));
	while (same < here.n && same < there.n && strcmp(here.v[same], there.v[same]) == 0)
		same++;
	for (size_t i = same; i < here.n; i++)
		strbuf_addf(&s, "%s..", s.len ? "/" : "");
	for (size_t i = same; i < there.n; i++)
		strbuf_addf(&s, "%s%s", s.len ? "/" : "", there.v[i]);
	if (s.len == 0)
		strbuf_addch(&s, '.');
	return strbuf_detach(&s);
}

char *relocate_resolve(const char *from, const char *relative)
{
	autostrv struct strv names = STRV_INIT;

	add_names(&names, from, directory_length(from));
	return add_names(&names, relative, strlen(relative)) ? join_names(&names, "") : NULL;
}

int relocate_hex(const char *text)
{
	char digits[3] = {0};

	if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
		return -1;
	memcpy(digits, text, 2);
	return (int)strtol(digits, NULL, 16);
}
