#include "cli/remotes.h"

#include <fcntl.h>
#include "buildless/appini.h"
#include "cli/command.h"
#include "cli/git.h"
#include "cli/place.h"
#include "common/fs.h"

#define APPINI_MAX (1u << 20)

/* app_name of an app.ini, whatever else is wrong with it. */
static char *app_of_ini(const char *top)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autostrv struct strv errors = STRV_INIT, warnings = STRV_INIT;
	autofree char *path = xasprintf("%s/app.ini", top);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct error none = ERROR_INIT;
	struct appini ini;
	char *app;

	if (fd == -1 || strbuf_read_fd(&text, fd, APPINI_MAX, &none) == -1)
		return NULL;
	appini_parse(&ini, "", strbuf_str(&text), text.len, &errors, &warnings);
	app = ini.app_name ? xstrdup(ini.app_name) : NULL;
	appini_release(&ini);
	return app;
}

int remotes_app(const char *top, const char *said, char **app, struct error *err)
{
	autofree char *found = said ? xstrdup(said) : app_of_ini(top);
	const char *slash = strrchr(top, '/');

	if (!found)
		found = xstrdup(slash ? slash + 1 : top);
	if (name_check_app(found, err) == -1)
		return said ? -1 : error_prefix(err, "which app? --app APP says it");
	*app = steal_ptr(&found);
	return 0;
}

static bool has_url(const struct place *p, const char *url)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->host[i].url, url))
			return true;
	return false;
}

/* One URL more. git pushes to `url` only as long as there is no `pushurl`, so that the second
 * writes both. */
static int add_url(const struct git *g, const char *name, struct place *now, const char *url,
		   struct error *err)
{
	autofree char *key = xasprintf("remote.%s.pushurl", name);
	int status;

	if (now->n == 0)
		return GIT(g, NULL, err, "remote", "add", "--", name, url);
	if (GIT_ASK(g, NULL, &status, err, "config", "--get-all", key) == -1)
		return -1;
	for (size_t i = 0; status && i < now->n; i++)
		if (GIT(g, NULL, err, "config", "--add", key, now->host[i].url) == -1)
			return -1;
	return GIT(g, NULL, err, "config", "--add", key, url);
}

static int add_node(const char *dir, const char *name, const char *url, struct error *err)
{
	struct git g = {.dir = dir};
	autoplace struct place now = {0};
	bool there;

	if (place_find(&now, dir, name, err) == -1 && err->code != E_NOTFOUND)
		return -1;
	there = has_url(&now, url);
	if (!there && add_url(&g, name, &now, url, err) == -1)
		return -1;
	printf("%s  %s%s\n", name, url, there ? "  (as it was)" : "");
	return 0;
}

int remotes_add(const char *dir, const char *name, const char *app, char *const *nodes, size_t n,
		struct error *err)
{
	autostrv struct strv urls = STRV_INIT;

	for (size_t i = 0; i < n; i++) { /* all are looked at before the first is made */
		autofree char *url = NULL;

		if (place_url_of(nodes[i], app, &url, err) == -1)
			return -1;
		strv_add(&urls, url);
	}
	for (size_t i = 0; i < n; i++)
		if (add_node(dir, name, urls.v[i], err) == -1)
			return -1;
	return 0;
}

static int list(const struct call *call, struct error *err)
{
	autoplace struct place p = {0};

	if (place_find(&p, NULL, call->options->remote, err) == -1)
		return -1;
	for (size_t i = 0; i < p.n; i++)
		printf("%s  %s  %s\n", p.host[i].app[0] ? p.host[i].app : "-",
		       p.host[i].node ? p.host[i].node : "-", p.host[i].url);
	return 0;
}

/* A word that could only be a host is one; the first of several others names the remote. */
static bool is_name(const struct strv *words)
{
	return words->n > 2 && !strpbrk(words->v[1], ".:@/[");
}

int cmd_remote(struct call *call, struct error *err)
{
	const struct strv *words = &call->args.words;
	autofree char *top = NULL, *app = NULL;
	bool named = is_name(words);
	const char *name = named ? words->v[1] : call->options->remote;
	size_t first = named ? 2 : 1;

	if (words->n == 0)
		return list(call, err);
	if (strcmp(words->v[0], "add") != 0 || words->n == first)
		return error_set(err, E_USAGE,
				 "usage: silver remote %s\n`git remote` does all else",
				 call->command->usage);
	if (git_top(NULL, &top, err) == -1 ||
	    remotes_app(top, args_value(&call->args, "--app"), &app, err) == -1)
		return -1;
	return remotes_add(top, name ? name : "silver", app, words->v + first, words->n - first,
			   err);
}
