#include "receiver/listener.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <signal.h>
#include "common/address.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/wire.h"
#include "receiver/errand.h"

enum {
	BACKLOG = 1024,
	ACCEPTS_A_TURN = 16,
	SPARES = 2,
	SPARES_MAX = 8,
	QUIET_MS = 10000,      /* without a connection that had to wait: back to SPARES */
	RETRY_MS = 1000,       /* after a session that died unused, or without descriptors */
	GRACE_EXTRA_MS = 5000, /* the session ends itself in time; this is for one that does not */
	LINGER_MS = 10000,     /* from the end of its socket to its own */
	LOG_FULL_MS = 1000,    /* between two lines that tell of closed connections */
};

#define SESSION_USER "silver-session"

struct session {
	struct listener *listener;
	unsigned number; /* 0: a spare */
	struct child *child;
	int fd; /* a spare's socket; the monitor has it afterwards */
	struct client *client;
	struct timer *deadline;
	char *source;
	bool ending; /* it was told to go and counts no more */
	struct session *next, **prev;
};

struct listener {
	struct loop *loop;
	const struct node *node;
	struct monitor *monitor;
	int fd;
	struct watch *watch;
	char *host_key;
	struct strv session_argv;
	struct session *oldest, **newest; /* those that serve, by age */
	struct session *spares;
	unsigned n_spares, wanted_spares, last_number;
	struct timer *quiet, *retry;
	int64_t full_logged_ms;
};

static void on_connection(void *ctx);
static void fill_spares(void *ctx);

struct listener *listener_new(struct loop *loop, const struct node *node, struct monitor *monitor,
			      int fd, const char *host_key)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	*l = (struct listener){.loop = loop,
			       .node = node,
			       .monitor = monitor,
			       .fd = fd,
			       .host_key = xstrdup(host_key),
			       .wanted_spares = SPARES};
	l->newest = &l->oldest;
	return l;
}

/* The list of the serving is kept by age; the spares' list has no order. */
static void link_session(struct session **at, struct session *s)
{
	s->next = *at;
	s->prev = at;
	if (s->next)
		s->next->prev = &s->next;
	*at = s;
}

static void unlink_session(struct session *s)
{
	struct listener *l = s->listener;

	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	else if (s->number)
		l->newest = s->prev;
}

static void session_free(struct session *s)
{
	unlink_session(s);
	if (!s->number)
		s->listener->n_spares--;
	loop_cancel(&s->deadline);
	client_drop(&s->client);
	fd_close(&s->fd);
	free(s->source);
	free(s);
}

static void session_ended(void *ctx, int status)
{
	struct session *s = ctx;
	struct listener *l = s->listener;

	if (!s->number && !s->ending)
		log_line("a waiting session ended with status %d", status);
	else if (s->number && status > E_REFUSED && !s->ending) /* 1: nobody logged in */
		log_line("session %u: ended with status %d", s->number, status);
	else if (s->number)
		log_line("session %u: closed", s->number);
	session_free(s);
	if (l->watch && l->n_spares < l->wanted_spares && !l->retry)
		loop_timer(l->loop, &l->retry, RETRY_MS, fill_spares, l);
}

static void session_kill(struct session *s)
{
	s->ending = true;
	child_signal(s->child, SIGKILL);
}

static void deadline_passed(void *ctx)
{
	struct session *s = ctx;

	if (s->client && client_has_logged_in(s->client))
		return;
	log_line("session %u: ended: %s", s->number,
		 s->client ? "no login in time" : "it did not end by itself");
	session_kill(s);
}

/* The monitor is through with it. The process ends by itself; the client may still have to read its
 * last words. */
static void client_gone(void *ctx, bool broken)
{
	struct session *s = ctx;

	s->client = NULL;
	if (broken)
		session_kill(s);
	else
		loop_timer(s->listener->loop, &s->deadline, LINGER_MS, deadline_passed, s);
}

static struct session *session_start(struct listener *l, struct error *err)
{
	autofree char *program = proc_program("silver-session");
	char path[] = "PATH=" CHILD_PATH;
	char *envp[] = {path, NULL};
	struct proc_spec spec = {.path = program,
				 .argv = strv_argv(&l->session_argv),
				 .envp = envp,
				 .in = -1,
				 .out = -1,
				 .err = STDERR_FILENO,
				 .new_session = true};
	struct session *s;
	int pair[2];
	pid_t pid;

	if (wire_pair(pair, err) == -1)
		return NULL;
	spec.fds = &(struct proc_fd){pair[1], 3};
	spec.n_fds = 1;
	if (proc_start(&spec, &pid, err) == -1) {
		close(pair[0]);
		close(pair[1]);
		return NULL;
	}
	close(pair[1]);
	s = xcalloc(1, sizeof(*s));
	*s = (struct session){.listener = l, .fd = pair[0]};
	loop_child(l->loop, &s->child, pid, true, session_ended, s);
	link_session(&l->spares, s);
	l->n_spares++;
	return s;
}

static void fill_spares(void *ctx)
{
	struct listener *l = ctx;
	struct error err = ERROR_INIT;

	while (l->watch && l->n_spares < l->wanted_spares) {
		if (session_start(l, &err))
			continue;
		log_line("cannot start a session: %s", err.text);
		loop_timer(l->loop, &l->retry, RETRY_MS, fill_spares, l);
		return;
	}
}

static void end_spare(struct session *s)
{
	s->ending = true;
	fd_close(&s->fd); /* it ends when its monitor is gone */
	child_signal(s->child, SIGTERM);
}

static void become_quiet(void *ctx)
{
	struct listener *l = ctx;
	unsigned surplus = l->n_spares > SPARES ? l->n_spares - SPARES : 0;

	l->wanted_spares = SPARES;
	for (struct session *s = l->spares; s && surplus; s = s->next, surplus--)
		end_spare(s);
}

/* A spare, or where more connections come than spares are ready, one that starts now. */
static struct session *take_spare(struct listener *l, struct error *err)
{
	for (struct session *s = l->spares; s; s = s->next)
		if (!s->ending)
			return s;
	if (l->wanted_spares < SPARES_MAX)
		l->wanted_spares *= 2;
	loop_timer(l->loop, &l->quiet, QUIET_MS, become_quiet, l);
	return session_start(l, err);
}

static char *source_of(const union address *peer)
{
	union address net = *peer;
	char *text = address_host(peer);

	if (!strchr(text, ':'))
		return text;
	free(text);
	memset(&net.v6.sin6_addr.s6_addr[8], 0, 8);
	return address_host(&net);
}

static bool is_starting(const struct session *s)
{
	return !s->ending && s->client && !client_has_logged_in(s->client);
}

static unsigned count_starting(const struct listener *l, const char *source)
{
	unsigned n = 0;

	for (const struct session *s = l->oldest; s; s = s->next)
		n += is_starting(s) && (!source || !strcmp(s->source, source));
	return n;
}

static void make_room(struct listener *l)
{
	struct session *victim = NULL;
	unsigned most = 0;

	if (count_starting(l, NULL) < l->node->max_startups)
		return;
	for (struct session *s = l->oldest; s; s = s->next) {
		unsigned n = is_starting(s) ? count_starting(l, s->source) : 0;

		if (n > most) {
			most = n;
			victim = s;
		}
		if (most > l->node->max_startups / 2)
			break; /* no other source can have more */
	}
	if (!victim)
		return;
	log_line("session %u: ended: makes room for a new connection (%u wait for a login, %u of "
		 "them from %s)",
		 victim->number, l->node->max_startups, most, victim->source);
	session_kill(victim);
}

size_t listener_sessions(const struct listener *l)
{
	size_t n = 0;

	for (const struct session *s = l->oldest; s; s = s->next)
		n++;
	return n;
}

static bool is_full(struct listener *l)
{
	size_t n = listener_sessions(l);
	int64_t now = clock_ms();

	if (n < l->node->max_sessions)
		return false;
	if (now - l->full_logged_ms >= LOG_FULL_MS)
		log_line("closing new connections: %zu are open (max_sessions)", n);
	l->full_logged_ms = now;
	return true;
}

static void set_options(int fd)
{
	int on = 1, idle = 60;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* From a spare to one that serves. */
static void promote(struct session *s, const union address *peer)
{
	struct listener *l = s->listener;

	unlink_session(s);
	l->n_spares--;
	s->number = ++l->last_number;
	s->source = source_of(peer);
	s->next = NULL;
	s->prev = l->newest;
	*l->newest = s;
	l->newest = &s->next;
}

static void serve(struct listener *l, int fd, const union address *peer)
{
	autofree char *host = address_host(peer);
	autofree char *text = address_text(peer);
	autofree char *grace = xasprintf("%d", l->node->grace_ms);
	autofree char *idle = xasprintf("%d", l->node->idle_ms);
	const char *words[] = {"serve", host, l->host_key, grace, idle};
	struct error err = ERROR_INIT;
	struct session *s = take_spare(l, &err);

	if (!s || wire_send(s->fd, words, ARRAY_SIZE(words), &fd, 1, &err) == -1) {
		log_line("closing a connection from %s: %s", text, err.text);
		if (s)
			session_kill(s);
		return;
	}
	promote(s, peer);
	log_line("session %u: connection from %s", s->number, text);
	s->client =
		monitor_add_session(l->monitor, steal_fd(&s->fd), s->number, host, client_gone, s);
	loop_timer(l->loop, &s->deadline, l->node->grace_ms + GRACE_EXTRA_MS, deadline_passed, s);
}

static void listen_again(void *ctx)
{
	struct listener *l = ctx;

	if (l->fd != -1 && !l->watch)
		l->watch = loop_watch(l->loop, l->fd, EPOLLIN, on_connection, l);
	fill_spares(l);
}

static void on_connection(void *ctx)
{
	struct listener *l = ctx;

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		union address peer = {0};
		socklen_t len = sizeof(peer);
		autoclose int fd = accept4(l->fd, &peer.any, &len, SOCK_CLOEXEC);

		if (fd == -1 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS)) {
			log_line("cannot accept: %s", strerror(errno));
			loop_unwatch(&l->watch); /* or it would be told at once again, and again */
			loop_timer(l->loop, &l->retry, RETRY_MS, listen_again, l);
			return;
		}
		if (fd == -1)
			break;
		if (is_full(l))
			continue;
		set_options(fd);
		make_room(l);
		serve(l, fd, &peer);
	}
	fill_spares(l);
}

/* As root a session is told where it is to lock itself in, and as whom. */
static int find_session_arguments(struct listener *l, struct error *err)
{
	struct passwd room, *user = NULL;
	char buf[4096];

	strv_add(&l->session_argv, "silver-session");
	if (geteuid() != 0)
		return 0;
	if (getpwnam_r(SESSION_USER, &room, buf, sizeof(buf), &user) != 0 || !user)
		return error_set(err, E_SYSTEM, "there is no user '" SESSION_USER "'");
	strv_add(&l->session_argv, "--root");
	strv_addf(&l->session_argv, "%s/run/empty", l->node->dir);
	strv_add(&l->session_argv, "--uid");
	strv_addf(&l->session_argv, "%u", (unsigned)user->pw_uid);
	strv_add(&l->session_argv, "--gid");
	strv_addf(&l->session_argv, "%u", (unsigned)user->pw_gid);
	return 0;
}

int listener_start(struct listener *l, struct error *err)
{
	if (find_session_arguments(l, err) == -1)
		return -1;
	if (listen(l->fd, BACKLOG) == -1)
		return error_sys(err, errno, "cannot listen on %s", l->node->ssh);
	listen_again(l);
	return 0;
}

void listener_close(struct listener *l)
{
	loop_unwatch(&l->watch);
	loop_cancel(&l->retry);
	loop_cancel(&l->quiet);
	fd_close(&l->fd);
	for (struct session *s = l->spares; s; s = s->next)
		end_spare(s);
	for (struct session *s = l->oldest; s; s = s->next)
		if (!s->client || !client_has_job(s->client))
			session_kill(s);
}

void listener_kill(struct listener *l)
{
	for (struct session *s = l->oldest; s; s = s->next)
		session_kill(s);
}
