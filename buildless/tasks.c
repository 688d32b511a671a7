#include "buildless/tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include "buildless/report.h"
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"
#include "common/words.h"
#include "runtime/ask.h"
#include "runtime/health.h"
#include "runtime/http.h"

#define LINE_MAX_BYTES 2000
#define PAUSE_MS       20
#define QUIET_MS       10000 /* without a word for so long, and we say that it goes on */
#define LAST_WORDS_MS  200   /* what the ended command's children may still say */

/* What a task says, line by line. */
struct speech {
	struct strbuf line;
	const char *task;
	int64_t start_ms, said_ms; /* when something was heard or said last */
};

static void say_line(struct speech *s)
{
	autostrbuf struct strbuf shown = STRBUF_INIT;

	name_add_printable(&shown, strbuf_str(&s->line), s->line.len);
	report_step("| %s", strbuf_str(&shown));
	strbuf_reset(&s->line);
}

static void hear(void *ctx, const char *bytes, size_t len)
{
	struct speech *s = ctx;

	if (len)
		s->said_ms = clock_ms();
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n' || s->line.len == LINE_MAX_BYTES)
			say_line(s);
		if (bytes[i] != '\n' && bytes[i] != '\r')
			strbuf_addch(&s->line, bytes[i]);
	}
}

static void hear_end(struct speech *s)
{
	if (s->line.len)
		say_line(s);
	strbuf_release(&s->line);
}

static void still_at_it(struct speech *s)
{
	int64_t now = clock_ms();

	if (now - s->said_ms < QUIET_MS)
		return;
	s->said_ms = now;
	report_step("%s still runs (%lld s)", s->task, (long long)(now - s->start_ms) / 1000);
}

/* One read of what may be there; false: the end, or nothing now. */
static bool hear_pipe(struct speech *s, int fd)
{
	char bytes[4096];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	if (n > 0)
		hear(s, bytes, (size_t)n);
	return n > 0;
}

/* Until the monitor answers. */
static int listen_to(struct speech *s, int pipe_fd, struct error *err)
{
	struct pollfd p[] = {{.events = POLLIN}, {.fd = pipe_fd, .events = POLLIN}};

	if (ask_channel(&p[0].fd, err) == -1)
		return -1;
	while (!(p[0].revents & (POLLIN | POLLHUP))) {
		if (poll(p, ARRAY_SIZE(p), 1000) == -1 && errno != EINTR)
			return error_sys(err, errno, "cannot wait for a command");
		if (p[1].revents && !hear_pipe(s, pipe_fd))
			p[1].fd = -1; /* it closed its output and goes on */
		still_at_it(s);
	}
	return ask_task_answer(err);
}

/* A child that it left behind may hold the pipe for ever. */
static void hear_last_words(struct speech *s, int pipe_fd)
{
	int64_t end = clock_ms() + LAST_WORDS_MS;
	struct pollfd p = {.fd = pipe_fd, .events = POLLIN};

	while (clock_ms() < end && poll(&p, 1, PAUSE_MS) > 0 && hear_pipe(s, pipe_fd))
		continue;
}

static int run_command(const struct tasks_of *of, const char *command, struct speech *speech,
		       struct error *err)
{
	autostrv struct strv words = STRV_INIT;
	autoclose int read_fd = -1, write_fd = -1;
	int ends[2], result;

	if (words_split(command, strlen(command), &words, err) == -1)
		return -1;
	if (pipe2(ends, O_CLOEXEC) == -1)
		return error_sys(err, errno, "cannot make a pipe");
	read_fd = ends[0];
	write_fd = ends[1];
	if (fcntl(read_fd, F_SETFL, O_NONBLOCK) == -1)
		return error_sys(err, errno, "cannot read a pipe");
	if (ask_task(of->release, &words, write_fd, err) == -1)
		return -1;
	fd_close(&write_fd);
	result = listen_to(speech, read_fd, err);
	hear_last_words(speech, read_fd);
	return result;
}

struct fetch {
	struct speech *speech;
	int run_fd;
};

static bool give_up(void *ctx)
{
	struct fetch *fetch = ctx;

	still_at_it(fetch->speech);
	return health_exited(fetch->run_fd);
}

static void hear_body(void *ctx, const char *bytes, size_t len)
{
	hear(((struct fetch *)ctx)->speech, bytes, len);
}

static int fetch_error(const struct fetch *fetch, enum http_outcome outcome,
		       const struct http_answer *answer, int deadline_ms, struct error *err)
{
	if (health_exited(fetch->run_fd))
		return health_exited_error(fetch->run_fd, err);
	switch (outcome) {
	case HTTP_ANSWERED:
		return error_set(err, E_REFUSED, "was answered with '%s'; it must be 2xx",
				 answer->line);
	case HTTP_GARBAGE:
		return error_set(err, E_REFUSED, "%s", answer->line);
	case HTTP_NO_SOCKET:
		return error_set(err, E_REFUSED, "nothing listened within %d s",
				 deadline_ms / 1000);
	case HTTP_TIMEOUT:
	case HTTP_GAVE_UP:
	default:
		return error_set(err, E_REFUSED, "did not end within %d s", deadline_ms / 1000);
	}
}

/* The release may still be starting: until somebody listens. */
static int run_fetch(const struct tasks_of *of, const char *path, const char *purpose,
		     struct speech *speech, struct error *err)
{
	autoclose int run_fd = -1;
	struct fetch fetch = {.speech = speech};
	struct http_get get = {.socket = "http.sock",
			       .host = of->app->host,
			       .path = path,
			       .internal = purpose,
			       .give_up = give_up,
			       .on_body = hear_body,
			       .ctx = &fetch};
	int64_t listens_by = clock_ms() + of->app->node.health_ms;
	struct http_answer answer;
	enum http_outcome outcome;

	if (of->start(of->ctx, err) == -1 || fs_open_dir(of->release_fd, "run", &run_fd, err) == -1)
		return -1;
	fetch.run_fd = get.dir_fd = run_fd;
	get.deadline_ms = clock_ms() + of->app->node.task_ms;
	while ((outcome = http_get(&get, &answer)) == HTTP_NO_SOCKET && clock_ms() < listens_by &&
	       !health_exited(run_fd))
		usleep(PAUSE_MS * 1000);
	if (outcome == HTTP_ANSWERED && answer.status >= 200 && answer.status < 300)
		return 0;
	return fetch_error(&fetch, outcome, &answer, of->app->node.task_ms, err);
}

int tasks_run_checker(const struct tasks_of *of, const char *checker, unsigned line,
		      struct error *err)
{
	autofree char *command = xasprintf("python3 -m silversupport.check_config %s", checker);
	struct speech speech = {.line = STRBUF_INIT,
				.task = "config.checker",
				.start_ms = clock_ms(),
				.said_ms = clock_ms()};
	int result = run_command(of, command, &speech, err);

	hear_end(&speech);
	return result == -1 ? error_prefix(err, "app.ini:%u: config.checker %s", line, checker) : 0;
}

int tasks_run(const struct tasks_of *of, const char *what, const struct appini_tasks *tasks,
	      struct error *err)
{
	const char *purpose = strcmp(what, "test") == 0 ? "test" : "update";

	for (size_t i = 0; i < tasks->n; i++) {
		const char *task = tasks->v[i].text;
		struct speech speech = {.line = STRBUF_INIT,
					.task = task,
					.start_ms = clock_ms(),
					.said_ms = clock_ms()};
		int result;

		report_step("%s %s", what, task);
		if (str_starts(task, "script:"))
			result = run_command(of, task + strlen("script:"), &speech, err);
		else
			result = run_fetch(of, task, purpose, &speech, err);
		hear_end(&speech);
		if (result == -1)
			return error_prefix(err, "app.ini:%u: %s %s", tasks->v[i].line, what, task);
	}
	return 0;
}
