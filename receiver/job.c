#include "receiver/job.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/wire.h"
#include "receiver/channel.h"
#include "receiver/errand.h"
#include "receiver/intake.h"
#include "receiver/offline.h"
#include "receiver/pipes.h"

enum { LOCK_FD = 3, CHANNEL_FD = 4, KILL_MS = 2000, SETTLE_NICE = 10, RECOVERIES_AT_ONCE = 4 };

/* What is under way for one app. */
struct app_state {
	char name[APP_NAME_MAX + 1];
	unsigned changing;  /* jobs that may change what is live */
	struct job *settle; /* at most one */
	struct app_state *next;
};

struct job {
	struct jobs *jobs;
	struct app_state *app; /* NULL: of no app */
	const char *verb;
	bool changes, drains, is_settle, is_recovery;
	struct child *child;     /* NULL: ended */
	struct channel *channel; /* NULL: nobody holds it */
	struct timer *kill_timer;
	struct job **slot; /* NULL: nobody waits */
	job_ended_fn ended;
	void *ctx;
	struct job *next, **prev;
};

struct jobs {
	struct loop *loop;
	const struct node *node;
	struct offline *offline;
	struct app_state *apps;
	struct job *all;
	struct strv to_recover;
	size_t recovered, recovering;
	void (*recovery_done)(void *ctx);
	void *recovery_ctx;
	bool stopping;
	struct timer *stop_timer;
	void (*stopped)(void *ctx);
	void *stop_ctx;
};

struct jobs *jobs_new(struct loop *loop, const struct node *node)
{
	struct jobs *jobs = xcalloc(1, sizeof(*jobs));

	jobs->loop = loop;
	jobs->node = node;
	jobs->offline = offline_try();
	return jobs;
}

static struct app_state *app_state(struct jobs *jobs, const char *name)
{
	struct app_state *a;

	for (a = jobs->apps; a; a = a->next)
		if (!strcmp(a->name, name))
			return a;
	a = xcalloc(1, sizeof(*a));
	snprintf(a->name, sizeof(a->name), "%s", name);
	a->next = jobs->apps;
	jobs->apps = a;
	return a;
}

/* A process group that must end: politely, then not. */
static void kill_now(void *ctx)
{
	struct job *job = ctx;

	if (job->child)
		child_signal(job->child, SIGKILL);
}

static void end_job(struct job *job, int signal_number)
{
	if (!job->child)
		return;
	child_signal(job->child, signal_number);
	if (!job->kill_timer)
		loop_timer(job->jobs->loop, &job->kill_timer, KILL_MS, kill_now, job);
}

static void settle(struct jobs *jobs, struct app_state *app);
static void recover_next(struct jobs *jobs);

static void job_free(struct job *job)
{
	loop_cancel(&job->kill_timer);
	*job->prev = job->next;
	if (job->next)
		job->next->prev = job->prev;
	free(job);
}

/* The job is over when neither its first process nor any holder of its channel is left. */
static void job_check(struct job *job)
{
	struct jobs *jobs = job->jobs;
	struct app_state *app = job->app;
	bool changed = job->changes, was_recovery = job->is_recovery;

	if (job->child || job->channel)
		return;
	if (job->is_settle &&
	    app->settle == job) /* not a later one that waits for this one's lock */
		app->settle = NULL;
	job_free(job);
	if (changed)
		app->changing--;
	/* A recovery is followed by one too: a killed silverd may have left processes of releases
	 * that are gone. */
	if ((changed || was_recovery) && app->changing == 0 && !jobs->stopping)
		settle(jobs, app);
	if (was_recovery) {
		jobs->recovering--;
		recover_next(jobs);
	}
	if (jobs->stopping && !jobs->all && jobs->stopped) {
		void (*stopped)(void *) = jobs->stopped;

		jobs->stopped = NULL;
		loop_cancel(&jobs->stop_timer);
		stopped(jobs->stop_ctx);
	}
}

static void child_ended(void *ctx, int status)
{
	struct job *job = ctx;

	loop_cancel(&job->kill_timer);
	if ((job->is_settle || job->is_recovery) && status != 0 && status != 128 + SIGTERM)
		log_line("%s: %s ended with status %d", job->app->name, job->verb, status);
	if (job->slot) {
		*job->slot = NULL;
		job->slot = NULL;
		job->ended(job->ctx, status);
	}
	job_check(job);
}

static void channel_gone(void *ctx)
{
	struct job *job = ctx;

	job->channel = NULL;
	job_check(job);
}

static struct job *job_new(struct jobs *jobs, const char *verb, const char *app)
{
	struct job *job = xcalloc(1, sizeof(*job));

	*job = (struct job){.jobs = jobs,
			    .verb = verb,
			    .app = *app ? app_state(jobs, app) : NULL,
			    .next = jobs->all,
			    .prev = &jobs->all};
	if (job->next)
		job->next->prev = &job->next;
	jobs->all = job;
	return job;
}

/* Starting a program: what it inherits, who it is, its environment. */

struct launch {
	const struct job_order *order; /* NULL: for ourselves */
	const char *app;
	int lock_fd, channel_fd, app_fd;
	bool has_terminal;
	struct strv argv, env;
};

static void launch_release(struct launch *l)
{
	fd_close(&l->lock_fd);
	fd_close(&l->channel_fd);
	fd_close(&l->app_fd);
	strv_free_p(&l->argv);
	strv_free_p(&l->env);
}

static void add_environment(struct launch *l, const struct jobs *jobs, enum command_as as)
{
	const struct job_order *o = l->order;
	const struct node *node = jobs->node;
	const char *offline;
	struct strv *env = &l->env;

	strv_add(env, "PATH=" CHILD_PATH);
	strv_add(env, "HOME=/nonexistent");
	strv_add(env, "LANG=C.UTF-8");
	strv_addf(env, "SILVER_DIR=%s", node->dir);
	strv_addf(env, "SILVER_USER=%s", o ? o->user : "silver");
	strv_addf(env, "SILVER_PEER=%s", o ? o->peer : "local");
	strv_addf(env, "SILVER_START_US=%lld", (long long)(o ? o->start_us : clock_us()));
	if (*l->app)
		strv_addf(env, "SILVER_APP=%s", l->app);
	if (o && (o->request->command->flags & INPUT))
		strv_add(env, "SILVER_INPUT=sealed");
	if (o && l->has_terminal)
		strv_addf(env, "TERM=%s", o->term);
	if (as != AS_OWNER)
		return;
	strv_addf(env, "SILVER_LOCK_FD=%d", LOCK_FD);
	strv_addf(env, "SILVER_MONITOR_FD=%d", CHANNEL_FD);
	offline = offline_dir(jobs->offline);
	if (offline)
		strv_addf(env, "LD_LIBRARY_PATH=%s", offline);
	strv_add(env, "GIT_CONFIG_NOSYSTEM=1");
	strv_add(env, "GIT_CONFIG_GLOBAL=/dev/null");
	if (o && *o->git_protocol)
		strv_addf(env, "GIT_PROTOCOL=%s", o->git_protocol);
}

/* What git is told at each push, so that repositories of any age get it. The connectivity check
 * would start `git for-each-ref` to ask what the quarantine's alternate has; that is this very
 * repository, whose refs it reads anyway: a program that says nothing costs a third. A pack of one
 * push needs no index of its own by offset (newer gits write one, with an fsync). */
static void add_git_settings(struct launch *l, const struct node *node)
{
	autofree char *hooks = proc_program("hooks");
	autofree char *input = xasprintf("%llu", (unsigned long long)intake_limit_bytes(node));
	const char *const settings[][2] = {
		{"core.hooksPath", hooks},
		{"core.alternateRefsCommand", "/bin/true"},
		{"pack.writeReverseIndex", "false"},
		{"receive.maxInputSize", input},
		{"receive.procReceiveRefs", "refs/heads"},
	};

	strv_addf(&l->env, "GIT_CONFIG_COUNT=%zu", ARRAY_SIZE(settings));
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		strv_addf(&l->env, "GIT_CONFIG_KEY_%zu=%s", i, settings[i][0]);
		strv_addf(&l->env, "GIT_CONFIG_VALUE_%zu=%s", i, settings[i][1]);
	}
}

/* What receive-pack starts as `git` is silver-git: it leaves the connectivity check to pre-receive.
 */
static void add_git_stand_in(struct launch *l)
{
	autofree char *dir = proc_program("git"), *hooks = proc_program("hooks");

	strv_addf(&l->env, "GIT_EXEC_PATH=%s", dir);
	strv_addf(&l->env, "SILVER_PRE_RECEIVE=%s/pre-receive", hooks);
}

/* What /proc shows to nobody but the program's own user. */
static void add_secret_words(struct launch *l, const struct request *r)
{
	strv_addf(&l->env, "SILVER_WORDS=%zu", r->words.n);
	for (size_t i = 0; i < r->words.n; i++)
		strv_addf(&l->env, "SILVER_WORD_%zu=%s", i, r->words.v[i]);
}

static void add_words(struct launch *l, const struct request *r)
{
	if (r->command->flags & SECRET) {
		add_secret_words(l, r);
		return;
	}
	for (size_t i = 0; i < r->words.n; i++)
		if (!(r->command->flags & CONFIRM) || strcmp(r->words.v[i], "--yes") != 0)
			strv_add(&l->argv, r->words.v[i]);
}

/* The words of the program, as docs/CONTRACT.md has them. */
static void add_arguments(struct launch *l, const struct node *node, const struct request *r)
{
	const char *program = r->command->program;

	strv_add(&l->argv, program);
	if (!strcmp(program, "git")) {
		strv_add(&l->argv, r->command->name + strlen("git-"));
		strv_addf(&l->argv, "%s/apps/%s/repo.git", node->dir, r->app);
		add_git_settings(l, node);
		if (!strcmp(r->command->name, "git-receive-pack"))
			add_git_stand_in(l);
		return;
	}
	if (r->command->as == AS_ROOT) {
		strv_add(&l->argv, "--dir");
		strv_add(&l->argv, node->dir);
	}
	if (!strcmp(program, "silver-exec")) {
		strv_add(&l->argv, r->app);
		strv_add(&l->argv, "current");
		strv_add(&l->argv, "--");
	} else {
		strv_add(&l->argv, r->command->name);
		if (*r->app)
			strv_add(&l->argv, r->app);
	}
	add_words(l, r);
}

static int set_identity(struct proc_spec *spec, const struct launch *l, struct error *err)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (fstatat(l->app_fd, "repo.git", &st, AT_SYMLINK_NOFOLLOW) == -1)
		return error_sys(err, errno, "cannot see whose '%s' is", l->app);
	if (st.st_uid == 0) /* nothing of an app runs as root, whatever happened to its files */
		return error_set(err, E_SYSTEM, "the repository of '%s' belongs to root", l->app);
	spec->drop = true;
	spec->uid = st.st_uid;
	spec->gid = st.st_gid;
	return 0;
}

/* Opens the app, its lock and a channel, of which the job's end goes to *channel. */
static int open_app(struct launch *l, const struct node *node, int *channel, struct error *err)
{
	int pair[2];

	if (node_open_app(node, l->app, &l->app_fd, err) == -1 ||
	    fs_open(l->app_fd, "lock", O_RDWR, 0, &l->lock_fd, err) == -1 ||
	    wire_pair(pair, err) == -1)
		return -1;
	l->channel_fd = pair[1];
	*channel = pair[0];
	return 0;
}

static int launch(struct job *job, struct launch *l, const char *program, enum command_as as,
		  const int std[3], struct error *err)
{
	struct jobs *jobs = job->jobs;
	autofree char *path = strcmp(program, "git") ? proc_program(program) : xstrdup("git");
	autoclose int channel = -1;
	struct proc_spec spec = {.path = path,
				 .in = std[0],
				 .out = std[1],
				 .err = std[2],
				 .new_session = true,
				 .ctty = l->has_terminal,
				 .nice = job->is_settle ? SETTLE_NICE : 0};
	struct proc_fd fds[2];
	pid_t pid;

	if (as == AS_OWNER) {
		if (open_app(l, jobs->node, &channel, err) == -1 ||
		    set_identity(&spec, l, err) == -1)
			return -1;
		fds[0] = (struct proc_fd){l->lock_fd, LOCK_FD};
		fds[1] = (struct proc_fd){l->channel_fd, CHANNEL_FD};
		spec.fds = fds;
		spec.n_fds = 2;
	}
	spec.argv = strv_argv(&l->argv);
	spec.envp = strv_argv(&l->env);
	if (proc_start(&spec, &pid, err) == -1)
		return -1;
	loop_child(jobs->loop, &job->child, pid, !job->drains, child_ended, job);
	if (as == AS_OWNER)
		job->channel = channel_new(jobs->loop, jobs->node, steal_fd(&channel), l->app,
					   job->changes || job->is_settle || job->is_recovery,
					   channel_gone, job);
	return 0;
}

/* For an app's upkeep; its words go to silverd's own log. */
static int launch_own(struct job *job, struct error *err)
{
	struct launch l = {.app = job->app->name, .lock_fd = -1, .channel_fd = -1, .app_fd = -1};
	const int std[3] = {-1, -1, STDERR_FILENO};
	int result;

	strv_add(&l.argv, "silver-deploy");
	strv_add(&l.argv, job->verb);
	strv_add(&l.argv, job->app->name);
	add_environment(&l, job->jobs, AS_OWNER);
	result = launch(job, &l, "silver-deploy", AS_OWNER, std, err);
	launch_release(&l);
	return result;
}

static void settle(struct jobs *jobs, struct app_state *app)
{
	struct job *job = job_new(jobs, "settle", app->name);
	struct error err = ERROR_INIT;

	job->is_settle = job->drains = true;
	if (launch_own(job, &err) == -1) {
		if (err.code != E_NOTFOUND) /* destroyed: nothing is left to settle */
			log_line("%s: cannot settle: %s", app->name, err.text);
		job_free(job);
		return;
	}
	app->settle = job;
}

/* A settle gives way to whoever wants to change the app; so does what it asked for, or processes
 * that it wanted gone could still be chosen while new ones start. */
static void end_settle(struct app_state *app, bool stopping)
{
	struct job *job = app->settle;

	if (!job)
		return;
	end_job(job, SIGTERM);
	if (job->channel)
		channel_end_errand(job->channel, stopping);
}

static void begin_change(struct job *job)
{
	job->changes = true;
	job->app->changing++;
	end_settle(job->app, false);
}

static uid_t runner_of(const struct node *node, const char *app)
{
	autofree char *path = xasprintf("data/%s", app);
	struct stat st;

	return fstatat(node->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_uid : 0;
}

static int make_std(const struct jobs *jobs, const struct job_order *o, bool terminal, int std[3],
		    struct job_ends *ends, struct error *err)
{
	if (terminal)
		return pipes_make_terminal(std, ends, o->cols, o->rows,
					   runner_of(jobs->node, o->request->app), err);
	if (!o->given)
		return pipes_make(std, ends, err);
	for (int i = 0; i < 3; i++) {
		std[i] = fcntl(o->given[i], F_DUPFD_CLOEXEC, 3);
		if (std[i] == -1)
			return error_sys(err, errno, "cannot copy a descriptor");
	}
	return 0;
}

static int start_ordered(struct job *job, const struct job_order *order, struct job_ends *ends,
			 struct error *err)
{
	const struct request *r = order->request;
	struct launch l = {.order = order,
			   .app = r->app,
			   .lock_fd = -1,
			   .channel_fd = -1,
			   .app_fd = -1,
			   .has_terminal = (r->command->flags & TTY) && *order->term};
	int std[3] = {-1, -1, -1};
	int result = make_std(job->jobs, order, l.has_terminal, std, ends, err);

	if (result == 0) {
		add_environment(&l, job->jobs, r->command->as);
		add_arguments(&l, job->jobs->node, r);
		result = launch(job, &l, r->command->program, r->command->as, std, err);
	}
	for (int i = 0; i < 3; i++)
		fd_close(&std[i]);
	launch_release(&l);
	if (result == -1)
		job_ends_close(ends);
	return result;
}

int job_start(struct jobs *jobs, const struct job_order *order, struct job_ends *ends,
	      struct job **slot, job_ended_fn fn, void *ctx, struct error *err)
{
	const struct command *c = order->request->command;
	struct job *job;

	if (jobs->stopping)
		return error_set(err, E_BUSY, "the node is stopping: try again when it is back");
	job = job_new(jobs, c->name, order->request->app);
	job->drains = c->flags & DRAIN;
	if ((c->flags & CHANGES) && job->app)
		begin_change(job);
	if (start_ordered(job, order, ends, err) == -1) {
		job_check(job); /* and the settle that it ended is started again */
		return -1;
	}
	job->slot = slot;
	job->ended = fn;
	job->ctx = ctx;
	*slot = job;
	return 0;
}

void job_leave(struct job **slot)
{
	struct job *job = *slot;

	if (!job)
		return;
	*slot = NULL;
	job->slot = NULL;
	if (!job->drains)
		end_job(job, SIGHUP);
}

static void recover_next(struct jobs *jobs)
{
	while (jobs->recovering < RECOVERIES_AT_ONCE && jobs->recovered < jobs->to_recover.n &&
	       !jobs->stopping) {
		struct job *job = job_new(jobs, "recover", jobs->to_recover.v[jobs->recovered++]);
		struct error err = ERROR_INIT;

		job->is_recovery = job->drains = true;
		if (launch_own(job, &err) == 0) {
			jobs->recovering++;
			continue;
		}
		log_line("%s: cannot recover: %s", job->app->name, err.text);
		job_free(job);
	}
	if (jobs->recovering == 0 && jobs->recovery_done) {
		void (*done)(void *) = jobs->recovery_done;

		jobs->recovery_done = NULL;
		done(jobs->recovery_ctx);
	}
}

void jobs_recover(struct jobs *jobs, void (*done)(void *ctx), void *ctx)
{
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;
	autoclose int apps_fd = -1;

	if (fs_open_dir(jobs->node->fd, "apps", &apps_fd, &err) == -1 ||
	    fs_list(apps_fd, &names, &err) == -1)
		log_line("cannot list the apps: %s", err.text);
	for (size_t i = 0; i < names.n; i++)
		if (name_check_app(names.v[i], &err) == 0) /* else one half made, or not ours */
			strv_add(&jobs->to_recover, names.v[i]);
	jobs->recovery_done = done;
	jobs->recovery_ctx = ctx;
	recover_next(jobs);
}

static void stop_waiting(void *ctx)
{
	struct jobs *jobs = ctx;

	for (struct job *job = jobs->all, *next; job; job = next) {
		next = job->next;
		if (job->app && job->child)
			log_line("%s: %s is cut short", job->app->name, job->verb);
		end_job(job, SIGTERM);
		if (!job->child && job->channel) /* processes that we cannot name hold it */
			channel_drop(job->channel);
	}
	loop_timer(jobs->loop, &jobs->stop_timer, KILL_MS + 500, stop_waiting, jobs);
}

void jobs_stop(struct jobs *jobs, int wait_ms, void (*done)(void *ctx), void *ctx)
{
	jobs->stopping = true;
	jobs->stopped = done;
	jobs->stop_ctx = ctx;
	for (struct job *job = jobs->all; job; job = job->next) {
		if (job->is_settle)
			end_settle(job->app, true);
		else if (job->is_recovery || !job->drains)
			end_job(job, SIGTERM);
	}
	if (!jobs->all) {
		jobs->stopped = NULL;
		done(ctx);
		return;
	}
	loop_timer(jobs->loop, &jobs->stop_timer, wait_ms, stop_waiting, jobs);
}
