#include "receiver/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/input.h"
#include "common/json.h"
#include "common/names.h"

enum { VALUE_MAX = 64 << 10, NAME_BYTES = 64 };

/* As silversupport.secret.get_key() has it. */
int keys_check_name(const char *name, struct error *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	autofree char *shown = name_printable(name);
	size_t len = strspn(name, letters);

	if (len && len <= NAME_BYTES && !name[len] && !strchr("._-", *name))
		return 0;
	return error_set(err, E_USAGE,
			 "'%.80s' is no name of a key: letters, digits, '.', '_' and '-', a letter "
			 "or digit first, at most %d",
			 shown, NAME_BYTES);
}

/* Whoever has the lock removes what one that was killed left. */
static int clear_halves(int keys_fd, struct error *err)
{
	autostrv struct strv names = STRV_INIT;

	if (fs_list(keys_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (names.v[i][0] == '.' && fs_remove_tree(keys_fd, names.v[i], err) == -1)
			return -1;
	return 0;
}

/* DIR/keys, made where it is not there, and nobody else's until it is closed. */
static int open_keys(const struct node *node, int *out, struct error *err)
{
	autoclose int fd = -1;

	if (fs_ensure_dir(node->fd, "keys", 0700, &fd, err) == -1)
		return -1;
	if (flock(fd, LOCK_EX) == -1)
		return error_sys(err, errno, "cannot lock the keys");
	if (clear_halves(fd, err) == -1)
		return -1;
	*out = steal_fd(&fd);
	return 0;
}

int keys_tidy(const struct node *node, struct error *err)
{
	autoclose int fd = -1;

	return fs_exists(node->fd, "keys") ? open_keys(node, &fd, err) : 0;
}

static int unknown_key(const char *name, struct error *err)
{
	return error_set(err, E_NOTFOUND, "no key '%s' (`silver key list` names all)", name);
}

static int open_apps(int keys_fd, const char *name, int *out, struct error *err)
{
	autofree char *path = xasprintf("%s/apps", name);

	if (fs_open_dir(keys_fd, path, out, err) == 0)
		return 0;
	return err->code == E_NOTFOUND ? unknown_key(name, err) : -1;
}

/* In a directory where others may write, everything is done to the open file: a name may change
 * what it stands for between two calls. */
static int write_copy(int dir_fd, const char *name, const struct strbuf *value, gid_t group,
		      struct error *err)
{
	autofree char *tmp = xasprintf(".%s.new", name);
	autoclose int fd = -1;

	if (fs_unlink(dir_fd, tmp, err) == -1 ||
	    fs_open(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL, 0640, &fd, err) == -1 ||
	    fs_write_all(fd, strbuf_str(value), value->len, err) == -1)
		return -1;
	if (geteuid() == 0 && fchown(fd, (uid_t)-1, group) == -1)
		return error_sys(err, errno, "cannot give '%s' to the app's group", name);
	if (fs_sync(fd, err) == -1)
		return -1;
	return fs_rename_sync(dir_fd, tmp, dir_fd, name, err);
}

/* data/APP, and the app's group. */
static int open_data(const struct node *node, const char *app, int *out, gid_t *group,
		     struct error *err)
{
	autoclose int parent = -1;
	struct stat st;

	if (fs_open_dir(node->fd, "data", &parent, err) == -1 ||
	    fs_open_dir(parent, app, out, err) == -1)
		return -1;
	if (fstat(*out, &st) == -1)
		return error_sys(err, errno, "cannot see whose data it is");
	*group = st.st_gid;
	return 0;
}

static int open_copies(const struct node *node, const char *app, int *out, gid_t *group,
		       struct error *err)
{
	autoclose int data_fd = -1;
	bool fresh;

	if (open_data(node, app, &data_fd, group, err) == -1)
		return -1;
	fresh = !fs_exists(data_fd, "keys");
	if (fs_ensure_dir(data_fd, "keys", 0750, out, err) == -1)
		return -1;
	if (fresh && geteuid() == 0 && fchown(*out, (uid_t)-1, *group) == -1)
		return error_sys(err, errno, "cannot give 'keys' to the app's group");
	return fs_sync(data_fd, err);
}

static int copy_to(const struct node *node, const char *app, const char *name,
		   const struct strbuf *value, struct error *err)
{
	autoclose int fd = -1;
	gid_t group = (gid_t)-1;

	if (open_copies(node, app, &fd, &group, err) == -1 ||
	    write_copy(fd, name, value, group, err) == -1)
		return error_prefix(err, "giving the key '%s' to %s", name, app);
	return 0;
}

static int take_from(const struct node *node, const char *app, const char *name, struct error *err)
{
	autofree char *path = xasprintf("data/%s/keys", app);
	autoclose int fd = -1;

	if (fs_open_dir(node->fd, path, &fd, err) == -1) /* the app, or its data, is gone */
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_unlink(fd, name, err) == -1)
		return -1;
	return fs_sync(fd, err);
}

/* keys/NAME, whole or not at all. */
static int make_key(int keys_fd, const char *name, const struct strbuf *value, struct error *err)
{
	autofree char *tmp = xasprintf(".%s.new", name);
	autoclose int fd = -1;

	if (fs_ensure_dir(keys_fd, tmp, 0700, &fd, err) == -1 ||
	    fs_ensure_dir(fd, "apps", 0700, NULL, err) == -1 ||
	    fs_replace_file(fd, "value", strbuf_str(value), value->len, 0600, err) == -1)
		return -1;
	return fs_rename_sync(keys_fd, tmp, keys_fd, name, err);
}

static int replace_value(const struct node *node, int keys_fd, const char *name,
			 const struct strbuf *value, struct error *err)
{
	autostrv struct strv apps = STRV_INIT;
	autoclose int fd = -1, apps_fd = -1;

	if (fs_open_dir(keys_fd, name, &fd, err) == -1 ||
	    fs_replace_file(fd, "value", strbuf_str(value), value->len, 0600, err) == -1 ||
	    open_apps(keys_fd, name, &apps_fd, err) == -1 || fs_list(apps_fd, &apps, err) == -1)
		return -1;
	for (size_t i = 0; i < apps.n; i++)
		if (copy_to(node, apps.v[i], name, value, err) == -1)
			return -1;
	printf("silver: key %s has a new value", name);
	for (size_t i = 0; i < apps.n; i++)
		printf("%s %s", i ? "," : ", for", apps.v[i]);
	printf("\n");
	return 0;
}

int keys_set(const struct node *node, const char *name, struct error *err)
{
	autostrbuf struct strbuf value = STRBUF_INIT;
	autoclose int fd = -1;

	if (keys_check_name(name, err) == -1 || input_read(&value, VALUE_MAX, err) == -1)
		return -1;
	if (value.len == 0)
		return error_set(err, E_USAGE, "the key comes on standard input, and none came");
	if (open_keys(node, &fd, err) == -1)
		return -1;
	if (fs_exists(fd, name))
		return replace_value(node, fd, name, &value, err);
	if (make_key(fd, name, &value, err) == -1)
		return -1;
	printf("silver: key %s is kept; `silver key grant %s APP` gives it to an app\n", name,
	       name);
	return 0;
}

int keys_grant(const struct node *node, const char *name, const char *app, struct error *err)
{
	autofree char *path = xasprintf("%s/value", name);
	autostrbuf struct strbuf value = STRBUF_INIT;
	autoclose int keys_fd = -1, apps_fd = -1, app_fd = -1, fd = -1;

	if (keys_check_name(name, err) == -1 || name_check_app(app, err) == -1 ||
	    node_open_app(node, app, &app_fd, err) == -1 || open_keys(node, &keys_fd, err) == -1 ||
	    open_apps(keys_fd, name, &apps_fd, err) == -1 ||
	    fs_read_file(keys_fd, path, VALUE_MAX, &value, err) == -1)
		return -1;
	if (fs_open(apps_fd, app, O_WRONLY | O_CREAT, 0600, &fd, err) == -1 ||
	    fs_sync(apps_fd, err) == -1 || copy_to(node, app, name, &value, err) == -1)
		return -1;
	printf("silver: %s may read the key %s\n", app, name);
	return 0;
}

static int take_back(const struct node *node, int keys_fd, const char *name, const char *app,
		     struct error *err)
{
	autoclose int apps_fd = -1;

	if (open_apps(keys_fd, name, &apps_fd, err) == -1 ||
	    take_from(node, app, name, err) == -1 || fs_unlink(apps_fd, app, err) == -1)
		return -1;
	return fs_sync(apps_fd, err);
}

int keys_revoke(const struct node *node, const char *name, const char *app, struct error *err)
{
	autofree char *grant = xasprintf("%s/apps/%s", name, app);
	autoclose int fd = -1;
	bool had;

	if (keys_check_name(name, err) == -1 || name_check_app(app, err) == -1 ||
	    open_keys(node, &fd, err) == -1)
		return -1;
	had = fs_exists(fd, grant);
	if (take_back(node, fd, name, app, err) == -1)
		return -1;
	printf(had ? "silver: %s may read the key %s no more; what it has read it has\n"
		   : "silver: nothing changed: %s did not have the key %s\n",
	       app, name);
	return 0;
}

int keys_remove(const struct node *node, const char *name, struct error *err)
{
	autofree char *tmp = xasprintf(".%s.new", name);
	autostrv struct strv apps = STRV_INIT;
	autoclose int fd = -1, apps_fd = -1;

	if (keys_check_name(name, err) == -1 || open_keys(node, &fd, err) == -1 ||
	    open_apps(fd, name, &apps_fd, err) == -1 || fs_list(apps_fd, &apps, err) == -1)
		return -1;
	for (size_t i = 0; i < apps.n; i++)
		if (take_back(node, fd, name, apps.v[i], err) == -1)
			return -1;
	/* half a key is none: it goes by a name that does not count */
	if (fs_rename_sync(fd, name, fd, tmp, err) == -1 || fs_remove_tree(fd, tmp, err) == -1)
		return -1;
	printf("silver: key %s is removed\n", name);
	return 0;
}

static void list_one(const char *name, const struct strv *apps, struct json *json)
{
	if (!json) {
		printf("%s ", name);
		for (size_t i = 0; i < apps->n; i++)
			printf(" %s", apps->v[i]);
		printf("%s\n", apps->n ? "" : " -");
		return;
	}
	json_open(json, NULL, '{');
	json_str(json, "key", name);
	json_open(json, "apps", '[');
	for (size_t i = 0; i < apps->n; i++)
		json_str(json, NULL, apps->v[i]);
	json_close(json, ']');
	json_close(json, '}');
}

int keys_list(const struct node *node, bool as_json, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT;
	autostrv struct strv names = STRV_INIT;
	struct json json = {.out = &out};
	autoclose int fd = -1;

	if (open_keys(node, &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	json_open(&json, NULL, '[');
	for (size_t i = 0; i < names.n; i++) {
		autostrv struct strv apps = STRV_INIT;
		autoclose int apps_fd = -1;

		if (open_apps(fd, names.v[i], &apps_fd, err) == -1 ||
		    fs_list(apps_fd, &apps, err) == -1)
			return -1;
		list_one(names.v[i], &apps, as_json ? &json : NULL);
	}
	json_close(&json, ']');
	if (as_json)
		printf("%s\n", strbuf_str(&out));
	return 0;
}

int keys_forget_app(const struct node *node, const char *app, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (!fs_exists(node->fd, "keys"))
		return 0;
	if (open_keys(node, &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("%s/apps", names.v[i]);
		autoclose int apps_fd = -1;

		if (!fs_exists(fd, path))
			continue;
		if (fs_open_dir(fd, path, &apps_fd, err) == -1 ||
		    fs_unlink(apps_fd, app, err) == -1 || fs_sync(apps_fd, err) == -1)
			return -1;
	}
	return 0;
}
