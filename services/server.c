#include "services/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/proc.h"
#include "services/driver.h"

#define MAKE_MS  240000
#define SOCKET   ".s.PGSQL.5432" /* the longest name of a socket that any of them has */
#define POSTGRES "/usr/lib/postgresql"
#define ADMIN    "silver-admin" /* no app is called so: theirs have no dash */

struct server {
	const char *name, *user, *package;
	bool wants_port;
	/* The directory of its programs; NULL: not installed. The caller frees. */
	char *(*find)(const struct node *node);
	int (*make)(const struct server_place *place, struct error *err);
	void (*command)(const struct server_place *place, struct strv *words);
};

static int run(const struct strv *words, struct error *err)
{
	struct strv argv = *words; /* strv_argv() wants one that it may change */
	autostrv struct strv env = STRV_INIT;
	autostrbuf struct strbuf said = STRBUF_INIT;
	struct proc_spec spec = {.path = argv.v[0], .in = -1, .out = -1, .err = -1};
	int status;

	strv_add(&env, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
	strv_add(&env, "LC_ALL=C.UTF-8");
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&env);
	if (proc_run(&spec, MAKE_MS, &status, &said, err) == -1)
		return -1;
	if (status == 0)
		return 0;
	return error_set(err, E_SYSTEM, "'%s' ended with status %d: %.600s", argv.v[0], status,
			 said.len > 600 ? said.buf + said.len - 600 : strbuf_str(&said));
}

static bool is_program(const char *dir, const char *name)
{
	autofree char *path = xasprintf("%s/%s", dir, name);

	return access(path, X_OK) == 0;
}

/* PostgreSQL */

/* The version that made the data, else the newest that is installed. */
static unsigned wanted_version(const struct node *node)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;
	uint64_t version;

	if (fs_read_file(node->fd, "services/postgresql/data/PG_VERSION", 16, &text, &none) == -1)
		return 0;
	if (text.len && text.buf[text.len - 1] == '\n')
		text.buf[--text.len] = '\0';
	return str_to_uint(strbuf_str(&text), 999, &version) ? (unsigned)version : 0;
}

static char *find_postgresql(const struct node *node)
{
	unsigned wanted = wanted_version(node);
	autodir DIR *dir = opendir(POSTGRES);
	const struct dirent *entry;
	uint64_t best = 0, version;

	while (dir && (entry = readdir(dir))) {
		autofree char *bin = xasprintf(POSTGRES "/%s/bin", entry->d_name);

		if (str_to_uint(entry->d_name, 999, &version) && version > best &&
		    (!wanted || version == wanted) && is_program(bin, "initdb") &&
		    is_program(bin, "postgres"))
			best = version;
	}
	return best ? xasprintf(POSTGRES "/%u/bin", (unsigned)best) : NULL;
}

static int put(const char *dir, const char *name, const char *text, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open_dir(AT_FDCWD, dir, &fd, err) == -1)
		return -1;
	return fs_replace_file(fd, name, text, strlen(text), 0600, err);
}

/* Its user is its administrator, by the socket and without a password; all others have one. */
static int make_postgresql(const struct server_place *place, struct error *err)
{
	static const char hba[] = "local all \"" ADMIN "\" peer map=silver\n"
				  "local all all scram-sha-256\n";
	autofree char *program = xasprintf("%s/initdb", place->programs);
	autofree char *fresh = xasprintf("%s.new", place->data);
	const struct passwd *user = getpwuid(geteuid());
	autofree char *ident = NULL;
	autostrv struct strv words = STRV_INIT;

	if (!user)
		return error_set(err, E_SYSTEM, "user %u has no name in /etc/passwd",
				 (unsigned)geteuid());
	ident = xasprintf("silver \"%s\" " ADMIN "\n", user->pw_name);
	strv_add(&words, program);
	strv_add(&words, "-D");
	strv_add(&words, fresh);
	strv_add(&words, "-U");
	strv_add(&words, ADMIN);
	strv_add(&words, "--encoding=UTF8");
	strv_add(&words, "--locale=C.UTF-8");
	strv_add(&words, "--auth-local=peer");
	strv_add(&words, "--auth-host=scram-sha-256");
	if (run(&words, err) == -1 || put(fresh, "pg_hba.conf", hba, err) == -1)
		return -1;
	return put(fresh, "pg_ident.conf", ident, err);
}

static void command_postgresql(const struct server_place *place, struct strv *words)
{
	strv_add(words, "SIGINT"); /* ends connections; SIGTERM waits for them */
	strv_addf(words, "%s/postgres", place->programs);
	strv_add(words, "-D");
	strv_add(words, place->data);
	strv_add(words, "-c");
	strv_addf(words, "unix_socket_directories=%s", place->run);
	strv_add(words, "-c");
	strv_add(words, "listen_addresses=");
	strv_add(words, "-c");
	strv_add(words, "port=5432");
}

/* Redis */

/* Its administrator has a password, since whoever reaches the port could name that user. */
static int make_redis(const struct server_place *place, struct error *err)
{
	autofree char *fresh = xasprintf("%s.new", place->data);
	autofree char *password = service_new_password();
	autofree char *users = xasprintf("user default off\n"
					 "user " ADMIN " on >%s ~* &* +@all\n",
					 password);

	if (put(fresh, "users.acl", users, err) == -1)
		return -1;
	return put(fresh, "admin", password, err);
}

static char *find_redis(const struct node *node)
{
	(void)node;
	return is_program("/usr/bin", "redis-server") ? xstrdup("/usr/bin") : NULL;
}

static void command_redis(const struct server_place *place, struct strv *words)
{
	strv_add(words, "SIGTERM");
	strv_addf(words, "%s/redis-server", place->programs);
	strv_add(words, "--bind");
	strv_add(words, "127.0.0.1");
	strv_add(words, "--port");
	strv_addf(words, "%u", place->port);
	strv_add(words, "--dir");
	strv_add(words, place->data);
	strv_add(words, "--aclfile");
	strv_addf(words, "%s/users.acl", place->data);
	strv_add(words, "--appendonly");
	strv_add(words, "yes");
}

/* MariaDB */

static char *find_mariadb(const struct node *node)
{
	(void)node;
	return is_program("/usr/sbin", "mariadbd") && is_program("/usr/bin", "mariadb-install-db")
		       ? xstrdup("/usr/sbin")
		       : NULL;
}

static int make_mariadb(const struct server_place *place, struct error *err)
{
	const struct passwd *user = getpwuid(geteuid());
	autostrv struct strv words = STRV_INIT;

	if (!user)
		return error_set(err, E_SYSTEM, "user %u has no name in /etc/passwd",
				 (unsigned)geteuid());
	strv_add(&words, "/usr/bin/mariadb-install-db");
	strv_add(&words, "--no-defaults");
	strv_addf(&words, "--datadir=%s.new", place->data);
	strv_add(&words, "--auth-root-authentication-method=socket");
	strv_addf(&words, "--auth-root-socket-user=%s", user->pw_name);
	strv_add(&words, "--skip-test-db");
	strv_add(&words, "--skip-name-resolve");
	return run(&words, err);
}

static void command_mariadb(const struct server_place *place, struct strv *words)
{
	strv_add(words, "SIGTERM");
	strv_addf(words, "%s/mariadbd", place->programs);
	strv_add(words, "--no-defaults");
	strv_addf(words, "--datadir=%s", place->data);
	strv_addf(words, "--socket=%s/s", place->run);
	strv_addf(words, "--pid-file=%s/pid", place->run);
	strv_add(words, "--bind-address=127.0.0.1");
	strv_addf(words, "--port=%u", place->port);
	strv_add(words, "--skip-name-resolve");
	strv_add(words, "--character-set-server=utf8mb4");
}

static const struct server servers[] = {
	{"postgresql", "silver-postgres", "postgresql", false, find_postgresql, make_postgresql,
	 command_postgresql},
	{"redis", "silver-redis", "redis-server", true, find_redis, make_redis, command_redis},
	{"mysql", "silver-mysql", "mariadb-server", true, find_mariadb, make_mariadb,
	 command_mariadb},
};

static const struct server *server_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
		if (strcmp(servers[i].name, name) == 0)
			return &servers[i];
	return NULL;
}

const char *server_user(const char *name)
{
	const struct server *server = server_named(name);

	return server ? server->user : NULL;
}

bool server_wants_port(const char *name)
{
	const struct server *server = server_named(name);

	return server && server->wants_port;
}

int server_installed(const struct node *node, const char *name, struct error *err)
{
	const struct server *server = server_named(name);
	autofree char *command = xasprintf("services/%s/command", name);
	autofree char *programs = NULL;

	if (!server)
		return error_set(err, E_SYSTEM, "no server '%s'", name);
	if (fs_exists(node->fd, command))
		return 0;
	programs = server->find(node);
	if (programs)
		return 0;
	return error_set(err, E_REFUSED,
			 "no server of it is installed on this node: `apt install %s`, or name one "
			 "elsewhere in node.ini (docs/SERVICES.md)",
			 server->package);
}

static int check_socket(const struct server_place *place, struct error *err)
{
	size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	size_t len = strlen(place->run) + strlen("/" SOCKET);

	if (len <= max)
		return 0;
	return error_set(err, E_REFUSED,
			 "the directory of this node, '%s', is %zu bytes too long for the socket "
			 "of a server below it",
			 place->node->dir, len - max);
}

static unsigned read_port(const struct node *node, const char *name)
{
	autofree char *path = xasprintf("services/%s/port", name);
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;
	uint64_t port;

	if (fs_read_file(node->fd, path, 16, &text, &none) == -1)
		return 0;
	return str_to_uint(strbuf_str(&text), 65535, &port) ? (unsigned)port : 0;
}

int server_find(const struct node *node, const char *name, struct server_place *out,
		struct error *err)
{
	const struct server *server = server_named(name);

	*out = (struct server_place){.node = node, .name = name};
	if (!server)
		return error_set(err, E_SYSTEM, "no server '%s'", name);
	out->programs = server->find(node);
	out->data = xasprintf("%s/services/%s/data", node->dir, name);
	out->run = xasprintf("%s/run/%s", node->dir, name);
	out->port = read_port(node, name);
	if (!out->programs)
		return error_set(err, E_REFUSED,
				 "no server of it is installed on this node: `apt install %s`",
				 server->package);
	return check_socket(out, err);
}

void server_place_release(struct server_place *place)
{
	free(steal_ptr(&place->programs));
	free(steal_ptr(&place->data));
	free(steal_ptr(&place->run));
}

int server_make(const struct server_place *place, struct error *err)
{
	return server_named(place->name)->make(place, err);
}

void server_command(const struct server_place *place, struct strbuf *out)
{
	autostrv struct strv words = STRV_INIT;

	server_named(place->name)->command(place, &words);
	for (size_t i = 0; i < words.n; i++)
		strbuf_add(out, words.v[i], strlen(words.v[i]) + 1);
}
