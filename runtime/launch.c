#include "runtime/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/proc.h"
#include "common/words.h"
#include "runtime/bytecode.h"
#include "runtime/limits.h"
#include "runtime/php.h"
#include "runtime/port.h"
#include "runtime/schedule.h"

#define ENV_MAX        (4 << 20)
#define LISTEN_FD      3 /* SD_LISTEN_FDS_START: what LISTEN_FDS counts from */
#define PYTHON         "/usr/bin/python3"
#define PYTHON_THREADS 16

/* The file env: NAME=VALUE and a NUL, again and again. */
static int read_env(struct launch *l, struct error *err)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	if (fs_read_file(l->release_fd, "env", ENV_MAX, &s, err) == -1)
		return -1;
	if (s.len > 0 && s.buf[s.len - 1] != '\0')
		return error_set(err, E_SYSTEM, "release %u: 'env' is cut", l->number);
	for (size_t at = 0; at < s.len; at += strlen(s.buf + at) + 1)
		strv_add(&l->env, s.buf + at);
	return 0;
}

static int make_tmp_dir(const struct launch *l, struct error *err)
{
	autofree char *name = xasprintf("%u", l->number);
	autoclose int fd = -1;

	if (fs_ensure_dir(l->data_fd, "tmp", 0700, &fd, err) == -1)
		return -1;
	return fs_ensure_dir(fd, name, 0700, NULL, err);
}

/* data/APP/secret: the app's own for ever, made when it first starts. Two that start at once agree:
 * the first link stays. */
static int make_secret(const struct launch *l, struct error *err)
{
	autofree char *name = xasprintf(".secret.%d", (int)getpid());
	unsigned char bytes[32];
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error exists = ERROR_INIT;

	if (fs_exists(l->data_fd, "secret"))
		return 0;
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return error_sys(err, errno, "cannot make a secret");
	for (size_t i = 0; i < sizeof(bytes); i++)
		strbuf_addf(&text, "%02x", bytes[i]);
	strbuf_addch(&text, '\n');
	if (fs_replace_file(l->data_fd, name, text.buf, text.len, 0600, err) == -1)
		return error_prefix(err, "making the app's secret");
	if (fs_link(l->data_fd, name, l->data_fd, "secret", &exists) == -1 &&
	    !fs_exists(l->data_fd, "secret")) {
		*err = exists;
		return error_prefix(err, "making the app's secret");
	}
	if (fs_unlink(l->data_fd, name, err) == -1)
		return -1;
	return fs_sync(l->data_fd, err);
}

static int open_slot(struct launch *l, int app_fd, struct error *err)
{
	const char *slot = ini_get(&l->record, "release", "slot");
	autofree char *path = NULL;
	uint64_t number;

	if (!slot || !str_to_uint(slot, INT32_MAX, &number))
		return error_set(err, E_SYSTEM, "release %u: record.ini names no slot", l->number);
	path = xasprintf("slots/%s", slot);
	return fs_open_dir(app_fd, path, &l->slot_fd, err);
}

/* gunicorn's threads (python/silver_gunicorn.py) have stacks of which little is used. */
static int read_limits(struct launch *l, struct error *err)
{
	autorunspec struct runspec run = {0};
	bool python;

	if (runspec_read(&l->record, &run, err) == -1)
		return -1;
	python = strcmp(run.platform, "python") == 0;
	l->limits = limits_of(l->node, &run.limits, python ? PYTHON_THREADS : 0);
	return 0;
}

int launch_open(struct launch *out, const struct node *node, const char *app, unsigned number,
		struct error *err)
{
	autofree char *data = xasprintf("data/%s", app);
	autofree char *path = xasprintf("releases/%u", number);
	autoclose int app_fd = -1;

	*out = (struct launch){.node = node,
			       .app = app,
			       .number = number,
			       .data_fd = -1,
			       .release_fd = -1,
			       .run_fd = -1,
			       .slot_fd = -1};
	if (node_open_app(node, app, &app_fd, err) == -1 ||
	    fs_open_dir(node->fd, data, &out->data_fd, err) == -1)
		return -1;
	if (fs_open_dir(app_fd, path, &out->release_fd, err) == -1) {
		if (err->code == E_NOTFOUND)
			error_set(err, E_NOTFOUND, "app '%s' has no release %u", app, number);
		return -1;
	}
	if (fs_open_dir(out->release_fd, "run", &out->run_fd, err) == -1 ||
	    ini_read(out->release_fd, "record.ini", &out->record, err) == -1)
		return -1;
	if (open_slot(out, app_fd, err) == -1 || read_env(out, err) == -1 ||
	    read_limits(out, err) == -1)
		return -1;
	if (make_secret(out, err) == -1)
		return -1;
	return make_tmp_dir(out, err);
}

void launch_release(struct launch *l)
{
	fd_close(&l->data_fd);
	fd_close(&l->release_fd);
	fd_close(&l->run_fd);
	fd_close(&l->slot_fd);
	ini_release(&l->record);
	strv_free_p(&l->env);
}

/* The number in apps/APP/NAME -> releases/N. */
static int read_link(const struct node *node, const char *app, const char *name, unsigned *number,
		     struct error *err)
{
	autofree char *target = NULL;
	autoclose int app_fd = -1;
	uint64_t n;

	if (node_open_app(node, app, &app_fd, err) == -1)
		return -1;
	if (fs_read_link(app_fd, name, &target, err) == -1)
		return err->code == E_NOTFOUND
			       ? error_set(err, E_NOTFOUND, "nothing is live for '%s' yet", app)
			       : -1;
	if (!str_starts(target, "releases/") ||
	    !str_to_uint(target + strlen("releases/"), INT32_MAX, &n))
		return error_set(err, E_SYSTEM, "'%s' of '%s' names no release", name, app);
	*number = (unsigned)n;
	return 0;
}

int launch_current(const struct node *node, const char *app, unsigned *number, struct error *err)
{
	return read_link(node, app, "current", number, err);
}

unsigned launch_previous(const struct node *node, const char *app)
{
	struct error none = ERROR_INIT;
	unsigned number = 0;

	return read_link(node, app, "previous", &number, &none) == 0 ? number : 0;
}

bool launch_has_served(const struct node *node, const char *app, unsigned number)
{
	autofree char *path = xasprintf("apps/%s/releases/%u/run/http.sock", app, number);

	return fs_exists(node->fd, path);
}

/* Bound by a relative name: sun_path is short wherever DIR is. nginx needs the write bit to connect
 * and the x bit to see that it is there (front.c); who gets as far as this directory is decided
 * above it. */
static int bind_socket(const struct launch *l, const char *name, mode_t without, int *out,
		       struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mode_t mask;
	int rc;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	if (fd == -1)
		return error_sys(err, errno, "cannot make a socket");
	if (fs_unlink(l->run_fd, name, err) == -1) /* of an earlier life */
		return -1;
	if (fchdir(l->run_fd) == -1)
		return error_sys(err, errno, "cannot enter 'run'");
	mask = umask(without);
	rc = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (rc == -1 || listen(fd, SOMAXCONN) == -1)
		return error_sys(err, errno, "cannot listen on '%s'", name);
	*out = steal_fd(&fd);
	return 0;
}

/* To what silver-exec becomes. */
static int pass_socket(struct launch *l, int *fd, struct error *err)
{
	if (dup2(*fd, LISTEN_FD) == -1) /* a copy is not CLOEXEC */
		return error_sys(err, errno, "cannot pass the socket");
	if (*fd == LISTEN_FD) {
		steal_fd(fd);
		if (fcntl(LISTEN_FD, F_SETFD, 0) == -1)
			return error_sys(err, errno, "cannot pass the socket");
	}
	strv_add(&l->env, "LISTEN_FDS=1");
	strv_addf(&l->env, "LISTEN_PID=%d", (int)getpid()); /* exec keeps it */
	return 0;
}

bool launch_has(const struct launch *l, const char *start)
{
	for (size_t i = 0; i < l->env.n; i++)
		if (str_starts(l->env.v[i], start))
			return true;
	return false;
}

/* exec in the app's directory with the release's environment. The descriptors up to `last_fd` stay
 * open. */
static int become(struct launch *l, const char *path, char *const *argv, unsigned last_fd,
		  struct error *err)
{
	if (fchdir(l->slot_fd) == -1)
		return error_sys(err, errno, "cannot enter the app's directory");
	if (close_range(last_fd + 1, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		return error_sys(err, errno, "cannot close descriptors");
	signal(SIGPIPE, SIG_DFL);
	if (limits_apply(&l->limits, err) == -1) /* last: they are the program's, not ours */
		return -1;
	environ = l->env.v; /* execvp searches the PATH of this one */
	execvp(path, argv);
	return error_sys(err, errno, "cannot run '%s'", path);
}

/* The runner as the argument of a call in gunicorn's "module:function('argument')". */
static void add_python_string(struct strbuf *s, const char *text)
{
	strbuf_addch(s, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			strbuf_addch(s, '\\');
		if ((unsigned char)*text < ' ')
			strbuf_addf(s, "\\x%02x", (unsigned)*text);
		else
			strbuf_addch(s, *text);
	}
	strbuf_addch(s, '"');
}

static int launch_python(struct launch *l, const char *runner, struct error *err)
{
	const char *timeout = ini_get(&l->record, "limits", "timeout");
	autostrbuf struct strbuf call = STRBUF_INIT;
	autostrv struct strv argv = STRV_INIT;

	strbuf_addstr(&call, "silver_wsgi:load(");
	add_python_string(&call, runner);
	strbuf_addch(&call, ')');
	strv_add(&argv, PYTHON);
	strv_add(&argv, "-m");
	strv_add(&argv, "gunicorn");
	strv_add(&argv, "--config=python:silver_gunicorn");
	strv_addf(&argv, "--graceful-timeout=%d", (l->node->drain_ms + 999) / 1000);
	if (timeout) /* else silver_gunicorn's */
		strv_addf(&argv, "--timeout=%s", timeout);
	strv_add(&argv, call.buf);
	return become(l, PYTHON, strv_argv(&argv), LISTEN_FD, err);
}

static int launch_program(struct launch *l, const char *runner, struct error *err)
{
	autofree char *path = xasprintf("./%s", runner);
	autofree char *run_dir =
		xasprintf("%s/apps/%s/releases/%u/run", l->node->dir, l->app, l->number);
	autofree char *tmp_dir = xasprintf("%s/data/%s/tmp/%u", l->node->dir, l->app, l->number);
	autostrv struct strv argv = STRV_INIT;
	unsigned port;

	if (port_choose(&port, err) == -1 ||
	    port_start_helper(port, run_dir, tmp_dir, l->node->health_ms, LISTEN_FD, err) == -1)
		return -1;
	strv_addf(&l->env, "PORT=%u", port);
	strv_add(&argv, path);
	return become(l, path, strv_argv(&argv), LISTEN_FD, err);
}

static int launch_php(struct launch *l, int http_fd, struct error *err)
{
	autoclose int php_fd = -1;

	if (bind_socket(l, PHP_SOCKET, 077, &php_fd, err) == -1 ||
	    limits_apply(&l->limits, err) == -1)
		return -1;
	return php_serve(l, http_fd, steal_fd(&php_fd), err);
}

int launch_server(struct launch *l, struct error *err)
{
	const char *platform = ini_get(&l->record, "run", "platform");
	const char *runner = ini_get(&l->record, "run", "runner");
	autoclose int fd = -1;

	if (!platform || !runner)
		return error_set(err, E_SYSTEM, "release %u has nothing to run", l->number);
	if (strcmp(platform, "python") == 0) /* open_slot() has seen that it is a number */
		bytecode_share(l->node, l->app, l->data_fd, ini_get(&l->record, "release", "slot"));
	if (bind_socket(l, "http.sock", 0, &fd, err) == -1)
		return -1;
	if (strcmp(platform, "php") == 0)
		return launch_php(l, steal_fd(&fd), err);
	if (pass_socket(l, &fd, err) == -1) /* the node's own descriptor may go for it */
		return -1;
	if (strcmp(platform, "python") == 0)
		return launch_python(l, runner, err);
	if (strcmp(platform, "exec") == 0)
		return launch_program(l, runner, err);
	return error_set(err, E_SYSTEM, "release %u: platform '%s' has no server", l->number,
			 platform);
}

int launch_command(struct launch *l, char *const *argv, struct error *err)
{
	const char *terminal = getenv("TERM");

	if (terminal && !launch_has(l, "TERM="))
		strv_addf(&l->env, "TERM=%s", terminal);
	return become(l, argv[0], argv, 2, err);
}

/* The words of the command that a section of the record has. */
static int read_command(struct launch *l, const char *section, struct strv *words,
			struct error *err)
{
	const char *command = ini_get(&l->record, section, "command");

	if (command && words_split(command, strlen(command), words, err) == -1)
		return -1;
	if (words->n == 0)
		return error_set(err, E_SYSTEM, "release %u has no command in [%s]", l->number,
				 section);
	return 0;
}

int launch_worker(struct launch *l, const char *name, struct error *err)
{
	autofree char *section = xasprintf("process:%s", name);
	autostrv struct strv words = STRV_INIT;
	char *const *argv;

	if (read_command(l, section, &words, err) == -1)
		return -1;
	argv = strv_argv(&words);
	return become(l, argv[0], argv, 2, err);
}

/* snooze waits, and becomes the command: one process, so a run that takes long is not begun again
 * beside itself. */
int launch_cron(struct launch *l, const char *name, struct error *err)
{
	autofree char *section = xasprintf("cron:%s", name), *self = proc_program("silver-exec");
	const char *schedule = ini_get(&l->record, section, "schedule");
	autostrv struct strv words = STRV_INIT, argv = STRV_INIT;
	struct schedule s;

	if (read_command(l, section, &words, err) == -1)
		return -1;
	if (schedule_parse(schedule ? schedule : "", &s, err) == -1)
		return error_prefix(err, "[%s]", section);
	strv_add(&argv, "snooze");
	if (schedule_snooze(&s, &argv)) {
		strv_add(&argv, "--");
		strv_add(&argv, self);
		strv_add(&argv, "on-day");
		strv_add(&argv, schedule);
	} else {
		strv_add(&argv, "--");
	}
	for (size_t i = 0; i < words.n; i++)
		strv_add(&argv, words.v[i]);
	return become(l, SNOOZE, strv_argv(&argv), 2, err);
}
