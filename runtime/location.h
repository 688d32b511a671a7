/* location.h - where an app is reached: a host, or all below a path of it.
 *
 *	blog.example.com	a host
 *	example.com/blog	/blog, and what is below /blog/, never /blogger
 *	.example.com		example.com, and each host below it that has no location of its own
 *	*			each host that nothing else takes
 *
 * A suffix and '*' may have a path as well. The most specific counts: a host before a suffix, a
 *longer suffix before a shorter one, that before '*', and for the same host the longer path.
 *
 * The record is hosts/NAME, one link for each location: to ../apps/APP/current, or, where it is an
 * alias, to ../apps/APP/alias/NAME of the location that it redirects to, which is no file, or to
 * ../apps/APP/previous, where the operator shows the release that was live before. NAME is
 * the text with "*." for a dot in front and ',' for '/'. locations/APP lists an app's own, the
 * canonical one first, so that a push need not read all of hosts/; it is written anew at each
 * change and at each start. */
#pragma once
#include "common/node.h"

enum location_kind { LOCATION_HOST, LOCATION_SUFFIX, LOCATION_ANY };

struct location {
	enum location_kind kind;
	char *text;    /* as people write it */
	char *host;    /* without the dot of a suffix; "" of '*' */
	char *path;    /* "" or "/one/two" */
	char *app;     /* NULL: not known */
	char *alias;   /* the text of where it redirects to; NULL: it leads to the app */
	bool previous; /* it leads to the release that was live before */
};

struct locations {
	struct location *v;
	size_t n;
};
#define autolocations __attribute__((cleanup(locations_release)))
#define autolocation  __attribute__((cleanup(location_release)))
void location_release(struct location *l);
void locations_release(struct locations *l);

/* E_USAGE says which rule. At most 80 characters in all. */
MUST_CHECK int location_parse(const char *text, struct location *out, struct error *err);
/* The rule for the path alone: parts of unreserved characters (RFC 3986, 2.3). */
bool location_path_is_good(const char *path);
/* The name in hosts/ of a good text. The caller frees. */
char *location_name(const char *text);
/* Does it lead to what is live? */
bool location_is_live(const struct location *l);
/* The text of the link that `l`, with its app, is. The caller frees. */
char *location_link(const struct location *l);
/* hosts/NAME. E_NOTFOUND; E_SYSTEM where it is none of ours. */
MUST_CHECK int location_read(int hosts_fd, const char *name, struct location *out,
			     struct error *err);
/* All of hosts/, the most specific first; what is no location is left out. */
MUST_CHECK int locations_read(const struct node *node, struct locations *out, struct error *err);
/* What people are told to go to, and what SILVER_CANONICAL_HOSTNAME and SILVER_MATCH_PATH are made
 * of: of the app's own hosts the shortest, and of that the shortest path. NULL: it has no host.
 * Points into `all`. */
const struct location *locations_canonical(const struct locations *all, const char *app);
/* Has the app a location of its previous release, by locations/APP? */
bool location_shows_previous(const struct node *node, const char *app);
/* How people are told where it leads besides to the live release: " -> www.example.com", or "". The
 * caller frees. */
char *location_target(const struct location *l);
/* The text of locations/APP; "" where it has none. */
void locations_format(const struct locations *all, const char *app, struct strbuf *out);
/* An app's canonical location by locations/APP, "APP.DOMAIN" where that says nothing. The caller
 * frees both; *path is "" or "/one/two". */
void location_of_app(const struct node *node, const char *app, char **host, char **path);
