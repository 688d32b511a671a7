#include "cli/command.h"

#include "common/names.h"
#include "receiver/commands.h"

static const struct local_command commands[] = {
	{"init", "DIR [--platform P] [--app APP] [--node HOST[:PORT]]...",
	 "make a new app: its files, a git repository, the remote", "--platform= --app= --node=", 1,
	 1, cmd_init},
	{"remote", "[add [NAME] HOST... [--app APP]]",
	 "list the nodes of this checkout; add: as the git remote `silver`", "--app=", 0, 64,
	 cmd_remote},
	{"serve", "[DIR] [--port PORT] [--app APP]",
	 "serve the files as they are there, on this machine, and again when they change",
	 "--port= --app=", 0, 1, cmd_serve},
	{"deploy", "[DIR] [--check] [--force]",
	 "deploy the files as they are there, committed or not; --check: only say what would "
	 "happen",
	 "--check --force --app=", 0, 1, cmd_deploy},
	{"update", "[DIR] [--check] [--force]", "the old name of deploy",
	 "--check --force --app=", 0, 1, cmd_deploy},
	{"push", "[REMOTE [COMMIT]] [--check] [--force]",
	 "deploy what is committed, on all nodes of the remote or on none",
	 "--check --force --app=", 0, 2, cmd_push},
	{"config edit", "[APP]", "edit what is set, in $EDITOR, and set what comes out of it", NULL,
	 0, 1, cmd_config_edit},
	{"diff", "[COMMIT]", "what is here, or of COMMIT, and not live yet", NULL, 0, 1, cmd_diff},
	{"vendor", "REQUIREMENTS...", "the libraries of requirements files, by pip into lib/python",
	 NULL, 1, 32, cmd_vendor},
	{"doctor", "[--json]", "what is wrong here, and what mends it", "--json", 0, 0, cmd_doctor},
	{"service check", "PROGRAM [--value VALUE] [--timeout SECONDS] [--json]",
	 "does a plug-in service keep the rules? runs it as two apps would",
	 "--value= --timeout= --json", 1, 1, cmd_service_check},
	{"completion", "bash | zsh | fish", "what a shell completes; for its start-up file", NULL,
	 1, 64, cmd_completion},
	{"create-node", "NAME [--provider P] [--key FILE] [--set NAME=VALUE]...",
	 "have a machine made, to be a node: by nspawn, hcloud, doctl, aws or a program of yours",
	 "--provider= --key= --set=", 1, 1, cmd_create_node},
	{"list-nodes", "[--provider P] [--json]", "the machines that providers made",
	 "--provider= --json", 0, 0, cmd_list_nodes},
	{"destroy-node", "NAME [--provider P] --yes", "end such a machine, with all that is on it",
	 "--provider= --yes", 1, 1, cmd_destroy_node},
	{"setup-node",
	 "HOST [--deb FILE] [--key FILE] [--user NAME] [--ssh A:P] [--http A:P] [--domain D]",
	 "make a machine a node, or bring a node to this version, by its own ssh",
	 "--deb= --key= --user= --ssh= --http= --domain=", 1, 1, cmd_setup_node},
	{"node-status", "HOST", "what a node runs, and whether it is behind", "", 1, 1,
	 cmd_node_status},
	{"uninstall", "HOST --yes", "remove silver from a node; its applications' data stay",
	 "--yes", 1, 1, cmd_uninstall},
};

const struct local_command *local_command_at(size_t i)
{
	return i < ARRAY_SIZE(commands) ? &commands[i] : NULL;
}

const struct local_command *local_command_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

const struct local_command *local_command_of_words(char *const *words, size_t n, size_t *used)
{
	autofree char *both = n > 1 ? xasprintf("%s %s", words[0], words[1]) : NULL;
	const struct local_command *c = both ? local_command_named(both) : NULL;

	*used = c ? 2 : 1;
	return c || n == 0 ? c : local_command_named(words[0]);
}

void local_commands_help(struct strbuf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct local_command *c = &commands[i];
		autofree char *head = xasprintf("%s %s", c->name, c->usage);

		if (strlen(head) > 36)
			strbuf_addf(out, "  %s\n  %-36s  %s\n", head, "", c->help);
		else
			strbuf_addf(out, "  %-36s  %s\n", head, c->help);
	}
}

void local_command_help(struct strbuf *out, const struct local_command *c)
{
	strbuf_addf(out, "usage: silver %s%s%s\n%s\n", c->name, *c->usage ? " " : "", c->usage,
		    c->help);
}

static int bad_use(const struct local_command *c, struct error *err)
{
	autofree char *what = xstrdup(err->text);

	return error_set(err, E_USAGE, "%s\nusage: silver %s%s%s", what, c->name,
			 *c->usage ? " " : "", c->usage);
}

int local_command_run(const struct local_command *c, const struct options *options,
		      char *const *words, size_t n, int *status, struct error *err)
{
	struct call call = {.options = options, .command = c};
	int r;

	if (args_parse(&call.args, c->options, words, n, err) == -1)
		return bad_use(c, err);
	if (call.args.words.n < c->min_words || call.args.words.n > c->max_words) {
		error_set(err, E_USAGE, "%s",
			  call.args.words.n < c->min_words ? "a word is missing"
							   : "too many words");
		r = bad_use(c, err);
	} else {
		r = c->run(&call, err);
	}
	*status = call.status;
	args_release(&call.args);
	return r;
}

int command_unknown(const char *name, struct error *err)
{
	autofree char *shown = name_printable(name);
	autostrv struct strv known = STRV_INIT;
	const struct command *c;
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		strv_add(&known, commands[i].name);
	for (size_t i = 0; (c = command_at(i)); i++)
		if (!(c->flags & HIDDEN))
			strv_addf(&known, "%.*s", (int)strcspn(c->name, " "), c->name);
	near = name_nearest(name, (const char *const *)strv_argv(&known), known.n);
	return error_set(err, E_USAGE, "unknown verb '%.60s'%s%s%s; `silver help` lists them",
			 shown, near ? " (did you mean '" : "", near ? near : "",
			 near ? "'?)" : "");
}
