#include "cli/ask.h"
#include <errno.h>
#include "cli/git.h"
#include "cli/tool.h"
#include "common/words.h"

/* Where the user ends: behind the last '@' before the host. */
static const char *host_part(const char *node)
{
	const char *at = strchr(node, '@');

	return at ? at + 1 : node;
}

static bool is_user(const char *user)
{
	size_t len = strlen(user);

	return len > 0 && len <= 64 && *user != '-' && *user != '.' &&
	       strspn(user, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		       len;
}

int ask_split_node(const char *node, char **user, char **host, char **port, struct error *err)
{
	const char *from = host_part(node);
	bool bracketed = from[0] == '[';
	const char *end = bracketed ? strchr(from, ']') : strchr(from, ':');
	const char *colon = bracketed && end ? end + 1 : end;
	uint64_t number;

	if (bracketed && !end)
		colon = from;
	*user = from == node ? xstrdup("silver") : xstrndup(node, (size_t)(from - node) - 1);
	*host = bracketed && end ? xstrndup(from + 1, (size_t)(end - from) - 1)
		: colon          ? xstrndup(from, (size_t)(colon - from))
				 : xstrdup(from);
	if (colon && *colon == ':' && str_to_uint(colon + 1, 65535, &number) && number > 0)
		*port = xstrdup(colon + 1);
	else if (colon && *colon)
		**host = '\0';
	if (!is_user(*user) || **host == '\0' || **host == '-' || strpbrk(*host, "@/ "))
		return error_set(err, E_USAGE,
				 "'%s' is no node: expected HOST:PORT, like node.example.com:2222 "
				 "or [::1]:2222",
				 node);
	return 0;
}

/* As a POSIX shell would need it, which is how the node splits it again. */
static void add_quoted(struct strbuf *s, const char *word)
{
	if (*word && word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789_./:=@%+,-")] == '\0') {
		strbuf_addstr(s, word);
		return;
	}
	strbuf_addch(s, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			strbuf_addstr(s, "'\\''");
		else
			strbuf_addch(s, *word);
	}
	strbuf_addch(s, '\'');
}

int ask_remote_argv(const char *node, bool terminal, char *const *words, size_t n,
		    struct strv *argv, struct error *err)
{
	autofree char *user = NULL, *host = NULL, *port = NULL;
	autostrbuf struct strbuf command = STRBUF_INIT;

	if (ask_split_node(node, &user, &host, &port, err) == -1)
		return -1;
	if (argv->n == 0)
		strv_add(argv, "ssh");
	if (port) {
		strv_add(argv, "-p");
		strv_add(argv, port);
	}
	if (terminal)
		strv_add(argv, "-t");
	strv_addf(argv, "%s@%s", user, host);
	strv_add(argv, "--");
	for (size_t i = 0; i < n; i++) {
		if (i)
			strbuf_addch(&command, ' ');
		add_quoted(&command, words[i]);
	}
	strv_add(argv, strbuf_str(&command));
	return 0;
}

static int ssh_words(const char *command, struct strv *argv, struct error *err)
{
	autostrv struct strv words = STRV_INIT;
	const char *home = getenv("HOME");

	if (words_split(command, strlen(command), &words, err) == -1)
		return error_prefix(err, "the ssh that git is told to use, '%s'", command);
	for (size_t i = 0; i < words.n; i++)
		if (home && str_starts(words.v[i], "~/"))
			strv_addf(argv, "%s%s", home, words.v[i] + 1);
		else
			strv_add(argv, words.v[i]);
	return 0;
}

/* As git-config(1) orders them: the remote was set up for git, and a verb goes the same way. */
int ask_ssh(const char *dir, char *const *env, struct strv *argv, struct error *err)
{
	struct git g = {.dir = dir};
	autostrbuf struct strbuf configured = STRBUF_INIT;
	const char *command = getenv("GIT_SSH_COMMAND"), *program = getenv("GIT_SSH");
	struct error none = ERROR_INIT;
	int status;

	for (; env && *env; env++)
		if (str_starts(*env, "GIT_SSH_COMMAND="))
			command = *env + strlen("GIT_SSH_COMMAND=");
	if (!command || !*command) {
		/* no git here: then it has no say */
		if (GIT_ASK(&g, &configured, &status, &none, "config", "core.sshCommand") == -1)
			strbuf_reset(&configured);
		command = strbuf_str(&configured);
	}
	if (*command)
		return ssh_words(command, argv, err);
	strv_add(argv, program && *program ? program : "ssh");
	return 0;
}

static int remote_argv(const char *node, const struct request *request, char *const *words,
		       size_t n, struct strv *argv, struct error *err)
{
	bool terminal =
		(request->command->flags & TTY) && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	return ask_ssh(NULL, NULL, argv, err) == -1 ||
			       ask_remote_argv(node, terminal, words, n, argv, err) == -1
		       ? -1
		       : 0;
}

int ask_remote(const char *node, const struct request *request, char *const *words, size_t n,
	       struct error *err)
{
	autostrv struct strv argv = STRV_INIT;

	if (remote_argv(node, request, words, n, &argv, err) == -1)
		return -1;
	execvp(argv.v[0], strv_argv(&argv)); /* the user's own, with its PATH, keys and agent */
	return error_sys(err, errno, "cannot run %s", argv.v[0]);
}

int ask_remote_wait(const char *node, const struct request *request, char *const *words, size_t n,
		    int *status, struct error *err)
{
	autostrv struct strv argv = STRV_INIT;
	struct tool ssh = TOOL_INHERIT(NULL);

	if (remote_argv(node, request, words, n, &argv, err) == -1)
		return -1;
	ssh.argv = strv_argv(&argv);
	return tool_run(&ssh, status, err);
}
