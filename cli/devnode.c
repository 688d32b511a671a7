#include "cli/devnode.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include "cli/tool.h"
#include "common/address.h"
#include "common/fs.h"
#include "common/ini.h"
#include "common/names.h"
#include "common/proc.h"
#include "services/devel.h"

#define END_MS 60000

/* FNV-1a: a short name, since a socket's path has 107 bytes. */
static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

static char *cache_dir(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (xdg && *xdg == '/')
		return xasprintf("%s/silver", xdg);
	/* the users of root's node must be able to pass */
	if (geteuid() == 0)
		return xstrdup("/var/cache/silver");
	return xasprintf("%s/.cache/silver", home && *home == '/' ? home : "/tmp");
}

static int make_dirs(const char *path, struct error *err)
{
	mode_t mode = geteuid() == 0 ? 0755 : 0700;

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		autofree char *dir = xstrndup(path, (size_t)(slash - path));

		if (mkdir(dir, mode) == -1 && errno != EEXIST)
			return error_sys(err, errno, "cannot make '%s'", dir);
	}
	if (mkdir(path, mode) == -1 && errno != EEXIST)
		return error_sys(err, errno, "cannot make '%s'", path);
	return 0;
}

static int write_below(const char *dir, const char *name, const char *text, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open_dir(AT_FDCWD, dir, &fd, err) == -1)
		return -1;
	return fs_replace_file(fd, name, text, strlen(text), 0644, err);
}

static bool was_other(const struct devnode *d, const char *text)
{
	autofree char *path = xasprintf("%s/" DEVEL_INI, d->dir);
	autostrbuf struct strbuf before = STRBUF_INIT;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct error none = ERROR_INIT;

	return fd != -1 && strbuf_read_fd(&before, fd, 1 << 20, &none) == 0 &&
	       strcmp(strbuf_str(&before), text) != 0;
}

/* Settings of a node that one person looks at. */
static int write_settings(struct devnode *d, const struct strv *overrides, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autofree char *ini = xasprintf("%s/node.ini", d->dir);

	strbuf_addstr(&text, "[environment]\n");
	for (size_t i = 0; i < overrides->n; i++) {
		const char *equals = strchr(overrides->v[i], '=');
		autofree char *name = xstrndup(overrides->v[i], (size_t)(equals - overrides->v[i]));

		ini_add(&text, name, equals + 1);
	}
	if (access(ini, F_OK) == -1 &&
	    write_below(d->dir, "node.ini",
			"[node]\nssh = 127.0.0.1:0\nhttp = 127.0.0.1:0\nkeep = 2\n"
			"drain_ms = 2000\n",
			err) == -1)
		return -1;
	d->overrides_changed = was_other(d, strbuf_str(&text));
	return write_below(d->dir, DEVEL_INI, strbuf_str(&text), err);
}

/* --- its key --------------------------------------------------------------------------------- */

static int make_key(const struct devnode *d, struct error *err)
{
	autofree char *key = xasprintf("%s/key", d->home);
	autostrv struct strv argv = STRV_INIT;
	autostrbuf struct strbuf said = STRBUF_INIT;
	struct tool tool = {.in = -1, .out = -1, .err = -1};
	int status;

	if (access(key, F_OK) == 0)
		return 0;
	strv_add(&argv, "ssh-keygen");
	strv_add(&argv, "-q");
	strv_add(&argv, "-t");
	strv_add(&argv, "ed25519");
	strv_add(&argv, "-N");
	strv_add(&argv, "");
	strv_add(&argv, "-C");
	strv_add(&argv, "silver serve");
	strv_add(&argv, "-f");
	strv_add(&argv, key);
	tool.argv = strv_argv(&argv);
	if (tool_capture(&tool, NULL, &said, &said, &status, err) == -1)
		return -1;
	return status == 0 ? 0 : error_set(err, E_SYSTEM, "ssh-keygen: %s", strbuf_str(&said));
}

/* Nothing of the developer's own ssh has a say in it. */
static void compose_env(struct devnode *d)
{
	autofree char *key = xasprintf("%s/key", d->home);
	autofree char *hosts = xasprintf("UserKnownHostsFile=%s/known_hosts", d->home);
	autofree char *key_word = name_shell_quoted(key), *hosts_word = name_shell_quoted(hosts);

	strv_addf(&d->env,
		  "GIT_SSH_COMMAND=ssh -F /dev/null -i %s -o IdentitiesOnly=yes -o "
		  "IdentityAgent=none -o BatchMode=yes -o %s -o GlobalKnownHostsFile=/dev/null -o "
		  "StrictHostKeyChecking=accept-new -o HostKeyAlias=silver-serve -o LogLevel=ERROR",
		  key_word, hosts_word);
	strv_add(&d->env, "GIT_SSH_VARIANT=ssh");
}

static int ask_with(const struct devnode *d, const char *const *words, int in, int out, int err_fd,
		    pid_t *pid, struct error *err)
{
	autostrv struct strv argv = STRV_INIT;
	autofree char *self = proc_program("silver");
	struct tool tool = {.in = in, .out = out, .err = err_fd, .own_session = true};

	if (access(self, X_OK) == -1) { /* installed in bin/, not with the others */
		free(self);
		self = realpath("/proc/self/exe", NULL);
	}
	strv_add(&argv, self ? self : "silver");
	strv_add(&argv, "--dir");
	strv_add(&argv, d->dir);
	for (; *words; words++)
		strv_add(&argv, *words);
	tool.argv = strv_argv(&argv);
	return tool_start(&tool, pid, err);
}

int devnode_ask(const struct devnode *d, const char *const *words, pid_t *pid, struct error *err)
{
	return ask_with(d, words, -1, STDOUT_FILENO, STDERR_FILENO, pid, err);
}

static int add_user(const struct devnode *d, struct error *err)
{
	static const char *const words[] = {"user", "add", "serve", "--role", "admin", NULL};
	autofree char *path = xasprintf("%s/key.pub", d->home);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	pid_t pid = -1;
	int status;

	if (fd == -1)
		return error_sys(err, errno, "cannot read '%s'", path);
	if (ask_with(d, words, fd, -1, -1, &pid, err) == -1 ||
	    proc_wait(pid, -1, &status, err) == -1)
		return -1;
	return status == 0 ? 0
			   : error_set(err, E_SYSTEM, "the node in '%s' took no key (status %d)",
				       d->dir, status);
}

/* --- its daemon ------------------------------------------------------------------------------- */

/* The port of the last time, so that a browser's page goes on; 0: any. */
static unsigned choose_port(const struct devnode *d, unsigned wanted)
{
	autofree char *path = xasprintf("%s/port", d->home), *address = NULL;
	autostrbuf struct strbuf text = STRBUF_INIT;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC), probe = -1;
	struct error none = ERROR_INIT;
	union address bound;
	uint64_t port = 0;

	if (wanted || fd == -1)
		return wanted;
	if (strbuf_read_fd(&text, fd, 16, &none) == -1 ||
	    !str_to_uint(strbuf_str(&text), 65535, &port))
		return 0;
	address = xasprintf("127.0.0.1:%u", (unsigned)port);
	return address_bind(address, "http", &bound, &probe, &none) == 0 ? (unsigned)port : 0;
}

static char *find_silverd(void)
{
	autofree char *beside = proc_program("silverd"), *self = realpath("/proc/self/exe", NULL);
	char *slash = self ? strrchr(self, '/') : NULL;

	if (access(beside, X_OK) == 0 || !slash)
		return steal_ptr(&beside);
	*slash = '\0';
	return xasprintf("%s/../sbin/silverd", self);
}

/* "silver: ready ssh=ADDR:PORT http=ADDR:PORT", its first line. */
static int read_ready(struct devnode *d, int fd, struct error *err)
{
	autostrbuf struct strbuf line = STRBUF_INIT;
	const char *ssh, *http;
	char c;

	while (read(fd, &c, 1) == 1 && c != '\n')
		strbuf_addch(&line, c);
	ssh = strstr(strbuf_str(&line), "ssh=");
	http = strstr(strbuf_str(&line), "http=");
	if (!ssh || !http) {
		autofree char *path = xasprintf("%s/silverd.log", d->home);
		autostrbuf struct strbuf said = STRBUF_INIT;
		autoclose int log = open(path, O_RDONLY | O_CLOEXEC);

		if (log == -1 || strbuf_read_fd(&said, log, 4000, err) == -1)
			strbuf_reset(&said);
		return error_set(err, E_SYSTEM, "the node did not start:\n%s%s", strbuf_str(&said),
				 path);
	}
	d->ssh = xstrndup(ssh + 4, strcspn(ssh + 4, " "));
	d->http = xstrndup(http + 5, strcspn(http + 5, " "));
	return 0;
}

static int start_silverd(struct devnode *d, unsigned port, struct error *err)
{
	autofree char *program = find_silverd(), *log_path = xasprintf("%s/silverd.log", d->home);
	autofree char *http = xasprintf("127.0.0.1:%u", port);
	autoclose int log =
		open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC, 0600);
	autostrv struct strv argv = STRV_INIT;
	struct tool tool = {.in = -1, .err = log, .own_session = true};
	int ready[2];
	int r;

	if (log == -1)
		return error_sys(err, errno, "cannot write '%s'", log_path);
	if (pipe2(ready, O_CLOEXEC) == -1)
		return error_sys(err, errno, "cannot make a pipe");
	strv_add(&argv, program);
	strv_add(&argv, "--dir");
	strv_add(&argv, d->dir);
	strv_add(&argv, "--ssh");
	strv_add(&argv, "127.0.0.1:0");
	strv_add(&argv, "--http");
	strv_add(&argv, http);
	tool.argv = strv_argv(&argv);
	tool.out = ready[1];
	r = tool_start(&tool, &d->pid, err);
	fd_close(&ready[1]);
	if (r == 0)
		r = read_ready(d, ready[0], err);
	fd_close(&ready[0]);
	return r;
}

static int start(struct devnode *d, const struct strv *overrides, unsigned port, struct error *err)
{
	const char *colon;

	if (make_dirs(d->dir, err) == -1 || make_key(d, err) == -1 ||
	    write_settings(d, overrides, err) == -1 ||
	    start_silverd(d, choose_port(d, port), err) == -1 || add_user(d, err) == -1)
		return -1;
	compose_env(d);
	colon = strrchr(d->http, ':');
	return write_below(d->home, "port", colon + 1, err);
}

int devnode_start(struct devnode *out, const char *top, const struct strv *overrides,
		  unsigned http_port, struct error *err)
{
	autofree char *cache = cache_dir();

	*out = (struct devnode){.pid = -1};
	out->home = xasprintf("%s/%08x", cache, hash(top));
	out->dir = xasprintf("%s/node", out->home);
	if (start(out, overrides, http_port, err) == 0)
		return 0;
	devnode_release(out);
	return -1;
}

static void end_silverd(pid_t pid)
{
	struct error err = ERROR_INIT;
	int status;

	kill(pid, SIGTERM);
	if (proc_wait(pid, END_MS, &status, &err) == -1)
		error_report(&err);
}

void devnode_release(struct devnode *d)
{
	if (d->pid != -1)
		end_silverd(d->pid);
	free(d->home);
	free(d->dir);
	free(d->ssh);
	free(d->http);
	strv_free_p(&d->env);
	*d = (struct devnode){.pid = -1};
}
