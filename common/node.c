#include "common/node.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include "common/address.h"
#include "common/fs.h"
#include "common/ini.h"
#include "common/names.h"

enum { INI_MAX_BYTES = 256 << 10 };

enum setting_type { ADDRESS, HOST, COUNT, MILLISECONDS, BYTES };

/* One row is all there is to know about a setting: the parser, the new node.ini and the checks read
 * it here. */
struct setting {
	const char *key;
	enum setting_type type;
	size_t offset;
	uint64_t min, max;
	const char *value; /* the default as written in node.ini */
	const char *about;
};

#define FIELD(name) offsetof(struct node, name)

static const struct setting settings[] = {
	{"ssh", ADDRESS, FIELD(ssh), 0, 0, NULL,
	 "where git and ssh connect: ADDR:PORT, [ADDR]:PORT for IPv6; port 0: any free one"},
	{"http", ADDRESS, FIELD(http), 0, 0, NULL, "where the applications answer"},
	{"domain", HOST, FIELD(domain), 0, 0, "localhost",
	 "an application APP is first reached as APP.DOMAIN"},
	{"keep", COUNT, FIELD(keep), 2, 1000, "5", "releases kept of each application"},
	{"lock_wait_ms", MILLISECONDS, FIELD(lock_wait_ms), 0, 3600000, "10000",
	 "how long a push waits for another push of the same application"},
	{"health_ms", MILLISECONDS, FIELD(health_ms), 100, 3600000, "60000",
	 "a new release must answer by then, or its push is refused"},
	{"task_ms", MILLISECONDS, FIELD(task_ms), 1000, 86400000, "900000",
	 "a line of update_fetch or test must end by then, or its push is refused"},
	{"drain_ms", MILLISECONDS, FIELD(drain_ms), 0, 3600000, "30000",
	 "how long the processes of the release before may finish their requests"},
	{"grace_ms", MILLISECONDS, FIELD(grace_ms), 1000, 600000, "20000",
	 "a connection must have logged in by then"},
	{"idle_ms", MILLISECONDS, FIELD(idle_ms), 1000, 86400000, "600000",
	 "a session without a byte in either direction ends after this"},
	{"max_startups", COUNT, FIELD(max_startups), 2, 10000, "100",
	 "connections at once that have not logged in; the oldest gives way to a new one"},
	{"max_sessions", COUNT, FIELD(max_sessions), 2, 10000, "500", "connections at once"},
	{"max_push_bytes", BYTES, FIELD(max_push_bytes), 1 << 20, (uint64_t)1 << 40, "4294967296",
	 "the largest pack that a push may send"},
};

static void *field_of(struct node *node, const struct setting *s)
{
	return (char *)node + s->offset;
}

static void set_text(struct node *node, const struct setting *s, const char *value)
{
	char **field = field_of(node, s);

	free(*field);
	*field = xstrdup(value);
}

static int set_number(struct node *node, const struct setting *s, const char *value,
		      struct error *err)
{
	uint64_t number;

	if (!str_to_uint(value, s->max, &number) || number < s->min)
		return error_set(err, E_USAGE,
				 "%s = %s: expected a number from %llu to %llu (default %s)",
				 s->key, value, (unsigned long long)s->min,
				 (unsigned long long)s->max, s->value);
	if (s->type == BYTES)
		*(uint64_t *)field_of(node, s) = number;
	else if (s->type == COUNT)
		*(unsigned *)field_of(node, s) = (unsigned)number;
	else
		*(int *)field_of(node, s) = (int)number;
	return 0;
}

static int set_value(struct node *node, const struct setting *s, const char *value,
		     struct error *err)
{
	union address address;

	if (s->type != ADDRESS && s->type != HOST)
		return set_number(node, s, value, err);
	if (s->type == ADDRESS && address_parse(value, &address, err) == -1)
		return error_prefix(err, "%s", s->key);
	if (s->type == HOST && name_check_host(value, err) == -1)
		return error_prefix(err, "%s", s->key);
	set_text(node, s, value);
	return 0;
}

static void set_defaults(struct node *node)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (settings[i].value && set_value(node, &settings[i], settings[i].value, &err))
			abort(); /* the table contradicts itself */
}

static const struct setting *setting_named(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (!strcmp(settings[i].key, key))
			return &settings[i];
	return NULL;
}

struct reader {
	struct node *node;
	const char *file;
	struct strbuf problems; /* a line each */
};

static void on_problem(void *ctx, unsigned line, const char *text)
{
	struct reader *r = ctx;

	strbuf_addf(&r->problems, "%s%s:%u: %s", r->problems.len ? "\n" : "", r->file, line, text);
}

static void unknown_key(struct reader *r, unsigned line, const char *key)
{
	const char *known[ARRAY_SIZE(settings)];
	autofree char *text = NULL;
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		known[i] = settings[i].key;
	near = name_nearest(key, known, ARRAY_SIZE(known));
	text = near ? xasprintf("unknown setting '%s' (did you mean '%s'?)", key, near)
		    : xasprintf("unknown setting '%s'", key);
	on_problem(r, line, text);
}

static void on_key(void *ctx, unsigned line, const char *section, const char *key,
		   const char *value)
{
	struct reader *r = ctx;
	const struct setting *s = setting_named(key);
	struct error err = ERROR_INIT;

	if (str_starts(section, "service.")) /* services/settings.h */
		return;
	if (strcmp(section, "node") != 0) {
		autofree char *text = xasprintf(
			"'%s' stands in section [%s]: settings belong into [node]", key, section);
		on_problem(r, line, text);
	} else if (!s) {
		unknown_key(r, line, key);
	} else if (set_value(r->node, s, value, &err) == -1) {
		on_problem(r, line, err.text);
	}
}

/* Settings of one file over those that are there. */
static int read_settings(struct node *node, const char *file, struct error *err)
{
	struct reader r = {.node = node, .file = file};
	autostrbuf struct strbuf text = STRBUF_INIT;
	int result = 0;

	if (fs_read_file(node->fd, file, INI_MAX_BYTES, &text, err) == -1)
		return -1;
	if (ini_parse_text(strbuf_str(&text), text.len, on_key, on_problem, &r) || r.problems.len)
		result = error_set(err, E_USAGE, "%s", strbuf_str(&r.problems));
	strbuf_release(&r.problems);
	return result;
}

static int open_dir(struct node *out, const char *dir, struct error *err)
{
	char resolved[PATH_MAX];

	if (!realpath(dir, resolved))
		return error_set(err, errno == ENOENT ? E_NOTFOUND : E_SYSTEM,
				 "no node at '%s' (%s): `silverd --dir %s` makes one", dir,
				 strerror(errno), dir);
	if (fs_open_dir(AT_FDCWD, resolved, &out->fd, err) == -1)
		return -1;
	out->dir = xstrdup(resolved);
	return 0;
}

int node_open(struct node *out, const char *dir, struct error *err)
{
	*out = (struct node){.fd = -1};
	set_defaults(out);
	if (open_dir(out, dir, err) == -1)
		goto failed;
	if (read_settings(out, "node.ini", err) == -1) {
		if (err->code == E_NOTFOUND)
			error_set(err, E_NOTFOUND,
				  "no node at '%s' (it has no node.ini): `silverd --dir %s` makes "
				  "one",
				  dir, dir);
		goto failed;
	}
	/* What silverd really listens on, where options or port 0 made it differ from node.ini. */
	if (read_settings(out, NODE_RUN_INI, err) == -1 && err->code != E_NOTFOUND)
		goto failed;
	return 0;
failed:
	node_release(out);
	return -1;
}

void node_release(struct node *node)
{
	fd_close(&node->fd);
	free(node->dir);
	free(node->ssh);
	free(node->http);
	free(node->domain);
	*node = (struct node){.fd = -1};
}

int node_open_app(const struct node *node, const char *app, int *out, struct error *err)
{
	autofree char *path = xasprintf("apps/%s", app);

	if (fs_open_dir(node->fd, path, out, err) == -1) {
		if (err->code == E_NOTFOUND)
			return error_set(err, E_NOTFOUND, "no app '%s'", app);
		return -1;
	}
	return 0;
}

char *node_url(const struct node *node, const char *host)
{
	struct error err = ERROR_INIT;
	union address a;

	if (!node->http || address_parse(node->http, &a, &err) == -1 || address_port(&a) == 80)
		return xasprintf("http://%s", host);
	return xasprintf("http://%s:%u", host, address_port(&a));
}

char *node_default_ini(const char *ssh, const char *http)
{
	struct strbuf s = STRBUF_INIT;

	strbuf_addstr(&s,
		      "# Settings of this node (silverd(8)). A line that starts with # shows the "
		      "default.\n# silverd reads them when it starts.\n[node]\n");
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const struct setting *set = &settings[i];
		const char *value = set->offset == FIELD(ssh)    ? ssh
				    : set->offset == FIELD(http) ? http
								 : set->value;

		strbuf_addf(&s, "\n# %s\n%s%s = %s\n", set->about, set->value ? "#" : "", set->key,
			    value);
	}
	return strbuf_detach(&s);
}
