#include "runtime/s6.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/log.h"
#include "common/proc.h"
#include "runtime/front.h"
#include "runtime/server.h"
#include "runtime/s6name.h"

#define SERVICE_DIR    "run/service"
#define COMMAND_MS     10000 /* a command to s6 takes 2 ms */
#define APPEAR_MS      10000 /* until a supervisor must be there */
#define FRONT_MS       15000
#define STOP_KILL_MS   5000  /* at the end of the node */
#define SERVER_KILL_MS 30000 /* a server of the node's own writes what it has to the disk */
#define LINGER_MS      3000  /* for finish and the logger, after the process is gone */
#define FINISH_MS      5000  /* what s6 gives a finish before it kills it */
#define POLL_MS        3
#define SERVICES_MAX   "4000" /* s6-svscan's table */
#define OPEN_FILES     16384  /* two per logged service */

static int open_scan_dir(const struct node *node, int *out, struct error *err)
{
	return fs_open_dir(node->fd, SERVICE_DIR, out, err);
}

/* How s6 tells that a process of its own is there: somebody reads its control fifo. */
static bool has_reader(int dir_fd, const char *fifo)
{
	autoclose int fd = openat(dir_fd, fifo, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

	return fd != -1;
}

static bool tree_is_alive(int scan_fd)
{
	return has_reader(scan_fd, ".s6-svscan/control");
}

static bool is_supervised(int scan_fd, const char *service)
{
	autofree char *own = xasprintf("%s/supervise/control", service);
	autofree char *logger = xasprintf("%s/log/supervise/control", service);

	return has_reader(scan_fd, own) || has_reader(scan_fd, logger);
}

/* Runs `s6-svc OPTIONS DIR` or the like; the directory is given relative to DIR. */
static int command(const struct node *node, const char *program, const char *options,
		   const char *service, struct error *err)
{
	autofree char *path =
		service ? xasprintf(SERVICE_DIR "/%s", service) : xstrdup(SERVICE_DIR);
	autostrv struct strv argv = STRV_INIT;
	autostrbuf struct strbuf output = STRBUF_INIT;
	struct proc_spec spec = {.path = program, .in = -1, .out = -1, .err = -1, .cwd = node->dir};
	int status;

	strv_add(&argv, program);
	strv_add(&argv, options);
	strv_add(&argv, path);
	spec.argv = strv_argv(&argv);
	if (proc_run(&spec, COMMAND_MS, &status, &output, err) == -1)
		return -1;
	if (status != 0)
		return error_set(err, E_SYSTEM, "'%s %s %s' failed: %s", program, options, path,
				 strbuf_str(&output));
	return 0;
}

static int write_small_file(int dir_fd, const char *name, const char *text, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, err) == -1)
		return -1;
	return fs_write_all(fd, text, strlen(text), err);
}

/* Not written where it says so already: a full disk would take what is there and put nothing in its
 * place. */
static int write_timeout(int dir_fd, int kill_ms, struct error *err)
{
	autofree char *text = xasprintf("%d\n", kill_ms);
	autostrbuf struct strbuf now = STRBUF_INIT;
	struct error ignored = ERROR_INIT;

	if (fs_read_file(dir_fd, "timeout-kill", 64, &now, &ignored) == 0 &&
	    strcmp(strbuf_str(&now), text) == 0)
		return 0;
	return write_small_file(dir_fd, "timeout-kill", text, err);
}

/* Everything a service directory holds. Nothing is synced: after a power cut the tree is built
 * anew. */
static int compose_service(int scan_fd, const char *tmp, bool logged, struct error *err)
{
	autofree char *program = proc_program("silver-exec");
	autoclose int fd = -1, log_fd = -1;

	if (fs_remove_tree(scan_fd, tmp, err) == -1 ||
	    fs_ensure_dir(scan_fd, tmp, 0755, &fd, err) == -1 ||
	    fs_symlink(program, fd, "run", err) == -1 ||
	    fs_symlink(program, fd, "finish", err) == -1 ||
	    write_timeout(fd, STOP_KILL_MS, err) == -1)
		return -1;
	if (!logged)
		return 0;
	if (fs_ensure_dir(fd, "log", 0755, &log_fd, err) == -1)
		return -1;
	return fs_symlink(program, log_fd, "run", err);
}

static int add_service(int scan_fd, const char *name, bool logged, struct error *err)
{
	autofree char *tmp = xasprintf(".%s.new", name);

	if (compose_service(scan_fd, tmp, logged, err) == -1)
		return -1;
	return fs_rename(scan_fd, tmp, scan_fd, name, err);
}

static int wait_until_alive(int scan_fd, bool (*alive)(int scan_fd, const char *name),
			    const char *name, struct error *err)
{
	int64_t deadline = clock_ms() + APPEAR_MS;

	while (!alive(scan_fd, name)) {
		if (clock_ms() >= deadline)
			return error_set(err, E_SYSTEM, "s6 does not supervise '%s'", name);
		usleep(POLL_MS * 1000);
	}
	return 0;
}

/* A supervisor that outlived its s6-svscan hears from us directly; so does a logger whose pipe
 * somebody still holds open. A failure means that it has just gone. */
static void end_directly(const struct node *node, const char *service)
{
	autofree char *logger = xasprintf("%s/log", service);
	struct error ignored = ERROR_INIT;

	command(node, "s6-svc", "-xd", service, &ignored);
	command(node, "s6-svc", "-xd", logger, &ignored);
}

static int patience(const char *service, int kill_ms)
{
	return server_is_name(service) ? SERVER_KILL_MS : kill_ms;
}

/* Waits for the services in `names` to be gone, then removes their directories. */
static int await_end(const struct node *node, int scan_fd, const struct strv *names, int kill_ms,
		     struct error *err)
{
	for (size_t i = 0; i < names->n; i++) {
		int64_t linger = clock_ms() + patience(names->v[i], kill_ms) + LINGER_MS;
		int64_t deadline = linger + FINISH_MS + LINGER_MS;
		bool pushed = false;

		while (is_supervised(scan_fd, names->v[i])) {
			if (clock_ms() >= deadline)
				return error_set(err, E_SYSTEM, "the processes of '%s' do not end",
						 names->v[i]);
			if (!pushed && clock_ms() >= linger) {
				end_directly(node, names->v[i]);
				pushed = true;
			}
			usleep(POLL_MS * 1000);
		}
		if (fs_remove_tree(scan_fd, names->v[i], err) == -1)
			return -1;
	}
	return 0;
}

/* Ends services whose directories bear a name that counts no more (".NAME.gone"). */
static int end_gone(const struct node *node, int scan_fd, const struct strv *gone, int kill_ms,
		    struct error *err)
{
	if (gone->n == 0)
		return 0;
	if (tree_is_alive(scan_fd)) {
		if (command(node, "s6-svscanctl", "-an", NULL, err) == -1)
			return -1;
	} else {
		for (size_t i = 0; i < gone->n; i++)
			end_directly(node, gone->v[i]);
	}
	return await_end(node, scan_fd, gone, kill_ms, err);
}

/* Out of s6-svscan's sight, with the time it has until SIGKILL. */
static int retire(int scan_fd, const char *name, int kill_ms, struct strv *gone, struct error *err)
{
	autofree char *to = xasprintf(".%s.gone", name);
	autoclose int fd = -1;

	if (fs_open_dir(scan_fd, name, &fd, err) == -1 || write_timeout(fd, kill_ms, err) == -1 ||
	    fs_rename(scan_fd, name, scan_fd, to, err) == -1)
		return -1;
	strv_add(gone, to);
	return 0;
}

/* Which of an app's services a call ends. */
struct selection {
	const char *app;
	unsigned kinds;           /* of S6_BIT() */
	unsigned only, except[2]; /* releases; 0: none */
	const struct strv *spare; /* names of services; NULL: none */
};

static bool is_selected(const struct selection *sel, const struct s6name *s)
{
	autofree char *name = s6name_format(s);

	return strcmp(s->app, sel->app) == 0 && (sel->kinds & S6_BIT(s->kind)) &&
	       (!sel->only || s->release == sel->only) && s->release != sel->except[0] &&
	       s->release != sel->except[1] && !(sel->spare && strv_has(sel->spare, name));
}

/* What a caller that died left: ".SERVICE.gone". Also of those that are spared: the name must be
 * free. */
static int end_leftovers(const struct node *node, int scan_fd, const struct selection *sel,
			 int kill_ms, struct error *err)
{
	struct selection all = *sel;
	autostrv struct strv names = STRV_INIT, gone = STRV_INIT;
	struct s6name s;

	all.spare = NULL;
	if (fs_list(scan_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (*names.v[i] == '.' && s6name_parse_entry(names.v[i], &s) &&
		    is_selected(&all, &s))
			strv_add(&gone, names.v[i]);
	return end_gone(node, scan_fd, &gone, kill_ms, err);
}

static int stop_selected(const struct node *node, const struct selection *sel, int kill_ms,
			 struct error *err)
{
	autostrv struct strv names = STRV_INIT, gone = STRV_INIT;
	autoclose int scan_fd = -1;
	struct s6name s;

	if (open_scan_dir(node, &scan_fd, err) == -1 ||
	    end_leftovers(node, scan_fd, sel, kill_ms, err) == -1 ||
	    fs_list(scan_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (s6name_parse(names.v[i], &s) && is_selected(sel, &s) &&
		    retire(scan_fd, names.v[i], kill_ms, &gone, err) == -1)
			return -1;
	return end_gone(node, scan_fd, &gone, kill_ms, err);
}

int s6_stop(const struct node *node, const char *app, unsigned release, int kill_ms,
	    struct error *err)
{
	struct selection sel = {.app = app, .kinds = S6_ALL, .only = release};

	return stop_selected(node, &sel, kill_ms, err);
}

int s6_stop_others(const struct node *node, const char *app, unsigned live, unsigned previous,
		   int kill_ms, struct error *err)
{
	struct selection sel = {.app = app, .kinds = S6_BIT(S6_WEB), .except = {live, previous}};

	return stop_selected(node, &sel, kill_ms, err);
}

int s6_stop_app(const struct node *node, const char *app, int kill_ms, struct error *err)
{
	struct selection sel = {.app = app, .kinds = S6_ALL};

	return stop_selected(node, &sel, kill_ms, err);
}

int s6_stop_workers(const struct node *node, const char *app, const struct strv *keep, int kill_ms,
		    struct error *err)
{
	struct selection sel = {.app = app, .kinds = S6_BEHIND, .spare = keep};

	return stop_selected(node, &sel, kill_ms, err);
}

/* Makes releases/N/run ready: nginx, which is no member of the app's group, must get through to the
 * socket, and the exit of an earlier life must not be taken for one of this. */
static int prepare_run_dir(const struct node *node, const char *app, unsigned release,
			   struct error *err)
{
	autofree char *path = xasprintf("apps/%s/releases/%u/run", app, release);
	autoclose int fd = -1;
	struct stat st;

	if (fs_open_dir(node->fd, path, &fd, err) == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		return error_sys(err, errno, "cannot stat '%s'", path);
	if (!(st.st_mode & S_IXOTH) && fchmod(fd, (st.st_mode & 07777) | S_IXOTH) == -1)
		return error_sys(err, errno, "cannot set the mode of '%s'", path);
	return fs_unlink(fd, "exited", err);
}

static bool is_own_supervised(int scan_fd, const char *name)
{
	autofree char *control = xasprintf("%s/supervise/control", name);

	return has_reader(scan_fd, control);
}

/* A service whose release has no socket is one of a release that had this number before and is
 * gone: the hook that staged it died with silverd, and nobody has ended its processes. */
static bool is_stale(const struct node *node, int scan_fd, const char *name, const char *app,
		     unsigned release)
{
	autofree char *socket = xasprintf("apps/%s/releases/%u/run/http.sock", app, release);

	return fs_exists(scan_fd, name) && !fs_exists(node->fd, socket);
}

static int need_tree(const struct node *node, int scan_fd, struct error *err)
{
	if (tree_is_alive(scan_fd))
		return 0;
	return error_set(err, E_SYSTEM,
			 "nothing supervises processes in '%s/" SERVICE_DIR
			 "': silverd does not run",
			 node->dir);
}

/* Nobody waits for a service of a tree that has been ended meanwhile. */
static bool is_settled(int scan_fd, const char *name)
{
	return is_own_supervised(scan_fd, name) || !tree_is_alive(scan_fd);
}

int s6_add(const struct node *node, const struct strv *services, struct error *err)
{
	autoclose int scan_fd = -1;
	bool all = true;

	if (open_scan_dir(node, &scan_fd, err) == -1 || need_tree(node, scan_fd, err) == -1)
		return -1;
	for (size_t i = 0; i < services->n; i++) {
		const char *name = services->v[i];

		if (!fs_exists(scan_fd, name) && add_service(scan_fd, name, true, err) == -1)
			return -1;
		all = all && is_own_supervised(scan_fd, name);
	}
	if (all)
		return 0;
	if (command(node, "s6-svscanctl", "-a", NULL, err) == -1)
		return -1;
	for (size_t i = 0; i < services->n; i++)
		if (wait_until_alive(scan_fd, is_settled, services->v[i], err) == -1)
			return -1;
	return need_tree(node, scan_fd, err);
}

int s6_start(const struct node *node, const char *app, unsigned release, struct error *err)
{
	struct selection own = {.app = app, .kinds = S6_BIT(S6_WEB), .only = release};
	autofree char *name = xasprintf("%s.%u", app, release);
	autostrv struct strv names = STRV_INIT;
	autoclose int scan_fd = -1;

	if (open_scan_dir(node, &scan_fd, err) == -1 || need_tree(node, scan_fd, err) == -1)
		return -1;
	if (end_leftovers(node, scan_fd, &own, STOP_KILL_MS, err) == -1)
		return -1;
	if (is_stale(node, scan_fd, name, app, release) &&
	    s6_stop(node, app, release, STOP_KILL_MS, err) == -1)
		return -1;
	/* last: what is stopped writes its end there */
	if (prepare_run_dir(node, app, release, err) == -1)
		return -1;
	strv_add(&names, name);
	return s6_add(node, &names, err);
}

/* The whole tree. */

/* Every service directory there is, under whatever name. */
static int list_services(int scan_fd, struct strv *services, struct error *err)
{
	autostrv struct strv names = STRV_INIT;

	if (fs_list(scan_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (strcmp(names.v[i], ".s6-svscan") != 0)
			strv_add(services, names.v[i]);
	return 0;
}

static void end_supervised(const struct node *node, int scan_fd, const struct strv *services)
{
	for (size_t i = 0; i < services->n; i++)
		if (is_supervised(scan_fd, services->v[i]))
			end_directly(node, services->v[i]);
}

/* What a dead s6-svscan left: supervisors that go on, and directories. */
static int clear_dead_tree(const struct node *node, int scan_fd, struct error *err)
{
	autostrv struct strv services = STRV_INIT;

	if (list_services(scan_fd, &services, err) == -1)
		return -1;
	end_supervised(node, scan_fd, &services);
	if (await_end(node, scan_fd, &services, STOP_KILL_MS, err) == -1)
		return -1;
	return fs_remove_tree(scan_fd, ".s6-svscan", err);
}

static bool svscan_is_alive(int scan_fd, const char *name)
{
	(void)name;
	return tree_is_alive(scan_fd);
}

static int svscan_argv(struct strv *argv, struct error *err)
{
	struct rlimit files = {0, 0};

	if (getrlimit(RLIMIT_NOFILE, &files) == -1)
		return error_sys(err, errno, "cannot read the limit of open files");
	strv_add(argv, "s6-softlimit");
	strv_addf(argv, "-o%llu",
		  (unsigned long long)(files.rlim_max < OPEN_FILES ? files.rlim_max : OPEN_FILES));
	strv_add(argv, "s6-svscan");
	strv_add(argv, "-c" SERVICES_MAX);
	strv_add(argv, SERVICE_DIR);
	return 0;
}

/* s6-svscan in a session of its own: Ctrl-C at silverd's terminal is silverd's alone to act on. It
 * writes to a file, since it must outlive silverd and whatever read silverd's output. */
static int start_svscan(const struct node *node, struct error *err)
{
	autoclose int log_fd = -1;
	char *const envp[] = {(char[]){"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, NULL};
	autostrv struct strv argv = STRV_INIT;
	struct proc_spec spec = {.path = "s6-softlimit",
				 .envp = envp,
				 .in = -1,
				 .cwd = node->dir,
				 .new_session = true};
	pid_t pid;

	if (svscan_argv(&argv, err) == -1 ||
	    fs_open(node->fd, "log/s6.log", O_WRONLY | O_APPEND | O_CREAT, 0640, &log_fd, err) ==
		    -1)
		return -1;
	spec.argv = strv_argv(&argv);
	spec.out = spec.err = log_fd;
	return proc_start(&spec, &pid, err); /* a child of silverd for as long as silverd lives */
}

/* With what s6 must know of it: how it is ended, and how long that may take. */
static int add_server(const struct node *node, int scan_fd, const char *name, struct error *err)
{
	autofree char *tmp = xasprintf(".%s.new", name), *down = NULL;
	autoclose int fd = -1;

	if (server_prepare(node, name, err) == -1 || server_signal(node, name, &down, err) == -1 ||
	    compose_service(scan_fd, tmp, true, err) == -1 ||
	    fs_open_dir(scan_fd, tmp, &fd, err) == -1 ||
	    write_timeout(fd, SERVER_KILL_MS, err) == -1 ||
	    write_small_file(fd, "down-signal", down, err) == -1)
		return error_prefix(err, "starting the server '%s'", name);
	return fs_rename(scan_fd, tmp, scan_fd, name, err);
}

int s6_server_start(const struct node *node, const char *name, struct error *err)
{
	autoclose int scan_fd = -1;

	if (open_scan_dir(node, &scan_fd, err) == -1)
		return -1;
	if (is_own_supervised(scan_fd, name))
		return 0;
	if (!tree_is_alive(scan_fd))
		return error_set(err, E_SYSTEM, "silverd does not run in '%s'", node->dir);
	if ((!fs_exists(scan_fd, name) && add_server(node, scan_fd, name, err) == -1) ||
	    command(node, "s6-svscanctl", "-a", NULL, err) == -1)
		return -1;
	return wait_until_alive(scan_fd, is_own_supervised, name, err);
}

/* One that cannot be started keeps nothing else from its start. */
static void add_servers(const struct node *node, int scan_fd)
{
	autostrv struct strv names = STRV_INIT;
	struct error failed = ERROR_INIT;

	if (server_list(node, &names, &failed) == -1)
		log_line("%s", failed.text);
	for (size_t i = 0; i < names.n; i++)
		if (!fs_exists(scan_fd, names.v[i]) &&
		    add_server(node, scan_fd, names.v[i], &failed) == -1)
			log_line("%s", failed.text);
}

static int start_new_tree(const struct node *node, int scan_fd, struct error *err)
{
	if (clear_dead_tree(node, scan_fd, err) == -1 ||
	    add_service(scan_fd, "nginx", false, err) == -1)
		return -1;
	add_servers(node, scan_fd);
	if (start_svscan(node, err) == -1)
		return -1;
	return wait_until_alive(scan_fd, svscan_is_alive, SERVICE_DIR, err);
}

/* nginx runs on with what it had; it takes the configuration that silverd has just written. */
static int adopt_tree(const struct node *node, int scan_fd, struct error *err)
{
	if (!fs_exists(scan_fd, "nginx") && add_service(scan_fd, "nginx", false, err) == -1)
		return -1;
	add_servers(node, scan_fd);
	if (command(node, "s6-svscanctl", "-a", NULL, err) == -1)
		return -1;
	if (!is_own_supervised(scan_fd, "nginx"))
		return 0;
	return command(node, "s6-svc", "-h", "nginx", err);
}

int s6_tree_prepare(const struct node *node, struct strv *argv, struct error *err)
{
	autoclose int run_fd = -1, scan_fd = -1;

	if (fs_open_dir(node->fd, "run", &run_fd, err) == -1 ||
	    fs_ensure_dir(run_fd, "service", 0755, &scan_fd, err) == -1)
		return -1;
	if (tree_is_alive(scan_fd))
		return error_set(err, E_BUSY, "'%s/" SERVICE_DIR "' is supervised already",
				 node->dir);
	if (clear_dead_tree(node, scan_fd, err) == -1)
		return -1;
	return svscan_argv(argv, err);
}

int s6_reload_front(const struct node *node, struct error *err)
{
	autoclose int scan_fd = -1;

	if (open_scan_dir(node, &scan_fd, err) == -1)
		return -1;
	if (!is_own_supervised(scan_fd, "nginx"))
		return error_set(err, E_NOTFOUND, "nginx does not run");
	return command(node, "s6-svc", "-h", "nginx", err);
}

int s6_tree_start(const struct node *node, struct error *err)
{
	autoclose int run_fd = -1, scan_fd = -1;
	struct error ignored = ERROR_INIT;
	bool adopted;
	int rc;

	if (fs_open_dir(node->fd, "run", &run_fd, err) == -1 ||
	    fs_ensure_dir(run_fd, "service", 0755, &scan_fd, err) == -1)
		return -1;
	adopted = tree_is_alive(scan_fd);
	rc = adopted ? adopt_tree(node, scan_fd, err) : start_new_tree(node, scan_fd, err);
	if (rc == 0)
		rc = front_wait(node, FRONT_MS, err);
	if (rc == -1 && !adopted && s6_tree_stop(node, &ignored) == -1)
		return error_prefix(err, "%s", ignored.text);
	return rc;
}

int s6_tree_stop(const struct node *node, struct error *err)
{
	autostrv struct strv services = STRV_INIT;
	autoclose int scan_fd = -1;
	int r;

	if (open_scan_dir(node, &scan_fd, err) == -1 ||
	    list_services(scan_fd, &services, err) == -1)
		return -1;
	for (size_t i = 0; i < services.n; i++) {
		struct error unwritten = ERROR_INIT; /* it ends by its own patience, then */
		autoclose int fd = -1;

		if (fs_open_dir(scan_fd, services.v[i], &fd, &unwritten) == 0 &&
		    write_timeout(fd, patience(services.v[i], STOP_KILL_MS), &unwritten) == -1)
			log_line("%s: %s", services.v[i], unwritten.text);
	}
	if (tree_is_alive(scan_fd)) {
		if (command(node, "s6-svscanctl", "-t", NULL, err) == -1)
			return -1;
	} else {
		end_supervised(node, scan_fd, &services);
	}
	r = await_end(node, scan_fd, &services, STOP_KILL_MS, err);
	for (int64_t deadline = clock_ms() + APPEAR_MS; tree_is_alive(scan_fd);) {
		if (clock_ms() >= deadline)
			return error_set(err, E_SYSTEM, "s6-svscan does not end");
		usleep(POLL_MS * 1000);
	}
	return r;
}
