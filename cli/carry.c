#include "cli/carry.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "cli/ask.h"
#include "cli/tool.h"

#define FIRST 3 /* behind "run APP COMMAND" */

static const char take_script[] = "d=$(mktemp -d) && cat >\"$d/$1\" && printf %s \"$d\"";
static const char drop_script[] = "rm -rf -- \"$@\"";

/* Where in the word the path begins, if it is one; NULL: it is none. */
static const char *path_in(const char *word)
{
	const char *path = word, *equals = strchr(word, '=');
	struct stat st;

	if (*word == '-')
		path = equals ? equals + 1 : "";
	return *path && stat(path, &st) == 0 && S_ISREG(st.st_mode) ? path : NULL;
}

/* `run APP sh -c SCRIPT silver WORDS...`, without a terminal. */
static int run_there(const char *node, const struct request *run, const char *script,
		     char *const *words, size_t n, int in, struct strbuf *answer, struct error *err)
{
	const char *const begin[] = {"run", run->app, "sh", "-c", script, "silver"};
	autostrv struct strv remote = STRV_INIT, argv = STRV_INIT;
	struct tool ssh = {.in = in, .err = 2};
	int status = 0;

	for (size_t i = 0; i < ARRAY_SIZE(begin); i++)
		strv_add(&remote, begin[i]);
	for (size_t i = 0; i < n; i++)
		strv_add(&remote, words[i]);
	if (ask_ssh(NULL, NULL, &argv, err) == -1 ||
	    ask_remote_argv(node, false, strv_argv(&remote), remote.n, &argv, err) == -1)
		return -1;
	ssh.argv = strv_argv(&argv);
	if (tool_answer(&ssh, answer, &status, err) == -1)
		return -1;
	if (status != 0)
		return error_set(err, E_SYSTEM, "%s did not take it (status %d)", node, status);
	return 0;
}

/* One file, with its own name: programs look at endings. */
static int carry(const char *node, const struct request *run, const char *path, struct strv *dirs,
		 char **there, struct error *err)
{
	const char *slash = strrchr(path, '/');
	autofree char *name = xstrdup(slash ? slash + 1 : path);
	autostrbuf struct strbuf dir = STRBUF_INIT;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return error_sys(err, errno, "cannot open '%s'", path);
	fprintf(stderr, "silver: carrying '%s' to %s\n", path, node);
	if (run_there(node, run, take_script, &name, 1, fd, &dir, err) == -1)
		return error_prefix(err, "carrying '%s'", path);
	if (*strbuf_str(&dir) != '/')
		return error_set(err, E_SYSTEM, "%s did not say where it put '%s'", node, path);
	strv_add(dirs, strbuf_str(&dir));
	*there = xasprintf("%s/%s", strbuf_str(&dir), name);
	return 0;
}

int carry_there(const char *node, const struct request *run, const struct strv *words,
		struct strv *out, struct strv *dirs, struct error *err)
{
	for (size_t i = 0; i < words->n; i++) {
		const char *word = words->v[i], *path = i < FIRST ? NULL : path_in(word);
		autofree char *there = NULL;

		if (!path) {
			strv_add(out, word);
			continue;
		}
		if (carry(node, run, path, dirs, &there, err) == -1)
			return -1;
		strv_addf(out, "%.*s%s", (int)(path - word), word, there);
	}
	return 0;
}

void carry_back(const char *node, const struct request *run, const struct strv *dirs)
{
	autostrbuf struct strbuf answer = STRBUF_INIT;
	struct error err = ERROR_INIT;

	if (dirs->n == 0)
		return;
	if (run_there(node, run, drop_script, dirs->v, dirs->n, -1, &answer, &err) == -1)
		fprintf(stderr, "silver: what was carried stays there until the release goes: %s\n",
			err.text);
}
