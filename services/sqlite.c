/* sqlite.c - a database file below data/APP, made as the app's runner. It has a directory of its
 * own: SQLite writes its log beside it. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>
#include "common/fs.h"
#include "services/driver.h"

#define DIRECTORY   "sqlite"
#define FILE_NAME   "db.sqlite3"
#define COPY_NAME   "copy.new" /* of a backup or restore that is under way */
#define CHUNK       (256 << 10)
#define PATIENCE_MS 60000

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

static int copy_bytes(int from, int to, struct error *err)
{
	autofree char *buf = xmalloc(CHUNK);
	ssize_t n;

	while ((n = read(from, buf, CHUNK)) > 0)
		if (fs_write_all(to, buf, (size_t)n, err) == -1)
			return -1;
	return n == 0 ? 0 : error_sys(err, errno, "cannot read a database");
}

static int open_database(const char *path, int flags, sqlite3 **out, struct error *err)
{
	if (sqlite3_open_v2(path, out, flags | SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(*out, PATIENCE_MS) != SQLITE_OK)
		return sqlite_error(*out, err);
	return 0;
}

/* All of it in one step, which is one transaction of either side. */
static int copy_database(const char *from, const char *to, struct error *err)
{
	__attribute__((cleanup(close_db))) sqlite3 *in = NULL, *out = NULL;
	sqlite3_backup *copy;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;

	if (open_database(from, SQLITE_OPEN_READWRITE, &in, err) == -1 ||
	    open_database(to, flags, &out, err) == -1)
		return -1;
	copy = sqlite3_backup_init(out, "main", in, "main");
	if (!copy)
		return sqlite_error(out, err);
	for (int tries = 0; sqlite3_backup_step(copy, -1) == SQLITE_BUSY && tries < 600; tries++)
		sqlite3_sleep(100);
	return sqlite3_backup_finish(copy) == SQLITE_OK ? 0 : sqlite_error(out, err);
}

static int check_database(const char *path, struct error *err)
{
	__attribute__((cleanup(close_db))) sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	bool good;

	if (open_database(path, SQLITE_OPEN_READWRITE, &db, err) == -1)
		return -1;
	good = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL) == SQLITE_OK &&
	       sqlite3_step(stmt) == SQLITE_ROW &&
	       strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
	sqlite3_finalize(stmt);
	return good ? 0 : error_set(err, E_REFUSED, "the dump is no whole database of SQLite");
}

struct copy {
	int dir_fd; /* data/APP/sqlite */
	char *path; /* of the copy */
};

static int remove_copy(const struct copy *c, struct error *err)
{
	static const char *const names[] = {COPY_NAME, COPY_NAME "-wal", COPY_NAME "-shm",
					    COPY_NAME "-journal"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (fs_unlink(c->dir_fd, names[i], err) == -1)
			return -1;
	return 0;
}

/* Removes what another left. */
static int begin_copy(const struct service_call *call, struct copy *c, struct error *err)
{
	autofree char *dir = xasprintf("data/%s/" DIRECTORY, call->app);

	c->path = xasprintf("%s/%s/" COPY_NAME, call->node->dir, dir);
	if (fs_open_dir(call->node->fd, dir, &c->dir_fd, err) == -1)
		return -1;
	return remove_copy(c, err);
}

static int end_copy(struct copy *c, int result, struct error *err)
{
	struct error ignored = ERROR_INIT;

	if (c->dir_fd != -1 && remove_copy(c, result == 0 ? err : &ignored) == -1)
		result = -1;
	fd_close(&c->dir_fd);
	free(c->path);
	return result;
}

static int send_copy(const struct copy *c, int fd, struct error *err)
{
	autoclose int from = -1;

	if (fs_open(c->dir_fd, COPY_NAME, O_RDONLY, 0, &from, err) == -1)
		return -1;
	return copy_bytes(from, fd, err);
}

static int receive_copy(const struct copy *c, int fd, struct error *err)
{
	autoclose int to = -1;

	if (fs_open(c->dir_fd, COPY_NAME, O_WRONLY | O_CREAT | O_EXCL, 0600, &to, err) == -1)
		return -1;
	return copy_bytes(fd, to, err);
}

static int backup(const struct service_call *call, int fd, struct error *err)
{
	autofree char *path = path_of(call);
	struct copy c = {-1, NULL};
	int r = begin_copy(call, &c, err);

	if (r == 0)
		r = copy_database(path, c.path, err);
	if (r == 0)
		r = send_copy(&c, fd, err);
	return end_copy(&c, r, err);
}

static int restore(const struct service_call *call, int fd, struct error *err)
{
	autofree char *path = path_of(call);
	struct copy c = {-1, NULL};
	int r = begin_copy(call, &c, err);

	if (r == 0)
		r = receive_copy(&c, fd, err);
	if (r == 0)
		r = check_database(c.path, err);
	if (r == 0)
		r = copy_database(c.path, path, err);
	if (r == 0)
		r = make_database(path, err); /* in WAL mode, whatever came */
	return end_copy(&c, r, err);
}

static int status(const struct service_call *call, struct strbuf *out, struct error *err)
{
	autofree char *path = path_of(call);
	struct stat st;

	if (stat(path, &st) == -1)
		return error_sys(err, errno, "cannot look at the database");
	strbuf_addf(out, "server SQLite %s\nbytes %lld\n", sqlite3_libversion(),
		    (long long)st.st_size);
	return 0;
}

const struct service_driver sqlite_driver = {
	.name = "sqlite",
	.provision = provision,
	.remove = remove_all,
	.clear = clear,
	.backup = backup,
	.restore = restore,
	.status = status,
};
