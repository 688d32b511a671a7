#include "runtime/health.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"
#include "runtime/http.h"

#define PAUSE_MIN_MS 5
#define PAUSE_MAX_MS 100

struct wait {
	const struct health_check *check;
	int run_fd;
	int64_t start, deadline;
	int64_t bad_since; /* first of the bad answers in a row; -1: none */
	ino_t socket;      /* inode that the present request went to */
	struct http_answer last;
	void (*waiting)(void *ctx, int seconds);
	void *ctx;
	int seconds;
};

bool health_exited(int run_fd)
{
	return faccessat(run_fd, "exited", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static ino_t socket_inode(const struct wait *w)
{
	struct stat st;

	return fstatat(w->run_fd, "http.sock", &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_ino : 0;
}

/* Asked between ticks of a request. A socket that was replaced (the process was restarted, or a
 * program listens on $PORT and the port service took over) will never answer what waits in the old
 * one. */
static bool give_up(void *ctx)
{
	struct wait *w = ctx;
	int seconds = (int)((clock_ms() - w->start) / 1000);

	if (seconds > w->seconds && w->waiting)
		w->waiting(w->ctx, seconds);
	w->seconds = seconds;
	return health_exited(w->run_fd) || socket_inode(w) != w->socket;
}

/* "STATUS SIGNAL" as s6 gives them to finish: 256 means a signal. */
int health_exited_error(int run_fd, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error ignored = ERROR_INIT;
	long status = 0, sig = 0;
	char *end = NULL;

	if (fs_read_file(run_fd, "exited", 64, &text, &ignored) == 0) {
		status = strtol(strbuf_str(&text), &end, 10);
		sig = strtol(end, &end, 10);
	}
	if (!end || *end != '\n')
		return error_set(err, E_REFUSED, "its process ended before it answered");
	if (status > 255)
		return error_set(err, E_REFUSED,
				 "its process was ended by signal %ld (%s) before it answered", sig,
				 strsignal((int)sig));
	return error_set(err, E_REFUSED, "its process exited with status %ld before it answered",
			 status);
}

static const char *asked_path(const struct wait *w)
{
	return w->check->path ? w->check->path : "/";
}

static int timeout_error(const struct wait *w, enum http_outcome outcome, struct error *err)
{
	double seconds = (double)(clock_ms() - w->start) / 1000;
	const char *limit = w->check->path ? "below 400" : "below 500";

	if (w->last.line[0])
		return error_set(err, E_REFUSED,
				 "'GET %s' got '%s' for %.1f s; health is an answer %s",
				 asked_path(w), w->last.line, seconds, limit);
	if (outcome == HTTP_NO_SOCKET)
		return error_set(err, E_REFUSED, "nothing listened within %.1f s", seconds);
	return error_set(err, E_REFUSED, "no answer to 'GET %s' within %.1f s", asked_path(w),
			 seconds);
}

static bool is_good(const struct wait *w)
{
	return w->last.status < (w->check->path ? 400U : 500U);
}

static enum http_outcome ask_once(struct wait *w, struct http_answer *answer)
{
	struct http_get get = {.dir_fd = w->run_fd,
			       .socket = "http.sock",
			       .host = w->check->host,
			       .path = asked_path(w),
			       .internal = "health",
			       .deadline_ms = w->deadline,
			       .give_up = give_up,
			       .ctx = w};

	w->socket = socket_inode(w);
	return http_get(&get, answer);
}

/* true: waiting any longer is of no use. */
static bool is_hopeless(struct wait *w, enum http_outcome outcome)
{
	int64_t now = clock_ms();

	if (outcome == HTTP_ANSWERED || outcome == HTTP_GARBAGE) {
		if (w->bad_since == -1)
			w->bad_since = now;
	} else if (outcome == HTTP_NO_SOCKET) {
		w->bad_since = -1;
	}
	return now >= w->deadline || (w->bad_since != -1 && now - w->bad_since >= HEALTH_BAD_MS);
}

static void sleep_until(int64_t deadline, useconds_t at_most_ms)
{
	int64_t left = deadline - clock_ms();

	if (left > 0)
		usleep((left < at_most_ms ? (useconds_t)left : at_most_ms) * 1000);
}

static int wait_until_good(struct wait *w, int64_t *took_ms, struct error *err)
{
	useconds_t pause_ms = PAUSE_MIN_MS;

	for (;;) {
		struct http_answer answer;
		enum http_outcome outcome = ask_once(w, &answer);

		if (outcome == HTTP_ANSWERED || outcome == HTTP_GARBAGE)
			w->last = answer;
		if (outcome == HTTP_ANSWERED && is_good(w)) {
			*took_ms = clock_ms() - w->start;
			return 0;
		}
		give_up(w); /* for its report of the seconds */
		if (health_exited(w->run_fd))
			return health_exited_error(w->run_fd, err);
		if (is_hopeless(w, outcome))
			return timeout_error(w, outcome, err);
		sleep_until(w->deadline, pause_ms);
		pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
	}
}

int health_wait(const struct health_check *check, int64_t *took_ms,
		void (*waiting)(void *ctx, int seconds), void *ctx, struct error *err)
{
	autoclose int run_fd = -1;
	struct wait w = {.check = check,
			 .start = clock_ms(),
			 .bad_since = -1,
			 .waiting = waiting,
			 .ctx = ctx};

	if (fs_open_dir(check->release_fd, "run", &run_fd, err) == -1)
		return -1;
	w.run_fd = run_fd;
	w.deadline = w.start + check->deadline_ms;
	return wait_until_good(&w, took_ms, err);
}
