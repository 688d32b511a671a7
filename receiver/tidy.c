#include "receiver/tidy.h"

#include "common/fs.h"
#include "runtime/s6name.h"

/* The directory data/APP/tmp or log/APP; *fd is -1 when there is none yet. */
static int open_existing(const struct node *node, const char *path, int *fd, struct error *err)
{
	if (fs_open_dir(node->fd, path, fd, err) == 0 || err->code != E_NOTFOUND)
		return *fd == -1 ? -1 : 0;
	*err = (struct error)ERROR_INIT;
	return 0;
}

/* Is `number` of a directory of numbers still wanted? */
struct tidying {
	const struct node *node;
	const char *app;
	unsigned only, except[2]; /* 0: no such */
};
typedef bool (*is_wanted_fn)(const struct tidying *t, unsigned number);

static bool release_is_kept(const struct tidying *t, unsigned number)
{
	autofree char *path = xasprintf("apps/%s/releases/%u", t->app, number);

	return fs_exists(t->node->fd, path);
}

static bool tmp_is_used(const struct tidying *t, unsigned number)
{
	return number == t->except[0] || number == t->except[1] || (t->only && number != t->only);
}

/* "12", or "12.mail.1": what it is of. */
static bool release_of(const struct tidying *t, const char *name, unsigned *out)
{
	struct s6name s;

	if (!s6name_parse_part(t->app, name, &s))
		return false;
	*out = s.release;
	return true;
}

/* Whatever is in there and has no number is not ours. */
static int remove_numbers(const struct tidying *t, const char *path, is_wanted_fn is_wanted,
			  struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (open_existing(t->node, path, &fd, err) == -1)
		return -1;
	if (fd == -1)
		return 0;
	if (fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		unsigned number;

		if (!release_of(t, names.v[i], &number) || is_wanted(t, number))
			continue;
		if (fs_remove_tree(fd, names.v[i], err) == -1)
			return error_prefix(err, "tidying '%s'", path);
	}
	return 0;
}

static int remove_tmp(const struct tidying *t, struct error *err)
{
	autofree char *path = xasprintf("data/%s/tmp", t->app);

	return remove_numbers(t, path, tmp_is_used, err);
}

int tidy_release(const struct node *node, const char *app, unsigned release, struct error *err)
{
	const struct tidying t = {.node = node, .app = app, .only = release};

	return remove_tmp(&t, err);
}

int tidy_others(const struct node *node, const char *app, unsigned live, unsigned previous,
		struct error *err)
{
	const struct tidying t = {.node = node, .app = app, .except = {live, previous}};
	autofree char *log = xasprintf("log/%s", app);

	if (remove_tmp(&t, err) == -1)
		return -1;
	return remove_numbers(&t, log, release_is_kept, err);
}
