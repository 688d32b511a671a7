/* postgresql.c - a role and a database for each app, on the node's own server or one elsewhere.
 *
 * The role APP owns the database APP. What logs in is that role or, after a rotation, its member
 * APP-2, whose sessions begin as APP: so what either creates belongs to the same owner, and the two
 * take turns. Roles that are ours say so in a comment; what has the name without it is not touched.
 * Passwords go to the server as SCRAM verifiers: they appear in none of its logs. */
#include "services/driver.h"

#include <errno.h>
#include <libpq-fe.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/log.h"
#include "services/server.h"

#define ADMIN     "silver-admin"
#define SECOND    "-2"
#define PORT      "5432"
#define CONNECT_S "10"
#define PROGRAMS  "/usr/lib/postgresql"
#define LIST_MAX  (64 << 20)

enum { VERSIONS_AHEAD = 20 };

static void autopg_close(PGconn **conn)
{
	if (*conn)
		PQfinish(*conn);
}
static void autoresult_clear(PGresult **r)
{
	PQclear(*r);
}
#define autoconn   __attribute__((cleanup(autopg_close)))
#define autoresult __attribute__((cleanup(autoresult_clear)))

/* libpq's words end in a newline. */
static int pg_error(PGconn *conn, struct error *err, const char *doing)
{
	autofree char *text = xstrdup(PQerrorMessage(conn));

	while (*text && text[strlen(text) - 1] == '\n')
		text[strlen(text) - 1] = '\0';
	return error_set(err, E_SYSTEM, "%s: %.800s", doing, text);
}

static void quiet(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

/* As the administrator. db NULL: the one that the administrator's address names. */
static int open_server(const struct service_call *call, const char *db, PGconn **out,
		       struct error *err)
{
	autofree char *run = xasprintf("%s/run/postgresql", call->node->dir);
	/* what stands behind "dbname" is over what stands in the address before it */
	const char *const elsewhere[][2] = {
		{"dbname", call->admin}, {"password", call->password}, {"dbname", db}};
	const char *const own[][2] = {
		{"host", run}, {"port", PORT}, {"user", ADMIN}, {"dbname", db ? db : "postgres"}};
	const char *keys[8] = {"connect_timeout", "application_name"};
	const char *values[8] = {CONNECT_S, "silver"};
	size_t n = 2;

	for (size_t i = 0; i < (call->admin ? 3U : 4U); i++) {
		const char *const *pair = call->admin ? elsewhere[i] : own[i];

		if (pair[1]) {
			keys[n] = pair[0];
			values[n++] = pair[1];
		}
	}
	*out = PQconnectdbParams(keys, values, 1);
	if (PQstatus(*out) != CONNECTION_OK)
		return pg_error(*out, err, "cannot reach the server");
	PQsetNoticeProcessor(*out, quiet, NULL);
	return 0;
}

static int run(PGconn *conn, struct error *err, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int run(PGconn *conn, struct error *err, const char *fmt, ...)
{
	autofree char *sql = NULL;
	autoresult PGresult *r = NULL;
	va_list args;

	va_start(args, fmt);
	sql = xvasprintf(fmt, args);
	va_end(args);
	r = PQexec(conn, sql);
	if (PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK)
		return 0;
	return pg_error(conn, err, "the server says");
}

/* The first value of the first row; NULL: there is no row, or it is null. The caller frees. */
static int ask(PGconn *conn, char **out, const char *sql, const char *param, struct error *err)
{
	const char *const params[] = {param};
	autoresult PGresult *r =
		PQexecParams(conn, sql, param != NULL, NULL, params, NULL, NULL, 0);

	*out = NULL;
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		return pg_error(conn, err, "the server says");
	if (PQntuples(r) > 0 && !PQgetisnull(r, 0, 0))
		*out = xstrdup(PQgetvalue(r, 0, 0));
	return 0;
}

static char *database_of(const struct service_call *call)
{
	static const char *const taken[] = {"postgres", "template0", "template1", "public", "none"};
	autofree char *name = service_database_name(call->app, taken, ARRAY_SIZE(taken));

	return str_starts(name, "pg_") ? xasprintf("silver_%s", name) : steal_ptr(&name);
}

/* The comment by which a role is known as this app's, of this node. */
static char *mark_of(const struct service_call *call)
{
	return xasprintf("silver: app %s of node %s", call->app, call->node_id);
}

/* Ours, somebody else's, or not there: the role of this name. */
static int role_state(const struct service_call *call, PGconn *conn, const char *role, bool *exists,
		      struct error *err)
{
	autofree char *found = NULL, *comment = NULL, *mark = mark_of(call);

	if (ask(conn, &found, "SELECT rolname FROM pg_roles WHERE rolname = $1", role, err) == -1 ||
	    ask(conn, &comment,
		"SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1", role,
		err) == -1)
		return -1;
	*exists = found != NULL;
	if (!found || (comment && strcmp(comment, mark) == 0))
		return 0;
	return error_set(err, E_REFUSED,
			 "the server has a role '%s' that was not made by silver for this app; "
			 "rename one of the two",
			 role);
}

/* In one transaction with the words that say whose it is. */
static int ensure_role(const struct service_call *call, PGconn *conn, const char *role,
		       const char *member_of, struct error *err)
{
	autofree char *member = member_of ? xasprintf(" IN ROLE \"%s\"", member_of) : xstrdup("");
	autofree char *set =
		member_of ? xasprintf("ALTER ROLE \"%s\" SET role = '%s';", role, member_of)
			  : xstrdup("");
	autofree char *mark = mark_of(call);
	bool exists;

	if (role_state(call, conn, role, &exists, err) == -1)
		return -1;
	if (exists)
		return 0;
	return run(conn, err,
		   "BEGIN; CREATE ROLE \"%s\"%s; %s COMMENT ON ROLE \"%s\" IS '%s'; COMMIT", role,
		   member, set, role, mark);
}

/* Only the owner gets in. On the node's own server the databases that nobody owns are shut, too. */
static int shut_others_out(const struct service_call *call, PGconn *conn, const char *db,
			   struct error *err)
{
	if (run(conn, err, "REVOKE ALL ON DATABASE \"%s\" FROM PUBLIC", db) == -1)
		return -1;
	if (call->admin)
		return 0;
	return run(conn, err, "REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC");
}

static int make_database(const struct service_call *call, PGconn *conn, const char *db,
			 const char *owner, struct error *err)
{
	/* who is no superuser may only give away to a role that it is a member of */
	if (call->admin && run(conn, err, "GRANT \"%s\" TO CURRENT_USER", owner) == -1)
		return -1;
	return run(conn, err,
		   "CREATE DATABASE \"%s\" OWNER \"%s\" TEMPLATE template0 ENCODING 'UTF8'", db,
		   owner);
}

static int ensure_database(const struct service_call *call, PGconn *conn, const char *db,
			   struct error *err)
{
	autofree char *owner = NULL;

	if (ask(conn, &owner, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1",
		db, err) == -1)
		return -1;
	if (owner && strcmp(owner, db) != 0)
		return error_set(err, E_REFUSED,
				 "the server has a database '%s', which belongs to '%s'", db,
				 owner);
	if (!owner && make_database(call, conn, db, db, err) == -1)
		return -1;
	return shut_others_out(call, conn, db, err);
}

static int set_password(PGconn *conn, const char *login, const char *password, struct error *err)
{
	char *verifier = PQencryptPasswordConn(conn, password, login, "scram-sha-256");
	int r;

	if (!verifier)
		return pg_error(conn, err, "cannot make a password");
	r = run(conn, err, "ALTER ROLE \"%s\" LOGIN PASSWORD '%s'", login, verifier);
	PQfreemem(verifier);
	return r;
}

static int ensure_login(const struct service_call *call, PGconn *conn, const char *db,
			const char *login, const char *password, struct error *err)
{
	if (strcmp(login, db) != 0 && ensure_role(call, conn, login, db, err) == -1)
		return -1;
	return set_password(conn, login, password, err);
}

/* The extension belongs to the server's administrator, and all of the database may use it. */
static int add_postgis(const struct service_call *call, const char *db, struct error *err)
{
	autoconn PGconn *conn = NULL;
	autofree char *available = NULL;
	int version;

	if (open_server(call, db, &conn, err) == -1 ||
	    ask(conn, &available,
		"SELECT default_version FROM pg_available_extensions WHERE name = $1", "postgis",
		err) == -1)
		return -1;
	version = PQserverVersion(conn) / 10000;
	if (!available)
		return error_set(err, E_REFUSED,
				 "PostgreSQL %d of this node has no PostGIS: `apt install "
				 "postgresql-%d-postgis-3`",
				 version, version);
	return run(conn, err, "CREATE EXTENSION IF NOT EXISTS postgis");
}

/* The address of the server as a client writes it: host and port, and what else the administrator's
 * address says of the connection. */
struct address {
	char *host, *port;
	struct strbuf options; /* "&sslmode=require" */
};

static int read_address(const struct service_call *call, struct address *a, struct error *err)
{
	static const char *const kept[] = {"sslmode", "sslrootcert", "target_session_attrs",
					   "hostaddr"};
	char *problem = NULL;
	PQconninfoOption *all = call->admin ? PQconninfoParse(call->admin, &problem) : NULL;

	if (call->admin && !all) {
		PQfreemem(problem); /* it may quote the password */
		return error_set(err, E_SYSTEM,
				 "node.ini: [service.postgresql]: admin is no address of a server");
	}
	for (PQconninfoOption *o = all; o && o->keyword; o++) {
		if (!o->val || !*o->val)
			continue;
		if (strcmp(o->keyword, "host") == 0)
			a->host = xstrdup(o->val);
		if (strcmp(o->keyword, "port") == 0)
			a->port = xstrdup(o->val);
		for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
			autofree char *value = service_url_quoted(o->val);

			if (strcmp(o->keyword, kept[i]) == 0)
				strbuf_addf(&a->options, "&%s=%s", o->keyword, value);
		}
	}
	PQconninfoFree(all);
	if (!a->host)
		a->host =
			call->admin ? xstrdup("") : xasprintf("%s/run/postgresql", call->node->dir);
	if (!a->port)
		a->port = xstrdup(PORT);
	return 0;
}

static void add_env(const struct address *a, const char *db, const char *login,
		    const char *password, struct strv *env)
{
	bool is_socket = a->host[0] == '/' || !a->host[0] || strchr(a->host, ',');
	autofree char *host = service_url_quoted(a->host);
	autofree char *url =
		is_socket ? xasprintf("postgresql://%s:%s@/%s?host=%s&port=%s%s", login, password,
				      db, host, a->port, strbuf_str(&a->options))
			  : xasprintf("postgresql://%s:%s@%s:%s/%s%s%s", login, password, a->host,
				      a->port, db, a->options.len ? "?" : "",
				      a->options.len ? a->options.buf + 1 : "");

	strv_addf(env, "CONFIG_PG_DBNAME=%s", db);
	strv_addf(env, "CONFIG_PG_USER=%s", login);
	strv_addf(env, "CONFIG_PG_PASSWORD=%s", password);
	strv_addf(env, "CONFIG_PG_HOST=%s", a->host);
	strv_addf(env, "CONFIG_PG_PORT=%s", a->port);
	strv_addf(env, "CONFIG_PG_SQLALCHEMY=%s", url);
	strv_addf(env, "DATABASE_URL=%s", url);
}

static int give(const struct service_call *call, const char *db, const char *login,
		const char *password, struct strv *env, struct error *err)
{
	struct address a = {NULL, NULL, STRBUF_INIT};
	autoconn PGconn *conn = NULL;
	int r = -1;

	if (open_server(call, NULL, &conn, err) == 0 &&
	    ensure_role(call, conn, db, NULL, err) == 0 &&
	    ensure_database(call, conn, db, err) == 0 &&
	    ensure_login(call, conn, db, login, password, err) == 0 &&
	    (strcmp(call->has.value, "postgis") != 0 || add_postgis(call, db, err) == 0))
		r = read_address(call, &a, err);
	if (r == 0 && a.host)
		add_env(&a, db, login, password, env);
	free(a.host);
	free(a.port);
	strbuf_release(&a.options);
	return r;
}

/* The login that the app has, and its password; else the first, with a new one. */
static int provision(const struct service_call *call, struct strv *env, struct error *err)
{
	const char *login = service_env_get(&call->has.env, "CONFIG_PG_USER");
	const char *password = service_env_get(&call->has.env, "CONFIG_PG_PASSWORD");
	autofree char *db = database_of(call), *fresh = service_new_password();

	return give(call, db, login ? login : db, password ? password : fresh, env, err);
}

static int rotate(const struct service_call *call, struct strv *env, struct error *err)
{
	const char *login = service_env_get(&call->has.env, "CONFIG_PG_USER");
	autofree char *db = database_of(call), *fresh = service_new_password();
	autofree char *second = xasprintf("%s" SECOND, db);

	return give(call, db, login && strcmp(login, db) == 0 ? second : db, fresh, env, err);
}

static int end_sessions(PGconn *conn, const char *column, const char *name, struct error *err)
{
	return run(conn, err,
		   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE %s = '%s'", column,
		   name);
}

static int retire(const struct service_call *call, struct error *err)
{
	const char *login = service_env_get(&call->has.env, "CONFIG_PG_USER");
	autofree char *db = database_of(call);
	autofree char *second = xasprintf("%s" SECOND, db);
	const char *other = login && strcmp(login, db) == 0 ? second : db;
	autoconn PGconn *conn = NULL;
	bool exists;

	if (open_server(call, NULL, &conn, err) == -1 ||
	    role_state(call, conn, other, &exists, err) == -1)
		return -1;
	if (!exists)
		return 0;
	if (run(conn, err, "ALTER ROLE \"%s\" NOLOGIN PASSWORD NULL", other) == -1)
		return -1;
	return end_sessions(conn, "usename", other, err);
}

static int drop_database(PGconn *conn, const char *db, struct error *err)
{
	autofree char *owner = NULL;

	if (ask(conn, &owner, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1",
		db, err) == -1)
		return -1;
	if (!owner)
		return 0;
	return run(conn, err, "DROP DATABASE \"%s\" WITH (FORCE)", db);
}

static int remove_all(const struct service_call *call, struct error *err)
{
	autofree char *db = database_of(call);
	autofree char *second = xasprintf("%s" SECOND, db);
	autoconn PGconn *conn = NULL;
	bool exists, has_second;

	if (open_server(call, NULL, &conn, err) == -1 ||
	    role_state(call, conn, db, &exists, err) == -1 ||
	    role_state(call, conn, second, &has_second, err) == -1)
		return -1;
	if (exists && drop_database(conn, db, err) == -1)
		return -1;
	if (has_second && run(conn, err, "DROP ROLE \"%s\"", second) == -1)
		return -1;
	return exists ? run(conn, err, "DROP ROLE \"%s\"", db) : 0;
}

static int clear(const struct service_call *call, struct error *err)
{
	autofree char *db = database_of(call);
	autoconn PGconn *conn = NULL;

	if (open_server(call, NULL, &conn, err) == -1 || drop_database(conn, db, err) == -1 ||
	    ensure_database(call, conn, db, err) == -1)
		return -1;
	return strcmp(call->has.value, "postgis") == 0 ? add_postgis(call, db, err) : 0;
}

/* Backup and restore: the server's own programs, as the app itself. */

/* The oldest that knows this server. The caller frees. */
static char *program_for(PGconn *conn, const char *name, struct error *err)
{
	int version = PQserverVersion(conn) / 10000;

	for (int v = version; v < version + VERSIONS_AHEAD; v++) {
		autofree char *path = xasprintf(PROGRAMS "/%d/bin/%s", v, name);

		if (access(path, X_OK) == 0)
			return steal_ptr(&path);
	}
	error_set(err, E_REFUSED,
		  "there is no '%s' for PostgreSQL %d: `apt install postgresql-client`", name,
		  version);
	return NULL;
}

/* How a program of libpq finds the app's database: nothing of it stands in its arguments. */
static int client_env(const struct service_call *call, const char *db, struct strv *env,
		      struct error *err)
{
	static const char *const names[][2] = {{"host", "PGHOST"},
					       {"port", "PGPORT"},
					       {"user", "PGUSER"},
					       {"password", "PGPASSWORD"},
					       {"sslmode", "PGSSLMODE"},
					       {"hostaddr", "PGHOSTADDR"},
					       {"sslrootcert", "PGSSLROOTCERT"},
					       {"target_session_attrs", "PGTARGETSESSIONATTRS"}};
	const char *url = service_env_get(&call->has.env, "CONFIG_PG_SQLALCHEMY");
	PQconninfoOption *all = url ? PQconninfoParse(url, NULL) : NULL;

	if (!all)
		return error_set(err, E_SYSTEM, "the app's record has no address of its database");
	for (PQconninfoOption *o = all; o->keyword; o++)
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (o->val && *o->val && strcmp(o->keyword, names[i][0]) == 0)
				strv_addf(env, "%s=%s", names[i][1], o->val);
	PQconninfoFree(all);
	strv_addf(env, "PGDATABASE=%s", db);
	return 0;
}

/* Not compressed: the archive is. */
static int backup(const struct service_call *call, int fd, struct error *err)
{
	autofree char *db = database_of(call), *program = NULL;
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	autoconn PGconn *conn = NULL;

	if (open_server(call, NULL, &conn, err) == -1 ||
	    !(program = program_for(conn, "pg_dump", err)) || client_env(call, db, &env, err) == -1)
		return -1;
	strv_add(&argv, program);
	strv_add(&argv, "--format=custom");
	strv_add(&argv, "--compress=0");
	strv_add(&argv, "--no-password");
	return service_program(&argv, &env, -1, fd, err);
}

/* What comes with an extension is the administrator's, and there. PostGIS has pg_dump ask for the
 * rows of its table that somebody added: the role may add none. */
static bool is_of_extension(const char *line)
{
	static const char *const kinds[] = {" EXTENSION - ", " COMMENT - EXTENSION ",
					    " TABLE DATA public spatial_ref_sys "};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strstr(line, kinds[i]))
			return true;
	return false;
}

/* The list of what is in the dump, without the extensions. */
static int read_list(const char *program, int dump_fd, const struct strv *env, int *out,
		     struct error *err)
{
	autostrv struct strv argv = STRV_INIT;
	autostrbuf struct strbuf text = STRBUF_INIT, kept = STRBUF_INIT;
	autoclose int fd = memfd_create("list", MFD_CLOEXEC), list = -1;

	strv_add(&argv, program);
	strv_add(&argv, "--list");
	if (fd == -1 || (list = memfd_create("kept", MFD_CLOEXEC)) == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	if (service_program(&argv, env, dump_fd, fd, err) == -1)
		return -1;
	if (lseek(fd, 0, SEEK_SET) == -1 || lseek(dump_fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read the list");
	if (strbuf_read_fd(&text, fd, LIST_MAX, err) == -1)
		return -1;
	for (const char *line = strbuf_str(&text); *line;) {
		size_t len = strcspn(line, "\n");
		autofree char *one = xstrndup(line, len);

		if (!is_of_extension(one))
			strbuf_addf(&kept, "%s\n", one);
		line += len + (line[len] == '\n');
	}
	if (fs_write_all(list, kept.buf, kept.len, err) == -1)
		return -1;
	*out = steal_fd(&list);
	return 0;
}

static int load(const struct service_call *call, PGconn *conn, const char *db, int fd,
		struct error *err)
{
	autofree char *program = program_for(conn, "pg_restore", err);
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	autoclose int list = -1;

	if (!program || client_env(call, db, &env, err) == -1 ||
	    read_list(program, fd, &env, &list, err) == -1)
		return -1;
	strv_add(&argv, program);
	strv_add(&argv, "--no-owner");
	strv_add(&argv, "--no-privileges");
	strv_add(&argv, "--no-password");
	strv_add(&argv, "--exit-on-error");
	strv_add(&argv, "--single-transaction");
	strv_addf(&argv, "--use-list=/proc/%ld/fd/%d", (long)getpid(), list);
	strv_addf(&argv, "--dbname=%s", db);
	return service_program(&argv, &env, fd, -1, err);
}

/* Of two names that change in one transaction one always leads to a whole database. */
static int take_place(PGconn *conn, const char *db, const char *fresh, const char *old,
		      struct error *err)
{
	if (end_sessions(conn, "datname", db, err) == -1 ||
	    end_sessions(conn, "datname", fresh, err) == -1)
		return -1;
	if (run(conn, err,
		"BEGIN; ALTER DATABASE \"%s\" RENAME TO \"%s\";"
		"ALTER DATABASE \"%s\" RENAME TO \"%s\"; COMMIT",
		db, old, fresh, db) == -1)
		return -1;
	return drop_database(conn, old, err);
}

/* Into a database beside the app's own, which takes its name when it is whole. */
static int restore(const struct service_call *call, int fd, struct error *err)
{
	autofree char *db = database_of(call);
	autofree char *fresh = xasprintf("%s-new", db), *old = xasprintf("%s-old", db);
	autoconn PGconn *conn = NULL;
	bool is_ours;

	if (open_server(call, NULL, &conn, err) == -1 ||
	    role_state(call, conn, db, &is_ours, err) == -1 ||
	    drop_database(conn, fresh, err) == -1 || drop_database(conn, old, err) == -1 ||
	    make_database(call, conn, fresh, db, err) == -1 ||
	    shut_others_out(call, conn, fresh, err) == -1)
		return -1;
	if ((strcmp(call->has.value, "postgis") != 0 || add_postgis(call, fresh, err) == 0) &&
	    load(call, conn, fresh, fd, err) == 0)
		return take_place(conn, db, fresh, old, err);
	struct error ignored = ERROR_INIT;

	if (drop_database(conn, fresh, &ignored) == -1)
		log_line("%s", ignored.text);
	return -1;
}

static int status(const struct service_call *call, struct strbuf *out, struct error *err)
{
	autofree char *db = database_of(call), *size = NULL, *version = NULL;
	autoconn PGconn *conn = NULL;

	if (open_server(call, NULL, &conn, err) == -1 ||
	    ask(conn, &version, "SHOW server_version", NULL, err) == -1 ||
	    ask(conn, &size, "SELECT pg_database_size(datname) FROM pg_database WHERE datname = $1",
		db, err) == -1)
		return -1;
	strbuf_addf(out, "server PostgreSQL %s\ndatabase %s\nbytes %s\n", version, db,
		    size ? size : "0");
	return 0;
}

static int ready(const struct node *node, struct error *err)
{
	autofree char *run_dir = xasprintf("%s/run/postgresql", node->dir);
	const char *const keys[] = {"host", "port", "dbname", "connect_timeout", NULL};
	const char *const values[] = {run_dir, PORT, "postgres", CONNECT_S, NULL};

	if (PQpingParams(keys, values, 0) == PQPING_OK)
		return 0;
	return error_set(err, E_BUSY, "the server does not answer yet");
}

const struct service_driver postgresql_driver = {
	.name = "postgresql",
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
