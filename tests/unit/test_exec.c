/* A release as it runs: a real supervision tree, nginx, programs started by silver-exec; and who
 * may touch what.
 *
 * Everything is laid out by hand as docs/CONTRACT.md says, without git. As root the users of the
 * app are real. */
#include "tests/unit/unit.h"
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include "common/fs.h"
#include "common/proc.h"
#include "receiver/accounts.h"
#include "receiver/destroy.h"
#include "receiver/locate.h"
#include "receiver/provision.h"
#include "receiver/tidy.h"
#include "runtime/front.h"
#include "runtime/health.h"
#include "runtime/launch.h"
#include "runtime/runner.h"
#include "runtime/s6.h"
#include "runtime/workers.h"
#include "services/environment.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

struct world {
	struct tmp *tmp;
	struct node node;
	bool tree;
};

static const char python_app[] =
	"import os, time\n"
	"import vendored\n"
	"def application(environ, start_response):\n"
	"    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
	"    if environ['PATH_INFO'] == '/env':\n"
	"        return [('%s=%s\\n' % i).encode() for i in sorted(os.environ.items())]\n"
	"    return [('%s %s' % (vendored.WORD, environ['REMOTE_ADDR'])).encode()]\n";

/* Serves the socket it inherits, and says whom it is. */
static const char socket_program[] =
	"#!/usr/bin/python3\n"
	"import os, signal, socket, subprocess, sys\n"
	"if os.environ.get('STUBBORN') or os.path.exists('stubborn'):\n"
	"    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
	"    subprocess.Popen(['sleep', '300'])\n"
	"print('started', flush=True)\n"
	"assert os.environ['LISTEN_PID'] == str(os.getpid())\n"
	"s = socket.socket(fileno=3)\n"
	"while True:\n"
	"    c, _ = s.accept()\n"
	"    b = b'uid %d' % os.getuid()\n"
	"    try:\n" /* who asked may have lost patience */
	"        c.recv(4096)\n"
	"        c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s' % (len(b), "
	"b))\n"
	"    except OSError:\n"
	"        pass\n"
	"    c.close()\n";

static const char port_program[] =
	"#!/usr/bin/python3\n"
	"import http.server, os\n"
	"class H(http.server.BaseHTTPRequestHandler):\n"
	"    def do_GET(self):\n"
	"        self.send_response(200)\n"
	"        self.end_headers()\n"
	"        self.wfile.write(b'by port ' + self.path.encode())\n"
	"http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n";

static int must(int rc, const struct error *err)
{
	if (rc == -1)
		fail_msg("%s", err->text);
	return rc;
}

static void link_once(const char *target, const char *link)
{
	if (symlink(target, link) == -1)
		assert_int_equal(errno, EEXIST);
}

/* proc.h looks for programs and data beside the running program, which is this test; it is run at
 * the top of the source tree. */
static void link_programs(void)
{
	char self[PATH_MAX] = "";
	autofree char *program = NULL, *share = NULL, *runtime = realpath("runtime", NULL);
	const char *dir;

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	assert_non_null(runtime);
	dir = dirname(self);
	program = xasprintf("%s/silver-exec", dir);
	share = xasprintf("%s/../runtime", dir);
	link_once("../../silver-exec", program);
	link_once(runtime, share);
}

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

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct error err = ERROR_INIT;
	void *tmp = NULL;

	link_programs();
	if (tmp_setup(&tmp) != 0)
		return -1;
	w->tmp = tmp;
	*state = w;
	if (fchmod(w->tmp->fd, 0755) == -1)
		return -1;
	put_file(w->tmp->fd, "node.ini", "[node]\ndrain_ms = 2000\nhealth_ms = 20000\n");
	must(node_open(&w->node, w->tmp->path, &err), &err);
	must(provision_node(&w->node, &err), &err);
	must(provision_create(&w->node, "blog", &err), &err);
	return 0;
}

static int teardown(void **state)
{
	static const char *const apps[] = {"blog", "shop"};
	struct world *w = *state;
	void *tmp = w->tmp;

	for (size_t i = 0; i < ARRAY_SIZE(apps); i++) {
		struct error err = ERROR_INIT;

		if (destroy_app(&w->node, apps[i], &err) == -1)
			assert_int_equal(err.code, E_NOTFOUND);
	}
	if (w->tree) {
		struct error err = ERROR_INIT;

		must(s6_tree_stop(&w->node, &err), &err);
	}
	node_release(&w->node);
	free(w);
	return tmp_teardown(&tmp);
}

static void start_tree(struct world *w)
{
	autofree char *address = xasprintf("127.0.0.1:%u", free_port());
	struct error err = ERROR_INIT;
	bool changed;

	must(front_write_config(&w->node, address, &changed, &err), &err);
	must(s6_tree_start(&w->node, &err), &err);
	w->tree = true;
}

static void make_dirs(int fd, const char *path)
{
	autofree char *copy = xstrdup(path);

	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdirat(fd, copy, 0755) == -1)
			assert_int_equal(errno, EEXIST);
		*slash = '/';
	}
}

/* Gives one entry to the owner of the repository, as whom buildless writes. */
static void give(struct world *w, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(w->tmp->fd, "apps/blog/repo.git", &st, 0), 0);
	assert_int_equal(fchownat(w->tmp->fd, path, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW), 0);
}

static void put_slot(struct world *w, unsigned slot, const char *name, const char *content)
{
	autofree char *path = xasprintf("apps/blog/slots/%u/%s", slot, name);

	make_dirs(w->tmp->fd, path);
	put_file(w->tmp->fd, path, content);
	assert_int_equal(fchmodat(w->tmp->fd, path, 0755, 0), 0);
	give(w, path);
}

static void put_record(struct world *w, unsigned number, const char *platform, const char *runner)
{
	autofree char *path = xasprintf("apps/blog/releases/%u/record.ini", number);
	autofree char *text = xasprintf("[release]\nnumber = %u\nslot = %u\n[run]\nplatform = %s\n"
					"runner = %s\n",
					number, number, platform, runner);

	put_file(w->tmp->fd, path, text);
	give(w, path);
}

static void put_env(struct world *w, unsigned number)
{
	struct environment_release r = {.node = &w->node,
					.app = "blog",
					.host = "blog.localhost",
					.number = number,
					.slot = number,
					.commit = COMMIT,
					.config_dir = "releases/12/config.d"};
	autofree char *path = xasprintf("apps/blog/releases/%u/env", number);
	autostrv struct strv env = STRV_INIT;
	struct error err = ERROR_INIT;
	int fd = openat(w->tmp->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

	must(environment_compose(&r, &env, &err), &err);
	for (size_t i = 0; i < env.n; i++)
		must(fs_write_all(fd, env.v[i], strlen(env.v[i]) + 1, &err), &err);
	close(fd);
	give(w, path);
}

/* releases/N with slot N, whose files are put by the caller. */
static void make_release(struct world *w, unsigned number, const char *platform, const char *runner)
{
	autofree char *dir = xasprintf("apps/blog/releases/%u", number);
	autofree char *run = xasprintf("%s/run", dir);
	autofree char *inside = xasprintf("%s/x", run);
	autofree char *app = xasprintf("%s/app", dir);
	autofree char *slot = xasprintf("../../slots/%u", number);

	make_dirs(w->tmp->fd, inside);
	assert_int_equal(fchmodat(w->tmp->fd, run, 01770, 0), 0);
	assert_int_equal(symlinkat(slot, w->tmp->fd, app), 0);
	put_record(w, number, platform, runner);
	put_env(w, number);
	give(w, dir);
	give(w, run);
}

static void go_live(struct world *w, unsigned number)
{
	autofree char *target = xasprintf("releases/%u", number);

	unlinkat(w->tmp->fd, "apps/blog/current", 0);
	assert_int_equal(symlinkat(target, w->tmp->fd, "apps/blog/current"), 0);
}

static int health(struct world *w, unsigned number, struct error *err)
{
	autofree char *path = xasprintf("apps/blog/releases/%u", number);
	int fd = openat(w->tmp->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct health_check check = {fd, "blog.localhost", NULL, 20000};
	int64_t took;
	int rc = health_wait(&check, &took, NULL, NULL, err);

	close(fd);
	return rc;
}

static void start_healthy(struct world *w, unsigned number)
{
	autofree char *path = xasprintf("log/blog/%u/current", number);
	autostrbuf struct strbuf log = STRBUF_INIT;
	struct error err = ERROR_INIT, none = ERROR_INIT;

	must(s6_start(&w->node, "blog", number, &err), &err);
	if (health(w, number, &err) == 0)
		return;
	usleep(300000); /* for the logger */
	if (fs_read_file(w->node.fd, path, 65536, &log, &none) == -1)
		strbuf_addstr(&log, none.text);
	fail_msg("%s:\n%s", err.text, strbuf_str(&log));
}

/* curl through the front; the body. */
static char *fetch(struct world *w, const char *path)
{
	autostrbuf struct strbuf config = STRBUF_INIT, body = STRBUF_INIT;
	autofree char *url = NULL;
	struct error err = ERROR_INIT;
	const char *listen;
	int status;

	must(fs_read_file(w->node.fd, "run/nginx.conf", 65536, &config, &err), &err);
	listen = strstr(config.buf, "listen 127.0.0.1:") + strlen("listen ");
	url = xasprintf("http://%.*s%s", (int)strcspn(listen, " "), listen, path);
	char *const argv[] = {(char[]){"curl"},
			      (char[]){"-s"},
			      (char[]){"--max-time"},
			      (char[]){"20"},
			      (char[]){"-H"},
			      (char[]){"Host: blog.localhost"},
			      url,
			      NULL};
	struct proc_spec spec = {.path = "curl", .argv = argv, .in = -1, .out = -1, .err = -1};
	must(proc_run(&spec, 30000, &status, &body, &err), &err);
	return strbuf_detach(&body);
}

static void assert_fetch(struct world *w, const char *path, const char *body)
{
	autofree char *got = fetch(w, path);

	assert_string_equal(got, body);
}

static bool any_service(struct world *w)
{
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;
	int fd = openat(w->tmp->fd, "run/service", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	must(fs_list(fd, &names, &err), &err);
	close(fd);
	for (size_t i = 0; i < names.n; i++)
		if (strcmp(names.v[i], "nginx") != 0 && strcmp(names.v[i], ".s6-svscan") != 0)
			return true;
	return false;
}

static pid_t session_of_release(struct world *w, unsigned number)
{
	autofree char *path = xasprintf("run/service/blog.%u/session", number);
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	must(fs_read_file(w->node.fd, path, 32, &text, &err), &err);
	return (pid_t)strtol(text.buf, NULL, 10);
}

/* Processes of a session that run. */
static unsigned count_session(pid_t session)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(dir))) {
		autofree char *path = xasprintf("%s/stat", entry->d_name);
		int fd = openat(dirfd(dir), path, O_RDONLY | O_CLOEXEC);
		char text[512] = "", *at;

		if (fd == -1)
			continue;
		if (read(fd, text, sizeof(text) - 1) > 0 && (at = strrchr(text, ')')) &&
		    at[2] != 'Z') {
			strtol(at + 3, &at, 10); /* the parent */
			strtol(at, &at, 10);     /* the process group */
			n += strtol(at, NULL, 10) == session;
		}
		close(fd);
	}
	closedir(dir);
	return n;
}

static void a_python_release_serves_with_its_own_libraries(void **state)
{
	struct world *w = *state;

	put_slot(w, 1, "src/app.py", python_app);
	put_slot(w, 1, "lib/python/x.pth", "./below\n");
	put_slot(w, 1, "lib/python/below/vendored.py", "WORD = 'vendored'\n");
	put_slot(w, 1, "static/a.txt", "a file");
	make_release(w, 1, "python", "src/app.py#application");
	start_tree(w);
	start_healthy(w, 1);
	go_live(w, 1);
	assert_fetch(w, "/", "vendored 127.0.0.1");
	assert_fetch(w, "/a.txt", "a file");
	/* byte code is kept, but not in the release */
	assert_true(there(w->tmp->fd, "data/blog/pycache"));
	assert_false(there(w->tmp->fd, "apps/blog/slots/1/src/__pycache__"));
	assert_false(there(w->tmp->fd, "apps/blog/slots/1/lib/python/below/__pycache__"));
}

/* What the file env says, each variable, in a request and in `silver run`. */
static void one_environment_for_requests_and_commands(void **state)
{
	struct world *w = *state;
	autofree char *in_request = NULL, *program = proc_program("silver-exec");
	autostrbuf struct strbuf env = STRBUF_INIT, in_run = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int status;
	char *const argv[] = {(char[]){"silver-exec"},
			      (char[]){"--dir"},
			      w->node.dir,
			      (char[]){"blog"},
			      (char[]){"current"},
			      (char[]){"--"},
			      (char[]){"python3"},
			      (char[]){"-c"},
			      (char[]){"import os, vendored\n"
				       "for i in sorted(os.environ.items()): print('%s=%s' % i)"},
			      NULL};
	struct proc_spec spec = {.path = program, .argv = argv, .in = -1, .out = -1, .err = -1};

	put_slot(w, 1, "src/app.py", python_app);
	put_slot(w, 1, "lib/python/vendored.py", "WORD = 'x'\n");
	make_release(w, 1, "python", "src/app.py");
	start_tree(w);
	start_healthy(w, 1);
	go_live(w, 1);
	in_request = fetch(w, "/env");
	must(proc_run(&spec, 20000, &status, &in_run, &err), &err);
	assert_int_equal(status, 0);
	must(fs_read_file(w->node.fd, "apps/blog/releases/1/env", 65536, &env, &err), &err);
	for (size_t at = 0; at < env.len; at += strlen(env.buf + at) + 1) {
		if (!strstr(in_request, env.buf + at))
			fail_msg("a request lacks %s:\n%s", env.buf + at, in_request);
		if (!strstr(in_run.buf, env.buf + at))
			fail_msg("a command lacks %s:\n%s", env.buf + at, in_run.buf);
	}
}

static void a_program_may_serve_the_socket_or_its_port(void **state)
{
	struct world *w = *state;
	autofree char *uid = NULL;
	struct stat st;

	put_slot(w, 1, "serve", socket_program);
	make_release(w, 1, "exec", "serve");
	put_slot(w, 2, "serve", port_program);
	make_release(w, 2, "exec", "serve");
	start_tree(w);
	start_healthy(w, 1);
	start_healthy(w, 2);
	go_live(w, 1);
	assert_int_equal(fstatat(w->tmp->fd, "data/blog", &st, 0), 0);
	uid = xasprintf("uid %u", (unsigned)st.st_uid);
	assert_fetch(w, "/", uid);
	go_live(w, 2);
	assert_fetch(w, "/x?y=%2f", "by port /x?y=%2f");
}

static void a_program_that_exits_is_told_with_status_and_restarted(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;

	put_slot(w, 1, "serve", "#!/bin/sh\nexit 3\n");
	make_release(w, 1, "exec", "serve");
	start_tree(w);
	must(s6_start(&w->node, "blog", 1, &err), &err);
	assert_int_equal(health(w, 1, &err), -1);
	assert_non_null(strstr(err.text, "exited with status 3"));
	put_slot(w, 1, "serve", socket_program);
	start_healthy(w, 1); /* forgets the exit before */
	kill(session_of_release(w, 1), SIGKILL);
	for (int i = 0; i < 300 && !there(w->tmp->fd, "apps/blog/releases/1/run/exited"); i++)
		usleep(10000);
	assert_content(w->tmp->fd, "apps/blog/releases/1/run/exited", "256 9\n");
	start_healthy(w, 1);
}

static void stopping_ends_what_will_not_end_and_leaves_nothing(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;
	pid_t session;

	put_slot(w, 1, "serve", socket_program);
	put_slot(w, 1, "stubborn", "");
	make_release(w, 1, "exec", "serve");
	start_tree(w);
	start_healthy(w, 1);
	session = session_of_release(w, 1);
	assert_true(count_session(session) >= 2); /* the program and its sleep */
	must(s6_stop(&w->node, "blog", 1, 300, &err), &err);
	assert_int_equal(count_session(session), 0);
	assert_false(any_service(w));
	must(s6_stop(&w->node, "blog", 1, 300, &err), &err); /* again is no error */
}

static void draining_keeps_the_named_release_only(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;

	for (unsigned i = 1; i <= 3; i++) {
		put_slot(w, i, "serve", socket_program);
		make_release(w, i, "exec", "serve");
	}
	start_tree(w);
	for (unsigned i = 1; i <= 3; i++)
		start_healthy(w, i);
	must(s6_stop_others(&w->node, "blog", 2, 0, 2000, &err), &err);
	must(tidy_others(&w->node, "blog", 2, 0, &err), &err);
	must(health(w, 2, &err), &err);
	assert_true(there(w->tmp->fd, "run/service/blog.2"));
	assert_false(there(w->tmp->fd, "run/service/blog.1"));
	assert_false(there(w->tmp->fd, "run/service/blog.3"));
	assert_true(there(w->tmp->fd, "data/blog/tmp/2"));
	assert_false(there(w->tmp->fd, "data/blog/tmp/1"));
	assert_true(there(w->tmp->fd, "log/blog/1")); /* its release is still kept */
}

static void what_an_interrupted_stop_left_is_ended_by_the_next_call(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;
	pid_t session;

	put_slot(w, 1, "serve", socket_program);
	make_release(w, 1, "exec", "serve");
	start_tree(w);
	start_healthy(w, 1);
	session = session_of_release(w, 1);
	assert_int_equal(
		renameat(w->tmp->fd, "run/service/blog.1", w->tmp->fd, "run/service/.blog.1.gone"),
		0);
	assert_int_equal(mkdirat(w->tmp->fd, "run/service/.blog.2.new", 0755), 0);
	start_healthy(w, 1); /* the name is free again */
	assert_int_equal(count_session(session), 0);
	must(s6_stop_app(&w->node, "blog", 1000, &err), &err);
	assert_false(there(w->tmp->fd, "run/service/.blog.1.gone"));
}

static void a_tree_is_adopted_and_a_dead_one_cleared(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;
	pid_t session;

	put_slot(w, 1, "serve", socket_program);
	make_release(w, 1, "exec", "serve");
	start_tree(w);
	start_healthy(w, 1);
	go_live(w, 1);
	session = session_of_release(w, 1);
	must(s6_tree_start(&w->node, &err), &err); /* silverd was killed, and comes back */
	assert_int_equal(session_of_release(w, 1), session);
	must(s6_tree_stop(&w->node, &err), &err);
	assert_int_equal(count_session(session), 0);
	must(s6_tree_start(&w->node, &err),
	     &err); /* after a reboot: nothing runs that was not asked for */
	assert_false(any_service(w));
	start_healthy(w, 1);
}

static void without_a_tree_starting_says_so(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(s6_start(&w->node, "blog", 1, &err), -1);
	assert_non_null(strstr(err.text, "silverd does not run"));
}

/* Appends to the record of a release. */
static void add_record(struct world *w, unsigned number, const char *text)
{
	autofree char *path = xasprintf("apps/blog/releases/%u/record.ini", number);
	autoclose int fd = openat(w->tmp->fd, path, O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int set_workers(struct world *w, unsigned release, const char *one, const char *other,
		       struct error *err)
{
	autostrv struct strv words = STRV_INIT;

	if (one)
		strv_add(&words, one);
	if (other)
		strv_add(&words, other);
	return workers_set(&w->node, "blog", release, &words, 1000, err);
}

/* The supervisor begins it on its own time, and the number is written after the file is there. */
static pid_t session_of(struct world *w, const char *service)
{
	autofree char *path = xasprintf("run/service/%s/session", service);
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	for (int i = 0; i < 3000; i++) {
		strbuf_reset(&text);
		if (fs_read_file(w->node.fd, path, 32, &text, &err) == 0 &&
		    strchr(strbuf_str(&text), '\n'))
			return (pid_t)strtol(text.buf, NULL, 10);
		usleep(10000);
	}
	fail_msg("no session of %s", service);
	return 0;
}

static void await_content(struct world *w, const char *path, const char *want)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	for (int i = 0; i < 3000; i++) {
		struct error err = ERROR_INIT;

		strbuf_reset(&text);
		if (fs_read_file(w->node.fd, path, 65536, &text, &err) == 0 &&
		    strstr(strbuf_str(&text), want))
			return;
		usleep(10000);
	}
	fail_msg("no '%s' in %s: %s", want, path, strbuf_str(&text));
}

static void make_worker_release(struct world *w, unsigned number)
{
	put_slot(w, number, "serve", socket_program);
	put_slot(w, number, "worker", "#!/bin/sh\necho \"$1 $SILVER_RELEASE\"\nexec sleep 300\n");
	put_slot(w, number, "fails", "#!/bin/sh\nexit 3\n");
	make_release(w, number, "exec", "serve");
	add_record(w, number,
		   "[process:mail]\ncommand = ./worker 'a b'\ncount = 2\n"
		   "[process:fails]\ncommand = ./fails\ncount = 1\n"
		   "[cron:tidy]\nschedule = 0 0 1 1 *\ncommand = ./worker by-the-clock\n");
}

static void workers_are_those_of_the_live_release(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;
	pid_t old;

	make_worker_release(w, 1);
	make_worker_release(w, 2);
	start_tree(w);
	must(set_workers(w, 1, "mail.2", NULL, &err), &err); /* nothing is live */
	assert_false(any_service(w));
	go_live(w, 1);
	must(set_workers(w, 2, "mail.2", NULL, &err), &err); /* another one is */
	assert_false(any_service(w));
	must(set_workers(w, 1, "mail.2", "cron-tidy", &err), &err);
	await_content(w, "log/blog/1.mail.2/current", "a b 1");
	old = session_of(w, "blog.1.mail.1");
	must(set_workers(w, 1, "mail.2", "cron-tidy", &err), &err); /* again changes nothing */
	assert_int_equal(session_of(w, "blog.1.mail.1"), old);

	go_live(w, 2);
	must(set_workers(w, 2, "mail.1", NULL, &err), &err);
	assert_int_equal(count_session(old), 0);
	assert_true(there(w->tmp->fd, "run/service/blog.2.mail.1"));
	assert_false(there(w->tmp->fd, "run/service/blog.2.mail.2"));
	assert_false(there(w->tmp->fd, "run/service/blog.1.mail.1"));
	assert_false(there(w->tmp->fd, "run/service/blog.1.cron-tidy"));
	must(set_workers(w, 2, NULL, NULL, &err), &err);
	assert_false(any_service(w));
	assert_int_equal(set_workers(w, 2, "../x.1", NULL, &err), -1);
	assert_int_equal(err.code, E_USAGE);
}

static void draining_the_web_leaves_workers_alone(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;

	make_worker_release(w, 1);
	start_tree(w);
	go_live(w, 1);
	must(set_workers(w, 1, "mail.1", NULL, &err), &err);
	await_content(w, "log/blog/1.mail.1/current", "a b 1");
	must(s6_stop_others(&w->node, "blog", 2, 0, 1000, &err), &err);
	assert_true(there(w->tmp->fd, "run/service/blog.1.mail.1"));
	must(tidy_others(&w->node, "blog", 1, 0, &err), &err);
	assert_true(there(w->tmp->fd, "log/blog/1.mail.1"));
	must(s6_stop(&w->node, "blog", 1, 1000, &err), &err); /* that ends all of it */
	assert_false(any_service(w));
	unlinkat(w->tmp->fd, "apps/blog/releases/1/record.ini", 0);
	must(fs_rename(w->tmp->fd, "apps/blog/releases/1", w->tmp->fd, "apps/blog/releases/9",
		       &err),
	     &err);
	must(tidy_others(&w->node, "blog", 2, 0, &err), &err);
	assert_false(there(w->tmp->fd, "log/blog/1.mail.1"));
}

static void a_worker_that_ends_is_counted_told_and_begun_again(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;

	make_worker_release(w, 1);
	start_tree(w);
	go_live(w, 1);
	must(set_workers(w, 1, "fails.1", NULL, &err), &err);
	await_content(w, "run/service/blog.1.fails.1/ends", "2 3 0");
	await_content(w, "log/blog/1.fails.1/current", "silver: fails.1 ended with status 3");
	assert_false(there(w->tmp->fd, "apps/blog/releases/1/run/exited")); /* the web's alone */
}

/* Whatever descriptors it has by then: what serves requests, too. */
static void what_runs_has_its_limits(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;
	autofree char *path = NULL;
	bool counted;

	put_slot(w, 1, "serve", socket_program);
	make_release(w, 1, "exec", "serve");
	add_record(w, 1, "[limits]\nmemory = 1073741824\ntasks = 77\n");
	start_tree(w);
	start_healthy(w, 1);
	path = xasprintf("/proc/%d/limits", (int)session_of_release(w, 1));
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	autostrbuf struct strbuf text = STRBUF_INIT;
	must(strbuf_read_fd(&text, fd, 65536, &err), &err);
	assert_non_null(strstr(strbuf_str(&text), "Max data size             1073741824"));
	counted = strstr(strbuf_str(&text), "Max processes             77 ") != NULL;
	assert_int_equal(counted, geteuid() == 0);
}

/* snooze is there, and ready for the signal that would end it otherwise. */
static bool waits_for_alarm(pid_t pid)
{
	autofree char *path = xasprintf("/proc/%d/status", (int)pid);
	autostrbuf struct strbuf text = STRBUF_INIT;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct error none = ERROR_INIT;
	const char *caught;

	if (fd == -1 || strbuf_read_fd(&text, fd, 65536, &none) == -1 ||
	    !str_starts(strbuf_str(&text), "Name:\tsnooze\n"))
		return false;
	caught = strstr(text.buf, "SigCgt:\t");
	return caught && strtoull(caught + strlen("SigCgt:\t"), NULL, 16) & (1ULL << (SIGALRM - 1));
}

/* SIGALRM is how snooze is told that it is time. */
static void a_clock_runs_its_command_again_and_again(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;

	make_worker_release(w, 1);
	put_slot(w, 1, "worker", "#!/bin/sh\necho \"$1 ran in $PWD\"\n");
	start_tree(w);
	go_live(w, 1);
	must(set_workers(w, 1, "cron-tidy", NULL, &err), &err);
	for (unsigned i = 1; i <= 2; i++) {
		autofree char *ends = xasprintf("%u 0 0", i);
		pid_t pid = 0;

		for (int tries = 0; tries < 6000; tries++, usleep(10000)) {
			pid = session_of(w, "blog.1.cron-tidy");
			if (waits_for_alarm(pid))
				break;
		}
		assert_int_equal(kill(pid, SIGALRM), 0);
		await_content(w, "run/service/blog.1.cron-tidy/ends", ends);
	}
	await_content(w, "log/blog/1.cron-tidy/current", "by-the-clock ran in ");
}

static void destroying_leaves_nothing(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;
	struct runner runner;
	autofree char *name = NULL;
	pid_t session;

	put_slot(w, 1, "serve", socket_program);
	make_release(w, 1, "exec", "serve");
	start_tree(w);
	start_healthy(w, 1);
	session = session_of_release(w, 1);
	must(runner_find(&w->node, "blog", &runner, &err), &err);
	if (geteuid() == 0)
		name = xstrdup(getpwuid(runner.uid)->pw_name);
	must(destroy_app(&w->node, "blog", &err), &err);
	assert_int_equal(count_session(session), 0);
	assert_false(there(w->tmp->fd, "apps/blog"));
	assert_false(there(w->tmp->fd, "data/blog"));
	assert_false(there(w->tmp->fd, "log/blog"));
	assert_false(there(w->tmp->fd, "hosts/blog.localhost"));
	if (name) { /* the number may be another's by now */
		const struct passwd *user = getpwuid(runner.uid);

		assert_true(!user || strcmp(user->pw_name, name) != 0);
	}
	assert_int_equal(destroy_app(&w->node, "blog", &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	must(provision_create(&w->node, "blog", &err), &err);
}

static void an_interrupted_create_or_destroy_is_repaired(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;

	/* between the rename and the removal: the name is free, old data must not come back */
	put_file(w->tmp->fd, "data/blog/old", "old");
	assert_int_equal(renameat(w->tmp->fd, "apps/blog", w->tmp->fd, "apps/.blog.gone"), 0);
	must(provision_create(&w->node, "blog", &err), &err);
	assert_false(there(w->tmp->fd, "data/blog/old"));
	assert_false(there(w->tmp->fd, "apps/.blog.gone"));
	/* a create that stopped half-way, and one that lacks its location */
	assert_int_equal(renameat(w->tmp->fd, "apps/blog", w->tmp->fd, "apps/.blog.new"), 0);
	assert_int_equal(unlinkat(w->tmp->fd, "hosts/blog.localhost", 0), 0);
	must(provision_create(&w->node, "blog", &err), &err);
	assert_true(there(w->tmp->fd, "apps/blog/repo.git/HEAD"));
	assert_true(there(w->tmp->fd, "hosts/blog.localhost"));
	assert_false(there(w->tmp->fd, "apps/.blog.new"));
	/* a destroy that stopped before its last step */
	assert_int_equal(renameat(w->tmp->fd, "apps/blog", w->tmp->fd, "apps/.blog.gone"), 0);
	must(destroy_app(&w->node, "blog", &err), &err);
	assert_false(there(w->tmp->fd, "data/blog"));
}

static void a_host_has_one_app(void **state)
{
	struct world *w = *state;
	autofree char *host = NULL, *path = NULL;
	struct error err = ERROR_INIT;

	must(provision_create(&w->node, "shop", &err), &err);
	must(locate_for_push(&w->node, "blog", "w.example.com", &err), &err);
	must(locate_for_push(&w->node, "blog", "w.example.com", &err), &err);
	assert_int_equal(locate_for_push(&w->node, "shop", "w.example.com", &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	location_of_app(&w->node, "blog", &host, &path);
	assert_string_equal(host, "w.example.com");
	assert_string_equal(path, "");
	assert_int_equal(locate_for_push(&w->node, "nope", "x.example.com", &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_int_equal(locate_for_push(&w->node, "blog", "../x", &err), -1);
	assert_int_equal(err.code, E_USAGE);
}

/* Who may do what, asked of test(1) as that user. */
static bool may(struct world *w, uid_t uid, gid_t gid, const char *how, const char *path)
{
	autofree char *full = xasprintf("%s/%s", w->node.dir, path);
	char *const argv[] = {(char[]){"test"}, xstrdup(how), full, NULL};
	struct proc_spec spec = {.path = "test",
				 .argv = argv,
				 .in = -1,
				 .out = -1,
				 .err = -1,
				 .drop = true,
				 .uid = uid,
				 .gid = gid};
	struct error err = ERROR_INIT;
	int status;

	must(proc_run(&spec, 10000, &status, NULL, &err), &err);
	free(argv[1]);
	return status == 0;
}

struct right {
	const char *how, *path;
	bool owner, runner, front, other; /* other: the runner of another app */
};

static const struct right rights[] = {
	{"-r", "apps/blog/repo.git", true, false, false, false},
	{"-x", "apps/blog/repo.git", true, false, false, false},
	{"-r", "apps/blog/slots/1/serve", true, true, true, false},
	{"-w", "apps/blog/slots/1/serve", true, false, false, false},
	{"-w", "apps/blog/slots/1", true, false, false, false},
	{"-r", "apps/blog/releases/1/env", true, true, false, false},
	{"-w", "apps/blog/releases/1/env", true, false, false, false},
	{"-w", "apps/blog/releases/1", true, false, false, false},
	{"-w", "apps/blog/releases/1/record.ini", true, false, false, false},
	{"-w", "apps/blog/releases/1/run", true, true, false, false},
	{"-w", "apps/blog/releases/1/run/http.sock", true, true, true, false},
	{"-r", "apps/blog/releases/1/run", true, true, false, false},
	{"-x", "apps/blog", true, true, true, false},
	{"-r", "apps/blog", true, true, false, false},
	{"-w", "apps/blog", true, false, false, false},
	{"-r", "apps/blog/config", true, true, false, false},
	{"-w", "apps/blog/config", true, false, false, false},
	{"-w", "data/blog", false, true, false, false},
	{"-x", "data/blog", true, true, false, false},
	{"-r", "log/blog/1/current", true, true, false, false},
	{"-w", "log/blog", false, true, false, false},
	{"-w", "hosts", false, false, false, false},
	{"-w", "apps", false, false, false, false},
	{"-w", "run", false, false, false, false},
	{"-w", "run/service", false, false, false, false},
	{"-w", "run/service/blog.1/supervise/control", false, false, false, false},
	{"-w", "run/service/.s6-svscan/control", false, false, false, false},
	{"-x", "run/nginx", false, false, true, false},
	{"-x", "log/nginx", false, false, true, false},
};

static void assert_right(struct world *w, const struct right *r, const struct accounts *blog,
			 const struct accounts *shop)
{
	struct error err = ERROR_INIT;
	uid_t front_uid;
	gid_t front_gid;

	must(front_identity(&front_uid, &front_gid, &err), &err);
	if (may(w, blog->owner, blog->group, r->how, r->path) != r->owner)
		fail_msg("the owner: %s %s", r->how, r->path);
	if (may(w, blog->runner, blog->group, r->how, r->path) != r->runner)
		fail_msg("the runner: %s %s", r->how, r->path);
	if (may(w, front_uid, front_gid, r->how, r->path) != r->front)
		fail_msg("nginx: %s %s", r->how, r->path);
	if (may(w, shop->runner, shop->group, r->how, r->path) != r->other)
		fail_msg("another app: %s %s", r->how, r->path);
}

static void each_user_may_what_the_table_says(void **state)
{
	struct world *w = *state;
	struct accounts blog, shop;
	struct error err = ERROR_INIT;

	if (geteuid() != 0)
		skip(); /* one user: nothing to tell apart */
	must(provision_create(&w->node, "shop", &err), &err);
	must(accounts_ensure(&w->node, "blog", &blog, &err), &err);
	must(accounts_ensure(&w->node, "shop", &shop, &err), &err);
	assert_true(blog.owner != blog.runner && blog.group != shop.group);
	put_slot(w, 1, "serve", socket_program);
	make_release(w, 1, "exec", "serve");
	give(w, "apps/blog/slots/1");
	start_tree(w);
	start_healthy(w, 1);
	for (size_t i = 0; i < ARRAY_SIZE(rights); i++)
		assert_right(w, &rights[i], &blog, &shop);
}

static void an_app_is_never_run_as_root(void **state)
{
	struct world *w = *state;
	struct runner runner = {0, 0};
	struct error err = ERROR_INIT;

	if (geteuid() != 0)
		skip();
	assert_int_equal(fchownat(w->tmp->fd, "data/blog", 0, 0, 0), 0);
	assert_int_equal(runner_find(&w->node, "blog", &runner, &err), -1);
	assert_non_null(strstr(err.text, "belongs to root"));
	must(provision_create(&w->node, "blog", &err), &err); /* repairs it */
	must(runner_find(&w->node, "blog", &runner, &err), &err);
	assert_true(runner.uid != 0);
}

static void a_directory_that_others_cannot_pass_is_refused_for_root(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;

	if (geteuid() != 0)
		skip();
	assert_int_equal(fchmod(w->tmp->fd, 0700), 0);
	assert_int_equal(provision_node(&w->node, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_non_null(strstr(err.text, "mode 0700"));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_python_release_serves_with_its_own_libraries),
		TEST(one_environment_for_requests_and_commands),
		TEST(a_program_may_serve_the_socket_or_its_port),
		TEST(a_program_that_exits_is_told_with_status_and_restarted),
		TEST(stopping_ends_what_will_not_end_and_leaves_nothing),
		TEST(draining_keeps_the_named_release_only),
		TEST(what_an_interrupted_stop_left_is_ended_by_the_next_call),
		TEST(a_tree_is_adopted_and_a_dead_one_cleared),
		TEST(without_a_tree_starting_says_so),
		TEST(workers_are_those_of_the_live_release),
		TEST(draining_the_web_leaves_workers_alone),
		TEST(a_worker_that_ends_is_counted_told_and_begun_again),
		TEST(what_runs_has_its_limits),
		TEST(a_clock_runs_its_command_again_and_again),
		TEST(destroying_leaves_nothing),
		TEST(an_interrupted_create_or_destroy_is_repaired),
		TEST(a_host_has_one_app),
		TEST(each_user_may_what_the_table_says),
		TEST(an_app_is_never_run_as_root),
		TEST(a_directory_that_others_cannot_pass_is_refused_for_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) > 0;
}
