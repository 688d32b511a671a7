/* silver-shell: a node behind the machine's own sshd, for operators who want no other door.
 *
 *	silver-shell keys DIR TYPE KEY	a line of authorized_keys for a key that the node knows
 *	silver-shell login DIR TYPE KEY	what that line has sshd run: $SSH_ORIGINAL_COMMAND, as the
 *					user whose key it is
 *
 * It is to the monitor what silver-session is: it says which key has logged in, gets the ends of
 * the command's pipes, and moves bytes. When the client vanishes it goes on reading, where the
 * command says so: git runs post-receive only after it has reported. silver-shell(8) has the
 * configuration of sshd. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include "cli/terminal.h"
#include "common/words.h"
#include "receiver/control.h"
#include "receiver/session_monitor.h"

#define LINGER_MS 1000 /* silence after which output that outlives the command is nobody's */
#define VANISH_MS 100  /* within which a lost client closes its other end, too */

/* --- moving bytes ------------------------------------------------------------------------------
 */

enum { IN, OUT, ERR, COPIES };

/* One direction. */
struct copy {
	int from, to; /* from: -1 at its end; to: -1: nobody takes it, it is dropped */
	size_t at, len;
	char bytes[65536];
};

struct pump {
	struct copy copy[COPIES];
	struct session_monitor *monitor;
	bool drain, seal;
	bool ended; /* the command has, with this status */
	int status;
};

/* Whether the other end of our standard output is held by somebody. */
static bool client_is_there(int wait_ms)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	return poll(&out, 1, wait_ms) <= 0 || !(out.revents & (POLLERR | POLLHUP));
}

/* A client that is lost ends its input as one does that has said all; the mark of a whole input is
 * for the latter. */
static void end_of(struct pump *p, struct copy *c)
{
	c->from = -1;
	if (c != &p->copy[IN])
		return;
	if (p->seal && c->to != -1 && client_is_there(VANISH_MS)) {
		c->bytes[0] = '\0';
		c->at = 0;
		c->len = 1;
		p->seal = false;
		return;
	}
	fd_close(&c->to);
}

static void pass_on(struct pump *p, struct copy *c)
{
	ssize_t n = c->to == -1 ? (ssize_t)c->len : write(c->to, c->bytes + c->at, c->len);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1) { /* the command wants no more, or the client is gone */
		if (c == &p->copy[IN])
			fd_close(&c->to);
		c->to = -1;
		n = (ssize_t)c->len;
	}
	c->at += (size_t)n;
	c->len -= (size_t)n;
	if (c == &p->copy[IN] && c->len == 0 && c->from == -1)
		fd_close(&c->to);
}

static void take(struct pump *p, struct copy *c)
{
	ssize_t n = read(c->from, c->bytes, sizeof(c->bytes));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_of(p, c);
		return;
	}
	c->at = 0;
	c->len = c->to == -1 ? 0 : (size_t)n;
}

/* False where the monitor is gone before the command has ended. */
static bool hear(struct pump *p, struct error *err)
{
	if (session_monitor_exit(p->monitor, &p->status, err) != 1)
		return false;
	p->ended = true;
	return true;
}

static bool is_over(const struct pump *p)
{
	return p->ended && p->copy[OUT].from == -1 && p->copy[ERR].from == -1 &&
	       p->copy[OUT].len == 0 && p->copy[ERR].len == 0;
}

/* One turn; false: nothing more to do. */
static bool turn(struct pump *p, struct error *err)
{
	struct pollfd fd[COPIES + 2];
	int n;

	for (int i = 0; i < COPIES; i++) {
		const struct copy *c = &p->copy[i];

		fd[i] = (struct pollfd){.fd = c->len ? c->to : c->from,
					.events = c->len ? POLLOUT : POLLIN};
	}
	fd[COPIES] = (struct pollfd){.fd = p->ended ? -1 : p->monitor->fd, .events = POLLIN};
	fd[COPIES + 1] = (struct pollfd){.fd = p->copy[OUT].to}; /* its end alone */
	n = poll(fd, ARRAY_SIZE(fd), p->ended ? LINGER_MS : -1);
	if (n == 0 || (n == -1 && errno != EINTR))
		return false;
	if (fd[COPIES + 1].revents & (POLLERR | POLLHUP)) {
		if (!p->drain)
			return false; /* our ends of the pipes go with us */
		p->copy[OUT].to = p->copy[ERR].to = -1;
	}
	for (int i = 0; i < COPIES; i++) {
		struct copy *c = &p->copy[i];

		if (c->len && (c->to == -1 || fd[i].revents))
			pass_on(p, c);
		else if (c->from != -1 && fd[i].revents)
			take(p, c);
	}
	if (fd[COPIES].revents && !hear(p, err))
		return false;
	return !is_over(p);
}

static int pump(struct session_run *run, struct session_monitor *monitor, int *status,
		struct error *err)
{
	struct pump *p = xcalloc(1, sizeof(*p));

	p->monitor = monitor;
	p->drain = run->drain;
	p->seal = run->seal;
	p->copy[IN].from = STDIN_FILENO;
	p->copy[IN].to = run->in;
	p->copy[OUT].from = run->out;
	p->copy[OUT].to = STDOUT_FILENO;
	p->copy[ERR].from = run->err;
	p->copy[ERR].to = STDERR_FILENO;
	for (int i = 0; i < 3; i++) /* sshd has the other ends */
		(void)fcntl(i, F_SETFL, fcntl(i, F_GETFL) | O_NONBLOCK);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	while (turn(p, err))
		;
	*status = p->ended ? p->status : E_SYSTEM;
	free(p);
	return err->code == E_OK ? 0 : -1;
}

/* --- a login -----------------------------------------------------------------------------------
 */

static int ask_terminal(struct session_run *run, struct session_monitor *m, int *status,
			struct error *err)
{
	if (terminal_pump(run->out, m->fd, err) == -1)
		return -1;
	if (session_monitor_exit(m, status, err) != 1)
		return -1;
	return 0;
}

static int run_command(struct session_monitor *m, const struct strv *words, int *status,
		       struct error *err)
{
	const char *protocol = getenv("GIT_PROTOCOL"), *term = getenv("TERM");
	struct session_exec exec = {.git_protocol = protocol ? protocol : "",
				    .term = isatty(STDIN_FILENO) ? term && *term ? term : "dumb"
								 : "",
				    .words = words};
	struct session_run run;

	terminal_size(&exec.cols, &exec.rows);
	if (session_monitor_exec(m, &exec, &run, err) == -1)
		return -1;
	if (!run.accepted) {
		error_set(err, error_code_from(run.code), "%s", run.text);
		free(run.text);
		return -1;
	}
	return run.pty ? ask_terminal(&run, m, status, err) : pump(&run, m, status, err);
}

static int login(struct session_monitor *m, const char *key, int *status, struct error *err)
{
	const char *command = getenv("SSH_ORIGINAL_COMMAND");
	autostrv struct strv words = STRV_INIT;
	bool granted;

	if (words_split(command ? command : "", command ? strlen(command) : 0, &words, err) == -1 ||
	    session_monitor_login(m, key, &granted, err) == -1)
		return -1;
	if (!granted)
		return error_set(err, E_DENIED, "the node knows that key no more");
	if (words.n == 0)
		strv_add(&words, "help");
	return run_command(m, &words, status, err);
}

/* --- a line of authorized_keys ------------------------------------------------------------------
 */

/* Of a key as sshd hands it over; nothing in it needs quoting. */
static bool is_plain(const char *s)
{
	return *s &&
	       s[strspn(s,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-.@")] ==
		       '\0';
}

static int keys(struct session_monitor *m, const char *dir, const char *key, struct error *err)
{
	autofree char *self = realpath("/proc/self/exe", NULL);
	bool known;

	if (session_monitor_knows(m, key, &known, err) == -1)
		return -1;
	if (known && self)
		printf("restrict,pty,command=\"%s login %s %s\" %s\n", self, dir, key, key);
	return 0;
}

int main(int argc, char **argv)
{
	bool is_login = argc == 5 && !strcmp(argv[1], "login");
	struct session_monitor m = {.fd = -1};
	autofree char *key = NULL;
	struct error err = ERROR_INIT;
	int status = 0, r;

	if (argc != 5 || (!is_login && strcmp(argv[1], "keys") != 0) || !is_plain(argv[3]) ||
	    !is_plain(argv[4]) || argv[2][0] != '/' || strpbrk(argv[2], " \"'\\\n")) {
		error_set(&err, E_USAGE,
			  "usage: silver-shell keys|login DIR TYPE KEY, for sshd: silver-shell(8)");
		return error_report(&err);
	}
	key = xasprintf("%s %s", argv[3], argv[4]);
	r = control_connect_shell(argv[2], &m.fd, &err);
	if (r == 0)
		r = is_login ? login(&m, key, &status, &err) : keys(&m, argv[2], key, &err);
	fd_close(&m.fd);
	return r == -1 ? error_report(&err) : status;
}
