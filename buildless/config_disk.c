/* config_disk.c - where a configuration lies. */
#include "buildless/config.h"

#include <fcntl.h>
#include "buildless/release.h"
#include "common/fs.h"

#define INDEX_MAX (CONFIG_ALL_MAX + CONFIG_ITEMS_MAX * 400)
#define FILES     "config.d/" /* in front of a file's name in the index */

void config_format(const struct config *c, struct strbuf *out)
{
	for (size_t i = 0; i < c->set.n; i++)
		strbuf_add(out, c->set.v[i], strlen(c->set.v[i]) + 1);
	for (size_t i = 0; i < c->n_files; i++) {
		strbuf_addf(out, FILES "%s=%s", c->file[i].name, c->file[i].oid);
		strbuf_addch(out, '\0');
	}
}

static bool take_file(struct config *c, const char *name)
{
	const char *equals = strchr(name, '=');
	struct config_file f = {.name = NULL};

	if (strlen(equals + 1) != OID_HEX - 1)
		return false;
	memcpy(f.oid, equals + 1, OID_HEX);
	f.name = xstrndup(name, (size_t)(equals - name));
	config_add_file(c, &f);
	return true;
}

static bool take_entry(struct config *c, const char *entry)
{
	if (!strchr(entry, '='))
		return false;
	if (str_starts(entry, FILES))
		return take_file(c, entry + strlen(FILES));
	strv_add(&c->set, entry);
	return true;
}

static int read_place(const struct app *app, const char *place, struct config *out,
		      struct error *err)
{
	autofree char *path = xasprintf("%s/config", place);
	autostrbuf struct strbuf text = STRBUF_INIT;

	*out = (struct config)CONFIG_INIT;
	out->place = xstrdup(place);
	if (fs_read_file(app->fd, path, INDEX_MAX, &text, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	for (size_t at = 0; at < text.len; at += strlen(text.buf + at) + 1) {
		if (text.buf[text.len - 1] == '\0' && take_entry(out, text.buf + at))
			continue;
		config_release(out);
		return error_set(err, E_SYSTEM, "'%s' is damaged; `silver fsck` says more", path);
	}
	return 0;
}

int config_read(const struct app *app, unsigned release, struct config *out, struct error *err)
{
	autofree char *place = xasprintf("releases/%u", release);

	return read_place(app, place, out, err);
}

/* The names in config/, and the highest number among them: that counts; 0: none. */
static int list_waiting(const struct app *app, int *fd, struct strv *names, unsigned *highest,
			struct error *err)
{
	uint64_t number;

	*highest = 0;
	if (fs_open_dir(app->fd, "config", fd, err) == -1 || fs_list(*fd, names, err) == -1)
		return -1;
	for (size_t i = 0; i < names->n; i++)
		if (str_to_uint(names->v[i], INT32_MAX, &number) && number > *highest)
			*highest = (unsigned)number;
	return 0;
}

static int read_waiting(const struct app *app, struct config *out, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autofree char *place = NULL;
	autoclose int fd = -1;
	unsigned number;

	if (!fs_exists(app->fd, "config"))
		return 0;
	if (list_waiting(app, &fd, &names, &number, err) == -1)
		return -1;
	place = xasprintf("config/%u", number);
	return number ? read_place(app, place, out, err) : 0;
}

int config_read_live(const struct app *app, struct config *out, struct error *err)
{
	unsigned live = release_current(app);

	*out = (struct config)CONFIG_INIT;
	return live ? config_read(app, live, out, err) : read_waiting(app, out, err);
}

static int write_new(int dir_fd, const char *name, const void *content, size_t len,
		     struct error *err)
{
	autoclose int fd = -1;

	if (fs_open(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0640, &fd, err) == -1 ||
	    fs_write_all(fd, content, len, err) == -1 || fs_sync(fd, err) == -1)
		return error_prefix(err, "'%s'", name);
	return 0;
}

static int write_files(const struct app *app, const struct config *c, int files_fd,
		       struct error *err)
{
	autofree char *path = c->place ? xasprintf("%s/config.d", c->place) : NULL;
	autoclose int from_fd = -1;

	for (size_t i = 0; i < c->n_files; i++) {
		const struct config_file *f = &c->file[i];

		if (f->content) {
			if (write_new(files_fd, f->name, f->content, f->len, err) == -1)
				return -1;
			continue;
		}
		if (from_fd == -1 && fs_open_dir(app->fd, path, &from_fd, err) == -1)
			return -1;
		if (fs_link(from_fd, f->name, files_fd, f->name, err) == -1)
			return -1;
	}
	return c->n_files ? fs_sync(files_fd, err) : 0;
}

int config_write(const struct app *app, const struct config *c, int dir_fd, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autoclose int files_fd = -1;

	if (fs_ensure_dir(dir_fd, "config.d", 0750, &files_fd, err) == -1)
		return -1;
	if (!c)
		return 0;
	config_format(c, &text);
	if (text.len == 0)
		return 0;
	if (write_files(app, c, files_fd, err) == -1 ||
	    write_new(dir_fd, "config", text.buf, text.len, err) == -1)
		return error_prefix(err, "writing the configuration");
	return 0;
}

int config_write_waiting(const struct app *app, const struct config *c, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	struct error later = ERROR_INIT;
	autofree char *name = NULL, *new = NULL;
	autoclose int fd = -1, new_fd = -1;
	unsigned number;

	if (list_waiting(app, &fd, &names, &number, err) == -1)
		return -1;
	name = xasprintf("%u", number + 1);
	new = xasprintf("%u.new", number + 1);
	if (fs_remove_tree(fd, new, err) == -1 ||
	    fs_ensure_dir(fd, new, 0750, &new_fd, err) == -1 ||
	    config_write(app, c, new_fd, err) == -1 || fs_sync(new_fd, err) == -1 ||
	    fs_rename_sync(fd, new, fd, name, err) == -1)
		return -1;
	if (config_tidy(app, &later) == -1) /* it does not count any more, and goes later */
		later.code = E_OK;
	return 0;
}

/* "3", "3.new" */
static bool is_ours(const char *name)
{
	autofree char *number = xstrndup(name, strcspn(name, "."));
	uint64_t value;

	return str_to_uint(number, INT32_MAX, &value) &&
	       (strchr(name, '.') == NULL || str_ends(name, ".new"));
}

int config_tidy(const struct app *app, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autofree char *keep = NULL;
	autoclose int fd = -1;
	unsigned number;

	if (!fs_exists(app->fd, "config"))
		return 0;
	if (list_waiting(app, &fd, &names, &number, err) == -1)
		return -1;
	keep = xasprintf("%u", release_current(app) ? 0 : number);
	for (size_t i = 0; i < names.n; i++)
		if (is_ours(names.v[i]) && strcmp(names.v[i], keep) != 0 &&
		    fs_remove_tree(fd, names.v[i], err) == -1)
			return -1;
	return 0;
}
