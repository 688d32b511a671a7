/* silverd: listens, counts, starts one session per connection, and answers what sessions ask. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "common/log.h"
#include "common/proc.h"
#include "receiver/control.h"
#include "receiver/errand.h"
#include "receiver/listener.h"
#include "receiver/loop.h"
#include "receiver/notify.h"
#include "receiver/own_server.h"
#include "receiver/renewal.h"
#include "receiver/startup.h"
#include "runtime/front.h"
#include "runtime/s6.h"

enum {
	PUSHES_END_MS = 10000,  /* how long running pushes may go on after SIGTERM */
	SESSIONS_END_MS = 2000, /* and then their sessions, with the last words to the client */
	ROTATE_EVERY_MS = 60000,
	ROTATE_MS = 30000,
	READY_MS = 60000, /* ready is said then, even if some app has not recovered yet */
	FILES_WANTED = 16384,
	FILES_PER_SESSION =
		8, /* socket, process, channel, its errand with a file, and what is passed on */
	FILES_SPARE = 100,
};

#define USAGE "usage: silverd --dir DIR [--ssh ADDR:PORT] [--http ADDR:PORT] [--keep-apps | --make]"

static const char help[] = USAGE
	"\n\n"
	"Runs the node in DIR in the foreground, and makes it when there is none. SIGTERM ends "
	"it.\n\n"
	"  --dir DIR         the node's directory\n"
	"  --ssh ADDR:PORT   where git and ssh connect (default: node.ini, else 127.0.0.1:2222)\n"
	"  --http ADDR:PORT  where the applications answer (default: node.ini, else "
	"127.0.0.1:8080)\n"
	"  --keep-apps       applications are supervised by `silver-exec --dir DIR supervise`, and "
	"go on\n                    when silverd ends\n"
	"  --make            make the node, or complete it, and serve nothing\n"
	"  --version         print the version\n\n"
	"Port 0 takes any free port. `silver --dir DIR user add NAME < key.pub` lets somebody in.";

struct daemon {
	struct startup start;
	struct loop *loop;
	struct users *users;
	struct jobs *jobs;
	struct monitor *monitor;
	struct listener *listener;
	struct control *control;
	int users_fd, signal_fd;
	struct watch *signals;
	struct timer *ready_timer, *end_timer, *rotate_timer;
	struct errand *rotation;
	bool tree_started, ready, ending;
};

static void say_ready(void *ctx)
{
	struct daemon *d = ctx;
	autofree char *status = NULL;

	loop_cancel(&d->ready_timer);
	if (d->ready || d->ending)
		return;
	d->ready = true;
	printf("silver: ready ssh=%s http=%s\n", d->start.node.ssh, d->start.node.http);
	fflush(stdout);
	status = xasprintf("READY=1\nSTATUS=ssh %s, http %s\n", d->start.node.ssh,
			   d->start.node.http);
	notify_say(status);
}

static void stop(void *ctx)
{
	struct daemon *d = ctx;

	listener_kill(d->listener);
	loop_stop(d->loop);
}

static void await_sessions(void *ctx)
{
	struct daemon *d = ctx;
	static int64_t deadline;

	if (!deadline)
		deadline = clock_ms() + SESSIONS_END_MS;
	if (listener_sessions(d->listener) == 0 || clock_ms() >= deadline)
		stop(d);
	else
		loop_timer(d->loop, &d->end_timer, 20, await_sessions, d);
}

static void on_signal(void *ctx)
{
	struct daemon *d = ctx;
	struct signalfd_siginfo info;

	if (read(d->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (d->ending) { /* asked twice: at once */
		stop(d);
		return;
	}
	d->ending = true;
	log_line("ending (signal %u)", info.ssi_signo);
	notify_say("STOPPING=1\n");
	listener_close(d->listener);
	jobs_stop(d->jobs, PUSHES_END_MS, await_sessions, d);
}

static int watch_signals(struct daemon *d, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP); /* its terminal was closed */
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		return error_sys(err, errno, "cannot block signals");
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (d->signal_fd == -1)
		return error_sys(err, errno, "cannot watch signals");
	signal(SIGPIPE, SIG_IGN);
	d->signals = loop_watch(d->loop, d->signal_fd, EPOLLIN, on_signal, d);
	return 0;
}

/* Never more connections than there are descriptors for: a silverd without any cannot even end a
 * session. */
static void fit_descriptors(struct node *node)
{
	struct rlimit limit;
	rlim_t fit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
	setrlimit(RLIMIT_NOFILE, &limit);
	fit = limit.rlim_cur > FILES_SPARE ? (limit.rlim_cur - FILES_SPARE) / FILES_PER_SESSION : 1;
	if (node->max_sessions <= fit)
		return;
	log_line("max_sessions is %u instead of %u: only %llu open files are allowed (ulimit -n)",
		 (unsigned)fit, node->max_sessions, (unsigned long long)limit.rlim_cur);
	node->max_sessions = (unsigned)fit;
}

static void rotate_later(struct daemon *d);

static void rotated(void *ctx, int status, const char *text)
{
	struct daemon *d = ctx;

	if (status != 0)
		log_line("the logs of nginx are not rotated: %s", text);
	rotate_later(d);
}

/* A look at the size here; what moves a log runs for itself. */
static void look_at_logs(void *ctx)
{
	static const char *const words[] = {"rotate"};
	struct daemon *d = ctx;
	const struct errand_order order = {.program = "silver-root",
					   .words = words,
					   .n_words = ARRAY_SIZE(words),
					   .output_fd = -1,
					   .deadline_ms = ROTATE_MS};
	struct error err = ERROR_INIT;

	if (!front_logs_are_large(&d->start.node)) {
		rotate_later(d);
		return;
	}
	if (errand_start(d->loop, &d->start.node, &d->rotation, &order, rotated, d, &err) == -1)
		rotated(d, E_SYSTEM, err.text);
}

static void rotate_later(struct daemon *d)
{
	loop_timer(d->loop, &d->rotate_timer, ROTATE_EVERY_MS, look_at_logs, d);
}

static int start(struct daemon *d, struct error *err)
{
	const struct node *node = &d->start.node;
	bool changed;

	if (front_write_config(node, node->http, &changed, err) == -1 ||
	    s6_tree_start(node, err) == -1)
		return -1;
	d->tree_started = true;
	fd_close(&d->start.http_fd); /* nginx has the port now */
	own_server_await_all(node);  /* apps find them when they start */
	if (fs_ensure_dir(node->fd, "users", 0700, &d->users_fd, err) == -1)
		return -1;
	d->users = users_new(d->users_fd);
	d->jobs = jobs_new(d->loop, node);
	d->monitor = monitor_new(d->loop, node, d->users, d->jobs);
	if (!d->start.ssh_kept)
		notify_keep(d->start.ssh_fd, "ssh");
	d->listener = listener_new(d->loop, node, d->monitor, steal_fd(&d->start.ssh_fd),
				   strbuf_str(&d->start.host_key));
	if (control_start(&d->control, d->loop, node, d->monitor, err) == -1 ||
	    listener_start(d->listener, err) == -1)
		return -1;
	notify_watchdog(d->loop);
	loop_timer(d->loop, &d->ready_timer, READY_MS, say_ready, d);
	rotate_later(d);
	renewal_start(d->loop, node);
	jobs_recover(d->jobs, say_ready, d);
	return 0;
}

static int parse_options(int argc, char **argv, struct startup_options *out, struct error *err)
{
	static const struct option longs[] = {
		{"dir", required_argument, NULL, 'd'},  {"ssh", required_argument, NULL, 's'},
		{"http", required_argument, NULL, 'h'}, {"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'H'},       {"make", no_argument, NULL, 'm'},
		{"keep-apps", no_argument, NULL, 'k'},  {NULL, 0, NULL, 0}};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'd')
			out->dir = optarg;
		else if (c == 's')
			out->ssh = optarg;
		else if (c == 'h')
			out->http = optarg;
		else if (c == 'm')
			out->make = true;
		else if (c == 'k')
			out->keep_apps = true;
		else if (c == 'v')
			out->print = "silverd " SILVER_VERSION;
		else if (c == 'H')
			out->print = help;
		else
			return error_set(err, E_USAGE, "unknown or incomplete option '%s'\n" USAGE,
					 argv[optind - 1]);
	}
	if (optind < argc)
		return error_set(err, E_USAGE, "unexpected '%s'\n" USAGE, argv[optind]);
	if (!out->dir && !out->print)
		return error_set(err, E_USAGE, "which directory?\n" USAGE);
	return 0;
}

static int serve(struct daemon *d, struct error *err)
{
	int result = watch_signals(d, err);

	if (result == 0) {
		fit_descriptors(&d->start.node);
		result = start(d, err);
	}
	if (result == 0)
		loop_run(d->loop);
	return result;
}

/* Stops what was started and nothing else: apps that outlived a killed silverd go on when this one
 * cannot serve. */
static int end(struct daemon *d, int result, struct error *err)
{
	struct error ignored = ERROR_INIT;

	control_close(d->control);
	if (!d->start.keep_apps && (result == 0 || (d->tree_started && !d->start.tree_was_alive)) &&
	    s6_tree_stop(&d->start.node, result == 0 ? err : &ignored) == -1 && result == 0)
		result = error_prefix(err, "stopping the apps");
	startup_release(&d->start);
	return result;
}

int main(int argc, char **argv)
{
	static struct daemon d = {.users_fd = -1, .signal_fd = -1};
	struct startup_options options = {0};
	struct error err = ERROR_INIT;

	umask(022);
	if (parse_options(argc, argv, &options, &err) == -1)
		return error_report(&err);
	if (options.print) {
		puts(options.print);
		return 0;
	}
	if (options.make)
		return startup_make(&options, &err) == -1 ? error_report(&err) : 0;
	if (startup_prepare(&d.start, &options, &err) == -1)
		return error_report(&err);
	d.loop = loop_new();
	if (end(&d, serve(&d, &err), &err) == -1)
		return error_report(&err);
	log_line("ended");
	return 0;
}
