/* machine.h - a machine by its own sshd: what a node is set up through, before there is a node.
 *
 * HOST is [USER@]HOST[:PORT] of that sshd, or the name of a machine that `silver create-node` made;
 * the user is root where none is named, and another one needs sudo without a password. What runs
 * there is one script (cli/node/setup-node); it tells facts. */
#pragma once
#include "common/mem.h"

struct machine {
	char *host;                /* without user and port */
	char *login;               /* USER@HOST[:PORT] */
	char *ssh, *http;          /* where its provider wants the node to listen; NULL: anywhere */
	struct strv names, values; /* facts, side by side */
};
#define automachine __attribute__((cleanup(machine_release)))
void machine_release(struct machine *m);
/* E_USAGE. */
MUST_CHECK int machine_open(struct machine *out, const char *host, struct error *err);
/* Runs the script there with these words, `in` (-1: nothing) as its input, what it tells people on
 * our stderr. An error has the script's exit status as its code. */
MUST_CHECK int machine_run(struct machine *m, const char *const *words, int in, struct error *err);
const char *machine_fact(const struct machine *m, const char *name); /* "": not told */

/* Puts a host key, "ssh-ed25519 AAAA...", into the known_hosts file that ssh uses for
 * [USER@]HOST:PORT. *added: it was not there. E_REFUSED: another one is. */
MUST_CHECK int known_pin(const char *node, const char *key, bool *added, struct error *err);
/* The public key that shall log in: of the file `said` (NULL: the usual ones of ~/.ssh, then the
 * first of the agent). E_NOTFOUND: none; E_USAGE: no public key. */
MUST_CHECK int find_key(const char *said, struct strbuf *out, struct error *err);
