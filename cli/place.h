/* place.h - which node and which app is meant: what the git remote of a checkout says.
 *
 *	ssh://silver@node.example.com:2222/blog   node.example.com:2222, blog
 *	node.example.com:blog                     node.example.com, blog
 *
 * A remote with several push URLs is an app on several nodes. */
#pragma once
#include "common/names.h"

struct host {
	char *url;                  /* as git pushes to it */
	char *node;                 /* [USER@]HOST[:PORT]; NULL: a URL that is no ssh */
	char app[APP_NAME_MAX + 1]; /* "": none that is an app's name */
};
struct place {
	char *remote;
	struct host *host;
	size_t n;
};
#define autoplace __attribute__((cleanup(place_release)))
void place_release(struct place *p);

/* The push URLs of `remote` (NULL: "silver") in the checkout at `dir` (NULL: here). E_NOTFOUND: no
 * checkout, or no such remote; `err` says what makes one. */
MUST_CHECK int place_find(struct place *out, const char *dir, const char *remote,
			  struct error *err);
void place_parse_url(struct host *out, const char *url);
void host_release(struct host *h);
/* The app that all hosts agree on; E_USAGE where they do not, or the URL names none. */
MUST_CHECK int place_app(const struct place *p, const char **app, struct error *err);
/* "ssh://silver@HOST:PORT/APP" for what a person calls a node; a whole URL stays. E_USAGE. */
MUST_CHECK int place_url_of(const char *node, const char *app, char **url, struct error *err);
/* "node.example.com:2222, node2.example.com"; the caller frees. */
char *place_nodes(const struct place *p);
