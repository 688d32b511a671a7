/* mysql.c - a database and an account for each app, on the node's own MariaDB or one elsewhere.
 *
 * The account APP, or after a rotation APP-2, has all rights on the database APP and no other. An
 * account that was replaced is locked, not dropped: what it defined (views, triggers) goes on.
 * Whose a database is stands in its comment. */
#include "services/driver.h"

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <pwd.h>
#include <unistd.h>
#include "services/server.h"

#define SECOND       "-2"
#define URL          "mysql://"
#define DEFAULT_PORT 3306
#define CONNECT_S    10

struct target {
	char *host, *user, *password, *socket;
	char *from;   /* where the app's account may come from, as the server sees it */
	char *ssl_ca; /* whose certificates are believed; NULL: no TLS */
	unsigned port;
};

static void target_release(struct target *t)
{
	free(t->host);
	free(t->user);
	free(t->password);
	free(t->socket);
	free(t->from);
	free(t->ssl_ca);
}
static void close_server(MYSQL **m)
{
	if (*m)
		mysql_close(*m);
}
#define autotarget __attribute__((cleanup(target_release)))
#define automysql  __attribute__((cleanup(close_server)))

#define SSL_CA "/?ssl-ca="

/* mysql://USER[:PASSWORD]@HOST[:PORT]/[?ssl-ca=/PATH] */
static int parse_url(const char *url, struct target *t, struct error *err)
{
	const char *user = url + strlen(URL), *host = strchr(url, '@');
	uint64_t port = DEFAULT_PORT;
	size_t len;

	if (!str_starts(url, URL) || !host)
		goto bad;
	len = strcspn(user, ":@");
	t->user = xstrndup(user, len);
	if (user[len] == ':')
		t->password = xstrndup(user + len + 1, (size_t)(host - user) - len - 1);
	host++;
	len = strcspn(host, ":/");
	t->host = xstrndup(host, len);
	if (host[len] == ':') {
		autofree char *text = xstrndup(host + len + 1, strcspn(host + len + 1, "/"));

		if (!str_to_uint(text, 65535, &port))
			goto bad;
	}
	t->port = (unsigned)port;
	t->from = xstrdup("%");
	host = strchrnul(host, '/');
	if (str_starts(host, SSL_CA "/"))
		t->ssl_ca = xstrdup(host + strlen(SSL_CA));
	else if (*host && host[1])
		goto bad;
	if (len > 0)
		return 0;
bad:
	return error_set(err, E_SYSTEM,
			 "node.ini: [service.mysql]: admin is mysql://USER@HOST:PORT/, with TLS "
			 "mysql://USER@HOST:PORT" SSL_CA "/PATH.pem");
}

/* Its user is its administrator, by the socket and without a password. */
static int own_target(const struct node *node, struct target *t, struct error *err)
{
	autoplace struct server_place place = {0};
	const struct passwd *user = getpwuid(geteuid());

	if (server_find(node, "mysql", &place, err) == -1)
		return -1;
	t->host = xstrdup("127.0.0.1");
	t->user = xstrdup(user ? user->pw_name : "");
	t->socket = xasprintf("%s/s", place.run);
	t->from = xstrdup("127.0.0.1");
	t->port = place.port;
	return 0;
}

/* Errors of the client are about the way to the server, the others are the server's. */
static int mysql_says(MYSQL *m, struct error *err)
{
	return error_set(err, E_SYSTEM, "the server says: %.500s", mysql_error(m));
}

/* Nothing is said to a server that has not shown whose it is. */
static bool want_tls(MYSQL *m, const struct target *t)
{
	my_bool yes = 1;

	return mysql_optionsv(m, MYSQL_OPT_SSL_CA, t->ssl_ca) == 0 &&
	       mysql_optionsv(m, MYSQL_OPT_SSL_ENFORCE, &yes) == 0 &&
	       mysql_optionsv(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes) == 0;
}

static int open_target(const struct target *t, MYSQL **out, struct error *err)
{
	unsigned connect_s = CONNECT_S;
	const char *host = t->socket ? NULL : t->host;

	*out = mysql_init(NULL);
	if (!*out)
		return error_set(err, E_SYSTEM, "out of memory");
	if (mysql_optionsv(*out, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s) ||
	    mysql_optionsv(*out, MYSQL_SET_CHARSET_NAME, "utf8mb4") ||
	    (t->ssl_ca && !want_tls(*out, t)))
		return mysql_says(*out, err);
	if (mysql_real_connect(*out, host, t->user, t->password, NULL, t->port, t->socket, 0))
		return 0;
	return error_set(err, mysql_errno(*out) >= CR_MIN_ERROR ? E_BUSY : E_SYSTEM,
			 "cannot reach the server: %.500s", mysql_error(*out));
}

static int open_server(const struct service_call *call, struct target *t, MYSQL **out,
		       struct error *err)
{
	if ((call->admin ? parse_url(call->admin, t, err) : own_target(call->node, t, err)) == -1)
		return -1;
	if (call->admin && call->password) {
		free(t->password);
		t->password = xstrdup(call->password);
	}
	if (open_target(t, out, err) == -1)
		return -1;
	if (mariadb_connection(*out))
		return 0;
	return error_set(err, E_REFUSED, "the server is no MariaDB, but %s",
			 mysql_get_server_info(*out));
}

static int run(MYSQL *m, struct error *err, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int run(MYSQL *m, struct error *err, const char *fmt, ...)
{
	autofree char *sql = NULL;
	va_list args;

	va_start(args, fmt);
	sql = xvasprintf(fmt, args);
	va_end(args);
	return mysql_query(m, sql) == 0 ? 0 : mysql_says(m, err);
}

/* The first value of the first row; NULL: there is none. The caller frees. */
static int ask(MYSQL *m, char **out, struct error *err, const char *fmt, ...) PRINTF_LIKE(4, 5);
static int ask(MYSQL *m, char **out, struct error *err, const char *fmt, ...)
{
	autofree char *sql = NULL;
	MYSQL_RES *result;
	MYSQL_ROW row;
	va_list args;

	va_start(args, fmt);
	sql = xvasprintf(fmt, args);
	va_end(args);
	*out = NULL;
	if (mysql_query(m, sql) != 0 || !(result = mysql_store_result(m)))
		return mysql_says(m, err);
	row = mysql_fetch_row(result);
	if (row && row[0])
		*out = xstrdup(row[0]);
	mysql_free_result(result);
	return 0;
}

static char *database_of(const struct service_call *call)
{
	static const char *const taken[] = {"mysql", "sys", "information_schema",
					    "performance_schema", "test"};

	return service_database_name(call->app, taken, ARRAY_SIZE(taken));
}

/* *exists, and it is ours. */
static int check_database(const struct service_call *call, MYSQL *m, const char *db, bool *exists,
			  struct error *err)
{
	autofree char *mark = xasprintf("silver: app %s of node %s", call->app, call->node_id);
	autofree char *comment = NULL;

	if (ask(m, &comment, err,
		"SELECT SCHEMA_COMMENT FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '%s'",
		db) == -1)
		return -1;
	*exists = comment != NULL;
	if (!comment || strcmp(comment, mark) == 0)
		return 0;
	return error_set(err, E_REFUSED,
			 "the server has a database '%s' that was not made by silver for this app",
			 db);
}

static int ensure_database(const struct service_call *call, MYSQL *m, const char *db,
			   struct error *err)
{
	bool exists;

	if (check_database(call, m, db, &exists, err) == -1)
		return -1;
	if (exists)
		return 0;
	return run(m, err,
		   "CREATE DATABASE `%s` CHARACTER SET utf8mb4 COMMENT 'silver: app %s of node %s'",
		   db, call->app, call->node_id);
}

/* '_' is a wildcard where rights are given: my_app would have those on "myxapp". */
static char *escaped(const char *db)
{
	struct strbuf s = STRBUF_INIT;

	for (; *db; db++)
		strbuf_addf(&s, "%s%c", *db == '_' ? "\\" : "", *db);
	return strbuf_detach(&s);
}

static int ensure_account(MYSQL *m, const struct target *t, const char *db, const char *user,
			  const char *password, struct error *err)
{
	autofree char *pattern = escaped(db);

	if (run(m, err, "CREATE USER IF NOT EXISTS '%s'@'%s' IDENTIFIED BY '%s'", user, t->from,
		password) == -1 ||
	    run(m, err, "ALTER USER '%s'@'%s' IDENTIFIED BY '%s' REQUIRE %s ACCOUNT UNLOCK", user,
		t->from, password, t->ssl_ca ? "SSL" : "NONE") == -1)
		return -1;
	return run(m, err, "GRANT ALL PRIVILEGES ON `%s`.* TO '%s'@'%s'", pattern, user, t->from);
}

static int give(const struct service_call *call, const char *db, const char *user,
		const char *password, struct strv *env, struct error *err)
{
	autotarget struct target t = {0};
	automysql MYSQL *m = NULL;
	autofree char *ssl = NULL;

	if (open_server(call, &t, &m, err) == -1 || ensure_database(call, m, db, err) == -1 ||
	    ensure_account(m, &t, db, user, password, err) == -1)
		return -1;
	ssl = t.ssl_ca ? xasprintf("&ssl_ca=%s", t.ssl_ca) : xstrdup("");
	strv_addf(env, "CONFIG_MYSQL_DBNAME=%s", db);
	strv_addf(env, "CONFIG_MYSQL_USER=%s", user);
	strv_addf(env, "CONFIG_MYSQL_USERNAME=%s", user);
	strv_addf(env, "CONFIG_MYSQL_PASSWORD=%s", password);
	strv_addf(env, "CONFIG_MYSQL_HOST=%s", t.host);
	strv_addf(env, "CONFIG_MYSQL_PORT=%u", t.port);
	if (t.ssl_ca)
		strv_addf(env, "CONFIG_MYSQL_SSL_CA=%s", t.ssl_ca);
	strv_addf(env, "CONFIG_MYSQL_SQLALCHEMY=" URL "%s:%s@%s:%u/%s?charset=utf8mb4%s", user,
		  password, t.host, t.port, db, ssl);
	strv_addf(env, "DATABASE_URL=" URL "%s:%s@%s:%u/%s", user, password, t.host, t.port, db);
	return 0;
}

static int provision(const struct service_call *call, struct strv *env, struct error *err)
{
	const char *user = service_env_get(&call->has.env, "CONFIG_MYSQL_USER");
	const char *password = service_env_get(&call->has.env, "CONFIG_MYSQL_PASSWORD");
	autofree char *db = database_of(call), *fresh = service_new_password();

	return give(call, db, user ? user : db, password ? password : fresh, env, err);
}

/* The account that the app does not have: DB or DB-2. The caller frees. */
static char *other_account(const struct service_call *call, const char *db)
{
	const char *user = service_env_get(&call->has.env, "CONFIG_MYSQL_USER");

	return xasprintf("%s%s", db, user && strcmp(user, db) == 0 ? SECOND : "");
}

static int rotate(const struct service_call *call, struct strv *env, struct error *err)
{
	autofree char *db = database_of(call), *fresh = service_new_password();
	autofree char *user = other_account(call, db);

	return give(call, db, user, fresh, env, err);
}

static int retire(const struct service_call *call, struct error *err)
{
	autofree char *db = database_of(call), *fresh = service_new_password();
	autofree char *user = other_account(call, db);
	autotarget struct target t = {0};
	automysql MYSQL *m = NULL;

	if (open_server(call, &t, &m, err) == -1 ||
	    run(m, err, "ALTER USER IF EXISTS '%s'@'%s' IDENTIFIED BY '%s' ACCOUNT LOCK", user,
		t.from, fresh) == -1)
		return -1;
	return run(m, err, "KILL USER '%s'", user);
}

static int remove_all(const struct service_call *call, struct error *err)
{
	autofree char *db = database_of(call);
	autotarget struct target t = {0};
	automysql MYSQL *m = NULL;
	bool exists;

	if (open_server(call, &t, &m, err) == -1 || check_database(call, m, db, &exists, err) == -1)
		return -1;
	/* without its mark nobody knows whose the accounts are: it goes last */
	if (run(m, err, "DROP USER IF EXISTS '%s'@'%s', '%s" SECOND "'@'%s'", db, t.from, db,
		t.from) == -1)
		return -1;
	return run(m, err, "DROP DATABASE IF EXISTS `%s`", db);
}

static int clear(const struct service_call *call, struct error *err)
{
	autofree char *db = database_of(call);
	autotarget struct target t = {0};
	automysql MYSQL *m = NULL;
	bool exists;

	if (open_server(call, &t, &m, err) == -1 ||
	    check_database(call, m, db, &exists, err) == -1 ||
	    run(m, err, "DROP DATABASE IF EXISTS `%s`", db) == -1)
		return -1;
	return ensure_database(call, m, db, err);
}

/* Backup and restore: MariaDB's own programs, as the app itself. Its password is in the
 * environment, which only the same user of the machine can read. */

static int client_words(const struct service_call *call, const char *program, struct strv *argv,
			struct strv *env, struct error *err)
{
	static const char *const names[] = {"CONFIG_MYSQL_HOST", "CONFIG_MYSQL_PORT",
					    "CONFIG_MYSQL_USER", "CONFIG_MYSQL_PASSWORD"};
	const char *values[ARRAY_SIZE(names)];
	const char *ssl_ca = service_env_get(&call->has.env, "CONFIG_MYSQL_SSL_CA");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!(values[i] = service_env_get(&call->has.env, names[i])))
			return error_set(err, E_SYSTEM, "the app's record has no %s", names[i]);
	if (access(program, X_OK) == -1)
		return error_set(err, E_REFUSED, "there is no '%s': `apt install mariadb-client`",
				 program);
	strv_add(argv, program);
	strv_add(argv, "--no-defaults");
	strv_add(argv, "--protocol=tcp");
	strv_addf(argv, "--host=%s", values[0]);
	strv_addf(argv, "--port=%s", values[1]);
	strv_addf(argv, "--user=%s", values[2]);
	strv_add(argv, "--default-character-set=utf8mb4");
	if (ssl_ca) {
		strv_addf(argv, "--ssl-ca=%s", ssl_ca);
		strv_add(argv, "--ssl-verify-server-cert");
	}
	strv_addf(env, "MYSQL_PWD=%s", values[3]);
	return 0;
}

static int backup(const struct service_call *call, int fd, struct error *err)
{
	static const char *const words[] = {
		"--single-transaction", "--quick",    "--routines",      "--events",
		"--triggers",           "--hex-blob", "--no-tablespaces"};
	autofree char *db = database_of(call);
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;

	if (client_words(call, "/usr/bin/mariadb-dump", &argv, &env, err) == -1)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		strv_add(&argv, words[i]);
	strv_add(&argv, db);
	return service_program(&argv, &env, -1, fd, err);
}

/* A database has no other name that it could be made under: what fails is half. */
static int restore(const struct service_call *call, int fd, struct error *err)
{
	autofree char *db = database_of(call);
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;

	if (client_words(call, "/usr/bin/mariadb", &argv, &env, err) == -1 ||
	    clear(call, err) == -1)
		return -1;
	strv_add(&argv, db);
	return service_program(&argv, &env, fd, -1, err);
}

static int status(const struct service_call *call, struct strbuf *out, struct error *err)
{
	autofree char *db = database_of(call), *size = NULL;
	autotarget struct target t = {0};
	automysql MYSQL *m = NULL;

	if (open_server(call, &t, &m, err) == -1 ||
	    ask(m, &size, err,
		"SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES WHERE "
		"TABLE_SCHEMA = '%s'",
		db) == -1)
		return -1;
	strbuf_addf(out, "server MariaDB %s\ndatabase %s\nbytes %s\n", mysql_get_server_info(m), db,
		    size ? size : "0");
	return 0;
}

static int ready(const struct node *node, struct error *err)
{
	autotarget struct target t = {0};
	automysql MYSQL *m = NULL;

	return own_target(node, &t, err) == -1 ? -1 : open_target(&t, &m, err);
}

const struct service_driver mysql_driver = {
	.name = "mysql",
	.provision = provision,
	.rotate = rotate,
	.retire = retire,
	.remove = remove_all,
	.clear = clear,
	.backup = backup,
	.restore = restore,
	.status = status,
	.ready = ready,
};
