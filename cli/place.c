#include "cli/place.h"

#include <assert.h>
#include "cli/ask.h"
#include "cli/git.h"

void host_release(struct host *h)
{
	free(h->url);
	free(h->node);
	*h = (struct host){0};
}

void place_release(struct place *p)
{
	for (size_t i = 0; i < p->n; i++)
		host_release(&p->host[i]);
	free(p->host);
	free(p->remote);
	*p = (struct place){0};
}

/* "silver@" is what a node expects anyway. */
static char *without_default_user(const char *authority, size_t len)
{
	autofree char *node = xstrndup(authority, len);

	return xstrdup(str_starts(node, "silver@") ? node + strlen("silver@") : node);
}

/* Where the authority of a URL begins; NULL: no ssh. */
static const char *ssh_authority(const char *url)
{
	static const char *const schemes[] = {"ssh://", "git+ssh://", "ssh+git://"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (str_starts(url, schemes[i]))
			return url + strlen(schemes[i]);
	return NULL;
}

/* Of "HOST:PATH", the colon; NULL: a path, or another scheme. */
static const char *scp_colon(const char *url)
{
	const char *at = strchr(url, '@'), *host = at ? at + 1 : url;
	const char *bracket = *host == '[' ? strchr(host, ']') : NULL;
	const char *colon = strchr(bracket ? bracket : host, ':');
	const char *slash = strchr(url, '/');

	if (!colon || colon == host || (slash && slash < colon) || str_starts(colon, "://"))
		return NULL;
	return colon;
}

static void take_app(struct host *out, const char *path)
{
	struct error none = ERROR_INIT;

	if (str_starts(path, "/~")) /* as git sends it */
		path++;
	if (name_from_url_path(path, out->app, &none) == -1)
		out->app[0] = '\0';
}

void place_parse_url(struct host *out, const char *url)
{
	const char *authority, *path;

	assert(url);
	authority = ssh_authority(url);
	*out = (struct host){.url = xstrdup(url)};
	if (authority) {
		path = authority + strcspn(authority, "/");
		out->node = without_default_user(authority, (size_t)(path - authority));
		take_app(out, path);
		return;
	}
	path = scp_colon(url);
	if (!path)
		return;
	out->node = without_default_user(url, (size_t)(path - url));
	take_app(out, path + 1);
}

static void add_host(struct place *p, const char *url)
{
	p->host = xrealloc_array(p->host, p->n + 1, sizeof(*p->host));
	place_parse_url(&p->host[p->n++], url);
}

int place_find(struct place *out, const char *dir, const char *remote, struct error *err)
{
	struct git g = {.dir = dir};
	autostrbuf struct strbuf urls = STRBUF_INIT;
	int status;

	*out = (struct place){.remote = xstrdup(remote ? remote : "silver")};
	/* also of remotes that are only named in `url.*.insteadOf` */
	if (GIT_ASK(&g, &urls, &status, err, "remote", "get-url", "--push", "--all", "--",
		    out->remote) == -1)
		return -1;
	for (const char *at = status ? "" : strbuf_str(&urls); *at;) {
		size_t len = strcspn(at, "\n");
		autofree char *url = xstrndup(at, len);

		add_host(out, url);
		at += len + (at[len] == '\n');
	}
	if (out->n)
		return 0;
	return error_set(err, E_NOTFOUND,
			 "here is no git remote '%s'; `silver remote add%s%s HOST` makes one",
			 out->remote, remote ? " " : "", remote ? remote : "");
}

int place_app(const struct place *p, const char **app, struct error *err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct host *h = &p->host[i];

		if (!h->node)
			return error_set(err, E_USAGE,
					 "'%s' of the git remote '%s' is no node: expected "
					 "ssh://silver@HOST:PORT/APP",
					 h->url, p->remote);
		if (!h->app[0])
			return error_set(err, E_USAGE,
					 "'%s' of the git remote '%s' names no app: expected "
					 "ssh://silver@HOST:PORT/APP",
					 h->url, p->remote);
		if (strcmp(h->app, p->host[0].app) != 0)
			return error_set(err, E_USAGE,
					 "which app? the git remote '%s' has '%s' and '%s'",
					 p->remote, p->host[0].app, h->app);
	}
	*app = p->host[0].app;
	return 0;
}

int place_url_of(const char *node, const char *app, char **url, struct error *err)
{
	autofree char *user = NULL, *host = NULL, *port = NULL;

	if (strstr(node, "://")) {
		struct host h;
		bool ssh;

		place_parse_url(&h, node);
		ssh = h.node && h.app[0];
		host_release(&h);
		if (!ssh)
			return error_set(err, E_USAGE,
					 "'%s' is no node: expected HOST:PORT, or "
					 "ssh://silver@HOST:PORT/APP",
					 node);
		*url = xstrdup(node);
		return 0;
	}
	if (ask_split_node(node, &user, &host, &port, err) == -1)
		return -1;
	*url = xasprintf("ssh://%s@%s%s%s%s%s/%s", user, strchr(host, ':') ? "[" : "", host,
			 strchr(host, ':') ? "]" : "", port ? ":" : "", port ? port : "", app);
	return 0;
}

char *place_nodes(const struct place *p)
{
	struct strbuf s = STRBUF_INIT;

	for (size_t i = 0; i < p->n; i++)
		strbuf_addf(&s, "%s%s", i ? ", " : "",
			    p->host[i].node ? p->host[i].node : p->host[i].url);
	return strbuf_detach(&s);
}
