/* silver-exec: what s6 starts for a release, and `silver run` (docs/CONTRACT.md, "silver-exec").
 *
 * Each way begins as root (on a node that has it), learns from names and owners who to become,
 * becomes it, and only then reads what an app's owner wrote. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/names.h"
#include "common/node.h"
#include "common/proc.h"
#include "runtime/front.h"
#include "runtime/launch.h"
#include "runtime/port.h"
#include "runtime/runner.h"
#include "runtime/s6.h"
#include "runtime/server.h"
#include "runtime/schedule.h"
#include "runtime/s6name.h"

#define SERVICE_DIR "/run/service/"

/* Where s6 started us: DIR/run/service/SERVICE or DIR/run/service/SERVICE/log. */
struct place {
	struct node node;
	bool is_log;
	char *other;           /* "nginx", or a server of the node's own: "postgresql"; else NULL */
	struct s6name service; /* of an app, where `other` is NULL */
};

static bool is_nginx(const struct place *p)
{
	return p->other && strcmp(p->other, "nginx") == 0;
}

/* A service that is being ended keeps its directory, which has another name then. */
static int parse_service(struct place *p, const char *entry, struct error *err)
{
	p->other = entry[0] == '.' && str_ends(entry, ".gone")
			   ? xstrndup(entry + 1, strlen(entry) - 1 - strlen(".gone"))
			   : xstrdup(entry);
	if (is_nginx(p) || server_is_name(p->other))
		return 0;
	free(steal_ptr(&p->other));
	if (s6name_parse_entry(entry, &p->service))
		return 0;
	return error_set(err, E_USAGE, "'%s' is no service of ours", entry);
}

static int find_place(struct place *p, struct error *err)
{
	autofree char *cwd = getcwd(NULL, 0);
	char *at, *rest;

	if (!cwd)
		return error_sys(err, errno, "cannot tell the working directory");
	at = cwd;
	for (char *next = cwd; (next = strstr(next, SERVICE_DIR)); next++)
		at = next; /* the last one: DIR may hold such a name too */
	if (at == cwd)
		return error_set(err, E_USAGE, "'%s' is no service directory of a node", cwd);
	*at = '\0';
	rest = at + strlen(SERVICE_DIR);
	p->is_log = str_ends(rest, "/log");
	rest[strcspn(rest, "/")] = '\0';
	if (parse_service(p, rest, err) == -1)
		return -1;
	return node_open(&p->node, cwd, err);
}

/* The session that s6 made for this process is what `finish` clears away. Written where only root
 * (or the node's user) may write, before the app has a say. */
static int note_session(struct error *err)
{
	autofree char *text = xasprintf("%d\n", (int)getpid());
	autoclose int fd = -1;

	if (fs_open(AT_FDCWD, "session", O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, err) == -1)
		return -1;
	return fs_write_all(fd, text, strlen(text), err);
}

static pid_t noted_session(void)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error ignored = ERROR_INIT;

	if (fs_read_file(AT_FDCWD, "session", 16, &text, &ignored) == -1)
		return 0;
	return (pid_t)strtol(strbuf_str(&text), NULL, 10);
}

/* Output goes to the logger; programs that open /dev/stdout by name may, although root made the
 * pipe. */
static int give_output(const struct runner *runner, struct error *err)
{
	struct stat st;

	if (dup2(1, 2) == -1)
		return error_sys(err, errno, "cannot join the outputs");
	if (fstat(1, &st) == 0 && S_ISFIFO(st.st_mode) && geteuid() == 0 &&
	    fchown(1, runner->uid, runner->gid) == -1)
		return error_sys(err, errno, "cannot give away the output");
	return 0;
}

static int launch_service(struct launch *l, const struct s6name *s, struct error *err)
{
	switch (s->kind) {
	case S6_WORKER:
		return launch_worker(l, s->name, err);
	case S6_CRON:
		return launch_cron(l, s->name, err);
	case S6_WEB:
		break;
	}
	return launch_server(l, err);
}

static int run_release(struct place *p, struct error *err)
{
	struct runner runner;
	struct launch launch;
	int rc;

	if (runner_find(&p->node, p->service.app, &runner, err) == -1 || note_session(err) == -1 ||
	    give_output(&runner, err) == -1 || runner_become(&runner, err) == -1)
		return -1;
	rc = launch_open(&launch, &p->node, p->service.app, p->service.release, err);
	if (rc == 0)
		rc = launch_service(&launch, &p->service, err);
	launch_release(&launch);
	return rc;
}

/* Ten files of a megabyte, each line with its time. */
static int run_log(struct place *p, struct error *err)
{
	autofree char *service = s6name_format(&p->service);
	autofree char *path = xasprintf("log/%s", p->service.app);
	const char *name = service + strlen(p->service.app) + 1;
	autofree char *target = xasprintf("./%s", name);
	char *const argv[] = {(char[]){"s6-log"}, (char[]){"n10"}, (char[]){"s1000000"},
			      (char[]){"T"},      target,          NULL};
	autoclose int log_fd = -1;
	struct runner runner;

	if (runner_find(&p->node, p->service.app, &runner, err) == -1 ||
	    fs_open_dir(p->node.fd, path, &log_fd, err) == -1 || runner_become(&runner, err) == -1)
		return -1;
	if (fs_ensure_dir(log_fd, name, 0750, NULL, err) == -1)
		return -1;
	umask(027);
	if (fchdir(log_fd) == -1)
		return error_sys(err, errno, "cannot enter '%s'", path);
	execvp("s6-log", argv);
	return error_sys(err, errno, "cannot run s6-log");
}

/* A socket that a killed nginx left would keep its successor from binding. */
static int clear_front_socket(const struct node *node, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open_dir(node->fd, "run/nginx", &fd, err) == -1)
		return -1;
	return fs_unlink(fd, "front.sock", err);
}

/* setpriv leaves nginx one capability, so that it may bind a port below 1024 and nothing else. */
static int run_nginx(struct place *p, struct error *err)
{
	char *argv[] = {(char[]){"setpriv"},
			NULL,
			NULL,
			(char[]){"--clear-groups"},
			(char[]){"--inh-caps=-all,+net_bind_service"},
			(char[]){"--ambient-caps=-all,+net_bind_service"},
			(char[]){"--no-new-privs"},
			(char[]){"nginx"},
			(char[]){"-p"},
			(char[]){"./"},
			(char[]){"-e"},
			(char[]){"log/nginx/error.log"},
			(char[]){"-c"},
			(char[]){"run/nginx.conf"},
			(char[]){"-g"},
			(char[]){"daemon off;"},
			NULL};
	char *const *command = geteuid() == 0 ? argv : argv + 7;
	char uid_option[32], gid_option[32];
	uid_t uid;
	gid_t gid;

	if (note_session(err) == -1 || clear_front_socket(&p->node, err) == -1 ||
	    front_identity(&uid, &gid, err) == -1)
		return -1;
	snprintf(uid_option, sizeof(uid_option), "--reuid=%u", (unsigned)uid);
	snprintf(gid_option, sizeof(gid_option), "--regid=%u", (unsigned)gid);
	argv[1] = uid_option;
	argv[2] = gid_option;
	if (fchdir(p->node.fd) == -1) /* all paths in nginx.conf are below it */
		return error_sys(err, errno, "cannot enter '%s'", p->node.dir);
	execvp(command[0], command);
	return error_sys(err, errno, "cannot run '%s'", command[0]);
}

/* Its output goes to its logger, too. */
static int run_server(struct place *p, struct error *err)
{
	struct runner runner;

	if (p->is_log)
		return server_exec_log(&p->node, p->other, err);
	if (server_runner(&p->node, p->other, &runner, err) == -1 || note_session(err) == -1 ||
	    give_output(&runner, err) == -1)
		return -1;
	return server_exec(&p->node, p->other, err);
}

static void place_release(struct place *p)
{
	node_release(&p->node);
	free(p->other);
}

static int run_service(struct error *err)
{
	struct place p = {.node = {.fd = -1}};

	int rc = find_place(&p, err);

	if (rc == 0 && is_nginx(&p))
		rc = run_nginx(&p, err);
	else if (rc == 0 && p.other)
		rc = run_server(&p, err);
	else if (rc == 0)
		rc = p.is_log ? run_log(&p, err) : run_release(&p, err);
	place_release(&p);
	return rc;
}

/* How the main process ended: what s6 gives `finish`. */
struct ending {
	unsigned status, signal; /* status 256: by the signal */
};

static int read_ending(char **argv, struct ending *out, struct error *err)
{
	uint64_t status, sig;

	if (!str_to_uint(argv[1], 256, &status) || !str_to_uint(argv[2], 64, &sig))
		return error_set(err, E_USAGE, "'%s %s' is no exit of a process", argv[1], argv[2]);
	*out = (struct ending){(unsigned)status, (unsigned)sig};
	return 0;
}

/* releases/N/run/exited: "STATUS SIGNAL", for whoever waits for the release to be healthy. */
static int write_exited(const struct place *p, const struct ending *e, struct error *err)
{
	autofree char *path =
		xasprintf("apps/%s/releases/%u/run", p->service.app, p->service.release);
	autofree char *text = xasprintf("%u %u\n", e->status, e->signal);
	autoclose int fd = -1;

	if (fs_open_dir(p->node.fd, path, &fd, err) == -1)
		return -1;
	return fs_replace_file(fd, "exited", text, strlen(text), 0644, err);
}

/* `ends` beside `session`: "COUNT STATUS SIGNAL", how often it has ended and how the last time; for
 * `silver status`. Losing count does no harm. */
static void count_end(const struct ending *e)
{
	autostrbuf struct strbuf old = STRBUF_INIT;
	struct error ignored = ERROR_INIT;
	autofree char *text = NULL;
	autoclose int fd = -1;
	unsigned long count = 0;

	if (fs_read_file(AT_FDCWD, "ends", 64, &old, &ignored) == 0)
		count = strtoul(strbuf_str(&old), NULL, 10);
	text = xasprintf("%lu %u %u\n", count + 1, e->status, e->signal);
	if (fs_open(AT_FDCWD, "ends", O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, &ignored) == -1 ||
	    fs_write_all(fd, text, strlen(text), &ignored) == -1)
		return;
}

/* Into the log of what has ended; what it was asked to end for is known. */
static void tell_end(const struct s6name *s, const struct ending *e)
{
	autofree char *label = s6name_label(s);

	if (s->kind == S6_WEB || e->signal == SIGTERM || (e->status == 0 && s->kind == S6_CRON))
		return;
	if (e->status == 256)
		printf("silver: %s was ended by signal %u (%s)\n", label, e->signal,
		       strsignal((int)e->signal));
	else
		printf("silver: %s ended with status %u\n", label, e->status);
	fflush(stdout);
}

/* What the main process started and left behind goes with it: a worker of a killed nginx would keep
 * the port, a child of an app the pipe to its logger. */
static int finish_service(char **argv, struct error *err)
{
	struct place p = {.node = {.fd = -1}};
	struct ending ending = {0, 0};
	struct runner runner;
	pid_t session = noted_session();
	int rc = find_place(&p, err);

	if (rc == 0)
		rc = read_ending(argv, &ending, err);
	if (rc == 0 && is_nginx(&p)) {
		rc = front_identity(&runner.uid, &runner.gid, err);
	} else if (rc == 0 && p.other) {
		rc = server_runner(&p.node, p.other, &runner, err);
	} else if (rc == 0) {
		count_end(&ending);
		rc = runner_find(&p.node, p.service.app, &runner, err);
	}
	if (rc == 0)
		rc = runner_become(&runner, err);
	if (rc == 0)
		runner_kill_session(session);
	if (rc == 0 && !p.other)
		tell_end(&p.service, &ending);
	if (rc == 0 && !p.other && p.service.kind == S6_WEB)
		rc = write_exited(&p, &ending, err);
	place_release(&p);
	return rc;
}

static int find_release(const struct node *node, const char *app, const char *text, unsigned *out,
			struct error *err)
{
	uint64_t number;

	if (strcmp(text, "current") == 0)
		return launch_current(node, app, out, err);
	if (!str_to_uint(text, INT32_MAX, &number) || number == 0)
		return error_set(err, E_USAGE, "'%s' is no release", text);
	*out = (unsigned)number;
	return 0;
}

static int become_command(const struct node *node, const char *app, char **words, struct error *err)
{
	struct runner runner;
	struct launch launch;
	unsigned release = 0;
	int rc;

	if (runner_find(node, app, &runner, err) == -1 || runner_become(&runner, err) == -1 ||
	    find_release(node, app, words[0], &release, err) == -1)
		return -1;
	rc = launch_open(&launch, node, app, release, err);
	if (rc == 0)
		rc = launch_command(&launch, words + 2, err);
	launch_release(&launch);
	return rc;
}

/* silver-exec --dir DIR APP current|N -- COMMAND... */
static int run_command(char **argv, struct error *err)
{
	struct node node;
	int rc;

	if (name_check_app(argv[3], err) == -1 || node_open(&node, argv[2], err) == -1)
		return -1;
	rc = become_command(&node, argv[3], argv + 4, err);
	node_release(&node);
	return rc;
}

/* silver-exec --dir DIR supervise: becomes the supervisor of the node's processes. */
static int run_supervisor(const char *dir, struct error *err)
{
	char *const envp[] = {(char[]){"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, NULL};
	autostrv struct strv argv = STRV_INIT;
	struct node node;
	int rc;

	if (node_open(&node, dir, err) == -1)
		return -1;
	rc = s6_tree_prepare(&node, &argv, err);
	if (rc == 0 && fchdir(node.fd) == -1)
		rc = error_sys(err, errno, "cannot enter '%s'", node.dir);
	if (rc == 0) {
		execvpe(argv.v[0], strv_argv(&argv), envp);
		rc = error_sys(err, errno, "cannot run '%s'", argv.v[0]);
	}
	node_release(&node);
	return rc;
}

/* silver-exec on-day SCHEDULE COMMAND...: as what snooze runs, where either of two days is enough
 * and snooze knows only both. */
static int run_on_day(char **argv, struct error *err)
{
	struct schedule schedule;
	time_t now = time(NULL);
	struct tm tm;

	if (schedule_parse(argv[2], &schedule, err) == -1)
		return -1;
	if (!localtime_r(&now, &tm))
		return error_sys(err, errno, "cannot tell the day");
	if (!schedule_has_day(&schedule, &tm))
		return 0;
	execvp(argv[3], argv + 3);
	return error_sys(err, errno, "cannot run '%s'", argv[3]);
}

static int usage(struct error *err)
{
	return error_set(err, E_USAGE,
			 "usage: silver-exec --dir DIR APP current|RELEASE -- COMMAND...\n"
			 "       silver-exec --dir DIR supervise");
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	const char *name = argc > 0 ? basename(argv[0]) : "";
	int rc;

	if (strcmp(name, "run") == 0)
		rc = run_service(&err);
	else if (strcmp(name, "finish") == 0 && argc >= 3)
		rc = finish_service(argv, &err);
	else if (argc >= 4 && strcmp(argv[1], "on-day") == 0)
		rc = run_on_day(argv, &err);
	else if (argc >= 2 && str_starts(argv[1], "port"))
		rc = port_main(argc, argv, &err);
	else if (argc == 4 && strcmp(argv[1], "--dir") == 0 && strcmp(argv[3], "supervise") == 0)
		rc = run_supervisor(argv[2], &err);
	else if (argc >= 7 && strcmp(argv[1], "--dir") == 0 && strcmp(argv[5], "--") == 0)
		rc = run_command(argv, &err);
	else
		rc = usage(&err);
	return rc == -1 ? error_report(&err) : 0;
}
