/* command.h - the one table of what `silver` does itself, on the developer's machine. Every other
 * word is a verb of the node (receiver/commands.h). Help, usage, the manual's test and completion
 * come from the two tables. */
#pragma once
#include "cli/args.h"

/* What stands before the command. */
struct options {
	const char *node, *dir; /* at most one; NULL: not said */
	const char *remote;     /* NULL: "silver" */
};

struct call {
	const struct options *options;
	const struct local_command *command;
	struct args args;
	int status; /* of the process, where the command says 0: that of a program run for it */
};

struct local_command {
	const char *name;  /* one word, or two */
	const char *usage; /* words behind the name */
	const char *help;
	const char *options; /* see cli/args.h */
	unsigned min_words, max_words;
	int (*run)(struct call *call, struct error *err);
};

const struct local_command *local_command_named(const char *name); /* NULL: none */
/* The one that the words begin with, and how many of them are its name; NULL: none. */
const struct local_command *local_command_of_words(char *const *words, size_t n, size_t *used);
const struct local_command *local_command_at(size_t i); /* NULL: past the last */
void local_commands_help(struct strbuf *out);
void local_command_help(struct strbuf *out, const struct local_command *c);
/* E_USAGE with the usage behind what is wrong. */
MUST_CHECK int local_command_run(const struct local_command *c, const struct options *options,
				 char *const *words, size_t n, int *status, struct error *err);
/* Always -1: neither table has it; names the nearest of both. */
int command_unknown(const char *name, struct error *err);

int cmd_init(struct call *call, struct error *err);
int cmd_remote(struct call *call, struct error *err);
int cmd_push(struct call *call, struct error *err);
int cmd_deploy(struct call *call, struct error *err);
int cmd_serve(struct call *call, struct error *err);
int cmd_config_edit(struct call *call, struct error *err);
int cmd_diff(struct call *call, struct error *err);
int cmd_vendor(struct call *call, struct error *err);
int cmd_doctor(struct call *call, struct error *err);
int cmd_completion(struct call *call, struct error *err);
int cmd_setup_node(struct call *call, struct error *err);
int cmd_node_status(struct call *call, struct error *err);
int cmd_service_check(struct call *call, struct error *err);
int cmd_uninstall(struct call *call, struct error *err);
int cmd_create_node(struct call *call, struct error *err);
int cmd_list_nodes(struct call *call, struct error *err);
int cmd_destroy_node(struct call *call, struct error *err);
