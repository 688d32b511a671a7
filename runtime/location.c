#include "runtime/location.h"

#include <stdlib.h>
#include "common/fs.h"
#include "common/names.h"

#define TEXT_MAX   80 /* as that of a host: what has hosts/ in front stays a short path */
#define RECORD_MAX (1 << 20)

static const char link_begin[] = "../apps/", link_current[] = "current", link_alias[] = "alias/",
		  link_previous[] = "previous", to_previous[] = " -> the previous release";

void location_release(struct location *l)
{
	free(l->text);
	free(l->host);
	free(l->path);
	free(l->app);
	free(l->alias);
	*l = (struct location){0};
}

void locations_release(struct locations *l)
{
	for (size_t i = 0; i < l->n; i++)
		location_release(&l->v[i]);
	free(l->v);
	*l = (struct locations){NULL, 0};
}

bool location_path_is_good(const char *path)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._~-";

	while (*path == '/') {
		size_t len = strspn(++path, letters);

		if (len == 0 || (len <= 2 && strspn(path, ".") >= len))
			return false;
		path += len;
	}
	return *path == '\0';
}

static int bad_location(const char *text, const char *rule, struct error *err)
{
	autofree char *shown = name_printable(text);

	return error_set(err, E_USAGE, "'%s' is no location: %s", shown, rule);
}

int location_parse(const char *text, struct location *out, struct error *err)
{
	size_t dot = text[0] == '.', len = strcspn(text + dot, "/");

	*out = (struct location){0};
	if (strlen(text) > TEXT_MAX)
		return bad_location(text, "it has more than 80 characters", err);
	if (strstr(text, "://"))
		return bad_location(text, "a host, without 'http://'", err);
	if (!location_path_is_good(text + dot + len))
		return bad_location(text,
				    "the path is /one/two, of letters, digits and '._~-', without "
				    "a '/' at its end",
				    err);
	out->kind = dot ? LOCATION_SUFFIX : LOCATION_HOST;
	out->host = xstrndup(text + dot, len);
	out->path = xstrdup(text + dot + len);
	out->text = xstrdup(text);
	if (!dot && strcmp(out->host, "*") == 0) {
		out->kind = LOCATION_ANY;
		out->host[0] = '\0';
	} else if (name_check_host(out->host, err) == -1) {
		location_release(out);
		return error_prefix(err, "'%s' is no location", text);
	}
	return 0;
}

static char *replace(const char *text, char from, char to)
{
	char *copy = xstrdup(text);

	for (char *at = copy; (at = strchr(at, from)); at++)
		*at = to;
	return copy;
}

char *location_name(const char *text)
{
	autofree char *name = replace(text, '/', ',');

	return name[0] == '.' ? xasprintf("*%s", name) : steal_ptr(&name);
}

/* The text of a name; NULL: it is none. The caller frees. */
static char *text_of_name(const char *name)
{
	if (strchr(name, '/') || name[0] == '.')
		return NULL;
	return replace(str_starts(name, "*.") ? name + 1 : name, ',', '/');
}

bool location_is_live(const struct location *l)
{
	return !l->alias && !l->previous;
}

char *location_link(const struct location *l)
{
	autofree char *name = l->alias ? location_name(l->alias) : NULL;

	return name ? xasprintf("%s%s/%s%s", link_begin, l->app, link_alias, name)
		    : xasprintf("%s%s/%s", link_begin, l->app,
				l->previous ? link_previous : link_current);
}

static bool read_link(const char *target, struct location *out)
{
	const char *app = target + strlen(link_begin), *rest;
	struct error bad = ERROR_INIT;

	if (!str_starts(target, link_begin) || !(rest = strchr(app, '/')))
		return false;
	out->app = xstrndup(app, (size_t)(rest++ - app));
	if (name_check_app(out->app, &bad) == -1)
		return false;
	if (str_starts(rest, link_alias))
		return (out->alias = text_of_name(rest + strlen(link_alias))) != NULL;
	out->previous = strcmp(rest, link_previous) == 0;
	return out->previous || strcmp(rest, link_current) == 0;
}

int location_read(int hosts_fd, const char *name, struct location *out, struct error *err)
{
	autofree char *target = NULL, *text = text_of_name(name), *again = NULL;

	*out = (struct location){0};
	if (fs_read_link(hosts_fd, name, &target, err) == -1)
		return -1;
	if (!text)
		return error_set(err, E_SYSTEM, "'hosts/%s' has no name of a location", name);
	if (location_parse(text, out, err) == -1)
		return -1;
	again = location_name(text);
	if (strcmp(again, name) == 0 && read_link(target, out))
		return 0;
	location_release(out);
	return error_set(err, E_SYSTEM, "'hosts/%s' leads nowhere: '%s'", name, target);
}

/* The most specific first; the text last, so that the order is always the same. */
static int compare(const void *a, const void *b)
{
	const struct location *x = a, *y = b;
	size_t x_host = strlen(x->host), y_host = strlen(y->host);
	size_t x_path = strlen(x->path), y_path = strlen(y->path);

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x_host != y_host)
		return x_host > y_host ? -1 : 1;
	if (x_path != y_path)
		return x_path > y_path ? -1 : 1;
	return strcmp(x->text, y->text);
}

int locations_read(const struct node *node, struct locations *out, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	*out = (struct locations){NULL, 0};
	if (fs_open_dir(node->fd, "hosts", &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	out->v = xcalloc(names.n + 1, sizeof(*out->v));
	for (size_t i = 0; i < names.n; i++) {
		struct error none = ERROR_INIT;

		if (location_read(fd, names.v[i], &out->v[out->n], &none) == 0)
			out->n++;
	}
	qsort(out->v, out->n, sizeof(*out->v), compare);
	return 0;
}

static bool is_of(const struct location *l, const char *app)
{
	return l->app && strcmp(l->app, app) == 0;
}

/* Is x the better one to tell people? */
static bool is_shorter(const struct location *x, const struct location *y)
{
	if (strlen(x->host) != strlen(y->host))
		return strlen(x->host) < strlen(y->host);
	if (strlen(x->path) != strlen(y->path))
		return strlen(x->path) < strlen(y->path);
	return strcmp(x->text, y->text) < 0;
}

const struct location *locations_canonical(const struct locations *all, const char *app)
{
	const struct location *best = NULL;

	for (size_t i = 0; i < all->n; i++) {
		const struct location *l = &all->v[i];

		if (is_of(l, app) && l->kind == LOCATION_HOST && location_is_live(l) &&
		    (!best || is_shorter(l, best)))
			best = l;
	}
	return best;
}

char *location_target(const struct location *l)
{
	return l->alias ? xasprintf(" -> %s", l->alias) : xstrdup(l->previous ? to_previous : "");
}

static void format_one(const struct location *l, struct strbuf *out)
{
	autofree char *target = location_target(l);

	strbuf_addf(out, "%s%s\n", l->text, target);
}

void locations_format(const struct locations *all, const char *app, struct strbuf *out)
{
	const struct location *canonical = locations_canonical(all, app);

	if (canonical)
		format_one(canonical, out);
	for (size_t i = 0; i < all->n; i++)
		if (is_of(&all->v[i], app) && &all->v[i] != canonical)
			format_one(&all->v[i], out);
}

bool location_shows_previous(const struct node *node, const char *app)
{
	autofree char *file = xasprintf("locations/%s", app);
	autostrbuf struct strbuf record = STRBUF_INIT;
	struct error none = ERROR_INIT;

	return fs_read_file(node->fd, file, RECORD_MAX, &record, &none) == 0 &&
	       strstr(strbuf_str(&record), to_previous);
}

void location_of_app(const struct node *node, const char *app, char **host, char **path)
{
	autofree char *file = xasprintf("locations/%s", app), *text = NULL;
	autostrbuf struct strbuf record = STRBUF_INIT;
	autolocation struct location first = {0};
	struct error none = ERROR_INIT;

	if (fs_read_file(node->fd, file, RECORD_MAX, &record, &none) == 0) {
		text = xstrndup(strbuf_str(&record), strcspn(strbuf_str(&record), "\n"));
		if (location_parse(text, &first, &none) == 0 && first.kind == LOCATION_HOST) {
			*host = steal_ptr(&first.host);
			*path = steal_ptr(&first.path);
			return;
		}
	}
	*host = xasprintf("%s.%s", app, node->domain);
	*path = xstrdup("");
}
