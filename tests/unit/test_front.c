/* The web front: a real nginx with the configuration that a node gets, and hand-made hosts behind
 * it. */
#include "tests/unit/unit.h"
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include "common/fs.h"
#include "common/proc.h"
#include "receiver/provision.h"
#include "runtime/front.h"
#include "runtime/location.h"

#define NO_CODE 0

struct front {
	struct tmp *tmp;
	struct node node;
	unsigned port;
	pid_t nginx, app;
};

static unsigned free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void write_config(struct front *f)
{
	autofree char *address = xasprintf("127.0.0.1:%u", f->port);
	struct error err = ERROR_INIT;

	bool changed;

	if (front_write_config(&f->node, address, &changed, &err) == -1)
		fail_msg("%s", err.text);
}

/* The test plays silver-exec: nginx in the directory of the node, as whom it runs there. */
static void start_nginx(struct front *f)
{
	char *const argv[] = {(char[]){"nginx"},
			      (char[]){"-p"},
			      (char[]){"./"},
			      (char[]){"-e"},
			      (char[]){"log/nginx/error.log"},
			      (char[]){"-c"},
			      (char[]){"run/nginx.conf"},
			      (char[]){"-g"},
			      (char[]){"daemon off;"},
			      NULL};
	struct proc_spec spec = {.path = "nginx",
				 .argv = argv,
				 .in = -1,
				 .out = -1,
				 .err = -1,
				 .drop = geteuid() == 0,
				 .cwd = f->node.dir};
	struct error err = ERROR_INIT;

	assert_int_equal(front_identity(&spec.uid, &spec.gid, &err), 0);
	if (proc_start(&spec, &f->nginx, &err) == -1 || front_wait(&f->node, 20000, &err) == -1)
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	struct front *f = xcalloc(1, sizeof(*f));
	struct error err = ERROR_INIT;
	void *tmp = NULL;

	if (tmp_setup(&tmp) != 0)
		return -1;
	f->tmp = tmp;
	f->nginx = f->app = -1;
	*state = f;
	if (fchmod(f->tmp->fd, 0755) == -1)
		return -1;
	put_file(f->tmp->fd, "node.ini", "[node]\n");
	if (node_open(&f->node, f->tmp->path, &err) == -1 || provision_node(&f->node, &err) == -1)
		fail_msg("%s", err.text);
	f->port = free_port();
	return 0;
}

static void end(pid_t *pid)
{
	if (*pid == -1)
		return;
	kill(*pid, SIGTERM);
	waitpid(*pid, NULL, 0);
	*pid = -1;
}

static int teardown(void **state)
{
	struct front *f = *state;
	void *tmp = f->tmp;

	end(&f->nginx);
	end(&f->app);
	node_release(&f->node);
	free(f);
	return tmp_teardown(&tmp);
}

/* hosts/NAME.localhost -> release 1 of NAME. */
static void make_host(const struct front *f, const char *name)
{
	static const char *const dirs[] = {"",
					   "/releases",
					   "/releases/1",
					   "/releases/1/app",
					   "/releases/1/app/static",
					   "/releases/1/run"};
	autofree char *current = xasprintf("apps/%s/current", name);
	autofree char *host = xasprintf("hosts/%s.localhost", name);
	autofree char *target = xasprintf("../apps/%s/current", name);

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		autofree char *dir = xasprintf("apps/%s%s", name, dirs[i]);

		assert_int_equal(mkdirat(f->tmp->fd, dir, 0755), 0);
	}
	assert_int_equal(symlinkat("releases/1", f->tmp->fd, current), 0);
	assert_int_equal(symlinkat(target, f->tmp->fd, host), 0);
}

static void put(const struct front *f, const char *path, const char *content)
{
	put_file(f->tmp->fd, path, content);
}

/* An app that answers 200 with the request it got as the body. */
static void __attribute__((noreturn)) echo(int listener)
{
	alarm(120);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		char request[8192];
		ssize_t n = read(fd, request, sizeof(request));

		if (n > 0)
			dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Length: %zd\r\n\r\n%.*s", n, (int)n,
				request);
		close(fd);
	}
}

static void start_app(struct front *f, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/apps/%s/releases/1/run/http.sock",
		 f->tmp->path, name);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(chmod(address.sun_path, 0777), 0);
	assert_int_equal(listen(listener, 16), 0);
	f->app = fork();
	assert_true(f->app != -1);
	if (f->app == 0)
		echo(listener);
	close(listener);
}

/* Sends bytes, returns all that comes back until the other side closes. */
static void exchange(const struct front *f, const char *bytes, struct strbuf *answer)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)f->port),
				      .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	struct timeval patience = {10, 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct error err = ERROR_INIT;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
	strbuf_reset(answer);
	assert_int_equal(strbuf_read_fd(answer, fd, 1 << 20, &err), 0);
	close(fd);
}

static void request(const struct front *f, const char *method, const char *host, const char *path,
		    const char *headers, struct strbuf *answer)
{
	autofree char *bytes =
		xasprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n", method, path,
			  host, headers);

	exchange(f, bytes, answer);
}

static int code_of(const struct strbuf *answer)
{
	return answer->len > 12 ? (int)strtol(answer->buf + 9, NULL, 10) : NO_CODE;
}

static const char *body_of(const struct strbuf *answer)
{
	const char *end = strstr(strbuf_str(answer), "\r\n\r\n");

	return end ? end + 4 : "";
}

struct row {
	const char *method, *host, *path, *headers;
	int code;
	const char *holds; /* somewhere in the answer; NULL: whatever */
};

static void assert_rows(const struct front *f, const struct row *rows, size_t n)
{
	autostrbuf struct strbuf answer = STRBUF_INIT;

	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];

		request(f, r->method, r->host, r->path, r->headers ? r->headers : "", &answer);
		if (code_of(&answer) != r->code ||
		    (r->holds && !strstr(strbuf_str(&answer), r->holds)))
			fail_msg("%s %s at %s: expected %d and '%s', got:\n%s", r->method, r->path,
				 r->host, r->code, r->holds ? r->holds : "", strbuf_str(&answer));
	}
}

static void make_static_site(struct front *f)
{
	make_host(f, "site");
	put(f, "apps/site/releases/1/app/static/a.txt", "0123456789");
	put(f, "apps/site/releases/1/app/static/b c.txt", "space");
	put(f, "apps/site/releases/1/app/static/index.html", "front page");
	assert_int_equal(mkdirat(f->tmp->fd, "apps/site/releases/1/app/static/docs", 0755), 0);
	assert_int_equal(mkdirat(f->tmp->fd, "apps/site/releases/1/app/static/bare", 0755), 0);
	put(f, "apps/site/releases/1/app/static/docs/index.html", "docs page");
	put(f, "apps/site/releases/1/app/secret", "not for the web");
}

static void files_are_served_and_nothing_beside_them(void **state)
{
	static const struct row rows[] = {
		{"GET", "site.localhost", "/a.txt", NULL, 200, "0123456789"},
		{"GET", "site.localhost", "/a.txt?x=1", NULL, 200, "0123456789"},
		{"GET", "SITE.localhost", "/a.txt", NULL, 200, "0123456789"},
		{"GET", "site.localhost:8080", "/a.txt", NULL, 200, "0123456789"},
		{"GET", "site.localhost.", "/a.txt", NULL, 200, "0123456789"},
		{"HEAD", "site.localhost", "/a.txt", NULL, 200, "Content-Length: 10"},
		{"GET", "site.localhost", "/a.txt", "Range: bytes=2-4\r\n", 206, "\r\n\r\n234"},
		{"GET", "site.localhost", "/a.txt", "Range: bytes=99-\r\n", 416, NULL},
		{"GET", "site.localhost", "/a.txt", NULL, 200, "Cache-Control: no-cache"},
		{"GET", "site.localhost", "/b%20c.txt", NULL, 200, "space"},
		{"GET", "site.localhost", "/", NULL, 200, "front page"},
		{"GET", "site.localhost", "/index.html", NULL, 301, "Location: /\r\n"},
		{"GET", "site.localhost", "/docs", NULL, 301, "Location: /docs/\r\n"},
		{"GET", "site.localhost", "/docs?q=1", NULL, 301, "Location: /docs/?q=1\r\n"},
		{"GET", "site.localhost", "/docs/", NULL, 200, "docs page"},
		{"GET", "site.localhost", "/docs/index.html", NULL, 301, "Location: /docs/\r\n"},
		{"GET", "site.localhost", "/bare", NULL, 404, NULL},
		{"GET", "site.localhost", "/bare/", NULL, 404, NULL},
		{"GET", "site.localhost", "/a.txt/", NULL, 404, NULL},
		{"GET", "site.localhost", "/nothing", NULL, 404, "no such page"},
		{"GET", "site.localhost", "/fooindex.html", NULL, 404, NULL},
		{"GET", "site.localhost", "/../secret", NULL, 400, NULL},
		{"GET", "site.localhost", "/docs/../../secret", NULL, 400, NULL},
		{"GET", "site.localhost", "/docs/../a.txt", NULL, 200, "0123456789"},
		{"GET", "site.localhost", "/%2e%2e/secret", NULL, 400, NULL},
		{"GET", "site.localhost", "/..%2fsecret", NULL, 400, NULL},
		{"GET", "site.localhost", "/docs%2f..%2fa.txt", NULL, 200, "0123456789"},
		{"GET", "site.localhost", "/a.txt%00", NULL, 400, NULL},
		{"GET", "site.localhost", "/a|b", NULL, 404, NULL},
		{"GET", "site.localhost", "//evil.example/docs", NULL, 404, NULL},
		{"GET", "site.localhost", "/docs%0d%0aSet-Cookie:x", NULL, 404, NULL},
		{"POST", "site.localhost", "/a.txt", "Content-Length: 0\r\n", 405, NULL},
	};
	struct front *f = *state;

	make_static_site(f);
	write_config(f);
	start_nginx(f);
	assert_rows(f, rows, ARRAY_SIZE(rows));
}

static void a_file_that_has_not_changed_is_not_sent_again(void **state)
{
	autostrbuf struct strbuf answer = STRBUF_INIT;
	autofree char *tag = NULL, *header = NULL;
	struct front *f = *state;
	const char *at;

	make_static_site(f);
	write_config(f);
	start_nginx(f);
	request(f, "GET", "site.localhost", "/a.txt", "", &answer);
	at = strstr(strbuf_str(&answer), "ETag: ");
	assert_non_null(at);
	tag = xstrndup(at + 6, strcspn(at + 6, "\r"));
	header = xasprintf("If-None-Match: %s\r\n", tag);
	request(f, "GET", "site.localhost", "/a.txt", header, &answer);
	assert_int_equal(code_of(&answer), 304);
}

static void unknown_hosts_get_a_page_of_their_own(void **state)
{
	static const struct row rows[] = {
		{"GET", "nobody.localhost", "/", NULL, 404, "No application here"},
		{"GET", "nobody.localhost", "/index.html", NULL, 404, "No application here"},
		{"GET", "nobody.localhost", "/x/", NULL, 404, "Cache-Control: no-store"},
		{"GET", "empty.localhost", "/", NULL, 404, "nothing has been pushed"},
		{"GET", "127.0.0.1", "/", NULL, 404, "No application here"},
		{"GET", "a_b", "/", NULL, 404, "No application here"},
		{"GET", "-x", "/", NULL, 404, "No application here"},
		{"GET", "..", "/", NULL, 400, NULL},
		{"GET", "../apps/site", "/a.txt", NULL, 400, NULL},
		{"GET", "x/../site.localhost", "/a.txt", NULL, 400, NULL},
		{"GET", "site.localhost/../x", "/a.txt", NULL, 400, NULL},
	};
	autostrbuf struct strbuf answer = STRBUF_INIT;
	struct front *f = *state;

	make_static_site(f);
	assert_int_equal(symlinkat("../apps/gone/current", f->tmp->fd, "hosts/empty.localhost"), 0);
	write_config(f);
	start_nginx(f);
	assert_rows(f, rows, ARRAY_SIZE(rows));
	exchange(f, "GET / HTTP/1.0\r\n\r\n", &answer);
	assert_int_equal(code_of(&answer), 404);
	exchange(f,
		 "GET http://site.localhost/a.txt HTTP/1.1\r\nHost: nobody\r\nConnection: "
		 "close\r\n\r\n",
		 &answer);
	assert_string_equal(body_of(&answer), "0123456789");
}

static void an_app_gets_the_request_and_true_headers(void **state)
{
	static const struct row rows[] = {
		{"GET", "web.localhost", "/", NULL, 200, "GET / HTTP/1.1\r\n"},
		{"GET", "web.localhost", "/a%2fb//c/../d?x=%20", NULL, 200,
		 "GET /a%2fb//c/../d?x=%20 HTTP/1.1\r\n"},
		{"GET", "web.localhost", "/in.txt", NULL, 200, "a file"},
		{"POST", "web.localhost", "/form", "Content-Length: 0\r\n", 200, "POST /form HTTP"},
		{"PUT", "web.localhost", "/x/index.html", "Content-Length: 0\r\n", 200,
		 "PUT /x/index"},
		{"GET", "web.localhost:8080", "/h", NULL, 200, "\r\nHost: web.localhost:8080\r\n"},
		{"GET", "WEB.localhost", "/h", NULL, 200, "\r\nHost: web.localhost\r\n"},
		{"GET", "web.localhost", "/h", "X-Forwarded-For: 6.6.6.6\r\n", 200,
		 "\r\nX-Forwarded-For: 127.0.0.1\r\n"},
		{"GET", "web.localhost", "/h", "X-Forwarded-Proto: https\r\n", 200,
		 "\r\nX-Forwarded-Proto: http\r\n"},
		{"GET", "web.localhost", "/h", "X-Request-ID: forged\r\n", 200,
		 "\r\nX-Request-ID: "},
		{"GET", "web.localhost", "/h", NULL, 200, "\r\nConnection: close\r\n"},
	};
	static const char *const forged[] = {"6.6.6.6", "https", "forged", "httpoxy", "for=evil"};
	autostrbuf struct strbuf answer = STRBUF_INIT;
	struct front *f = *state;

	make_host(f, "web");
	put(f, "apps/web/releases/1/app/static/in.txt", "a file");
	start_app(f, "web");
	write_config(f);
	start_nginx(f);
	assert_rows(f, rows, ARRAY_SIZE(rows));
	request(f, "GET", "web.localhost", "/h",
		"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Request-ID: forged\r\n"
		"Proxy: httpoxy\r\nForwarded: for=evil\r\nX-Real-IP: 6.6.6.6\r\n",
		&answer);
	for (size_t i = 0; i < ARRAY_SIZE(forged); i++)
		if (strstr(body_of(&answer), forged[i]))
			fail_msg("'%s' got through:\n%s", forged[i], strbuf_str(&answer));
}

static void an_app_that_is_down_is_503_and_files_go_on(void **state)
{
	static const struct row rows[] = {
		{"GET", "web.localhost", "/", NULL, 503, "Retry-After: 5"},
		{"GET", "web.localhost", "/", NULL, 503, "Cache-Control: no-store"},
		{"POST", "web.localhost", "/x", "Content-Length: 0\r\n", 503, "Not available"},
		{"GET", "web.localhost", "/in.txt", NULL, 200, "a file"},
	};
	struct front *f = *state;

	make_host(f, "web");
	put(f, "apps/web/releases/1/app/static/in.txt", "a file");
	start_app(f, "web");
	end(&f->app); /* its socket stays */
	write_config(f);
	start_nginx(f);
	assert_rows(f, rows, ARRAY_SIZE(rows));
}

static void a_flip_of_the_link_is_seen_by_the_next_request(void **state)
{
	autostrbuf struct strbuf answer = STRBUF_INIT;
	struct front *f = *state;

	make_host(f, "one");
	make_host(f, "two");
	put(f, "apps/one/releases/1/app/static/v", "1");
	put(f, "apps/two/releases/1/app/static/v", "2");
	write_config(f);
	start_nginx(f);
	for (int i = 0; i < 20; i++) {
		const char *target = i % 2 ? "../apps/one/current" : "../apps/two/current";

		assert_int_equal(symlinkat(target, f->tmp->fd, "hosts/.new"), 0);
		assert_int_equal(
			renameat(f->tmp->fd, "hosts/.new", f->tmp->fd, "hosts/live.localhost"), 0);
		request(f, "GET", "live.localhost", "/v", "", &answer);
		assert_string_equal(body_of(&answer), i % 2 ? "1" : "2");
	}
}

/* Locations of several apps over a few hosts and paths that contain each other; each app has a file
 * behind each rest of a path, with its own name in it. What nginx answers is what a reader of
 * location.h expects, who looks at one location after the other. */
enum { APPS = 5, LOCATIONS = 24, ASKED = 400 };
static const char *const hosts[] = {"x",     "a.x", "b.a.x", "c.b.a.x", "ax",
				    "a.x.y", "y",   "b.y",   "a-x",     "a.xx"};
static const char *const paths[] = {"",   "/p",     "/p/q", "/pp", "/p.q",
				    "/P", "/p/q/r", "/q",   "/p-", "/p/qq"};

struct given {
	char text[64];
	const char *host, *path; /* host "": '*' */
	bool suffix;
	unsigned app;
};

static unsigned next_number(unsigned *seed)
{
	*seed = *seed * 1103515245U + 12345U;
	return *seed >> 16;
}

static bool takes(const struct given *l, const char *host, const char *path)
{
	size_t n = strlen(l->path), host_len = strlen(host), len = strlen(l->host);

	if (strncmp(path, l->path, n) != 0 || path[n] != '/')
		return false;
	if (!l->suffix)
		return !*l->host || strcmp(l->host, host) == 0;
	return strcmp(l->host, host) == 0 ||
	       (host_len > len && str_ends(host, l->host) && host[host_len - len - 1] == '.');
}

static unsigned weight(const struct given *l)
{
	unsigned host = !*l->host ? 0 : l->suffix ? (unsigned)strlen(l->host) : 100;

	return host * 100 + (unsigned)strlen(l->path);
}

/* NULL: none. A host that is only there with a path leaves the rest to whoever is less specific. */
static const struct given *expected(const struct given *all, size_t n, const char *host,
				    const char *path)
{
	const struct given *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (takes(&all[i], host, path) && (!best || weight(&all[i]) > weight(best)))
			best = &all[i];
	return best;
}

static void make_rests(const struct front *f, const char *app)
{
	autofree char *top = xasprintf("apps/%s/releases/1/app/static", app);

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		for (const char *rest = paths[i]; rest; rest = strchr(rest + 1, '/')) {
			autofree char *file = xasprintf("%s%s/name", top, rest);

			for (char *slash = file + strlen(top); (slash = strchr(slash + 1, '/'));) {
				*slash = '\0';
				mkdirat(f->tmp->fd, file, 0755);
				*slash = '/';
			}
			put(f, file, app);
			if (!*rest)
				break;
		}
	}
}

static size_t give_locations(const struct front *f, struct given *all, unsigned *seed)
{
	autostrv struct strv known = STRV_INIT;
	size_t n = 0;

	for (int i = 0; i < LOCATIONS; i++) {
		struct given *l = &all[n];
		unsigned kind = next_number(seed) % 5;
		autofree char *name = NULL, *link = NULL;

		l->host = kind == 0 ? "" : hosts[next_number(seed) % ARRAY_SIZE(hosts)];
		l->path = paths[next_number(seed) % ARRAY_SIZE(paths)];
		l->suffix = kind == 1 || kind == 2;
		l->app = next_number(seed) % APPS;
		snprintf(l->text, sizeof(l->text), "%s%s%s", l->suffix ? "." : "",
			 *l->host ? l->host : "*", l->path);
		if (strv_has(&known, l->text))
			continue;
		strv_add(&known, l->text);
		name = xasprintf("hosts/%s", (link = location_name(l->text)));
		free(link);
		link = xasprintf("../apps/app%u/current", l->app);
		assert_int_equal(symlinkat(link, f->tmp->fd, name), 0);
		n++;
	}
	return n;
}

static void the_most_specific_location_counts(void **state)
{
	static struct given all[LOCATIONS];
	autostrbuf struct strbuf answer = STRBUF_INIT;
	struct front *f = *state;
	unsigned seed = 20260102;
	size_t n;

	for (unsigned i = 0; i < APPS; i++) {
		autofree char *app = xasprintf("app%u", i);

		make_host(f, app);
		make_rests(f, app);
	}
	n = give_locations(f, all, &seed);
	write_config(f);
	start_nginx(f);
	for (int i = 0; i < ASKED; i++) {
		const char *host = hosts[next_number(&seed) % ARRAY_SIZE(hosts)];
		const char *rest = paths[next_number(&seed) % ARRAY_SIZE(paths)];
		autofree char *path = xasprintf("%s/name", rest);
		const struct given *l = expected(all, n, host, path);
		autofree char *wanted = l ? xasprintf("app%u", l->app) : NULL;

		request(f, "GET", host, path, "", &answer);
		if (l ? code_of(&answer) != 200 || strcmp(body_of(&answer), wanted) != 0
		      : code_of(&answer) != 404 || !strstr(strbuf_str(&answer), "No application"))
			fail_msg("http://%s%s: expected %s by '%s', got:\n%s", host, path,
				 wanted ? wanted : "none", l ? l->text : "", strbuf_str(&answer));
	}
}

static void an_alias_redirects_and_a_disabled_app_is_closed(void **state)
{
	static const struct row rows[] = {
		{"GET", "old.x:8080", "/a%20b?c", NULL, 301,
		 "Location: http://site.localhost:8080/a%20b?c\r\n"},
		{"GET", "old.x", "/", NULL, 301, "Location: http://site.localhost/\r\n"},
		{"GET", "closed.localhost", "/a.txt", NULL, 503, "Closed for now"},
		{"POST", "closed.localhost", "/", "Content-Length: 0\r\n", 503, "no-store"},
		{"GET", "site.localhost", "/.silver/pages/missing.html", NULL, 404, "Not found"},
	};
	struct front *f = *state;

	make_static_site(f);
	make_host(f, "closed");
	put(f, "apps/closed/releases/1/app/static/a.txt", "closed");
	put(f, "apps/closed/disabled", "");
	assert_int_equal(symlinkat("../apps/site/alias/site.localhost", f->tmp->fd, "hosts/old.x"),
			 0);
	write_config(f);
	start_nginx(f);
	assert_rows(f, rows, ARRAY_SIZE(rows));
}

static void the_same_configuration_is_not_written_again(void **state)
{
	struct front *f = *state;
	autofree char *address = xasprintf("127.0.0.1:%u", f->port);
	struct error err = ERROR_INIT;
	bool changed;

	write_config(f);
	assert_int_equal(symlinkat("../apps/a/current", f->tmp->fd, "hosts/a.example"), 0);
	assert_int_equal(front_write_config(&f->node, address, &changed, &err), 0);
	assert_false(changed); /* a host is found by its link alone */
	assert_int_equal(symlinkat("../apps/a/current", f->tmp->fd, "hosts/a.example,p"), 0);
	assert_int_equal(front_write_config(&f->node, address, &changed, &err), 0);
	assert_true(changed);
}

static void workers_of_before_a_reload_are_waited_for(void **state)
{
	autostrv struct strv before = STRV_INIT;
	struct front *f = *state;
	int64_t begun;

	write_config(f);
	start_nginx(f);
	front_workers(&f->node, &before);
	assert_true(before.n > 0);
	assert_int_equal(kill(f->nginx, SIGHUP), 0);
	begun = clock_ms();
	front_await_end(&before, 600000);
	assert_true(clock_ms() - begun < 600000);
}

static void a_bad_address_changes_nothing(void **state)
{
	static const char *const bad[] = {"127.0.0.1",       "localhost:80",    "127.0.0.1:0",
					  "127.0.0.1:99999", "127.0.0.1:80; x", ""};
	autostrbuf struct strbuf before = STRBUF_INIT, after = STRBUF_INIT;
	struct front *f = *state;
	struct error err = ERROR_INIT;
	bool changed;

	write_config(f);
	assert_int_equal(fs_read_file(f->node.fd, "run/nginx.conf", 65536, &before, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (front_write_config(&f->node, bad[i], &changed, &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(err.code, E_USAGE);
	}
	/* an address that is none of this machine's is for nginx to refuse */
	assert_int_equal(front_write_config(&f->node, "192.0.2.1:8080", &changed, &err), -1);
	assert_int_equal(err.code, E_SYSTEM);
	assert_non_null(strstr(err.text, "192.0.2.1:8080"));
	assert_int_equal(fs_read_file(f->node.fd, "run/nginx.conf", 65536, &after, &err), 0);
	assert_string_equal(before.buf, after.buf);
	assert_false(there(f->node.fd, "run/nginx.conf.new"));
}

static void silence_of_nginx_is_told(void **state)
{
	struct front *f = *state;
	struct error err = ERROR_INIT;

	write_config(f);
	put(f, "log/nginx/error.log", "first\nthe reason\n");
	assert_int_equal(front_wait(&f->node, 200, &err), -1);
	assert_non_null(strstr(err.text, "the reason"));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_are_served_and_nothing_beside_them),
		TEST(a_file_that_has_not_changed_is_not_sent_again),
		TEST(unknown_hosts_get_a_page_of_their_own),
		TEST(an_app_gets_the_request_and_true_headers),
		TEST(an_app_that_is_down_is_503_and_files_go_on),
		TEST(a_flip_of_the_link_is_seen_by_the_next_request),
		TEST(the_most_specific_location_counts),
		TEST(an_alias_redirects_and_a_disabled_app_is_closed),
		TEST(the_same_configuration_is_not_written_again),
		TEST(workers_of_before_a_reload_are_waited_for),
		TEST(a_bad_address_changes_nothing),
		TEST(silence_of_nginx_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) > 0;
}
