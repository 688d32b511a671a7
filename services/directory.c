/* directory.c - directories below data/APP, made as the app's runner: files, writable_root. */
#include <fcntl.h>
#include "common/fs.h"
#include "services/archive.h"
#include "services/driver.h"

static int make(const struct service_call *call, mode_t mode, struct error *err)
{
	autofree char *path = xasprintf("data/%s", call->app);
	autoclose int fd = -1;

	if (fs_open_dir(call->node->fd, path, &fd, err) == -1 ||
	    fs_ensure_dir(fd, call->service->record, mode, NULL, err) == -1)
		return -1;
	return fs_sync(fd, err);
}

static int remove_all(const struct service_call *call, struct error *err)
{
	autofree char *path = xasprintf("data/%s", call->app);
	autoclose int fd = -1;

	if (fs_open_dir(call->node->fd, path, &fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_remove_tree(fd, call->service->record, err) == -1)
		return -1;
	return fs_sync(fd, err);
}

static int open_data(const struct service_call *call, int *out, struct error *err)
{
	autofree char *path = xasprintf("data/%s", call->app);

	return fs_open_dir(call->node->fd, path, out, err);
}

static int backup(const struct service_call *call, int fd, struct error *err)
{
	autoclose int data_fd = -1, dir_fd = -1;

	if (open_data(call, &data_fd, err) == -1 ||
	    fs_open_dir(data_fd, call->service->record, &dir_fd, err) == -1)
		return -1;
	return tree_write(dir_fd, fd, err);
}

/* Laid out beside what is there, on disk, and then in its place. */
static int restore(const struct service_call *call, mode_t mode, int fd, struct error *err)
{
	const char *name = call->service->record;
	autofree char *fresh = xasprintf("%s.new", name), *old = xasprintf("%s.old", name);
	autoclose int data_fd = -1, dir_fd = -1;

	if (open_data(call, &data_fd, err) == -1 || fs_remove_tree(data_fd, fresh, err) == -1 ||
	    fs_remove_tree(data_fd, old, err) == -1 ||
	    fs_ensure_dir(data_fd, fresh, mode, &dir_fd, err) == -1)
		return -1;
	if (tree_read(dir_fd, fd, err) == -1) /* the next restore removes what it left */
		return -1;
	if (fs_sync_all(dir_fd, err) == -1 ||
	    (fs_exists(data_fd, name) && fs_rename(data_fd, name, data_fd, old, err) == -1) ||
	    fs_rename_sync(data_fd, fresh, data_fd, name, err) == -1)
		return -1;
	return fs_remove_tree(data_fd, old, err);
}

static int restore_files(const struct service_call *call, int fd, struct error *err)
{
	return restore(call, 0750, fd, err);
}

static int restore_writable_root(const struct service_call *call, int fd, struct error *err)
{
	return restore(call, 0755, fd, err);
}

static void give(const struct service_call *call, const char *variable, struct strv *env)
{
	strv_addf(env, "%s=%s/data/%s/%s", variable, call->node->dir, call->app,
		  call->service->record);
}

static int provision_files(const struct service_call *call, struct strv *env, struct error *err)
{
	if (make(call, 0750, err) == -1)
		return -1;
	give(call, "CONFIG_FILES", env);
	return 0;
}

/* nginx reads what is in it. */
static int provision_writable_root(const struct service_call *call, struct strv *env,
				   struct error *err)
{
	if (make(call, 0755, err) == -1)
		return -1;
	give(call, "CONFIG_WRITABLE_ROOT", env);
	return 0;
}

static int clear_files(const struct service_call *call, struct error *err)
{
	return remove_all(call, err) == -1 ? -1 : make(call, 0750, err);
}

static int clear_writable_root(const struct service_call *call, struct error *err)
{
	return remove_all(call, err) == -1 ? -1 : make(call, 0755, err);
}

const struct service_driver files_driver = {
	.name = "files",
	.provision = provision_files,
	.remove = remove_all,
	.clear = clear_files,
	.backup = backup,
	.restore = restore_files,
};

const struct service_driver writable_root_driver = {
	.name = "writable_root",
	.provision = provision_writable_root,
	.remove = remove_all,
	.clear = clear_writable_root,
	.backup = backup,
	.restore = restore_writable_root,
};
