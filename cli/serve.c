/* serve.c - `silver serve`: a working tree on a node of one's own, deployed again when it changes.
 *
 * It is a node as any other, so that what is served here is served there: the same gate, order of
 * paths, processes and environment. What differs is `SILVER_VERSION`, which begins with "devel/",
 * and what [devel] and [devel:APP] of ~/.config/silver/silver.ini put over the environment. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include "cli/command.h"
#include "cli/settings.h"
#include "cli/devnode.h"
#include "cli/git.h"
#include "cli/remotes.h"
#include "cli/rollout.h"
#include "cli/snapshot.h"
#include "cli/watch.h"
#include "common/ini.h"
#include "common/proc.h"

#define QUIET_MS   150  /* an editor that saves several files is waited for */
#define PATIENT_MS 2000 /* but not for ever */

struct serve {
	char *top, *app;
	struct devnode node;
	struct watch *watch;
	struct place place;
	int signals, node_fd;
	pid_t logs;
	bool told;
};

/* --- overrides ----------------------------------------------------------------------------------
 */

static void add_section(const struct ini *ini, const char *section, struct strv *out)
{
	for (size_t i = 0; i < ini->n; i++)
		if (!strcmp(ini->v[i].section, section))
			strv_addf(out, "%s=%s", ini->v[i].key, ini->v[i].value);
}

/* What is for the app counts over what is for all: it comes last. */
static int read_overrides(const char *app, struct strv *out, struct error *err)
{
	autoini struct ini ini = INI_INIT;
	autofree char *dir = settings_dir(), *own = xasprintf("devel:%s", app);
	autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd == -1)
		return error_sys(err, errno, "cannot open '%s'", dir);
	if (ini_read(fd, "silver.ini", &ini, err) == -1)
		return err->code == E_NOTFOUND ? 0 : error_prefix(err, "%s", dir);
	add_section(&ini, "devel", out);
	add_section(&ini, own, out);
	return 0;
}

/* --- deploying ----------------------------------------------------------------------------------
 */

static int start_logs(struct serve *s, struct error *err)
{
	const char *words[] = {"logs", s->app, "-f", "-n", "0", NULL};

	return s->logs != -1 ? 0 : devnode_ask(&s->node, words, &s->logs, err);
}

static void tell_address(struct serve *s)
{
	if (s->told)
		return;
	printf("silver: serving %s at http://%s.localhost%s/ (Ctrl-C ends it)\n", s->top, s->app,
	       strrchr(s->node.http, ':'));
	fflush(stdout);
	s->told = true;
}

static int push(struct serve *s, const char *commit, struct error *err)
{
	struct rollout r = {.top = s->top,
			    .place = &s->place,
			    .app = s->app,
			    .commit = commit,
			    .snapshot = true,
			    .again = "silver serve",
			    .env = strv_argv(&s->node.env),
			    .force = true,
			    .terse = true};
	int status;

	if (rollout_run(&r, &status, err) == -1)
		return -1;
	return status == 0 ? 0 : 1;
}

/* A release keeps the environment that it was made with. */
static int take_overrides(struct serve *s, struct error *err)
{
	const char *words[] = {"redeploy", s->app, NULL};
	pid_t pid = -1;
	int status;

	if (!s->node.overrides_changed)
		return 0;
	s->node.overrides_changed = false;
	if (devnode_ask(&s->node, words, &pid, err) == -1)
		return -1;
	return proc_wait(pid, -1, &status, err);
}

/* What is wrong with the tree is told, and waits for the next change. */
static int deploy(struct serve *s, struct error *err)
{
	struct snapshot made;
	struct error why = ERROR_INIT;
	int r;

	if (watch_again(s->watch, err) == -1)
		return -1;
	if (snapshot_make(&made, s->top, &why) == -1) {
		error_report(&why);
		return 0;
	}
	r = push(s, made.commit, &why);
	if (r == -1)
		error_report(&why);
	if (r == 0) {
		if (take_overrides(s, err) == -1)
			return -1;
		tell_address(s);
		return start_logs(s, err);
	}
	fputs("silver: waiting for a change that mends it\n", stderr);
	return 0;
}

/* --- waiting ------------------------------------------------------------------------------------
 */

static bool more_comes(struct serve *s, int64_t until)
{
	struct pollfd p = {.fd = watch_fd(s->watch), .events = POLLIN};

	if (clock_ms() >= until || poll(&p, 1, QUIET_MS) <= 0)
		return false;
	watch_take(s->watch);
	return true;
}

/* 1: the tree has changed; 0: asked to end. */
static int wait_change(struct serve *s, struct error *err)
{
	for (;;) {
		struct pollfd p[] = {{.fd = s->signals, .events = POLLIN},
				     {.fd = s->node_fd, .events = POLLIN},
				     {.fd = watch_fd(s->watch), .events = POLLIN}};

		if (poll(p, ARRAY_SIZE(p), -1) == -1 && errno != EINTR)
			return error_sys(err, errno, "cannot wait");
		if (p[0].revents)
			return 0;
		if (p[1].revents)
			return error_set(err, E_SYSTEM,
					 "the node has ended; %s/silverd.log has why",
					 s->node.home);
		if (p[2].revents && watch_take(s->watch)) {
			int64_t until = clock_ms() + PATIENT_MS;

			while (more_comes(s, until))
				;
			return 1;
		}
	}
}

static int watch_signals(struct serve *s, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		return error_sys(err, errno, "cannot block signals");
	s->signals = signalfd(-1, &set, SFD_CLOEXEC);
	return s->signals == -1 ? error_sys(err, errno, "cannot watch signals") : 0;
}

static int start(struct serve *s, unsigned port, struct error *err)
{
	autostrv struct strv overrides = STRV_INIT;
	autofree char *url = NULL;

	if (read_overrides(s->app, &overrides, err) == -1 ||
	    watch_new(&s->watch, s->top, err) == -1 || watch_signals(s, err) == -1 ||
	    devnode_start(&s->node, s->top, &overrides, port, err) == -1)
		return -1;
	s->node_fd = pidfd_open(s->node.pid, 0);
	if (s->node_fd == -1)
		return error_sys(err, errno, "cannot watch the node");
	if (place_url_of(s->node.ssh, s->app, &url, err) == -1)
		return -1;
	s->place = (struct place){.remote = xstrdup("serve"), .n = 1};
	s->place.host = xcalloc(1, sizeof(*s->place.host));
	place_parse_url(&s->place.host[0], url);
	return 0;
}

static int run(struct serve *s, struct error *err)
{
	int changed;

	do {
		if (deploy(s, err) == -1)
			return -1;
		changed = wait_change(s, err);
	} while (changed == 1);
	return changed;
}

static void end(struct serve *s)
{
	struct error none = ERROR_INIT;
	int status;

	if (s->logs != -1) {
		kill(s->logs, SIGTERM);
		if (proc_wait(s->logs, -1, &status, &none) == -1)
			error_report(&none);
	}
	devnode_release(&s->node);
	watch_free(s->watch);
	place_release(&s->place);
	fd_close(&s->signals);
	fd_close(&s->node_fd);
	free(s->top);
	free(s->app);
}

int cmd_serve(struct call *call, struct error *err)
{
	const struct args *a = &call->args;
	struct serve s = {.node = {.pid = -1}, .signals = -1, .node_fd = -1, .logs = -1};
	uint64_t port = 0;
	int r;

	if (args_value(a, "--port") && !str_to_uint(args_value(a, "--port"), 65535, &port))
		return error_set(err, E_USAGE, "'%s' is no port", args_value(a, "--port"));
	r = git_top(a->words.n ? a->words.v[0] : NULL, &s.top, err);
	if (r == 0)
		r = remotes_app(s.top, args_value(a, "--app"), &s.app, err);
	if (r == 0)
		r = start(&s, (unsigned)port, err);
	if (r == 0)
		r = run(&s, err);
	end(&s);
	return r;
}
