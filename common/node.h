/* node.h - a node's state directory and its settings (node.ini, sections [node] and [packages]).
 *
 *	DIR/node.ini	settings, world-readable
 *	DIR/apps/APP	repo.git lock config slots releases current previous next
 *	DIR/hosts/NAME	-> ../apps/APP/current (runtime/location.h)
 *	DIR/locations/APP	which of hosts/ are the app's
 *	DIR/pages	the operator's own pages of the front (docs/HTTP.md)
 *	DIR/data/APP DIR/log/APP DIR/users/NAME DIR/ssh DIR/run
 *
 *	DIR/run/node.ini	the addresses that silverd really has, over those of node.ini
 *
 * A program opens the node once and reaches everything through node->fd. Settings that are absent
 * have the default shown; unknown ones and bad values are E_USAGE with node.ini:LINE. */
#pragma once
#include <netinet/in.h>
#include "common/mem.h"

#define NODE_RUN_INI "run/node.ini"

struct node {
	int fd;                /* DIR */
	char *dir;             /* absolute, no symlink, for programs that need a path */
	char *ssh, *http;      /* ADDR:PORT as in node.ini; NULL: not set */
	char *https;           /* ADDR:PORT; NULL: no TLS */
	char *acme;            /* the ACME directory of an authority */
	char *acme_email;      /* NULL: nobody has a certificate of it */
	char *acme_ca;         /* NULL: the machine's; whom to trust as the authority's own host */
	char *domain;          /* "localhost": an app's first location is APP.DOMAIN */
	char *shell_user;      /* "none": as whom sshd runs silver-shell */
	unsigned keep;         /* 5: releases kept per app; at least 2 */
	int lock_wait_ms;      /* 10 000: how long a push waits for another one of the same app */
	int health_ms;         /* 60 000: a release must be healthy by then */
	int task_ms;           /* 900 000: a line of update_fetch or test must end by then */
	int drain_ms;          /* 30 000: how long old processes may finish their requests */
	int grace_ms;          /* 20 000: a connection must have logged in by then */
	int idle_ms;           /* 600 000: a session without a byte in either direction ends */
	unsigned max_startups; /* 100: unauthenticated connections at once; the oldest gives way */
	unsigned max_sessions; /* 500: connections at once */
	uint64_t max_body_bytes;       /* 100 MiB: of one request */
	int answer_ms;                 /* 600 000: how long an app may be silent over a request */
	char *trusted_proxies;         /* "none": whose X-Forwarded headers count */
	uint64_t max_push_bytes;       /* 4 GiB: receive.maxInputSize */
	uint64_t checkpoint_max_bytes; /* 1 GiB: data that a push keeps before update_fetch */
	struct {
		char *allow;      /* "*": patterns of names, blanks between them */
		bool install;     /* true: what is missing is installed */
		char *dpkg;       /* /var/lib/dpkg: dpkg's database */
		char *apt_config; /* NULL: none; an apt.conf(5) that is read over the machine's */
		int apt_ms;       /* 1 800 000: a run of apt must end by then */
		int lock_ms;      /* 60 000: how long somebody else's run of apt or dpkg is waited
				     for */
		int lists_ms;     /* 600 000: an unknown name has older lists fetched anew */
	} packages;               /* section [packages] */
	unsigned app_tasks;       /* 512: processes and threads of an app that asks for no number */
	unsigned max_app_tasks;   /* 4096: the most that one may ask for */
	uint64_t max_app_memory_bytes; /* 0: none; the most for each process of an app */
	unsigned max_app_timeout_s;    /* 86 400: the most for one request */
};

/* Opens an existing node; E_NOTFOUND says how to make one. */
MUST_CHECK int node_open(struct node *out, const char *dir, struct error *err);
void node_release(struct node *node);
/* Opens apps/APP; E_NOTFOUND "no app 'APP'". `app` has passed name_check_app(). */
MUST_CHECK int node_open_app(const struct node *node, const char *app, int *out, struct error *err);
/* "http://HOST[:PORT][/PATH]" by which people reach "HOST[/PATH]" on this node. The caller frees.
 */
char *node_url(const struct node *node, const char *location);
/* Each word of trusted_proxies: an address, or a network as ADDR/BITS. */
void node_trusted(const struct node *node, struct strv *out);
/* The text of a new node.ini: every setting with its default, commented. The caller frees. */
char *node_default_ini(const char *ssh, const char *http);
