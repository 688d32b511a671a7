/* completion.c - `silver completion SHELL`: what bash, zsh or fish want to know, from the tables.
 *
 * A shell asks `silver completion words WORD...` for what may stand next, so that its script has no
 * list of its own: names of commands and verbs, their options, and where an app or a release is
 * wanted those of the node that is meant here. A node that does not answer has none. */
#include "cli/ask.h"
#include "cli/command.h"
#include "cli/git.h"
#include "cli/place.h"
#include "cli/tool.h"
#include "receiver/commands.h"

static const char bash[] = "_silver() {\n"
			   "	local IFS=$'\\n'\n"
			   "	COMPREPLY=($(compgen -W \"$(silver completion words "
			   "\"${COMP_WORDS[@]:1:COMP_CWORD-1}\" "
			   "2>/dev/null)\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
			   "}\n"
			   "complete -o default -F _silver silver\n";
static const char zsh[] = "#compdef silver\n"
			  "_silver() {\n"
			  "	local -a words_next\n"
			  "	words_next=(\"${(@f)$(silver completion words "
			  "\"${(@)words[2,CURRENT-1]}\" 2>/dev/null)}\")\n"
			  "	compadd -a words_next || _files\n"
			  "}\n"
			  "compdef _silver silver\n";
static const char fish[] = "complete -c silver -a '(silver completion words -- (commandline "
			   "-opc)[2..-1] 2>/dev/null)'\n";

static const struct {
	const char *name, *script;
} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

/* The second words of verbs of two. */
static void print_group(const char *first)
{
	const struct local_command *here;
	const struct command *there;
	size_t len = strlen(first);

	for (size_t i = 0; (here = local_command_at(i)); i++)
		if (!strncmp(here->name, first, len) && here->name[len] == ' ')
			puts(here->name + len + 1);
	for (size_t i = 0; (there = command_at(i)); i++)
		if (!strncmp(there->name, first, len) && there->name[len] == ' ')
			puts(there->name + len + 1);
}

static void print_names(void)
{
	const struct local_command *here;
	const struct command *there;

	for (size_t i = 0; (here = local_command_at(i)); i++)
		printf("%.*s\n", (int)strcspn(here->name, " "), here->name);
	for (size_t i = 0; (there = command_at(i)); i++)
		if (!(there->flags & HIDDEN))
			printf("%.*s\n", (int)strcspn(there->name, " "), there->name);
	puts("--node\n--dir\n--remote");
}

/* "--app= --check" as words. */
static void print_options(const char *spec)
{
	for (const char *at = spec ? spec : ""; *at;) {
		size_t len = strcspn(at, " ");

		printf("%.*s\n", (int)(len - (at[len - 1] == '=')), at);
		at += len + strspn(at + len, " ");
	}
}

/* What the node that is meant here says to these words, quickly or not at all. */
static int ask_quietly(const struct options *o, char *const *words, size_t n, struct strbuf *out)
{
	autostrv struct strv argv = STRV_INIT;
	autoplace struct place place = {0};
	autofree char *self = realpath("/proc/self/exe", NULL);
	struct tool tool = {.own_session = true}; /* ssh finds no terminal to ask at */
	struct error none = ERROR_INIT;
	const char *node = o->node ? o->node : getenv("SILVER_NODE");
	const char *dir = o->dir ? o->dir : getenv("SILVER_DIR");
	int status;

	if (!node && !dir && place_find(&place, NULL, o->remote, &none) == 0)
		node = place.host[0].node;
	strv_add(&argv, self ? self : "silver");
	strv_add(&argv, node ? "--node" : "--dir");
	strv_add(&argv, node ? node : dir ? dir : "node");
	for (size_t i = 0; i < n; i++)
		strv_add(&argv, words[i]);
	tool.argv = strv_argv(&argv);
	return tool_capture(&tool, NULL, out, NULL, &status, &none);
}

/* Each value of `"key":` in JSON of ours: a name or a number. */
static void print_values(const struct strbuf *json, const char *key)
{
	autofree char *wanted = xasprintf("\"%s\":", key);

	for (const char *at = strstr(strbuf_str(json), wanted); at; at = strstr(at + 1, wanted)) {
		const char *value = at + strlen(wanted) + (at[strlen(wanted)] == '"');

		printf("%.*s\n", (int)strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-"),
		       value);
	}
}

static void print_apps(const struct options *o)
{
	char verb[] = "apps", json[] = "--json", *words[] = {verb, json};
	autostrbuf struct strbuf out = STRBUF_INIT;

	if (ask_quietly(o, words, 2, &out) == 0)
		print_values(&out, "app");
}

static void print_releases(const struct options *o, char *app)
{
	char verb[] = "releases", json[] = "--json", *words[] = {verb, app, json};
	autostrbuf struct strbuf out = STRBUF_INIT;

	if (ask_quietly(o, words, 3, &out) == 0)
		print_values(&out, "release");
}

/* Behind a verb of the node. */
static void print_next(const struct options *o, const struct command *c, char *const *words,
		       size_t n)
{
	size_t at = command_app_at(c, words, n);

	print_options(c->options);
	if (at >= n && (c->flags & (NEED_APP | MAY_APP)))
		print_apps(o);
	else if (at < n && (strstr(c->usage, " N") || strstr(c->usage, "[N")))
		print_releases(o, words[at]);
}

/* The options before the command, as far as they say who is to be asked. */
static size_t take_options(struct options *o, char *const *words, size_t n)
{
	size_t i = 0;

	for (; i + 1 < n && words[i][0] == '-'; i += 2) {
		if (!strcmp(words[i], "--node"))
			o->node = words[i + 1];
		else if (!strcmp(words[i], "--dir"))
			o->dir = words[i + 1];
		else if (!strcmp(words[i], "--remote"))
			o->remote = words[i + 1];
	}
	return i;
}

static void print_words(const struct options *options, char *const *words, size_t n)
{
	struct options o = *options;
	size_t first = take_options(&o, words, n);
	size_t used = 1;
	const struct local_command *here =
		first < n ? local_command_of_words(words + first, n - first, &used) : NULL;
	const struct command *there =
		first < n ? command_of_words(words + first, n - first, &used) : NULL;

	if (first >= n || !strcmp(words[first], "help"))
		print_names();
	else if (here)
		print_options(here->options);
	else if (there)
		print_next(&o, there, words + first + used, n - first - used);
	else
		print_group(words[first]);
}

int cmd_completion(struct call *call, struct error *err)
{
	const struct strv *words = &call->args.words;

	if (!strcmp(words->v[0], "words")) {
		print_words(call->options, words->v + 1, words->n - 1);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (words->n == 1 && !strcmp(words->v[0], shells[i].name)) {
			fputs(shells[i].script, stdout);
			return 0;
		}
	return error_set(err, E_USAGE, "there is completion for bash, zsh and fish");
}
