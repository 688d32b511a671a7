/* devnode.h - a node of one's own for one working tree: started beside it, on free ports of this
 * machine, and ended with us. What it keeps is below ~/.cache/silver (root: /var/cache/silver), a
 * directory for each working tree; removing it loses its data, and nothing else. */
#pragma once
#include <sys/types.h>
#include "common/mem.h"

struct devnode {
	char *home;       /* what is below is ours: node/, key, known_hosts, silverd.log, port */
	char *dir;        /* the node's */
	char *ssh, *http; /* 127.0.0.1:PORT */
	struct strv env;  /* for git and ssh */
	pid_t pid;
	bool overrides_changed; /* since the last time */
};

/* *out is the caller's: devnode_release(), which also ends the node. overrides are "NAME=VALUE" for
 * the app's environment. http_port 0: the last one if it is free, else any. */
MUST_CHECK int devnode_start(struct devnode *out, const char *top, const struct strv *overrides,
			     unsigned http_port, struct error *err);
void devnode_release(struct devnode *d);
/* `silver --dir` of that node with these words, output inherited. */
MUST_CHECK int devnode_ask(const struct devnode *d, const char *const *words, pid_t *pid,
			   struct error *err);
