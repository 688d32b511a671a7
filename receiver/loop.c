#include "receiver/loop.h"
#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include "common/log.h"
#include "common/proc.h"

enum {
	EVENTS = 64,
	LATE_MS = 100, /* between two tries to watch what could not be watched */
};

struct watch {
	struct loop *loop;
	int fd;
	watch_fn fn; /* NULL: ended */
	void *ctx;
	bool is_late; /* not with epoll yet */
	uint32_t events;
	struct watch *next_dead, *next_late;
};

struct timer {
	struct loop *loop;
	int64_t at_ms;
	timer_fn fn;
	void *ctx;
	struct timer **slot;
	struct timer *next;
};

struct child {
	struct loop *loop;
	pid_t pid;
	int pidfd;
	bool whole_group;
	child_fn fn;
	void *ctx;
	struct child **slot; /* NULL: forgotten */
	struct watch *watch;
	struct child *next, **prev;
};

struct loop {
	int epoll_fd;
	bool stop;
	struct watch *dead;   /* freed when no event of this turn can name them any more */
	struct watch *late;   /* the kernel had no room for them; tried again each turn */
	struct timer *timers; /* by time */
	struct child *children;
};

struct loop *loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd == -1)
		abort();
	return loop;
}

static void free_dead(struct loop *loop)
{
	while (loop->dead) {
		struct watch *w = loop->dead;

		loop->dead = w->next_dead;
		free(w);
	}
}

static bool add_watch(struct watch *w)
{
	struct epoll_event event = {.events = w->events, .data.ptr = w};

	return epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_ADD, w->fd, &event) == 0;
}

/* A node out of memory or watches (fs.epoll.max_user_watches) is late; it does not end. */
static void add_late(struct watch *w)
{
	log_line("cannot watch a descriptor: %s", strerror(errno));
	w->is_late = true;
	w->next_late = w->loop->late;
	w->loop->late = w;
}

static void add_late_again(struct loop *loop)
{
	for (struct watch **at = &loop->late; *at;) {
		struct watch *w = *at;

		if (add_watch(w)) {
			*at = w->next_late;
			w->is_late = false;
		} else {
			at = &w->next_late;
		}
	}
}

struct watch *loop_watch(struct loop *loop, int fd, uint32_t events, watch_fn fn, void *ctx)
{
	struct watch *w = xcalloc(1, sizeof(*w));

	*w = (struct watch){.loop = loop, .fd = fd, .fn = fn, .ctx = ctx, .events = events};
	if (!add_watch(w))
		add_late(w);
	return w;
}

static void forget_late(struct watch *w)
{
	struct watch **at = &w->loop->late;

	while (*at != w)
		at = &(*at)->next_late;
	*at = w->next_late;
}

void loop_unwatch(struct watch **watch)
{
	struct watch *w = *watch;

	if (!w)
		return;
	*watch = NULL;
	if (w->is_late)
		forget_late(w);
	else
		epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	w->fn = NULL;
	w->next_dead = w->loop->dead;
	w->loop->dead = w;
}

void loop_timer(struct loop *loop, struct timer **slot, int64_t delay_ms, timer_fn fn, void *ctx)
{
	struct timer *t = xcalloc(1, sizeof(*t));
	struct timer **at = &loop->timers;

	loop_cancel(slot);
	*t = (struct timer){
		.loop = loop, .at_ms = clock_ms() + delay_ms, .fn = fn, .ctx = ctx, .slot = slot};
	while (*at && (*at)->at_ms <= t->at_ms)
		at = &(*at)->next;
	t->next = *at;
	*at = *slot = t;
}

void loop_cancel(struct timer **slot)
{
	struct timer *t = *slot;
	struct timer **at;

	if (!t)
		return;
	*slot = NULL;
	for (at = &t->loop->timers; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	free(t);
}

static void reap(void *ctx)
{
	struct child *c = ctx;
	int status = 0;

	if (c->whole_group)
		kill(-c->pid, SIGKILL);
	while (waitpid(c->pid, &status, 0) == -1 && errno == EINTR)
		;
	loop_unwatch(&c->watch);
	fd_close(&c->pidfd);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	if (c->slot)
		*c->slot = NULL;
	if (c->fn)
		c->fn(c->ctx, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	free(c);
}

void loop_child(struct loop *loop, struct child **slot, pid_t pid, bool whole_group, child_fn fn,
		void *ctx)
{
	struct child *c = xcalloc(1, sizeof(*c));

	*c = (struct child){.loop = loop,
			    .pid = pid,
			    .pidfd = pidfd_open(pid, 0),
			    .whole_group = whole_group,
			    .fn = fn,
			    .ctx = ctx,
			    .slot = slot,
			    .next = loop->children,
			    .prev = &loop->children};
	if (c->next)
		c->next->prev = &c->next;
	loop->children = c;
	*slot = c;
	if (c->pidfd != -1)
		c->watch = loop_watch(loop, c->pidfd, EPOLLIN, reap, c);
	else
		log_line("cannot watch process %d: %s", (int)pid, strerror(errno));
}

void child_signal(const struct child *child, int signal_number)
{
	if (kill(-child->pid, signal_number) == -1)
		kill(child->pid, signal_number); /* it leads no group */
}

void child_forget(struct child **slot)
{
	if (!*slot)
		return;
	(*slot)->fn = NULL;
	(*slot)->slot = NULL;
	*slot = NULL;
}

/* Those that came when no descriptor was free: their processes are ours to wait for all the same.
 */
static void watch_late_children(struct loop *loop)
{
	for (struct child *c = loop->children; c; c = c->next) {
		if (c->pidfd != -1)
			continue;
		c->pidfd = pidfd_open(c->pid, 0);
		if (c->pidfd == -1)
			return;
		c->watch = loop_watch(loop, c->pidfd, EPOLLIN, reap, c);
	}
}

static bool is_late(const struct loop *loop)
{
	for (const struct child *c = loop->children; c; c = c->next)
		if (c->pidfd == -1)
			return true;
	return loop->late;
}

static int until_next_timer(const struct loop *loop)
{
	int64_t left;

	if (!loop->timers)
		return is_late(loop) ? LATE_MS : -1;
	left = loop->timers->at_ms - clock_ms();
	if (left > LATE_MS && is_late(loop))
		return LATE_MS;
	return left > 0 ? (int)left : 0;
}

static void fire_timers(struct loop *loop)
{
	int64_t now = clock_ms();

	while (loop->timers && loop->timers->at_ms <= now) {
		struct timer *t = loop->timers;

		loop->timers = t->next;
		*t->slot = NULL;
		t->fn(t->ctx);
		free(t);
	}
}

void loop_run(struct loop *loop)
{
	struct epoll_event events[EVENTS];

	while (!loop->stop) {
		int n = epoll_wait(loop->epoll_fd, events, EVENTS, until_next_timer(loop));

		for (int i = 0; i < n; i++) {
			struct watch *w = events[i].data.ptr;

			if (w->fn)
				w->fn(w->ctx);
		}
		fire_timers(loop);
		if (loop->late)
			add_late_again(loop);
		watch_late_children(loop);
		free_dead(loop);
	}
	loop->stop = false; /* it may be run again */
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
}
