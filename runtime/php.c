#include "runtime/php.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/proc.h"
#include "runtime/inner.h"

#define PROGRAM_DIR  "/usr/sbin"
#define FPM_CONFIG   "php-fpm.conf"
#define NGINX_CONFIG "php-nginx.conf"
#define WORKERS      16
#define IDLE_S       60
#define TIMEOUT_S    60
#define QUEUE_MS     1000
#define SESSIONS     "sessions" /* below data/APP */
/* What php-fpm calls the socket that it inherits. It unlinks this name when it ends. */
#define FPM_ADDRESS   "/silver/php.sock"
#define FPM_SOCKET_FD 3
#define FPM_LOG_FD    4 /* our own log: a worker's stderr goes by way of php-fpm, and comes late */
#define STRING_OF(x)  #x
#define STRING(x)     STRING_OF(x)

char *php_program(void)
{
	autostrv struct strv names = STRV_INIT;
	struct error ignored = ERROR_INIT;
	const char *best = NULL;
	autoclose int fd = -1;

	if (fs_open_dir(AT_FDCWD, PROGRAM_DIR, &fd, &ignored) == -1 ||
	    fs_list(fd, &names, &ignored) == -1)
		return NULL;
	for (size_t i = 0; i < names.n; i++)
		if (str_starts(names.v[i], "php-fpm") && faccessat(fd, names.v[i], X_OK, 0) == 0 &&
		    (!best || strverscmp(names.v[i], best) > 0))
			best = names.v[i];
	return best ? xasprintf(PROGRAM_DIR "/%s", best) : NULL;
}

bool php_is_path(const char *path)
{
	return path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "._-/")] == '\0';
}

/* --- php-fpm ------------------------------------------------------------------------------------
 */

static unsigned timeout_s(const struct launch *l)
{
	const char *text = ini_get(&l->record, "limits", "timeout");
	uint64_t seconds;

	return text && str_to_uint(text, INT32_MAX, &seconds) ? (unsigned)seconds : TIMEOUT_S;
}

/* Workers start when they are needed, and go when they are not: an app that nobody asks costs the
 * master alone. One whose request takes too long is killed. */
static void add_pool(const struct launch *l, struct strbuf *out)
{
	strbuf_addf(out,
		    "[%s]\nlisten = " FPM_ADDRESS "\npm = ondemand\npm.max_children = %d\n"
		    "pm.process_idle_timeout = %ds\nrequest_terminate_timeout = %us\n",
		    l->app, WORKERS, IDLE_S, timeout_s(l));
	strbuf_addstr(out, "clear_env = no\ncatch_workers_output = yes\n"
			   "decorate_workers_output = no\nsecurity.limit_extensions = .php\n");
	/* php-fpm has its own idea of both; silver.php takes a USER of "-" away */
	strbuf_addf(out, "env[HOME] = ${HOME}\nenv[USER] = %s\n",
		    launch_has(l, "USER=") ? "${USER}" : "-");
}

/* What is `admin` the app cannot change. ${...} is of the environment: no quoting. Debian has a
 * clock of its own that tidies its directory of sessions, so PHP does it in ours. */
static void add_settings(const struct launch *l, const char *share, struct strbuf *out)
{
	unsigned long long body = l->node->max_body_bytes;
	unsigned long long memory = l->limits.data_bytes / 10 * 9;

	strbuf_addf(out, "php_admin_value[auto_prepend_file] = \"%s/php/silver.php\"\n", share);
	strbuf_addstr(out,
		      "php_admin_flag[display_errors] = off\n"
		      "php_admin_flag[display_startup_errors] = off\n"
		      "php_admin_flag[log_errors] = on\n"
		      "php_admin_value[error_log] = /proc/self/fd/" STRING(
			      FPM_LOG_FD) "\n"
					  "php_admin_flag[expose_php] = off\n"
					  "php_admin_flag[cgi.fix_pathinfo] = off\n"
					  "php_admin_flag[opcache.validate_timestamps] = off\n"
					  "php_value[session.save_path] = ${HOME}/" SESSIONS "\n"
					  "php_value[session.gc_probability] = 1\n"
					  "php_value[session.gc_divisor] = 1000\n"
					  "php_value[upload_tmp_dir] = ${TMPDIR}\n"
					  "php_value[sys_temp_dir] = ${TMPDIR}\n");
	strbuf_addf(out, "php_value[post_max_size] = %llu\nphp_value[upload_max_filesize] = %llu\n",
		    body, body);
	strbuf_addf(out, "php_value[max_execution_time] = %u\n", timeout_s(l));
	if (memory) /* PHP says what asked for too much; the limit of the kernel would not */
		strbuf_addf(out, "php_value[memory_limit] = %llu\n", memory);
}

static int write_fpm_config(const struct launch *l, struct error *err)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	autofree char *share = proc_share_dir();

	if (strpbrk(share, "\"\\$\n"))
		return error_set(err, E_SYSTEM, "'%s' cannot stand in the settings of PHP", share);
	strbuf_addf(&s,
		    "[global]\nerror_log = /proc/self/fd/2\nlog_level = warning\nlog_limit = "
		    "8192\nprocess_control_timeout = %ds\n",
		    (l->node->drain_ms + 999) / 1000);
	add_pool(l, &s);
	add_settings(l, share, &s);
	return fs_replace_file(l->run_fd, FPM_CONFIG, s.buf, s.len, 0644, err);
}

static int start_fpm(struct launch *l, const char *release_dir, int socket, pid_t *pid,
		     struct error *err)
{
	autofree char *program = php_program();
	autofree char *config = xasprintf("%s/run/" FPM_CONFIG, release_dir);
	autofree char *files = xasprintf("%s/app", release_dir);
	autostrv struct strv argv = STRV_INIT;
	const struct proc_fd fds[] = {{socket, FPM_SOCKET_FD}, {2, FPM_LOG_FD}};
	struct proc_spec spec = {.path = program,
				 .in = -1,
				 .out = 1,
				 .err = 2,
				 .fds = fds,
				 .n_fds = ARRAY_SIZE(fds),
				 .new_group = true}; /* it would leave the session that ends */

	if (!program)
		return error_set(err, E_SYSTEM,
				 "php-fpm is not installed on this machine: apt-get install "
				 "--no-install-recommends " PHP_PACKAGE);
	strv_add(&argv, program);
	strv_add(&argv, "--nodaemonize");
	strv_add(&argv, "--fpm-config");
	strv_add(&argv, config);
	strv_add(&l->env, "FPM_SOCKETS=" FPM_ADDRESS "=" STRING(FPM_SOCKET_FD));
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&l->env);
	spec.cwd = files;
	return proc_start(&spec, pid, err);
}

/* --- nginx --------------------------------------------------------------------------------------
 */

/* Names that are never answered with a file: a dot in front, PHP's own and what it includes, also
 * under the name that an editor gave the copy. */
#define HIDDEN "(?:/\\.(?!well-known/)|\\.(?:php[0-9]?|phtml|phar|phps|inc|ini)(?:[^a-z0-9]|$))"

static void add_maps(struct strbuf *out)
{
	strbuf_addstr(out,
		      "\tinclude /etc/nginx/mime.types;\n\tdefault_type application/octet-stream;\n"
		      "\tcharset utf-8;\n\tsendfile on;\n"
		      "\tmap $http_x_forwarded_proto $silver_https {\n\t\tdefault \"\";\n"
		      "\t\thttps on;\n\t}\n"
		      "\tmap \"$http_x_forwarded_proto $http_host\" $silver_port {\n"
		      "\t\tdefault 80;\n\t\t\"~:(?<silver_number>[0-9]+)\\z\" $silver_number;\n"
		      "\t\t\"~^https \" 443;\n\t}\n"
		      "\tmap $http_x_silver_internal $silver_internal {\n\t\tdefault 1;\n"
		      "\t\t\"\" \"\";\n\t}\n"
		      "\tmap $http_x_silver_internal $silver_update {\n\t\tdefault \"\";\n"
		      "\t\tupdate 1;\n\t}\n");
}

static void add_param(struct strbuf *out, const char *name, const char *value)
{
	strbuf_addf(out, "\t\t\tfastcgi_param %s \"%s\" if_not_empty;\n", name, value);
}

/* CGI's variables as frameworks expect them of a front runner, below a location's path too. What
 * clients send is named HTTP_...: they can forge none of the others. */
static void add_params(const struct launch *l, const char *runner, const char *root,
		       struct strbuf *out)
{
	static const char *const plain[][2] = {
		{"QUERY_STRING", "$query_string"},
		{"REQUEST_METHOD", "$request_method"},
		{"CONTENT_TYPE", "$content_type"},
		{"CONTENT_LENGTH", "$content_length"},
		{"REQUEST_URI", "$http_x_forwarded_prefix$request_uri"},
		{"PATH_INFO", "$uri"},
		{"SERVER_PROTOCOL", "$server_protocol"},
		{"REQUEST_SCHEME", "$http_x_forwarded_proto"},
		{"HTTPS", "$silver_https"},
		{"GATEWAY_INTERFACE", "CGI/1.1"},
		{"SERVER_SOFTWARE", "silver"},
		{"REMOTE_ADDR", "$http_x_forwarded_for"},
		{"SERVER_NAME", "$host"},
		{"SERVER_PORT", "$silver_port"},
		{"REDIRECT_STATUS", "200"},
		{"HTTP_X_SILVER_INTERNAL", ""},
		{"HTTP_PROXY", ""},
		{"silverlining_internal", "$silver_internal"},
		{"silverlining_update", "$silver_update"},
	};
	const char *name = strrchr(runner, '/') ? strrchr(runner, '/') + 1 : runner;
	autofree char *file = xasprintf("$realpath_root/%s", runner);
	autofree char *documents =
		xasprintf("$realpath_root%s%s", root ? "/" : "", root ? root : "");
	autofree char *script = xasprintf("$http_x_forwarded_prefix/%s", name);

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		add_param(out, plain[i][0], plain[i][1]);
	add_param(out, "SCRIPT_FILENAME", file);
	add_param(out, "DOCUMENT_ROOT", documents);
	add_param(out, "SCRIPT_NAME", script);
	if (launch_has(l, "SILVER_VERSION=devel/"))
		add_param(out, "silverlining_devel", "1");
}

static void add_files(const char *root, struct strbuf *out)
{
	if (!root) {
		strbuf_addstr(out, "\t\tlocation / {\n\t\t\ttry_files /. @php;\n\t\t}\n");
		return;
	}
	strbuf_addf(out, "\t\troot \"app/%s\";\n", root);
	strbuf_addstr(out, "\t\tlocation ~* \"" HIDDEN "\" {\n\t\t\ttry_files /. @php;\n\t\t}\n"
			   "\t\tlocation / {\n\t\t\tadd_header Cache-Control no-cache;\n"
			   "\t\t\terror_page 403 405 = @php;\n\t\t\ttry_files $uri @php;\n\t\t}\n");
}

/* A worker that was killed in the middle is told to the front as what it is: no answer. */
static void add_php(const struct launch *l, const char *runner, const char *root,
		    struct strbuf *out)
{
	static const char *const passed[] = {"Redirect", "Expires", "Limit-Rate", "Buffering",
					     "Charset"};

	strbuf_addstr(out, "\t\tlocation @php {\n\t\t\troot app;\n"
			   "\t\t\tfastcgi_pass unix:" PHP_SOCKET ";\n"
			   "\t\t\tfastcgi_buffering off;\n\t\t\tfastcgi_request_buffering off;\n"
			   "\t\t\tfastcgi_read_timeout 1h;\n\t\t\tfastcgi_send_timeout 1h;\n"
			   "\t\t\terror_page 502 504 = @none;\n\t\t\tcharset off;\n");
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		strbuf_addf(out,
			    "\t\t\tfastcgi_pass_header X-Accel-%s;\n"
			    "\t\t\tfastcgi_ignore_headers X-Accel-%s;\n",
			    passed[i], passed[i]);
	add_params(l, runner, root, out);
	strbuf_addstr(out, "\t\t}\n\t\tlocation @none {\n\t\t\treturn 444;\n\t\t}\n");
}

/* Relative paths are below releases/N; those of sockets below its run/. */
static int write_nginx_config(const struct launch *l, struct error *err)
{
	const char *runner = ini_get(&l->record, "run", "runner");
	const char *root = ini_get(&l->record, "run", "php_root");
	autofree char *tmp = xasprintf("../../../../data/%s/tmp/%u", l->app, l->number);
	autostrbuf struct strbuf s = STRBUF_INIT;

	if (!runner || !php_is_path(runner) || (root && !php_is_path(root)))
		return error_set(err, E_SYSTEM, "release %u has no runner for PHP", l->number);
	inner_begin(&s, tmp);
	add_maps(&s);
	inner_begin_server(&s);
	add_files(root, &s);
	add_php(l, runner, root, &s);
	strbuf_addstr(&s, "\t}\n}\n");
	return fs_replace_file(l->run_fd, NGINX_CONFIG, s.buf, s.len, 0644, err);
}

static int start_nginx(const char *release_dir, int socket, pid_t *pid, struct error *err)
{
	autofree char *prefix = xasprintf("%s/", release_dir);
	autofree char *run_dir = xasprintf("%s/run", release_dir);
	autostrv struct strv argv = STRV_INIT;
	const struct proc_fd fds[] = {{socket, 3}};
	struct proc_spec spec = {.path = "nginx",
				 .envp = inner_env,
				 .in = -1,
				 .out = 1,
				 .err = 2,
				 .fds = fds,
				 .n_fds = 1,
				 .cwd = run_dir};

	inner_argv(prefix, "run/" NGINX_CONFIG, &argv);
	spec.argv = strv_argv(&argv);
	return proc_start(&spec, pid, err);
}

/* --- both ---------------------------------------------------------------------------------------
 */

/* What has connected and is not accepted yet would be lost with nginx's end. */
static void await_queue(int socket)
{
	int64_t deadline = clock_ms() + QUEUE_MS;
	struct pollfd p = {.fd = socket, .events = POLLIN};

	while (poll(&p, 1, 0) > 0 && clock_ms() < deadline)
		usleep(1000);
}

/* 1: it has ended, *status tells how; 0: it runs, or did not. */
static int has_ended(pid_t *pid, int *status, struct error *err)
{
	struct error none = ERROR_INIT;

	if (*pid == -1)
		return 0;
	if (proc_wait(*pid, 0, status, &none) == 0) {
		*pid = -1;
		return 1;
	}
	if (none.code == E_BUSY)
		return 0;
	*err = none;
	return -1;
}

struct pair {
	pid_t fpm, nginx; /* -1: has ended */
	bool ending;
};

static int unexpected(const char *name, int status, struct error *err)
{
	return error_set(err, E_SYSTEM, "%s has ended with status %d", name, status);
}

/* 1: both have ended as they were told to. */
static int look(struct pair *pair, struct error *err)
{
	int status, ended = has_ended(&pair->nginx, &status, err);

	if (ended == 1 && !pair->ending)
		return unexpected("nginx", status, err);
	if (ended == 1)
		kill(pair->fpm, SIGQUIT);
	if (ended == -1 || (ended = has_ended(&pair->fpm, &status, err)) == -1)
		return -1;
	if (ended == 1 && pair->nginx != -1)
		return unexpected("php-fpm", status, err);
	return ended;
}

static int attend(struct pair *pair, int http_fd, const sigset_t *signals, struct error *err)
{
	for (;;) {
		int sig = sigwaitinfo(signals, NULL), done;

		if (sig == SIGTERM && !pair->ending) {
			pair->ending = true;
			await_queue(http_fd);
			fd_close(&http_fd);
			kill(pair->nginx, SIGQUIT);
		}
		done = look(pair, err);
		if (done != 0)
			return done == 1 ? 0 : -1;
	}
}

int php_serve(struct launch *l, int http_fd, int php_fd, struct error *err)
{
	autofree char *dir = xasprintf("%s/apps/%s/releases/%u", l->node->dir, l->app, l->number);
	struct pair pair = {-1, -1, false};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) == -1)
		return error_sys(err, errno, "cannot block signals");
	if (fs_ensure_dir(l->data_fd, SESSIONS, 0700, NULL, err) == -1 ||
	    write_fpm_config(l, err) == -1 || write_nginx_config(l, err) == -1 ||
	    start_fpm(l, dir, php_fd, &pair.fpm, err) == -1)
		return -1;
	fd_close(&php_fd); /* php-fpm's alone: nobody waits for one that has ended */
	if (start_nginx(dir, http_fd, &pair.nginx, err) == -1)
		return -1;
	return attend(&pair, http_fd, &signals, err);
}
