/* ask.h - how `silver` reaches a node. All return the exit status of what was asked. */
#pragma once
#include "common/node.h"
#include "receiver/commands.h"

/* [USER@]HOST[:PORT], [USER@][ADDR][:PORT]: user is "silver" where none is given, port stays NULL.
 * The caller frees all three. E_USAGE. */
MUST_CHECK int ask_split_node(const char *node, char **user, char **host, char **port,
			      struct error *err);
/* Replaces this process by the user's ssh: the one that git would use. */
MUST_CHECK int ask_remote(const char *node, const struct request *request, char *const *words,
			  size_t n, struct error *err);
/* The same in a child, waited for; E_USAGE, E_SYSTEM: it could not be started. */
MUST_CHECK int ask_remote_wait(const char *node, const struct request *request, char *const *words,
			       size_t n, int *status, struct error *err);
/* The command line of that ssh, quoted so that the words arrive byte for byte. argv may begin with
 * the ssh to use. E_USAGE: a bad `node`. */
MUST_CHECK int ask_remote_argv(const char *node, bool terminal, char *const *words, size_t n,
			       struct strv *argv, struct error *err);
/* $GIT_SSH_COMMAND, core.sshCommand at `dir` (NULL: here), $GIT_SSH, else "ssh"; a leading "~/" of
 * a word is the home directory, nothing else is expanded. `env` counts over ours, as struct tool.
 */
MUST_CHECK int ask_ssh(const char *dir, char *const *env, struct strv *argv, struct error *err);

/* By the control socket of the node at `dir`; where none is running, `user` works all the same. */
MUST_CHECK int ask_local(const char *dir, const struct request *request, char *const *words,
			 size_t n, int *status, struct error *err);
