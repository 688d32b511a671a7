#include "receiver/ssh_pump.h"

#include <errno.h>
#include <fcntl.h>
#include "common/proc.h"

#define CHUNK       65536     /* 4 KB reads of the child halve the speed */
#define PIPE_BYTES  (1 << 20) /* of a pipe that turns out to carry much */
#define WINDOW      1280000   /* libssh's own; a session shall stay below 10 MB */
#define WINDOW_FAR  2097152   /* as OpenSSH's, for a peer farther away than FAR_US */
#define WINDOW_STEP 262144    /* libssh re-opens it at half, which stalls on a long way */
#define FAR_US      10000
#define LINGER_MS   1000 /* silence after which output that outlives the child is nobody's */

/* From the child to the client. */
struct stream {
	int fd; /* -1: at its end */
	bool is_stderr, wide;
	size_t at, len; /* bytes[at..len) were read and not yet sent */
	char bytes[CHUNK];
};

struct ssh_pump {
	struct ssh_conn *conn;
	const struct ssh_request *request;
	struct session_monitor *monitor;
	struct ssh_channel_callbacks_struct callbacks;
	bool pty;  /* out.fd is also `in`, and the one that is closed */
	bool seal; /* a NUL is still due behind the client's last byte */
	struct stream out, err;

	/* From the client to the child: first the stash, then what libssh holds. While the stash
	 * has bytes nothing is taken out of libssh, so that its window closes. */
	int in; /* -1: closed, what still comes is thrown away */
	bool in_wide;
	char *stash;
	size_t stash_at, stash_len;
	size_t held;        /* bytes in libssh that the pipe did not take */
	size_t since_grown; /* bytes taken since the window was last opened wide */
	size_t window;

	bool ended;
	int status;
	int64_t moved_ms; /* when a byte last moved to or from the client */
	int64_t read_ms;  /* when the child last said something, or ended */
};

/* --- the client's bytes to the child --- */

static void close_in(struct ssh_pump *p)
{
	if (p->pty)
		p->in = -1;
	else
		fd_close(&p->in);
}

/* A pipe that runs full (or is found full) once is worth a megabyte. */
static bool widen(int fd, bool *wide)
{
	bool first = !*wide;

	*wide = true;
	return first && fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES) != -1;
}

/* What the pipe takes now; all, when the child has closed its end and wants no more. */
static size_t write_in(struct ssh_pump *p, const char *bytes, size_t len)
{
	size_t done = 0;

	while (p->in != -1 && done < len) {
		ssize_t n = write(p->in, bytes + done, len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == -1 && errno == EAGAIN && !widen(p->in, &p->in_wide))
			return done;
		else if (n == -1 && errno != EAGAIN && errno != EINTR)
			close_in(p);
	}
	return len;
}

/* libssh's callback, inside one of its turns: takes and returns, never more. `bytes` is all that
 * libssh holds, old and new. */
static int on_data(ssh_session session, ssh_channel channel, void *bytes, uint32_t len,
		   int is_stderr, void *userdata)
{
	struct ssh_pump *p = userdata;
	size_t taken;

	(void)session;
	(void)channel;
	p->moved_ms = clock_ms();
	if (is_stderr)
		return (int)len;
	taken = p->stash_len || p->held ? 0 : write_in(p, bytes, len);
	p->held = len - taken;
	p->since_grown += taken;
	return (int)taken;
}

static void drop_stash(struct ssh_pump *p)
{
	free(p->stash);
	p->stash = NULL;
	p->stash_at = p->stash_len = 0;
}

/* Takes at most `len` out of libssh, which opens the window to `len` if it is less. Only when the
 * stash is empty, and only all of what libssh holds at once: each read re-opens the window, so
 * small ones would let the client fill memory. */
static void fill_stash(struct ssh_pump *p, size_t len)
{
	int n;

	p->stash = xmalloc(len);
	n = ssh_channel_read_timeout(p->request->channel, p->stash, (uint32_t)len, 0, 0);
	if (n > 0) {
		p->held = 0;
		p->since_grown += (size_t)n;
		p->stash_len = (size_t)n;
	}
}

static void flush_stash(struct ssh_pump *p)
{
	p->stash_at += write_in(p, p->stash + p->stash_at, p->stash_len - p->stash_at);
	if (p->stash_at == p->stash_len)
		drop_stash(p);
}

static bool client_has_finished(const struct ssh_pump *p)
{
	return ssh_channel_is_eof(p->request->channel) != 0; /* 0 while libssh holds bytes */
}

/* The client's own end of its input. A sealed one has a NUL behind it: without that the child knows
 * that it was cut off, which the end of a pipe does not tell. */
static void finish_in(struct ssh_pump *p)
{
	if (p->seal) {
		p->seal = false;
		p->stash = xcalloc(1, 1);
		p->stash_len = 1;
		flush_stash(p);
	}
	if (!p->stash_len)
		close_in(p);
}

/* `ready`: poll says the pipe takes bytes. */
static void feed(struct ssh_pump *p, bool ready)
{
	if (ready && p->stash_len)
		flush_stash(p);
	if (ready && p->held && !p->stash_len) {
		fill_stash(p, p->held);
		flush_stash(p);
	}
	if (p->since_grown >= WINDOW_STEP && !p->held && !p->stash_len) {
		p->since_grown = 0; /* the child keeps up: keep the window wide open */
		fill_stash(p, p->window);
		flush_stash(p);
	}
	if (!p->stash_len && client_has_finished(p))
		finish_in(p);
}

/* --- the child's bytes to the client --- */

/* False when nothing is there now. */
static bool read_child(struct stream *s)
{
	ssize_t n = read(s->fd, s->bytes, sizeof(s->bytes));

	s->at = 0;
	s->len = n > 0 ? (size_t)n : 0;
	if (n == (ssize_t)sizeof(s->bytes))
		widen(s->fd, &s->wide);
	if (n == 0 ||
	    (n == -1 && errno != EAGAIN && errno != EINTR)) /* EIO: a pty's last user left */
		fd_close(&s->fd);
	return n > 0;
}

static bool client_takes_bytes(const struct ssh_pump *p)
{
	return !p->conn->gone && !p->request->closed && !ssh_conn_is_clogged(p->conn) &&
	       ssh_channel_window_size(p->request->channel) > 0;
}

static int write_channel(const struct ssh_pump *p, const struct stream *s)
{
	uint32_t len = (uint32_t)(s->len - s->at);

	if (s->is_stderr)
		return ssh_channel_write_stderr(p->request->channel, s->bytes + s->at, len);
	return ssh_channel_write(p->request->channel, s->bytes + s->at, len);
}

/* One chunk. A short write is a closed window or a re-key: the rest stays, and is tried again after
 * the next event of the socket, which is what ends either. */
static void forward(struct ssh_pump *p, struct stream *s, bool ready)
{
	int n;

	if (!client_takes_bytes(p))
		return;
	if (s->at == s->len && (!ready || s->fd == -1 || !read_child(s)))
		return;
	if (ready)
		p->read_ms = clock_ms();
	n = write_channel(p, s);
	if (n < 0) {
		p->conn->gone = true;
		return;
	}
	if (n > 0)
		p->moved_ms = clock_ms();
	s->at += (size_t)n;
}

/* --- the loop --- */

static bool wants_child(const struct ssh_pump *p, const struct stream *s)
{
	return s->fd != -1 && s->at == s->len && client_takes_bytes(p);
}

static bool has_unsent(const struct ssh_pump *p)
{
	return p->out.at < p->out.len || p->err.at < p->err.len;
}

/* The idle time is the client's: it counts while its stdin is open and the child may wait for it,
 * or while it does not take what the child said. A child that computes after the client's EOF is
 * not idle. */
static bool is_clients_turn(const struct ssh_pump *p)
{
	return (p->in != -1 && !p->stash_len && !p->held && !client_has_finished(p)) ||
	       !client_takes_bytes(p) || has_unsent(p);
}

static int64_t idle_deadline(const struct ssh_pump *p, int idle_ms)
{
	return idle_ms >= 0 && is_clients_turn(p) ? p->moved_ms + idle_ms : INT64_MAX;
}

/* A process that the child left behind may hold its output open for ever. */
static int64_t linger_deadline(const struct ssh_pump *p)
{
	return p->ended && client_takes_bytes(p) && !has_unsent(p) ? p->read_ms + LINGER_MS
								   : INT64_MAX;
}

static bool output_is_over(const struct ssh_pump *p)
{
	if (has_unsent(p))
		return false;
	return (p->out.fd == -1 && p->err.fd == -1) || clock_ms() >= linger_deadline(p);
}

static bool is_over(struct ssh_pump *p, int idle_ms, enum pump_end *end)
{
	if (p->conn->gone || p->request->closed)
		*end = PUMP_VANISHED;
	else if (output_is_over(p) && (p->ended || p->monitor->gone))
		*end = p->ended ? PUMP_EXIT : PUMP_ORPHAN;
	else if (clock_ms() >= idle_deadline(p, idle_ms))
		*end = PUMP_IDLE;
	else
		return false;
	return true;
}

static int hear_monitor(struct ssh_pump *p, struct error *err)
{
	int r = session_monitor_exit(p->monitor, &p->status, err);

	if (r == 1) {
		p->ended = true;
		p->read_ms = clock_ms();
	}
	return r == -1 ? -1 : 0;
}

static int timeout(const struct ssh_pump *p, int idle_ms)
{
	int64_t idle = idle_deadline(p, idle_ms), linger = linger_deadline(p);
	int64_t first = idle < linger ? idle : linger, left;

	if (first == INT64_MAX)
		return -1;
	left = first - clock_ms();
	return left > 0 ? (int)left : 0;
}

enum { CONN, MONITOR, IN, OUT, ERR, N_FDS };

/* poll() ignores an entry of -1, and so hears no POLLHUP of a pipe that is not wanted now. */
static void ask_for(const struct ssh_pump *p, struct pollfd *f)
{
	bool feeding = p->stash_len || p->held;

	f[CONN] = ssh_conn_pollfd(p->conn);
	f[MONITOR] = (struct pollfd){p->ended || p->monitor->gone ? -1 : p->monitor->fd, POLLIN, 0};
	f[IN] = (struct pollfd){feeding ? p->in : -1, POLLOUT, 0};
	f[OUT] = (struct pollfd){wants_child(p, &p->out) ? p->out.fd : -1, POLLIN, 0};
	f[ERR] = (struct pollfd){wants_child(p, &p->err) ? p->err.fd : -1, POLLIN, 0};
}

/* Sending comes last: what arrives while it does is seen before the next poll. */
static int turn(struct ssh_pump *p, int idle_ms, struct error *err)
{
	struct pollfd f[N_FDS];

	ask_for(p, f);
	if (poll(f, N_FDS, timeout(p, idle_ms)) == -1)
		return errno == EINTR ? 0 : error_sys(err, errno, "cannot poll");
	ssh_conn_turn(p->conn, f[CONN].revents);
	if (f[MONITOR].revents && hear_monitor(p, err) == -1)
		return -1;
	if (p->conn->gone)
		return 0;
	feed(p, f[IN].revents != 0);
	forward(p, &p->err, f[ERR].revents != 0);
	forward(p, &p->out, f[OUT].revents != 0);
	return 0;
}

int ssh_pump_run(struct ssh_pump *p, int idle_ms, enum pump_end *end, int *status,
		 struct error *err)
{
	/* Bytes may have come before we were listening. Nor may the first wait for a round trip:
	 * the channel was opened with 32 KB. */
	p->moved_ms = p->read_ms = clock_ms();
	fill_stash(p, p->window);
	flush_stash(p);
	feed(p, false);
	while (!is_over(p, idle_ms, end))
		if (turn(p, idle_ms, err) == -1)
			return -1;
	*status = p->status;
	return 0;
}

void ssh_pump_drain(struct ssh_pump *p)
{
	/* What libssh still holds is lost with the connection: then the child shall see an early
	 * end. */
	if (!p->stash_len || p->held || !client_has_finished(p))
		close_in(p);
	while (p->out.fd != -1 || p->err.fd != -1) {
		struct pollfd f[] = {
			{p->in != -1 ? p->in : -1, POLLOUT, 0},
			{p->out.fd, POLLIN, 0},
			{p->err.fd, POLLIN, 0},
		};

		if (poll(f, ARRAY_SIZE(f), -1) == -1 && errno != EINTR)
			return;
		if (f[0].revents)
			flush_stash(p);
		if (!p->stash_len)
			finish_in(p);
		if (f[1].revents)
			(void)read_child(&p->out);
		if (f[2].revents)
			(void)read_child(&p->err);
	}
}

static int no_wait(int fd)
{
	if (fd != -1)
		(void)fcntl(fd, F_SETFL, O_NONBLOCK); /* fails for no descriptor that is open */
	return fd;
}

struct ssh_pump *ssh_pump_new(struct ssh_conn *c, const struct ssh_request *r,
			      struct session_monitor *m, const struct session_run *run)
{
	struct ssh_pump *p = xcalloc(1, sizeof(*p));

	p->conn = c;
	p->request = r;
	p->monitor = m;
	p->window = ssh_conn_round_trip_us(c) > FAR_US ? WINDOW_FAR : WINDOW;
	p->pty = run->pty;
	p->seal = run->seal;
	p->in = no_wait(run->in);
	p->out.fd = no_wait(run->out);
	p->err.fd = no_wait(run->err);
	p->err.is_stderr = true;
	p->callbacks.userdata = p;
	p->callbacks.channel_data_function = on_data;
	ssh_callbacks_init(&p->callbacks);
	ssh_add_channel_callbacks(r->channel, &p->callbacks);
	return p;
}

void ssh_pump_free(struct ssh_pump *p)
{
	close_in(p);
	fd_close(&p->out.fd);
	fd_close(&p->err.fd);
	drop_stash(p);
	free(p);
}
