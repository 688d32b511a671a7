#include "cli/git.h"

#include "cli/tool.h"
#include "common/names.h"

static int run(const struct git *g, const struct strbuf *input, const char *const *words,
	       struct strbuf *out, struct strbuf *said, int *status, struct error *err)
{
	autostrv struct strv argv = STRV_INIT;
	struct tool tool = {.dir = g ? g->dir : NULL, .env = g ? g->env : NULL};
	size_t start = out ? out->len : 0;

	strv_add(&argv, "git");
	for (; *words; words++)
		strv_add(&argv, *words);
	tool.argv = strv_argv(&argv);
	if (tool_capture(&tool, input, out, said, status, err) == -1)
		return -1;
	if (out && out->len > start && out->buf[out->len - 1] == '\n')
		out->buf[--out->len] = '\0';
	return 0;
}

int git_words(const struct git *g, const struct strbuf *input, struct strbuf *out,
	      const char *const *words, struct error *err)
{
	autostrbuf struct strbuf said = STRBUF_INIT;
	int status;

	if (run(g, input, words, out, &said, &status, err) == -1)
		return -1;
	if (status == 0)
		return 0;
	while (said.len && said.buf[said.len - 1] == '\n')
		said.buf[--said.len] = '\0';
	return error_set(err, E_REFUSED, "git %s: %s", words[0], strbuf_str(&said));
}

int git_ask(const struct git *g, struct strbuf *out, const char *const *words, int *status,
	    struct error *err)
{
	return run(g, NULL, words, out, NULL, status, err);
}

int git_top(const char *dir, char **out, struct error *err)
{
	struct git g = {.dir = dir};
	autostrbuf struct strbuf top = STRBUF_INIT;
	autofree char *shown = name_printable(dir ? dir : ".");
	int status;

	if (GIT_ASK(&g, &top, &status, err, "rev-parse", "--show-toplevel") == -1)
		return -1;
	if (status || top.len == 0)
		return error_set(err, E_NOTFOUND,
				 "'%s' is in no git work tree; `silver init %s` makes one", shown,
				 shown);
	*out = strbuf_detach(&top);
	return 0;
}

void git_own_env(struct strv *env)
{
	static const char *const names[] = {"GIT_DIR",        "GIT_WORK_TREE",
					    "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
					    "GIT_COMMON_DIR", "GIT_PREFIX",
					    "GIT_NAMESPACE",  "GIT_ALTERNATE_OBJECT_DIRECTORIES"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		strv_add(env, names[i]);
}
