/* startup.h - from a directory's name to a node that silverd can serve: everything that can be
 * wrong is found here, before anything was started. Every step can be repeated, so an interrupted
 * creation is completed by the next start. */
#pragma once
#include "common/node.h"

struct startup_options {
	const char *dir, *ssh, *http; /* addresses: NULL: as in node.ini */
	const char *print;            /* only this */
	bool make;                    /* the node, and no more */
	bool keep_apps;               /* see silverd(8) */
};

struct startup {
	struct node node; /* ssh and http are what is really used: no port 0 */
	int lock_fd;      /* held: one silverd per directory */
	int ssh_fd;       /* bound; listening, if systemd kept it for us */
	bool ssh_kept;
	int http_fd; /* bound, so that nobody takes the port until nginx has it; -1: nginx runs
			already */
	bool tree_was_alive;    /* its apps run already: a silverd was killed, or keeps them */
	bool keep_apps;         /* they go on when we end */
	struct strbuf host_key; /* text of the private key */
};

/* E_SYSTEM: something is missing, in use, or out of reach, with the remedy. E_BUSY: another silverd
 * has the directory. */
MUST_CHECK int startup_prepare(struct startup *out, const struct startup_options *options,
			       struct error *err);
/* Directory, node.ini, users and host key, where they are missing. One that a silverd runs has
 * them.
 */
MUST_CHECK int startup_make(const struct startup_options *options, struct error *err);
/* What only a running silverd leaves behind is removed. */
void startup_release(struct startup *s);
