/* sqlite.c - a database file below data/APP, made as the app's runner. It has a directory of its
 * own: SQLite writes its log beside it. */
#include <fcntl.h>
#include <sqlite3.h>
#include "common/fs.h"
#include "services/driver.h"

#define DIRECTORY "sqlite"
#define FILE_NAME "db.sqlite3"

static char *path_of(const struct service_call *call)
{
	return xasprintf("%s/data/%s/" DIRECTORY "/" FILE_NAME, call->node->dir, call->app);
}

static void close_db(sqlite3 **db)
{
	sqlite3_close(*db);
}

static int sqlite_error(sqlite3 *db, struct error *err)
{
	return error_set(err, E_SYSTEM, "SQLite says: %s",
			 db ? sqlite3_errmsg(db) : "out of memory");
}

/* WAL is a property of the file, and stays: readers do not wait for a writer. */
static int make_database(const char *path, struct error *err)
{
	__attribute__((cleanup(close_db))) sqlite3 *db = NULL;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW;

	if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(db, 10000) != SQLITE_OK ||
	    sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_error(db, err);
	return 0;
}

static int provision(const struct service_call *call, struct strv *env, struct error *err)
{
	autofree char *data = xasprintf("data/%s", call->app), *path = path_of(call);
	autoclose int fd = -1, dir_fd = -1;

	if (fs_open_dir(call->node->fd, data, &fd, err) == -1 ||
	    fs_ensure_dir(fd, DIRECTORY, 0750, &dir_fd, err) == -1 || fs_sync(fd, err) == -1)
		return -1;
	if (make_database(path, err) == -1 || fs_sync(dir_fd, err) == -1)
		return -1;
	strv_addf(env, "CONFIG_SQLITE_PATH=%s", path);
	strv_addf(env, "DATABASE_URL=sqlite:///%s", path);
	return 0;
}

static int remove_all(const struct service_call *call, struct error *err)
{
	autofree char *data = xasprintf("data/%s", call->app);
	autoclose int fd = -1;

	if (fs_open_dir(call->node->fd, data, &fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_remove_tree(fd, DIRECTORY, err) == -1)
		return -1;
	return fs_sync(fd, err);
}

static int clear(const struct service_call *call, struct error *err)
{
	autostrv struct strv ignored = STRV_INIT;

	return remove_all(call, err) == -1 ? -1 : provision(call, &ignored, err);
}

const struct service_driver sqlite_driver = {
	.name = "sqlite",
	.provision = provision,
	.remove = remove_all,
	.clear = clear,
};
