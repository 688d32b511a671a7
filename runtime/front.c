#include "runtime/front.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/address.h"
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"
#include "runtime/front_bodies.h"
#include "runtime/front_text.h"
#include "runtime/http.h"
#include "runtime/location.h"

#define CONFIG      "nginx.conf"
#define NEW_CONFIG  "nginx.conf.new"
#define GENERATION  "@GENERATION@"
#define TEST_MS     20000
#define CONFIG_MAX  (16 << 20)
#define ERROR_LINES 2048
#define LOG_MAX     (64 << 20)
#define LOG_KEPT    4 /* besides the one that is written */

/* Only numbers of an address are handed to nginx. */
static int check_address(const char *text, struct error *err)
{
	union address address;

	if (address_parse(text, &address, err) == -1)
		return -1;
	if (address_port(&address) == 0)
		return error_set(err, E_USAGE, "'%s': nginx needs the number of a port", text);
	return 0;
}

/* What the words of the template stand for. */
struct config {
	const struct node *node;
	const char *listen;
	struct locations locations;
	struct front_bodies bodies;
	struct strv trusted;
	uint64_t size; /* of @SIZE@ */
};

/* One line of a map: a regular expression for what a location takes of "HOST/PATH". */
static void add_pattern(const struct location *l, struct strbuf *out)
{
	strbuf_addstr(out, "\t\t\"~^");
	if (l->kind == LOCATION_ANY)
		strbuf_addstr(out, "[^/]*");
	else if (l->kind == LOCATION_SUFFIX)
		strbuf_addstr(out, "(?:[^/]*\\.)?");
	for (const char *at = l->host; *at; at++)
		strbuf_addf(out, "%s%c", *at == '.' ? "\\" : "", *at);
	for (const char *at = l->path; *at; at++)
		strbuf_addf(out, "%s%c", *at == '.' ? "\\" : "", *at);
	strbuf_addf(out, "(?:/|\\z)\"");
}

/* A host alone has no line: hosts/HOST is all that nginx needs. */
static void add_locations(const struct locations *all, enum location_kind least,
			  enum location_kind most, struct strbuf *out)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct location *l = &all->v[i];
		autofree char *name = location_name(l->text);

		if (l->kind < least || l->kind > most || (l->kind == LOCATION_HOST && !*l->path))
			continue;
		add_pattern(l, out);
		strbuf_addf(out, " \"%s\";\n", name);
	}
}

static void add_named(const struct config *c, struct strbuf *out)
{
	add_locations(&c->locations, LOCATION_HOST, LOCATION_HOST, out);
}

static void add_wild(const struct config *c, struct strbuf *out)
{
	add_locations(&c->locations, LOCATION_SUFFIX, LOCATION_ANY, out);
}

static void add_mounts(const struct config *c, struct strbuf *out)
{
	for (size_t i = 0; i < c->locations.n; i++) {
		const struct location *l = &c->locations.v[i];
		autofree char *name = location_name(l->text);

		if (*l->path)
			strbuf_addf(out, "\t\t\"%s\" \"%s\";\n", name, l->path);
	}
}

/* The port that was asked for stands behind the host again. */
static void add_redirects(const struct config *c, struct strbuf *out)
{
	for (size_t i = 0; i < c->locations.n; i++) {
		const struct location *l = &c->locations.v[i];

		if (l->alias)
			strbuf_addf(out, "\t\t\"%s\" \"%.*s$silver_port%s\";\n", l->text,
				    (int)strcspn(l->alias, "/"), l->alias,
				    l->alias + strcspn(l->alias, "/"));
	}
}

static void add_trusted(const struct config *c, struct strbuf *out)
{
	for (size_t i = 0; i < c->trusted.n; i++)
		strbuf_addf(out, "\t\t%s 1;\n", c->trusted.v[i]);
}

static void add_real_ip(const struct config *c, struct strbuf *out)
{
	for (size_t i = 0; i < c->trusted.n; i++)
		strbuf_addf(out, "\tset_real_ip_from %s;\n", c->trusted.v[i]);
	if (c->trusted.n)
		strbuf_addstr(out, "\treal_ip_header X-Forwarded-For;\n\treal_ip_recursive on;\n");
}

static void add_listen(const struct config *c, struct strbuf *out)
{
	strbuf_addstr(out, c->listen);
}

/* "#" before what only a node with TLS has. */
static void add_tls(const struct config *c, struct strbuf *out)
{
	strbuf_addstr(out, c->node->https ? "" : "#");
}

static void add_https(const struct config *c, struct strbuf *out)
{
	strbuf_addstr(out, c->node->https ? c->node->https : "");
}

/* Behind a host, where it is not the usual one. */
static void add_https_port(const struct config *c, struct strbuf *out)
{
	struct error none = ERROR_INIT;
	union address address;

	if (c->node->https && address_parse(c->node->https, &address, &none) == 0 &&
	    address_port(&address) != 443)
		strbuf_addf(out, ":%u", address_port(&address));
}

static void add_body(const struct config *c, struct strbuf *out)
{
	strbuf_addf(out, "%llu", (unsigned long long)c->bodies.largest);
}

static void add_default_body(const struct config *c, struct strbuf *out)
{
	strbuf_addf(out, "%llu", (unsigned long long)c->node->max_body_bytes);
}

static void add_body_apps(const struct config *c, struct strbuf *out)
{
	front_bodies_add_apps(&c->bodies, out);
}

static void add_body_over(const struct config *c, struct strbuf *out)
{
	front_bodies_add_over(&c->bodies, out);
}

static void add_size(const struct config *c, struct strbuf *out)
{
	strbuf_addf(out, "%llu", (unsigned long long)c->size);
}

static void add_answer(const struct config *c, struct strbuf *out)
{
	strbuf_addf(out, "%d", c->node->answer_ms);
}

/* The words of the template. */
static const struct word {
	const char *text;
	void (*add)(const struct config *c, struct strbuf *out);
} words[] = {
	{"@TLS@", add_tls},
	{"@HTTPS@", add_https},
	{"@HTTPS_PORT@", add_https_port},
	{"@LISTEN@", add_listen},
	{"@NAMED@", add_named},
	{"@WILD@", add_wild},
	{"@REDIRECT@", add_redirects},
	{"@MOUNT@", add_mounts},
	{"@TRUSTED@", add_trusted},
	{"@REAL_IP@", add_real_ip},
	{"@BODY@", add_body},
	{"@ANSWER@", add_answer},
	{"@BODY_APPS@", add_body_apps},
	{"@BODY_OVER@", add_body_over},
	{"@SIZE@", add_size},
	{"@DEFAULT_BODY@", add_default_body},
};

static const struct word *word_at(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_starts(text, words[i].text))
			return &words[i];
	return NULL;
}

static void fill_in(const struct config *c, const char *template, struct strbuf *out)
{
	while (*template) {
		size_t len = strcspn(template, "@");
		const struct word *word = word_at(template + len);

		strbuf_add(out, template, len);
		template += len;
		if (word) {
			word->add(c, out);
			template += strlen(word->text);
		} else if (*template) {
			strbuf_addch(out, *template ++);
		}
	}
}

/* What stands between the two marks is there once for each size. */
static void fill_in_all(struct config *c, struct strbuf *out)
{
	static const char begin[] = "@EACH_BODY@", end[] = "@END_BODY@";
	const char *block = strstr(front_template, begin), *rest = strstr(front_template, end);
	autofree char *head = xstrndup(front_template, (size_t)(block - front_template));
	autofree char *each = NULL;

	block += strlen(begin);
	each = xstrndup(block, (size_t)(rest - block));
	fill_in(c, head, out);
	for (size_t i = 0; i < c->bodies.n_sizes; i++) {
		c->size = c->bodies.size[i];
		fill_in(c, each, out);
	}
	fill_in(c, rest + strlen(end), out);
}

static uint64_t fnv1a(const char *s)
{
	uint64_t h = 14695981039346656037U;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211U;
	return h;
}

/* What the private socket answers is a name for all the rest of it. */
static void add_generation(const char *text, struct strbuf *out)
{
	autofree char *generation = xasprintf("%016llx", (unsigned long long)fnv1a(text));

	for (const char *at; (at = strstr(text, GENERATION)); text = at + strlen(GENERATION)) {
		strbuf_add(out, text, (size_t)(at - text));
		strbuf_addstr(out, generation);
	}
	strbuf_addstr(out, text);
}

static int compose(const struct node *node, const char *http_addr_port, struct strbuf *out,
		   struct error *err)
{
	struct config c = {.node = node, .listen = http_addr_port};
	autostrbuf struct strbuf body = STRBUF_INIT;

	if (locations_read(node, &c.locations, err) == -1)
		return -1;
	front_bodies_read(node, &c.bodies);
	node_trusted(node, &c.trusted);
	fill_in_all(&c, &body);
	add_generation(strbuf_str(&body), out);
	locations_release(&c.locations);
	front_bodies_release(&c.bodies);
	strv_free_p(&c.trusted);
	return 0;
}

int front_identity(uid_t *uid, gid_t *gid, struct error *err)
{
	const struct passwd *user;

	*uid = geteuid();
	*gid = getegid();
	if (*uid != 0)
		return 0;
	errno = 0;
	user = getpwnam(FRONT_USER);
	if (!user)
		return error_set(err, E_SYSTEM, "there is no user '" FRONT_USER "'");
	*uid = user->pw_uid;
	*gid = user->pw_gid;
	return 0;
}

static int test_config(const struct node *node, struct error *err)
{
	char *const argv[] = {(char[]){"nginx"},
			      (char[]){"-t"},
			      (char[]){"-q"},
			      (char[]){"-p"},
			      (char[]){"./"},
			      (char[]){"-e"},
			      (char[]){"stderr"},
			      (char[]){"-c"},
			      (char[]){"run/" NEW_CONFIG},
			      NULL};
	struct proc_spec spec = {.path = "nginx",
				 .argv = argv,
				 .in = -1,
				 .out = -1,
				 .err = -1,
				 .drop = geteuid() == 0,
				 .keep_net_bind = true,
				 .cwd = node->dir};
	autostrbuf struct strbuf output = STRBUF_INIT;
	int status;

	if (front_identity(&spec.uid, &spec.gid, err) == -1)
		return -1;
	if (proc_run(&spec, TEST_MS, &status, &output, err) == -1)
		return error_prefix(err, "testing the configuration of nginx");
	if (status != 0)
		return error_set(err, E_SYSTEM, "nginx refuses its configuration: %s",
				 strbuf_str(&output));
	return 0;
}

/* What is not in a file yet is tried, and takes its place. */
static int install(const struct node *node, int run_fd, const struct strbuf *config,
		   struct error *err)
{
	struct error ignored = ERROR_INIT;

	if (fs_replace_file(run_fd, NEW_CONFIG, config->buf, config->len, 0644, err) == -1)
		return -1;
	if (test_config(node, err) == -1) {
		if (fs_unlink(run_fd, NEW_CONFIG, &ignored) == -1)
			return -1; /* what nginx said matters more */
		return -1;
	}
	return fs_rename_sync(run_fd, NEW_CONFIG, run_fd, CONFIG, err);
}

int front_write_config(const struct node *node, const char *http_addr_port, bool *changed,
		       struct error *err)
{
	autostrbuf struct strbuf config = STRBUF_INIT, now = STRBUF_INIT;
	struct error none = ERROR_INIT;
	autoclose int run_fd = -1;

	*changed = false;
	if (check_address(http_addr_port, err) == -1 ||
	    (node->https && check_address(node->https, err) == -1) ||
	    front_write_pages(node, err) == -1 ||
	    fs_open_dir(node->fd, "run", &run_fd, err) == -1 ||
	    compose(node, http_addr_port, &config, err) == -1)
		return -1;
	if (fs_read_file(run_fd, CONFIG, CONFIG_MAX, &now, &none) == 0 &&
	    strcmp(strbuf_str(&now), strbuf_str(&config)) == 0)
		return 0;
	if (install(node, run_fd, &config, err) == -1)
		return -1;
	*changed = true;
	return 0;
}

/* NAME.3 -> NAME.4, ..., NAME -> NAME.1 */
static int rotate_log(int log_fd, const char *name, bool *rotated, struct error *err)
{
	struct stat st;

	if (fstatat(log_fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1 || st.st_size < LOG_MAX)
		return 0;
	for (int i = LOG_KEPT; i >= 1; i--) {
		autofree char *from = i > 1 ? xasprintf("%s.%d", name, i - 1) : xstrdup(name);
		autofree char *to = xasprintf("%s.%d", name, i);

		if (fs_exists(log_fd, from) && fs_rename(log_fd, from, log_fd, to, err) == -1)
			return -1;
	}
	*rotated = true;
	return 0;
}

bool front_logs_are_large(const struct node *node)
{
	struct stat st;

	return (fstatat(node->fd, "log/nginx/access.log", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		st.st_size >= LOG_MAX) ||
	       (fstatat(node->fd, "log/nginx/error.log", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		st.st_size >= LOG_MAX);
}

int front_rotate_logs(const struct node *node, bool *rotated, struct error *err)
{
	autoclose int log_fd = -1;

	*rotated = false;
	if (fs_open_dir(node->fd, "log/nginx", &log_fd, err) == -1 ||
	    rotate_log(log_fd, "access.log", rotated, err) == -1)
		return -1;
	return rotate_log(log_fd, "error.log", rotated, err);
}

/* What the running nginx must say: the word after "generation " in the file. */
static int wanted_generation(const struct node *node, char out[17], struct error *err)
{
	autostrbuf struct strbuf config = STRBUF_INIT;
	const char *found;

	if (fs_read_file(node->fd, "run/" CONFIG, CONFIG_MAX, &config, err) == -1)
		return -1;
	found = strstr(config.buf, "# generation ");
	if (!found || strlen(found) < 13 + 16)
		return error_set(err, E_SYSTEM, "run/nginx.conf is not one of ours");
	memcpy(out, found + 13, 16);
	out[16] = '\0';
	return 0;
}

/* The end of nginx's error log, on which its reason stands. */
static int silent_error(const struct node *node, int timeout_ms, struct error *err)
{
	struct error ignored = ERROR_INIT;
	char text[ERROR_LINES + 1] = "";
	autoclose int fd = -1;
	off_t size;
	ssize_t n = 0;

	if (fs_open(node->fd, "log/nginx/error.log", O_RDONLY, 0, &fd, &ignored) == 0) {
		size = lseek(fd, 0, SEEK_END);
		n = pread(fd, text, ERROR_LINES, size > ERROR_LINES ? size - ERROR_LINES : 0);
	}
	text[n > 0 ? n : 0] = '\0';
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	return error_set(err, E_SYSTEM, "nginx does not answer after %d s; its log ends: %s",
			 timeout_ms / 1000, strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text);
}

int front_wait(const struct node *node, int timeout_ms, struct error *err)
{
	struct http_get get = {.socket = "front.sock", .host = "localhost", .path = "/"};
	struct http_answer answer;
	autoclose int dir_fd = -1;
	char wanted[17];

	if (wanted_generation(node, wanted, err) == -1 ||
	    fs_open_dir(node->fd, "run/nginx", &dir_fd, err) == -1)
		return -1;
	get.dir_fd = dir_fd;
	get.deadline_ms = clock_ms() + timeout_ms;
	while (clock_ms() < get.deadline_ms) {
		if (http_get(&get, &answer) == HTTP_ANSWERED && strstr(answer.body, wanted))
			return 0;
		usleep(5000);
	}
	return silent_error(node, timeout_ms, err);
}

/* /proc/PID/NAME, "" where it is gone. */
static void read_proc(const char *pid, const char *name, struct strbuf *out)
{
	autofree char *path = xasprintf("%s/%s", pid, name);
	struct error none = ERROR_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(AT_FDCWD, "/proc", &fd, &none) == -1 ||
	    fs_read_file(fd, path, 65536, out, &none) == -1)
		strbuf_reset(out);
}

/* The second word behind the name of a process; 0: it is gone. */
static uint64_t parent_of(const char *pid)
{
	autostrbuf struct strbuf stat = STRBUF_INIT;
	const char *end;

	read_proc(pid, "stat", &stat);
	end = strrchr(strbuf_str(&stat), ')');
	return end && strlen(end) > 4 ? strtoull(end + 4, NULL, 10) : 0;
}

void front_workers(const struct node *node, struct strv *pids)
{
	autostrbuf struct strbuf master = STRBUF_INIT;
	struct error none = ERROR_INIT;
	autodir DIR *proc = opendir("/proc");
	uint64_t pid, number;

	if (!proc || fs_read_file(node->fd, "run/nginx/nginx.pid", 32, &master, &none) == -1)
		return;
	pid = strtoull(strbuf_str(&master), NULL, 10);
	for (const struct dirent *entry; pid && (entry = readdir(proc));)
		if (str_to_uint(entry->d_name, INT32_MAX, &number) &&
		    parent_of(entry->d_name) == pid)
			strv_add(pids, entry->d_name);
}

/* nginx says so in the name of the process, before it closes what it listens on and after it has
 * accepted its last connection. */
static bool is_retired(const char *pid)
{
	autostrbuf struct strbuf name = STRBUF_INIT;

	read_proc(pid, "cmdline", &name);
	return name.len == 0 || strstr(strbuf_str(&name), "shutting down");
}

void front_await_end(const struct strv *pids, int timeout_ms)
{
	int64_t deadline = clock_ms() + timeout_ms;

	for (size_t i = 0; i < pids->n; i++)
		while (!is_retired(pids->v[i]) && clock_ms() < deadline)
			usleep(5000);
}
