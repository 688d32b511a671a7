#include "receiver/tidy.h"

#include "common/fs.h"

/* The directory data/APP/tmp or log/APP; *fd is -1 when there is none yet. */
static int open_existing(const struct node *node, const char *path, int *fd, struct error *err)
{
	if (fs_open_dir(node->fd, path, fd, err) == 0 || err->code != E_NOTFOUND)
		return *fd == -1 ? -1 : 0;
	*err = (struct error)ERROR_INIT;
	return 0;
}

static bool is_release_kept(const struct node *node, const char *app, const char *number)
{
	autofree char *path = xasprintf("apps/%s/releases/%s", app, number);

	return fs_exists(node->fd, path);
}

static int remove_tmp(const struct node *node, const char *app, unsigned only, unsigned except,
		      struct error *err)
{
	autofree char *path = xasprintf("data/%s/tmp", app);
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (open_existing(node, path, &fd, err) == -1)
		return -1;
	if (fd == -1)
		return 0;
	if (fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		uint64_t number;

		if (!str_to_uint(names.v[i], INT32_MAX, &number) || number == except ||
		    (only && number != only))
			continue;
		if (fs_remove_tree(fd, names.v[i], err) == -1)
			return error_prefix(err, "tidying '%s'", path);
	}
	return 0;
}

static int remove_logs(const struct node *node, const char *app, struct error *err)
{
	autofree char *path = xasprintf("log/%s", app);
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (open_existing(node, path, &fd, err) == -1)
		return -1;
	if (fd == -1)
		return 0;
	if (fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		uint64_t number;

		if (!str_to_uint(names.v[i], INT32_MAX, &number) ||
		    is_release_kept(node, app, names.v[i]))
			continue;
		if (fs_remove_tree(fd, names.v[i], err) == -1)
			return error_prefix(err, "tidying '%s'", path);
	}
	return 0;
}

int tidy_release(const struct node *node, const char *app, unsigned release, struct error *err)
{
	return remove_tmp(node, app, release, 0, err);
}

int tidy_others(const struct node *node, const char *app, unsigned live, struct error *err)
{
	if (remove_tmp(node, app, 0, live, err) == -1)
		return -1;
	return remove_logs(node, app, err);
}
