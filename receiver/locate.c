#include "receiver/locate.h"

#include <errno.h>
#include <sys/file.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/json.h"
#include "common/names.h"
#include "runtime/front.h"
#include "runtime/front_bodies.h"
#include "runtime/s6.h"

#define ANSWER_MS  20000
#define RECORD_MAX (1 << 20)

const struct locate_to locate_to_live = {NULL, false};

/* hosts/ is open as long as the lock is held. */
static int take_lock(const struct node *node, int *hosts_fd, struct error *err)
{
	if (fs_open_dir(node->fd, "hosts", hosts_fd, err) == -1)
		return -1;
	return flock(*hosts_fd, LOCK_EX) == -1 ? error_sys(err, errno, "cannot lock 'hosts'") : 0;
}

/* A record is replaced only by another text: a start of the node writes nothing that is there. */
static int write_record(const struct node *node, const struct locations *all, const char *app,
			struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT, now = STRBUF_INIT;
	struct error none = ERROR_INIT;
	autoclose int fd = -1;

	if (fs_ensure_dir(node->fd, "locations", 0755, &fd, err) == -1)
		return -1;
	locations_format(all, app, &text);
	if (text.len == 0)
		return fs_unlink(fd, app, err) == -1 ? -1 : fs_sync(fd, err);
	if (fs_read_file(fd, app, RECORD_MAX, &now, &none) == 0 &&
	    strcmp(strbuf_str(&now), strbuf_str(&text)) == 0)
		return 0;
	return fs_replace_file(fd, app, text.buf, text.len, 0644, err);
}

static int read_and_record(const struct node *node, const char *app, struct error *err)
{
	struct locations all;
	int rc;

	if (locations_read(node, &all, err) == -1)
		return -1;
	rc = write_record(node, &all, app, err);
	locations_release(&all);
	return rc;
}

/* Before silverd has written the first configuration there is nothing to change. */
static int write_front(const struct node *node, bool *changed, struct error *err)
{
	*changed = false;
	if (!node->http || !fs_exists(node->fd, "run/nginx.conf"))
		return 0;
	return front_write_config(node, node->http, changed, err);
}

/* nginx serves by what is in the file now. Without the lock: it takes its time. */
static int await_front(const struct node *node, struct error *err)
{
	autostrv struct strv before = STRV_INIT;

	front_workers(node, &before);
	if (s6_reload_front(node, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1; /* it does not run */
	if (front_wait(node, ANSWER_MS, err) == -1)
		return -1;
	front_await_end(&before, ANSWER_MS);
	return 0;
}

/* The link's creation decides between two who want the same. *made: it was not there. */
static int claim(int hosts_fd, const struct location *l, bool *made, struct error *err)
{
	autofree char *name = location_name(l->text), *target = location_link(l), *now = NULL;
	autolocation struct location other = {0};
	struct error taken = ERROR_INIT;

	*made = fs_symlink(target, hosts_fd, name, &taken) == 0;
	if (*made)
		return fs_sync(hosts_fd, err);
	if (location_read(hosts_fd, name, &other, err) == -1)
		return -1;
	if (strcmp(other.app, l->app) != 0)
		return error_set(err, E_REFUSED,
				 "'%s' leads to the app '%s'; an address has one app", l->text,
				 other.app);
	now = location_link(&other);
	if (strcmp(now, target) != 0)
		return error_set(err, E_REFUSED,
				 "'%s' %s%s already: `silver location remove %s %s` first", l->text,
				 other.alias ? "redirects to " : "leads to ",
				 other.alias      ? other.alias
				 : other.previous ? "the previous release"
						  : l->app,
				 l->app, l->text);
	return fs_sync(hosts_fd, err); /* who made it may have been killed before this */
}

/* A host alone leads to its app without a word in the configuration. */
static bool is_for_front(const struct location *l)
{
	return l->kind != LOCATION_HOST || *l->path || l->alias;
}

static void take_back(const struct node *node, int hosts_fd, const char *app, const char *text)
{
	autofree char *name = location_name(text);
	struct error ignored = ERROR_INIT;

	if (fs_unlink(hosts_fd, name, &ignored) == -1 || fs_sync(hosts_fd, &ignored) == -1 ||
	    read_and_record(node, app, &ignored) == -1)
		error_report(&ignored);
}

static int add_locked(const struct node *node, int hosts_fd, const struct location *l,
		      bool *changed, struct error *err)
{
	bool made;

	*changed = false;
	if (claim(hosts_fd, l, &made, err) == -1)
		return -1;
	if (read_and_record(node, l->app, err) == 0 &&
	    (!is_for_front(l) || write_front(node, changed, err) == 0))
		return 0;
	if (made)
		take_back(node, hosts_fd, l->app, l->text);
	return -1;
}

/* Where an alias may lead: to a location of the app's own that serves. */
static int check_alias(int hosts_fd, const struct location *l, struct error *err)
{
	autolocation struct location to = {0}, found = {0};
	autofree char *name = NULL;
	struct error none = ERROR_INIT;

	if (!l->alias)
		return 0;
	if (location_parse(l->alias, &to, err) == -1)
		return -1;
	if (l->kind != LOCATION_HOST || *l->path || to.kind != LOCATION_HOST)
		return error_set(err, E_USAGE,
				 "an alias is a host, and redirects to a host or to HOST/PATH");
	name = location_name(l->alias);
	if (location_read(hosts_fd, name, &found, &none) == -1 || strcmp(found.app, l->app) != 0 ||
	    !location_is_live(&found))
		return error_set(err, E_REFUSED,
				 "'%s' does not lead to '%s' itself: `silver location list %s` has "
				 "what does",
				 l->alias, l->app, l->app);
	return 0;
}

int locate_add(const struct node *node, const char *app, const char *text,
	       const struct locate_to *to, struct error *err)
{
	autolocation struct location l = {0};
	autoclose int hosts_fd = -1;
	bool changed;

	if (name_check_app(app, err) == -1 || location_parse(text, &l, err) == -1)
		return -1;
	l.app = xstrdup(app);
	l.alias = to->alias ? xstrdup(to->alias) : NULL;
	l.previous = to->previous;
	if (take_lock(node, &hosts_fd, err) == -1 || check_alias(hosts_fd, &l, err) == -1 ||
	    add_locked(node, hosts_fd, &l, &changed, err) == -1)
		return -1;
	fd_close(&hosts_fd);
	return changed ? await_front(node, err) : 0;
}

int locate_for_push(const struct node *node, const char *app, const char *text, struct error *err)
{
	autolocation struct location l = {0}, whole = {0};
	autoclose int hosts_fd = -1, app_fd = -1;
	struct error none = ERROR_INIT;

	if (name_check_app(app, err) == -1 || location_parse(text, &l, err) == -1 ||
	    node_open_app(node, app, &app_fd, err) == -1 ||
	    fs_open_dir(node->fd, "hosts", &hosts_fd, err) == -1)
		return -1;
	if (l.kind != LOCATION_HOST)
		return error_set(err, E_REFUSED,
				 "'%s' is for an admin to give: `silver location add %s '%s'`",
				 text, app, text);
	if (*l.path && location_read(hosts_fd, l.host, &whole, &none) == 0 &&
	    strcmp(whole.app, app) != 0)
		return error_set(err, E_REFUSED,
				 "'%s' leads to the app '%s', so a path of it is for an admin to "
				 "give: `silver location add %s %s`",
				 l.host, whole.app, app, text);
	return locate_add(node, app, text, &locate_to_live, err);
}

/* What stands against it. */
static int check_removal(const struct locations *all, const char *app, const char *text,
			 struct error *err)
{
	const struct location *found = NULL;
	size_t own = 0;

	for (size_t i = 0; i < all->n; i++) {
		const struct location *l = &all->v[i];

		if (strcmp(l->app, app) != 0)
			continue;
		own += location_is_live(l);
		if (strcmp(l->text, text) == 0)
			found = l;
		if (l->alias && strcmp(l->alias, text) == 0)
			return error_set(
				err, E_REFUSED,
				"'%s' redirects to it: `silver location remove %s %s` first",
				l->text, app, l->text);
	}
	if (!found)
		return error_set(err, E_NOTFOUND, "'%s' is no location of '%s'", text, app);
	if (location_is_live(found) && own == 1)
		return error_set(err, E_REFUSED,
				 "it is the last location of '%s': add another one first, or take "
				 "it out of service with `silver disable %s`",
				 app, app);
	return 0;
}

static int remove_locked(const struct node *node, int hosts_fd, const char *app, const char *text,
			 bool *changed, struct error *err)
{
	autofree char *name = location_name(text);
	struct locations all;
	int rc;

	if (locations_read(node, &all, err) == -1)
		return -1;
	rc = check_removal(&all, app, text, err);
	locations_release(&all);
	if (rc == -1 || fs_unlink(hosts_fd, name, err) == -1 || fs_sync(hosts_fd, err) == -1 ||
	    read_and_record(node, app, err) == -1)
		return -1;
	return write_front(node, changed, err);
}

int locate_remove(const struct node *node, const char *app, const char *text, struct error *err)
{
	autolocation struct location l = {0};
	autoclose int hosts_fd = -1;
	bool changed;

	if (name_check_app(app, err) == -1 || location_parse(text, &l, err) == -1 ||
	    take_lock(node, &hosts_fd, err) == -1 ||
	    remove_locked(node, hosts_fd, app, text, &changed, err) == -1)
		return -1;
	fd_close(&hosts_fd);
	return changed ? await_front(node, err) : 0;
}

static int unlink_all(const struct node *node, int hosts_fd, const char *app, struct error *err)
{
	struct locations all;
	int rc = 0;

	if (locations_read(node, &all, err) == -1)
		return -1;
	for (size_t i = 0; i < all.n && rc == 0; i++) {
		autofree char *name = location_name(all.v[i].text);

		if (strcmp(all.v[i].app, app) == 0)
			rc = fs_unlink(hosts_fd, name, err);
	}
	locations_release(&all);
	return rc == -1 ? -1 : fs_sync(hosts_fd, err);
}

/* What nginx will not take is not kept. */
int locate_body(const struct node *node, const char *app, uint64_t bytes, struct error *err)
{
	uint64_t before = front_body_of(node, app);
	struct error ignored = ERROR_INIT;
	autoclose int hosts_fd = -1;
	bool changed;

	if (take_lock(node, &hosts_fd, err) == -1 || front_body_set(node, app, bytes, err) == -1)
		return -1;
	if (write_front(node, &changed, err) == -1) {
		if (front_body_set(node, app, before, &ignored) == -1)
			error_report(&ignored);
		return -1;
	}
	fd_close(&hosts_fd);
	return changed ? await_front(node, err) : 0;
}

int locate_remove_all(const struct node *node, const char *app, struct error *err)
{
	autoclose int hosts_fd = -1;
	bool changed;

	if (take_lock(node, &hosts_fd, err) == -1 || unlink_all(node, hosts_fd, app, err) == -1 ||
	    read_and_record(node, app, err) == -1 || front_body_set(node, app, 0, err) == -1 ||
	    write_front(node, &changed, err) == -1)
		return -1;
	fd_close(&hosts_fd);
	return changed ? await_front(node, err) : 0;
}

/* Of apps that have no location any more, too. */
static int repair_all(const struct node *node, const struct locations *all, struct error *err)
{
	autostrv struct strv apps = STRV_INIT;
	autoclose int fd = -1;

	if (fs_ensure_dir(node->fd, "locations", 0755, &fd, err) == -1 ||
	    fs_list(fd, &apps, err) == -1)
		return -1;
	for (size_t i = 0; i < all->n; i++)
		if (!strv_has(&apps, all->v[i].app))
			strv_add(&apps, all->v[i].app);
	for (size_t i = 0; i < apps.n; i++)
		if (write_record(node, all, apps.v[i], err) == -1)
			return -1;
	return 0;
}

int locate_repair(const struct node *node, struct error *err)
{
	autoclose int hosts_fd = -1;
	struct locations all;
	int rc;

	if (take_lock(node, &hosts_fd, err) == -1 || locations_read(node, &all, err) == -1)
		return -1;
	rc = repair_all(node, &all, err);
	locations_release(&all);
	return rc;
}

static void list_one(const struct node *node, const struct location *l, bool is_canonical,
		     struct json *j)
{
	autofree char *url = l->kind == LOCATION_HOST ? node_url(node, l->text) : NULL;

	autofree char *target = location_target(l);

	if (!j) {
		printf("%s%s\n", l->text, target);
		return;
	}
	json_open(j, NULL, '{');
	json_str(j, "location", l->text);
	json_str(j, "redirects_to", l->alias);
	json_str(j, "url", url);
	json_bool(j, "canonical", is_canonical);
	json_bool(j, "previous", l->previous);
	json_close(j, '}');
}

int locate_list(const struct node *node, const char *app, bool as_json, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT;
	struct json j = {.out = &out};
	const struct location *canonical;
	struct locations all;

	if (name_check_app(app, err) == -1 || locations_read(node, &all, err) == -1)
		return -1;
	canonical = locations_canonical(&all, app);
	json_open(&j, NULL, '[');
	if (canonical)
		list_one(node, canonical, true, as_json ? &j : NULL);
	for (size_t i = 0; i < all.n; i++)
		if (&all.v[i] != canonical && strcmp(all.v[i].app, app) == 0)
			list_one(node, &all.v[i], false, as_json ? &j : NULL);
	json_close(&j, ']');
	if (as_json)
		printf("%s\n", strbuf_str(&out));
	locations_release(&all);
	return 0;
}
