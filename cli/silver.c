/* silver: the command line, on both ends: by ssh to a node elsewhere, by its control socket to one
 * on this machine. */
#include "buildless/appini.h"
#include "cli/ask.h"

#define USAGE "usage: silver [--node HOST:PORT | --dir DIR] VERB [ARGS...]"

struct options {
	const char *node, *dir;
	int first; /* of the words behind the options */
};

static void print_help(FILE *out)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	commands_help(&text, ROLE_ADMIN, true);
	fprintf(out,
		USAGE
		"\n\n"
		"  --node HOST:PORT  a node elsewhere, by ssh (default: $SILVER_NODE)\n"
		"  --dir DIR         a node on this machine (default: $SILVER_DIR, else ./node)\n"
		"  --version         print the version\n\n%s\n"
		"Deploying is `git push`: git remote add silver ssh://silver@HOST:PORT/APP\n",
		strbuf_str(&text));
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

static int parse_options(char **argv, struct options *o, struct error *err)
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
		else
			return error_set(err, E_USAGE, "unknown or incomplete option '%s'\n" USAGE,
					 argv[i]);
	}
	o->first = i;
	if (o->node && o->dir)
		return error_set(err, E_USAGE, "--node or --dir, not both\n" USAGE);
	return 0;
}

/* Options count over the environment, and that over a node in the directory where we are. */
static int choose_node(struct options *o, struct error *err)
{
	if (o->node || o->dir)
		return 0;
	o->node = getenv("SILVER_NODE");
	o->dir = getenv("SILVER_DIR");
	if (o->node && o->dir)
		return error_set(err, E_USAGE,
				 "SILVER_NODE and SILVER_DIR are both set: say --node or --dir");
	if (!o->node && !o->dir && access("node/node.ini", F_OK) == 0)
		o->dir = "node";
	if (!o->node && !o->dir)
		return error_set(
			err, E_USAGE,
			"which node? --node HOST:PORT for one elsewhere, --dir DIR for one "
			"on this machine\n" USAGE);
	return 0;
}

static int ask(struct options *o, char **words, size_t n, int *status, struct error *err)
{
	autorequest struct request request = {0};

	if (request_parse(&request, words, n, err) == -1 || choose_node(o, err) == -1)
		return -1;
	if (o->node)
		return ask_remote(o->node, &request, words, n, err);
	return ask_local(o->dir, &request, words, n, status, err);
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

	if (n == 0) {
		print_help(stdout);
		return 0;
	}
	if (!strcmp(words[0], "app.ini")) {
		help_appini();
		return 0;
	}
	if (command_help(&text, words[0], err) == -1)
		return -1;
	fputs(strbuf_str(&text), stdout);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct error err = ERROR_INIT;
	const char *verb;
	int status = 0, result;

	if (parse_options(argv, &o, &err) == -1)
		return error_report(&err);
	verb = argv[o.first];
	if (!verb) {
		print_help(stderr);
		return E_USAGE;
	}
	if (!strcmp(verb, "--version")) {
		puts("silver " SILVER_VERSION);
		return 0;
	}
	if (!strcmp(verb, "help") || !strcmp(verb, "--help") || !strcmp(verb, "-h"))
		result = help(argv + o.first + 1, (size_t)(argc - o.first - 1), &err);
	else
		result = ask(&o, argv + o.first, (size_t)(argc - o.first), &status, &err);
	return result == -1 ? error_report(&err) : status;
}
