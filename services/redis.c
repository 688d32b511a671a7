/* redis.c - a user and a prefix of keys for each app, on the node's own server or one elsewhere.
 *
 * The user APP, or after a rotation APP-2, may use the keys and channels that begin with "APP:",
 * and no command that lists or changes those of others (KEYS, SCAN, FLUSHALL, FUNCTION ...). Whose
 * a prefix is stands in the key "silver:APP". */
#include "services/driver.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include "common/fs.h"
#include "services/server.h"

#define ADMIN        "silver-admin"
#define SECOND       "-2"
#define PASSWORD_MAX 1000
#define URL          "redis://"
#define DEFAULT_PORT 6379
#define BATCH        "1000"

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

/* Names of apps have none of the letters that a pattern gives a meaning to. */
static int remove_keys(const struct service_call *call, redisContext *c, struct error *err)
{
	autofree char *pattern = xasprintf("%s:*", call->app), *cursor = xstrdup("0");

	do {
		if (remove_some(c, &cursor, pattern, err) == -1)
			return -1;
	} while (strcmp(cursor, "0") != 0);
	return 0;
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
	.status = status,
	.ready = ready,
};
