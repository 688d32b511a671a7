/* silver: the command line, on both ends: by ssh to a node elsewhere, by its control socket to one
 * on this machine. */
#include "buildless/appini.h"
#include "cli/where.h"
#include "receiver/commands.h"

#define USAGE "usage: silver [--node HOST:PORT | --dir DIR | --remote NAME] VERB [ARGS...]"

static void print_help(FILE *out)
{
	autostrbuf struct strbuf here = STRBUF_INIT, node = STRBUF_INIT;

	local_commands_help(&here);
	commands_help(&node, ROLE_ADMIN, true);
	fprintf(out,
		USAGE
		"\n\n"
		"  --node HOST:PORT  a node elsewhere, by ssh (default: $SILVER_NODE)\n"
		"  --dir DIR         a node on this machine (default: $SILVER_DIR, else ./node)\n"
		"  --remote NAME     node and app of this git remote (default: silver)\n"
		"  --version         print the version\n\n"
		"here, where you develop:\n%s\n"
		"on the node (in a checkout with a git remote `silver`, APP need not be said):\n"
		"%s\n"
		"Deploying is `git push`: git remote add silver ssh://silver@HOST:PORT/APP\n",
		strbuf_str(&here), strbuf_str(&node));
}

/* "--NAME VALUE" or "--NAME=VALUE" at argv[*i]. */
static const char *option_value(const char *name, char **argv, int *i)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], name, len) != 0)
		return NULL;
	if (argv[*i][len] == '=')
		return argv[*i] + len + 1;
	if (argv[*i][len] == '\0' && argv[*i + 1])
		return argv[++*i];
	return NULL;
}

/* *first is the first of the words behind the options. */
static int parse_options(char **argv, struct options *o, int *first, struct error *err)
{
	int i;

	for (i = 1; argv[i] && argv[i][0] == '-'; i++) {
		const char *value;

		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h") ||
		    !strcmp(argv[i], "--version"))
			break;
		if ((value = option_value("--node", argv, &i)))
			o->node = value;
		else if ((value = option_value("--dir", argv, &i)))
			o->dir = value;
		else if ((value = option_value("--remote", argv, &i)))
			o->remote = value;
		else
			return error_set(err, E_USAGE, "unknown or incomplete option '%s'\n" USAGE,
					 argv[i]);
	}
	*first = i;
	if (!!o->node + !!o->dir + !!o->remote > 1)
		return error_set(err, E_USAGE, "one of --node, --dir and --remote\n" USAGE);
	return 0;
}

static int ask(const struct options *o, char **words, size_t n, int *status, struct error *err)
{
	size_t used;
	const struct local_command *here = local_command_of_words(words, n, &used);

	if (here)
		return local_command_run(here, o, words + used, n - used, status, err);
	if (!command_of_words(words, n, &used) && !command_is_group(words[0]) &&
	    strcmp(words[0], "git") != 0)
		return command_unknown(words[0], err);
	return where_ask(o, words, n, status, err);
}

/* The table of app.ini's keys, aligned. */
static void help_appini(void)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	appini_describe(&text);
	for (const char *line = text.buf; *line; line += strcspn(line, "\n") + 1) {
		int word = (int)strcspn(line, "\t"), meaning = (int)strcspn(line + word + 1, "\n");

		printf(*line == '[' ? "%-20.*s%.*s\n" : "  %-18.*s%.*s\n", word, line, meaning,
		       line + word + 1);
	}
}

static int help(char **words, size_t n, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	const struct command *c;
	size_t used;
	int r = 0;

	if (n == 0) {
		print_help(stdout);
		return 0;
	}
	if (!strcmp(words[0], "app.ini")) {
		help_appini();
		return 0;
	}
	if (local_command_of_words(words, n, &used))
		local_command_help(&text, local_command_of_words(words, n, &used));
	else if ((c = command_of_words(words, n, &used)) || command_is_group(words[0]))
		r = command_help(&text, c ? c->name : words[0], err);
	else
		r = command_unknown(words[0], err);
	if (r == -1)
		return -1;
	fputs(strbuf_str(&text), stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct error err = ERROR_INIT;
	const char *verb;
	int status = 0, first = 1, result;

	if (parse_options(argv, &o, &first, &err) == -1)
		return error_report(&err);
	verb = argv[first];
	if (!verb) {
		print_help(stderr);
		return E_USAGE;
	}
	if (!strcmp(verb, "--version")) {
		puts("silver " SILVER_VERSION);
		return 0;
	}
	if (!strcmp(verb, "help") || !strcmp(verb, "--help") || !strcmp(verb, "-h"))
		result = help(argv + first + 1, (size_t)(argc - first - 1), &err);
	else
		result = ask(&o, argv + first, (size_t)(argc - first), &status, &err);
	return result == -1 ? error_report(&err) : status;
}
