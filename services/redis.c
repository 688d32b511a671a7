/* redis.c - a user and a prefix of keys for each app, on the node's own server or one elsewhere.
 *
 * The user APP, or after a rotation APP-2, may use the keys and channels that begin with "APP:",
 * and no command that lists or changes those of others (KEYS, SCAN, FLUSHALL, FUNCTION ...). Whose
 * a prefix is stands in the key "silver:APP". */
#include "services/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include "common/fs.h"
#include "common/proc.h"
#include "services/server.h"

#define ADMIN        "silver-admin"
#define SECOND       "-2"
#define PASSWORD_MAX 1000
#define URL          "redis://"
#define DEFAULT_PORT 6379
#define BATCH        "1000"

#define NAME_BYTES_MAX  ((size_t)512 << 20)
#define VALUE_BYTES_MAX ((size_t)1 << 30)

static const struct timeval patience = {.tv_sec = 30};

struct target {
	char *host, *user, *password;
	unsigned port;
};

static void target_release(struct target *t)
{
	free(t->host);
	free(t->user);
	free(t->password);
}
static void context_free(redisContext **c)
{
	if (*c)
		redisFree(*c);
}
static void reply_free(redisReply **r)
{
	freeReplyObject(*r);
}
#define autotarget  __attribute__((cleanup(target_release)))
#define autocontext __attribute__((cleanup(context_free)))
#define autoreply   __attribute__((cleanup(reply_free)))

/* redis://[USER[:PASSWORD]@]HOST[:PORT][/0] */
static int parse_url(const char *url, struct target *t, struct error *err)
{
	const char *at, *host;
	uint64_t port = DEFAULT_PORT;
	size_t len;

	if (!str_starts(url, URL))
		goto bad;
	host = url + strlen(URL);
	at = strchr(host, '@');
	if (at) {
		size_t user = strcspn(host, ":@");

		t->user = xstrndup(host, user);
		if (host[user] == ':')
			t->password = xstrndup(host + user + 1, (size_t)(at - host) - user - 1);
		host = at + 1;
	}
	len = strcspn(host, ":/");
	t->host = xstrndup(host, len);
	if (host[len] == ':') {
		autofree char *text = xstrndup(host + len + 1, strcspn(host + len + 1, "/"));

		if (!str_to_uint(text, 65535, &port))
			goto bad;
	}
	t->port = (unsigned)port;
	if (len > 0)
		return 0;
bad:
	return error_set(err, E_SYSTEM,
			 "node.ini: [service.redis]: admin is redis://USER@HOST:PORT/ (TLS is not "
			 "spoken yet)");
}

static int own_port(const struct node *node, unsigned *out, struct error *err)
{
	autoplace struct server_place place = {0};

	if (server_find(node, "redis", &place, err) == -1)
		return -1;
	*out = place.port;
	return 0;
}

static int find_target(const struct node *node, const char *admin, const char *password,
		       struct target *t, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (admin) {
		if (parse_url(admin, t, err) == -1)
			return -1;
		if (password) {
			free(t->password);
			t->password = xstrdup(password);
		}
		return 0;
	}
	if (fs_read_file(node->fd, "services/redis/data/admin", PASSWORD_MAX, &text, err) == -1)
		return -1;
	t->host = xstrdup("127.0.0.1");
	t->user = xstrdup(ADMIN);
	t->password = strbuf_detach(&text);
	return own_port(node, &t->port, err);
}

/* NULL: err says why. What it holds is the caller's. */
static redisReply *ask(redisContext *c, struct error *err, int argc, const char **argv)
{
	redisReply *r = redisCommandArgv(c, argc, argv, NULL);

	if (!r) {
		error_set(err, E_SYSTEM, "the server does not answer: %s", c->errstr);
	} else if (r->type == REDIS_REPLY_ERROR) {
		error_set(err, E_SYSTEM, "the server says: %.300s", r->str);
		freeReplyObject(r);
		r = NULL;
	}
	return r;
}
#define ASK(c, err, ...)                                                                           \
	ask((c), (err), (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),             \
	    (const char *[]){__VA_ARGS__})

static int tell(redisContext *c, struct error *err, int argc, const char **argv)
{
	autoreply redisReply *r = ask(c, err, argc, argv);

	return r ? 0 : -1;
}
#define TELL(c, err, ...)                                                                          \
	tell((c), (err), (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),            \
	     (const char *[]){__VA_ARGS__})

static int open_target(const struct target *t, redisContext **out, struct error *err)
{
	*out = redisConnectWithTimeout(t->host, (int)t->port, patience);
	if (!*out || (*out)->err)
		return error_set(err, E_BUSY, "cannot reach the server: %s",
				 *out ? (*out)->errstr : "out of memory");
	redisSetTimeout(*out, patience);
	if (!t->password)
		return 0;
	if (t->user && *t->user)
		return TELL(*out, err, "AUTH", t->user, t->password);
	return TELL(*out, err, "AUTH", t->password);
}

static int open_server(const struct service_call *call, struct target *t, redisContext **out,
		       struct error *err)
{
	if (find_target(call->node, call->admin, call->password, t, err) == -1 ||
	    open_target(t, out, err) == -1)
		return -1;
	return 0;
}

/* Of two nodes that use one server the first has the prefix. */
static int claim(const struct service_call *call, redisContext *c, struct error *err)
{
	autofree char *key = xasprintf("silver:%s", call->app);
	autoreply redisReply *r = NULL;

	if (TELL(c, err, "SETNX", key, call->node_id) == -1)
		return -1;
	r = ASK(c, err, "GET", key);
	if (!r)
		return -1;
	if (r->type == REDIS_REPLY_STRING && strcmp(r->str, call->node_id) == 0)
		return 0;
	return error_set(err, E_REFUSED, "the server keeps '%s:' for an app of another node",
			 call->app);
}

/* Users live in a file, on the server's disk when this returns. */
static int save_users(redisContext *c, struct error *err)
{
	struct error rewrite = ERROR_INIT;

	if (TELL(c, err, "ACL", "SAVE") == 0 || TELL(c, &rewrite, "CONFIG", "REWRITE") == 0)
		return 0;
	return error_prefix(err, "the server would forget its users when it ends");
}

static int set_user(const struct service_call *call, redisContext *c, const char *user,
		    const char *password, struct error *err)
{
	autofree char *secret = xasprintf(">%s", password);
	autofree char *keys = xasprintf("~%s:*", call->app);
	autofree char *channels = xasprintf("&%s:*", call->app);

	if (TELL(c, err, "ACL", "SETUSER", user, "reset", "on", secret, keys, channels, "+@all",
		 "-@admin", "-@dangerous", "+info", "-scan", "-randomkey", "-dbsize", "-pubsub",
		 "-function", "-script|flush", "-script|kill") == -1)
		return -1;
	return save_users(c, err);
}

static int give(const struct service_call *call, const char *user, const char *password,
		struct strv *env, struct error *err)
{
	autotarget struct target t = {0};
	autocontext redisContext *c = NULL;

	if (open_server(call, &t, &c, err) == -1 || claim(call, c, err) == -1 ||
	    set_user(call, c, user, password, err) == -1)
		return -1;
	strv_addf(env, "CONFIG_REDIS_HOST=%s", t.host);
	strv_addf(env, "CONFIG_REDIS_PORT=%u", t.port);
	strv_addf(env, "CONFIG_REDIS_USER=%s", user);
	strv_addf(env, "CONFIG_REDIS_PASSWORD=%s", password);
	strv_addf(env, "CONFIG_REDIS_PREFIX=%s:", call->app);
	strv_addf(env, "REDIS_URL=" URL "%s:%s@%s:%u/0", user, password, t.host, t.port);
	return 0;
}

static int provision(const struct service_call *call, struct strv *env, struct error *err)
{
	const char *user = service_env_get(&call->has.env, "CONFIG_REDIS_USER");
	const char *password = service_env_get(&call->has.env, "CONFIG_REDIS_PASSWORD");
	autofree char *fresh = service_new_password();

	return give(call, user ? user : call->app, password ? password : fresh, env, err);
}

static const char *other_user(const struct service_call *call, const char *second)
{
	const char *user = service_env_get(&call->has.env, "CONFIG_REDIS_USER");

	return user && strcmp(user, call->app) == 0 ? second : call->app;
}

static int rotate(const struct service_call *call, struct strv *env, struct error *err)
{
	autofree char *fresh = service_new_password(), *second = xasprintf("%s" SECOND, call->app);

	return give(call, other_user(call, second), fresh, env, err);
}

/* Its connections end with it. */
static int retire(const struct service_call *call, struct error *err)
{
	autofree char *second = xasprintf("%s" SECOND, call->app);
	autotarget struct target t = {0};
	autocontext redisContext *c = NULL;

	if (open_server(call, &t, &c, err) == -1 ||
	    TELL(c, err, "ACL", "DELUSER", other_user(call, second)) == -1)
		return -1;
	return save_users(c, err);
}

/* One turn of SCAN; *cursor is "0" after the last. */
static int remove_some(redisContext *c, char **cursor, const char *pattern, struct error *err)
{
	autoreply redisReply *r = ASK(c, err, "SCAN", *cursor, "MATCH", pattern, "COUNT", BATCH);

	if (!r)
		return -1;
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2)
		return error_set(err, E_SYSTEM, "the server gave an answer that is none");
	for (size_t i = 0; i < r->element[1]->elements; i++) {
		const char *argv[] = {"UNLINK", r->element[1]->element[i]->str};
		const size_t lengths[] = {strlen("UNLINK"), r->element[1]->element[i]->len};
		autoreply redisReply *done = redisCommandArgv(c, 2, argv, lengths);

		if (!done)
			return error_set(err, E_SYSTEM, "the server went away: %s", c->errstr);
	}
	free(*cursor);
	*cursor = xstrdup(r->element[0]->str);
	return 0;
}

/* The databases that hold anything: "db0:keys=1,..." lines of INFO. */
static int list_databases(redisContext *c, struct strv *out, struct error *err)
{
	autoreply redisReply *r = ASK(c, err, "INFO", "keyspace");

	if (!r)
		return -1;
	if (r->type != REDIS_REPLY_STRING)
		return error_set(err, E_SYSTEM, "the server gave an answer that is none");
	for (const char *line = r->str; *line;) {
		size_t len = strcspn(line, "\n");

		if (str_starts(line, "db"))
			strv_addf(out, "%.*s", (int)strcspn(line + 2, ":"), line + 2);
		line += len + (line[len] == '\n');
	}
	return 0;
}

/* Names of apps have none of the letters that a pattern gives a meaning to. */
static int remove_of_database(redisContext *c, const char *db, const char *pattern,
			      struct error *err)
{
	autofree char *cursor = xstrdup("0");

	if (TELL(c, err, "SELECT", db) == -1)
		return -1;
	do {
		if (remove_some(c, &cursor, pattern, err) == -1)
			return -1;
	} while (strcmp(cursor, "0") != 0);
	return 0;
}

/* The first database is the one that is chosen afterwards: it has the claims. */
static int remove_keys(const struct service_call *call, redisContext *c, struct error *err)
{
	autofree char *pattern = xasprintf("%s:*", call->app);
	autostrv struct strv databases = STRV_INIT;

	if (list_databases(c, &databases, err) == -1)
		return -1;
	for (size_t i = 0; i < databases.n; i++)
		if (remove_of_database(c, databases.v[i], pattern, err) == -1)
			return -1;
	return TELL(c, err, "SELECT", "0");
}

static int clear(const struct service_call *call, struct error *err)
{
	autotarget struct target t = {0};
	autocontext redisContext *c = NULL;

	if (open_server(call, &t, &c, err) == -1)
		return -1;
	return remove_keys(call, c, err);
}

/* The claim goes last. */
static int remove_all(const struct service_call *call, struct error *err)
{
	autofree char *second = xasprintf("%s" SECOND, call->app);
	autofree char *key = xasprintf("silver:%s", call->app);
	autotarget struct target t = {0};
	autocontext redisContext *c = NULL;

	if (open_server(call, &t, &c, err) == -1 || claim(call, c, err) == -1 ||
	    TELL(c, err, "ACL", "DELUSER", call->app, second) == -1 || save_users(c, err) == -1)
		return -1;
	if (remove_keys(call, c, err) == -1)
		return -1;
	return TELL(c, err, "DEL", key);
}

/* Backup and restore: all keys of the app, each as DUMP has it.
 *
 *	silver-redis 1\n
 *	key DB EXPIRES NAME_BYTES VALUE_BYTES\n NAME VALUE \n	EXPIRES: ms since 1970, 0: never;
 *								NAME: without the prefix
 *	end KEYS\n */

#define HEADER     "silver-redis 1\n"
#define LINE_BYTES 128

struct dumping {
	redisContext *c;
	FILE *out;
	const char *db;
	size_t prefix; /* of each key */
	uint64_t keys;
};

static redisReply *ask_of_key(redisContext *c, const char *verb, const redisReply *key)
{
	const char *argv[] = {verb, key->str};
	const size_t lengths[] = {strlen(verb), key->len};

	return redisCommandArgv(c, 2, argv, lengths);
}

/* A key that went meanwhile is none. */
static int dump_key(struct dumping *d, const redisReply *key, struct error *err)
{
	autoreply redisReply *ttl = ask_of_key(d->c, "PTTL", key);
	autoreply redisReply *value = ttl ? ask_of_key(d->c, "DUMP", key) : NULL;
	long long expires = 0;

	if (!value || ttl->type != REDIS_REPLY_INTEGER || value->type == REDIS_REPLY_ERROR)
		return error_set(err, E_SYSTEM, "cannot read a key: %s",
				 value && value->str ? value->str : d->c->errstr);
	if (value->type != REDIS_REPLY_STRING || ttl->integer == -2)
		return 0;
	if (ttl->integer >= 0)
		expires = clock_utc_ms() + ttl->integer;
	fprintf(d->out, "key %s %lld %zu %zu\n", d->db, expires, key->len - d->prefix, value->len);
	fwrite(key->str + d->prefix, 1, key->len - d->prefix, d->out);
	fwrite(value->str, 1, value->len, d->out);
	fputc('\n', d->out);
	d->keys++;
	return ferror(d->out) ? error_sys(err, errno, "cannot write the dump") : 0;
}

/* One turn of SCAN, which may tell a key twice; restoring it twice does no harm. */
static int dump_some(struct dumping *d, char **cursor, const char *pattern, struct error *err)
{
	autoreply redisReply *r = ASK(d->c, err, "SCAN", *cursor, "MATCH", pattern, "COUNT", BATCH);

	if (!r)
		return -1;
	if (r->type != REDIS_REPLY_ARRAY || r->elements != 2)
		return error_set(err, E_SYSTEM, "the server gave an answer that is none");
	for (size_t i = 0; i < r->element[1]->elements; i++)
		if (dump_key(d, r->element[1]->element[i], err) == -1)
			return -1;
	free(*cursor);
	*cursor = xstrdup(r->element[0]->str);
	return 0;
}

static int dump_database(struct dumping *d, const char *pattern, struct error *err)
{
	autofree char *cursor = xstrdup("0");

	if (TELL(d->c, err, "SELECT", d->db) == -1)
		return -1;
	do {
		if (dump_some(d, &cursor, pattern, err) == -1)
			return -1;
	} while (strcmp(cursor, "0") != 0);
	return 0;
}

/* A stream of its own on a descriptor that stays the caller's. */
static int open_stream(int fd, const char *mode, FILE **out, struct error *err)
{
	autoclose int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	*out = copy == -1 ? NULL : fdopen(copy, mode);
	if (!*out)
		return error_sys(err, errno, "cannot open the dump");
	steal_fd(&copy);
	return 0;
}

static int backup(const struct service_call *call, int fd, struct error *err)
{
	autofree char *pattern = xasprintf("%s:*", call->app);
	autostrv struct strv databases = STRV_INIT;
	autotarget struct target t = {0};
	autocontext redisContext *c = NULL;
	autofile FILE *out = NULL;
	struct dumping d = {.prefix = strlen(call->app) + 1};

	if (open_server(call, &t, &c, err) == -1 || list_databases(c, &databases, err) == -1 ||
	    open_stream(fd, "w", &out, err) == -1)
		return -1;
	d.c = c;
	d.out = out;
	fputs(HEADER, out);
	for (size_t i = 0; i < databases.n; i++) {
		d.db = databases.v[i];
		if (dump_database(&d, pattern, err) == -1)
			return -1;
	}
	fprintf(out, "end %llu\n", (unsigned long long)d.keys);
	return fflush(out) == EOF ? error_sys(err, errno, "cannot write the dump") : 0;
}

struct key_line {
	char db[8];
	long long expires;
	size_t name, value;
};

static bool read_key_line(const char *line, struct key_line *k)
{
	char expires[21], name[21], value[21];
	int used = 0;
	uint64_t n[3];

	if (sscanf(line, "key %7[0-9] %20[0-9] %20[0-9] %20[0-9]%n", k->db, expires, name, value,
		   &used) != 4 ||
	    strcmp(line + used, "\n") != 0 || !str_to_uint(expires, INT64_MAX, &n[0]) ||
	    !str_to_uint(name, NAME_BYTES_MAX, &n[1]) ||
	    !str_to_uint(value, VALUE_BYTES_MAX, &n[2]))
		return false;
	k->expires = (long long)n[0];
	k->name = (size_t)n[1];
	k->value = (size_t)n[2];
	return true;
}

static int wrong_dump(struct error *err)
{
	return error_set(err, E_REFUSED, "this is no dump of keys, or it is cut");
}

static int restore_key(const struct service_call *call, redisContext *c, const struct key_line *k,
		       const char *bytes, struct error *err)
{
	autostrbuf struct strbuf name = STRBUF_INIT;
	autofree char *expires = xasprintf("%lld", k->expires);
	autoreply redisReply *r = NULL;

	strbuf_addf(&name, "%s:", call->app);
	strbuf_add(&name, bytes, k->name);
	const char *argv[] = {"RESTORE", name.buf, expires, bytes + k->name, "REPLACE", "ABSTTL"};
	const size_t lengths[] = {7, name.len, strlen(expires), k->value, 7, 6};

	r = redisCommandArgv(c, ARRAY_SIZE(argv), argv, lengths);
	if (r && r->type != REDIS_REPLY_ERROR)
		return 0;
	return error_set(err, E_SYSTEM, "the server does not take a key back: %.300s",
			 r ? r->str : c->errstr);
}

/* One key, or (*keys tells) the end. 1: go on. */
static int restore_next(const struct service_call *call, redisContext *c, FILE *in, uint64_t *keys,
			struct error *err)
{
	autofree char *bytes = NULL, *end = xasprintf("end %llu\n", (unsigned long long)*keys);
	char line[LINE_BYTES];
	struct key_line k;

	if (!fgets(line, sizeof(line), in))
		return wrong_dump(err);
	if (strcmp(line, end) == 0)
		return fgetc(in) == EOF ? 0 : wrong_dump(err);
	if (!read_key_line(line, &k))
		return wrong_dump(err);
	bytes = xmalloc(k.name + k.value + 1);
	if (fread(bytes, 1, k.name + k.value + 1, in) != k.name + k.value + 1)
		return wrong_dump(err);
	(*keys)++;
	if (k.expires && k.expires <= clock_utc_ms())
		return 1; /* it would be gone by now */
	if (TELL(c, err, "SELECT", k.db) == -1 || restore_key(call, c, &k, bytes, err) == -1)
		return -1;
	return 1;
}

static int restore(const struct service_call *call, int fd, struct error *err)
{
	autotarget struct target t = {0};
	autocontext redisContext *c = NULL;
	autofile FILE *in = NULL;
	char line[LINE_BYTES];
	uint64_t keys = 0;
	int r = 1;

	if (open_server(call, &t, &c, err) == -1 || open_stream(fd, "r", &in, err) == -1)
		return -1;
	if (!fgets(line, sizeof(line), in) || strcmp(line, HEADER) != 0)
		return wrong_dump(err);
	if (remove_keys(call, c, err) == -1)
		return -1;
	while (r == 1)
		r = restore_next(call, c, in, &keys, err);
	return r;
}

static int status(const struct service_call *call, struct strbuf *out, struct error *err)
{
	autotarget struct target t = {0};
	autocontext redisContext *c = NULL;

	if (open_server(call, &t, &c, err) == -1 || TELL(c, err, "PING") == -1)
		return -1;
	strbuf_addf(out, "server redis at %s:%u\nprefix %s:\n", t.host, t.port, call->app);
	return 0;
}

/* It says LOADING as long as it reads its data. */
static int ready(const struct node *node, struct error *err)
{
	autotarget struct target t = {0};
	autocontext redisContext *c = NULL;

	if (find_target(node, NULL, NULL, &t, err) == -1 || open_target(&t, &c, err) == -1)
		return -1;
	if (TELL(c, err, "PING") == 0)
		return 0;
	err->code = E_BUSY;
	return -1;
}

const struct service_driver redis_driver = {
	.name = "redis",
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
