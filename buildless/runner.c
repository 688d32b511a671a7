#include "buildless/runner.h"

#include "common/names.h"

#define PATH_BYTES_MAX 3000
#define SHOWN_MAX      120

char *appini_shown(const char *value, size_t len)
{
	struct strbuf s = STRBUF_INIT;

	name_add_printable(&s, value, len > SHOWN_MAX ? SHOWN_MAX : len);
	if (len > SHOWN_MAX)
		strbuf_addstr(&s, "...");
	return strbuf_detach(&s);
}

bool appini_is_plain(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

bool runner_is_tree_path(const char *path)
{
	if (*path == '\0' || strlen(path) > PATH_BYTES_MAX || !appini_is_plain(path))
		return false;
	for (;;) {
		size_t len = strcspn(path, "/");

		if (len == 0 || (len == 1 && *path == '.') ||
		    (len == 2 && strncmp(path, "..", 2) == 0))
			return false;
		if (path[len] == '\0')
			return true;
		path += len + 1;
	}
}

/* "a.b.c", each part a Python identifier of ASCII. */
static bool is_dotted_name(const char *s)
{
	for (;;) {
		size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
				       "0123456789");

		if (len == 0 || (*s >= '0' && *s <= '9'))
			return false;
		if (s[len] == '\0')
			return true;
		if (s[len] != '.')
			return false;
		s += len + 1;
	}
}

static char *python_problem(const char *runner, const char *shown)
{
	const char *mark = strpbrk(runner, "#:");
	size_t len = mark ? (size_t)(mark - runner) : strlen(runner);
	autofree char *file = xstrndup(runner, len);
	bool is_paste = str_ends(file, ".ini"); /* the section of its app stands behind '#' */
	bool is_file = is_paste || str_ends(file, ".py");

	if (is_file && mark && *mark == ':')
		return xasprintf("runner '%s': the object of a file stands behind '#': %.*s#%s",
				 shown, (int)len, shown,
				 is_dotted_name(mark + 1) ? mark + 1 : "application");
	if (mark && (is_paste ? !appini_is_plain(mark + 1) || !mark[1] : !is_dotted_name(mark + 1)))
		return xasprintf("runner '%s': '%c' is followed by the name of a Python object",
				 shown, *mark);
	if (is_file && !runner_is_tree_path(file))
		return xasprintf("runner '%s' is no path in the tree; it is relative to the top, "
				 "without '.', '..' and blanks",
				 shown);
	if (!is_file && (!mark || *mark != ':' || !is_dotted_name(file)))
		return xasprintf("runner '%s' is none of path/file.py, path/file.py#object, "
				 "module:object",
				 shown);
	return NULL;
}

char *runner_problem(const char *platform, const char *runner)
{
	autofree char *shown = appini_shown(runner, strlen(runner));

	if (strcmp(platform, "python") == 0)
		return python_problem(runner, shown);
	if (strcmp(platform, "php") == 0 && !str_ends(runner, ".php"))
		return xasprintf("runner '%s' is no PHP file; it is the one that dynamic requests "
				 "enter, for example: runner = index.php",
				 shown);
	if (!runner_is_tree_path(runner))
		return xstrdup("runner is the path of a program in the tree: relative to the top, "
			       "without arguments, blanks, '.' and '..'");
	return NULL;
}

char *runner_file(const char *platform, const char *runner)
{
	const char *mark = strchr(runner, '#');

	if (strcmp(platform, "python") != 0)
		return xstrdup(runner);
	if (mark)
		return xstrndup(runner, (size_t)(mark - runner));
	return str_ends(runner, ".py") || str_ends(runner, ".ini") ? xstrdup(runner) : NULL;
}

const char *runner_example(const char *platform)
{
	if (strcmp(platform, "python") == 0)
		return "src/app.py#application";
	return strcmp(platform, "php") == 0 ? "index.php" : "bin/serve";
}
