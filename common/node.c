#include "common/node.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include "common/address.h"
#include "common/fs.h"
#include "common/ini.h"
#include "common/names.h"

enum { INI_MAX_BYTES = 256 << 10 };

enum setting_type {
	ADDRESS,
	HOST,
	NETWORKS,
	COUNT,
	MILLISECONDS,
	BYTES,
	YES_NO,
	PATH,
	PATTERNS,
	USER,
	URL,
	EMAIL
};

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
	{"https", ADDRESS, FIELD(https), 0, 0, NULL, "where they answer by TLS; not set: nowhere"},
	{"acme", URL, FIELD(acme), 0, 0, "https://acme-v02.api.letsencrypt.org/directory",
	 "the authority that certificates come from: the address of its ACME directory"},
	{"acme_email", EMAIL, FIELD(acme_email), 0, 0, NULL,
	 "whom the authority writes to; without it there are only certificates of your own"},
	{"acme_ca", PATH, FIELD(acme_ca), 0, 0, NULL,
	 "a file of PEM certificates that the authority's own host may show, instead of the "
	 "machine's"},
	{"domain", HOST, FIELD(domain), 0, 0, "localhost",
	 "an application APP is first reached as APP.DOMAIN"},
	{"shell_user", USER, FIELD(shell_user), 0, 0, "none",
	 "the user as whom an sshd in front of this node runs silver-shell(8)"},
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
	{"max_body_bytes", BYTES, FIELD(max_body_bytes), 1 << 10, (uint64_t)1 << 40, "104857600",
	 "the largest body of a request; a larger one is answered 413"},
	{"answer_ms", MILLISECONDS, FIELD(answer_ms), 1000, 86400000, "600000",
	 "how long an application may be silent over a request; then it is answered 504"},
	{"trusted_proxies", NETWORKS, FIELD(trusted_proxies), 0, 0, "none",
	 "addresses and networks of proxies in front of this node, whose X-Forwarded headers "
	 "count"},
	{"max_push_bytes", BYTES, FIELD(max_push_bytes), 1 << 20, (uint64_t)1 << 40, "4294967296",
	 "the largest pack that a push may send"},
	{"checkpoint_max_bytes", BYTES, FIELD(checkpoint_max_bytes), 0, (uint64_t)1 << 50,
	 "1073741824", "the most data that a push with 'checkpoint = true' keeps"},
	{"app_tasks", COUNT, FIELD(app_tasks), 32, 1000000, "512",
	 "processes and threads of an application whose [limits] ask for no number"},
	{"max_app_tasks", COUNT, FIELD(max_app_tasks), 32, 1000000, "4096",
	 "the most that [limits] tasks may ask for"},
	{"max_app_memory_bytes", BYTES, FIELD(max_app_memory_bytes), 0, (uint64_t)1 << 50, "0",
	 "the most that [limits] memory may ask for, and what an application has that does not; 0: "
	 "no limit"},
	{"max_app_timeout_s", COUNT, FIELD(max_app_timeout_s), 1, 86400, "86400",
	 "the most that [limits] timeout may ask for"},

	{"packages.allow", PATTERNS, FIELD(packages.allow), 0, 0, "*",
	 "Debian packages that apps may ask for: names, '*' for anything, blanks between them"},
	{"packages.install", YES_NO, FIELD(packages.install), 0, 0, "yes",
	 "install what is missing; no: refuse the push, and name it"},
	{"packages.apt_ms", MILLISECONDS, FIELD(packages.apt_ms), 1000, 86400000, "1800000",
	 "a run of apt must end by then"},
	{"packages.lock_ms", MILLISECONDS, FIELD(packages.lock_ms), 0, 3600000, "60000",
	 "how long a push waits for somebody else's run of apt or dpkg"},
	{"packages.lists_ms", MILLISECONDS, FIELD(packages.lists_ms), 0, 2147483647, "600000",
	 "an unknown package has apt's lists fetched anew, where they are older than this"},
	{"packages.apt_config", PATH, FIELD(packages.apt_config), 0, 0, NULL,
	 "a file of apt.conf(5) that is read over the machine's"},
	{"packages.dpkg", PATH, FIELD(packages.dpkg), 0, 0, "/var/lib/dpkg",
	 "the directory of dpkg's database"},
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

/* Absolute, and no more than a word: it is handed to other programs. */
static bool is_path(const char *value)
{
	return *value == '/' && !strpbrk(value, " \t\n\"'\\;{}") && !strstr(value, "/../");
}

static bool is_patterns(const char *value)
{
	return *value &&
	       strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789+-.:* ") == strlen(value);
}

/* Words that are handed to other programs. */
static bool is_plain(const char *value)
{
	return strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			     ":/.-_~+@[]") == strlen(value);
}

static bool is_url(const char *value)
{
	return str_starts(value, "https://") && value[8] && is_plain(value);
}

static bool is_email(const char *value)
{
	const char *at = strchr(value, '@');

	return at && at != value && *value != '-' && at[1] && !strchr(at + 1, '@') &&
	       is_plain(value);
}

static int set_word(struct node *node, const struct setting *s, const char *value,
		    struct error *err)
{
	bool yes = strcmp(value, "yes") == 0;

	if (s->type == YES_NO && !yes && strcmp(value, "no") != 0)
		return error_set(err, E_USAGE, "%s = %s: expected yes or no (default %s)", s->key,
				 value, s->value);
	if (s->type == PATH && !is_path(value))
		return error_set(err, E_USAGE,
				 "%s = %s: expected an absolute path, without blanks and quotes",
				 s->key, value);
	if (s->type == PATTERNS && !is_patterns(value))
		return error_set(err, E_USAGE,
				 "%s = %s: expected names of packages, '*' for anything, with "
				 "blanks between them",
				 s->key, value);
	if (s->type == URL && !is_url(value))
		return error_set(err, E_USAGE, "%s = %s: expected an address, https://HOST/PATH",
				 s->key, value);
	if (s->type == EMAIL && !is_email(value))
		return error_set(err, E_USAGE, "%s = %s: expected an address, NAME@HOST", s->key,
				 value);
	if (s->type == YES_NO)
		*(bool *)field_of(node, s) = yes;
	else
		set_text(node, s, value);
	return 0;
}

/* "10.0.0.1" or "10.0.0.0/8", of either family. */
static bool is_network(const char *word)
{
	autofree char *host = xstrndup(word, strcspn(word, "/"));
	const char *bits = strchr(word, '/');
	unsigned char bytes[sizeof(struct in6_addr)];
	bool v4 = inet_pton(AF_INET, host, bytes) == 1;
	uint64_t n = 0;

	return (v4 || inet_pton(AF_INET6, host, bytes) == 1) &&
	       (!bits || str_to_uint(bits + 1, v4 ? 32 : 128, &n));
}

static void split_networks(const char *text, struct strv *out)
{
	static const char between[] = ", \t\n";

	if (strcmp(text, "none") == 0)
		return;
	for (size_t len; *(text += strspn(text, between)); text += len) {
		len = strcspn(text, between);
		autofree char *word = xstrndup(text, len);
		strv_add(out, word);
	}
}

static int check_networks(const char *key, const char *value, struct error *err)
{
	autostrv struct strv words = STRV_INIT;

	split_networks(value, &words);
	for (size_t i = 0; i < words.n; i++)
		if (!is_network(words.v[i]))
			return error_set(err, E_USAGE,
					 "%s: '%s' is no address like 10.0.0.1, and no network "
					 "like 10.0.0.0/8",
					 key, words.v[i]);
	return 0;
}

void node_trusted(const struct node *node, struct strv *out)
{
	split_networks(node->trusted_proxies, out);
}

static int set_value(struct node *node, const struct setting *s, const char *value,
		     struct error *err)
{
	union address address;

	if (s->type == YES_NO || s->type == PATH || s->type == PATTERNS || s->type == URL ||
	    s->type == EMAIL)
		return set_word(node, s, value, err);
	if (s->type == COUNT || s->type == MILLISECONDS || s->type == BYTES)
		return set_number(node, s, value, err);
	if (s->type == NETWORKS && check_networks(s->key, value, err) == -1)
		return -1;
	if (s->type == ADDRESS && address_parse(value, &address, err) == -1)
		return error_prefix(err, "%s", s->key);
	if (s->type == HOST && name_check_host(value, err) == -1)
		return error_prefix(err, "%s", s->key);
	if (s->type == USER && name_check_user(value, err) == -1)
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

/* Keys of other sections than [node] have their section's name in front. */
static const struct setting *setting_named(const char *section, const char *key)
{
	autofree char *name =
		strcmp(section, "node") == 0 ? xstrdup(key) : xasprintf("%s.%s", section, key);

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (!strcmp(settings[i].key, name))
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

static bool is_section(const char *section)
{
	size_t len = strlen(section);

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (str_starts(settings[i].key, section) && settings[i].key[len] == '.')
			return true;
	return strcmp(section, "node") == 0;
}

static void unknown_key(struct reader *r, unsigned line, const char *key)
{
	const char *known[ARRAY_SIZE(settings)];
	autofree char *text = NULL;
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		known[i] = strchr(settings[i].key, '.') ? strchr(settings[i].key, '.') + 1
							: settings[i].key;
	near = name_nearest(key, known, ARRAY_SIZE(known));
	text = near ? xasprintf("unknown setting '%s' (did you mean '%s'?)", key, near)
		    : xasprintf("unknown setting '%s'", key);
	on_problem(r, line, text);
}

static void on_key(void *ctx, unsigned line, const char *section, const char *key,
		   const char *value)
{
	struct reader *r = ctx;
	const struct setting *s = setting_named(section, key);
	struct error err = ERROR_INIT;

	if (str_starts(section, "service.")) /* services/settings.h */
		return;
	if (!is_section(section)) {
		autofree char *text = xasprintf(
			"'%s' stands in section [%s]: settings belong into [node] or [packages]",
			key, section);
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
	free(node->https);
	free(node->acme);
	free(node->acme_email);
	free(node->acme_ca);
	free(node->domain);
	free(node->shell_user);
	free(node->packages.allow);
	free(node->packages.dpkg);
	free(node->packages.apt_config);
	free(node->trusted_proxies);
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

char *node_url(const struct node *node, const char *location)
{
	int host = (int)strcspn(location, "/");
	struct error err = ERROR_INIT;
	union address a;

	if (!node->http || address_parse(node->http, &a, &err) == -1 || address_port(&a) == 80)
		return xasprintf("http://%s", location);
	return xasprintf("http://%.*s:%u%s", host, location, address_port(&a), location + host);
}

/* "[packages]", where the setting is the first of it. */
static void add_section(struct strbuf *s, const char *key, const char *before)
{
	size_t len = strcspn(key, ".");

	if (key[len] == '.' && strncmp(key, before, len + 1) != 0)
		strbuf_addf(s, "\n[%.*s]\n", (int)len, key);
}

/* What stands behind the comment sign of a setting without a default. */
static const char *example_of(const struct setting *set)
{
	if (set->type == EMAIL)
		return "you@example.com";
	if (set->type == ADDRESS)
		return "0.0.0.0:443";
	return set->offset == FIELD(acme_ca) ? "/etc/silver/authority.pem" : "/etc/silver/apt.conf";
}

char *node_default_ini(const char *ssh, const char *http)
{
	struct strbuf s = STRBUF_INIT;

	strbuf_addstr(&s,
		      "# Settings of this node (silverd(8)). A line that starts with # shows the "
		      "default.\n# silverd reads them when it starts.\n[node]\n");
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const struct setting *set = &settings[i];
		const char *dot = strchr(set->key, '.');
		const char *value = set->offset == FIELD(ssh)    ? ssh
				    : set->offset == FIELD(http) ? http
				    : set->value                 ? set->value
								 : example_of(set);
		bool is_set = set->offset == FIELD(ssh) || set->offset == FIELD(http);

		add_section(&s, set->key, i ? settings[i - 1].key : "");
		strbuf_addf(&s, "\n# %s\n%s%s = %s\n", set->about, is_set ? "" : "#",
			    dot ? dot + 1 : set->key, value);
	}
	return strbuf_detach(&s);
}
