#include "cli/ask.h"
#include <errno.h>

/* HOST:PORT -> host and port; port stays NULL where ssh's own settings may say it. */
static int split_node(const char *node, char **host, char **port, struct error *err)
{
	bool bracketed = node[0] == '[';
	const char *end = bracketed ? strchr(node, ']') : strchr(node, ':');
	const char *colon = bracketed && end ? end + 1 : end;
	uint64_t number;

	if (bracketed && !end)
		colon = node;
	*host = bracketed && end ? xstrndup(node + 1, (size_t)(end - node) - 1)
		: colon          ? xstrndup(node, (size_t)(colon - node))
				 : xstrdup(node);
	if (colon && *colon == ':' && str_to_uint(colon + 1, 65535, &number) && number > 0)
		*port = xstrdup(colon + 1);
	else if (colon && *colon)
		**host = '\0';
	if (**host == '\0' || **host == '-' || strchr(*host, '@'))
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
	autofree char *host = NULL, *port = NULL;
	autostrbuf struct strbuf command = STRBUF_INIT;

	if (split_node(node, &host, &port, err) == -1)
		return -1;
	strv_add(argv, "ssh");
	if (port) {
		strv_add(argv, "-p");
		strv_add(argv, port);
	}
	if (terminal)
		strv_add(argv, "-t");
	strv_addf(argv, "silver@%s", host);
	strv_add(argv, "--");
	for (size_t i = 0; i < n; i++) {
		if (i)
			strbuf_addch(&command, ' ');
		add_quoted(&command, words[i]);
	}
	strv_add(argv, strbuf_str(&command));
	return 0;
}

int ask_remote(const char *node, const struct request *request, char *const *words, size_t n,
	       struct error *err)
{
	autostrv struct strv argv = STRV_INIT;
	bool terminal =
		(request->command->flags & TTY) && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	if (ask_remote_argv(node, terminal, words, n, &argv, err) == -1)
		return -1;
	execvp("ssh", strv_argv(&argv)); /* the user's own, with its PATH, keys and agent */
	return error_sys(err, errno, "cannot run ssh");
}
