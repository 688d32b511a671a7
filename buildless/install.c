#include "buildless/install.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include "buildless/report.h"
#include "common/names.h"
#include "common/proc.h"
#include "runtime/ask.h"

#define LINE_MAX_BYTES 2000
#define QUIET_MS       10000 /* without a word for so long, and we say that it goes on */

struct talk {
	const struct install_ears *ears;
	struct strbuf line, reason;
	int64_t start_ms, said_ms;
	struct strbuf refused;
};

/* "WORD REST": *rest is behind the blank, which is cut. */
static bool take_word(char *text, char **rest)
{
	char *blank = strchr(text, ' ');

	if (!blank)
		return false;
	*blank = '\0';
	*rest = blank + 1;
	return true;
}

static void hear_entry(struct talk *t, char *name)
{
	char *version, *arch;

	if (take_word(name, &version) && take_word(version, &arch) && t->ears->entry)
		t->ears->entry(t->ears->ctx, name, version, arch);
}

static void hear_refusal(struct talk *t, char *name)
{
	char *text;

	if (!take_word(name, &text))
		return;
	if (t->ears->refuse)
		t->ears->refuse(t->ears->ctx, name, text);
	else
		strbuf_addf(&t->refused, "%s%s: %s", t->refused.len ? "\n" : "", name, text);
}

/* The lines of docs/CONTRACT.md; "silver: " is the reason of a failure, and all else is apt's. */
static void hear_line(struct talk *t)
{
	autostrbuf struct strbuf shown = STRBUF_INIT;
	char *line;

	name_add_printable(&shown, strbuf_str(&t->line), t->line.len);
	strbuf_reset(&t->line);
	line = shown.buf;
	if (!line || !*line)
		return;
	t->said_ms = clock_ms();
	if (str_starts(line, "entry "))
		hear_entry(t, line + strlen("entry "));
	else if (str_starts(line, "refuse "))
		hear_refusal(t, line + strlen("refuse "));
	else if (str_starts(line, "say "))
		report_step("%s", line + strlen("say "));
	else if (str_starts(line, "silver: "))
		strbuf_addf(&t->reason, "%s%s", t->reason.len ? "\n" : "",
			    line + strlen("silver: "));
	else
		report_step("| %s", line);
}

static void hear(struct talk *t, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n' || t->line.len == LINE_MAX_BYTES)
			hear_line(t);
		if (bytes[i] != '\n' && bytes[i] != '\r')
			strbuf_addch(&t->line, bytes[i]);
	}
}

/* false: the end, or nothing now. */
static bool hear_pipe(struct talk *t, int fd)
{
	char bytes[4096];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	if (n > 0)
		hear(t, bytes, (size_t)n);
	return n > 0;
}

static void still_at_it(struct talk *t)
{
	int64_t now = clock_ms();

	if (now - t->said_ms < QUIET_MS)
		return;
	t->said_ms = now;
	report_step("packages: still at it (%lld s)", (long long)(now - t->start_ms) / 1000);
}

/* Until the monitor answers; then what is left in the pipe. */
static int listen_to(struct talk *t, int pipe_fd, struct error *err)
{
	struct pollfd p[] = {{.events = POLLIN}, {.fd = pipe_fd, .events = POLLIN}};
	int r;

	if (ask_channel(&p[0].fd, err) == -1)
		return -1;
	while (!(p[0].revents & (POLLIN | POLLHUP))) {
		if (poll(p, ARRAY_SIZE(p), 1000) == -1 && errno != EINTR)
			return error_sys(err, errno, "cannot wait for apt");
		if (p[1].revents && !hear_pipe(t, pipe_fd))
			p[1].fd = -1;
		still_at_it(t);
	}
	r = ask_packages_answer(err);
	while (hear_pipe(t, pipe_fd))
		continue;
	hear_line(t);
	return r;
}

static int ask_it(const char *verb, const struct strv *names, struct talk *t, struct error *err)
{
	autoclose int read_fd = -1, write_fd = -1;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1)
		return error_sys(err, errno, "cannot make a pipe");
	read_fd = ends[0];
	write_fd = ends[1];
	if (fcntl(read_fd, F_SETFL, O_NONBLOCK) == -1)
		return error_sys(err, errno, "cannot read a pipe");
	if (ask_packages(verb, names, write_fd, err) == -1)
		return -1;
	fd_close(&write_fd);
	return listen_to(t, read_fd, err);
}

int install_ask(const char *verb, const struct strv *names, const struct install_ears *ears,
		struct error *err)
{
	struct talk t = {.ears = ears, .start_ms = clock_ms(), .said_ms = clock_ms()};
	int r = ask_it(verb, names, &t, err);

	if (r == -1 && t.reason.len)
		r = error_set(err, err->code, "%s", t.reason.buf);
	if (r == 0 && t.refused.len)
		r = error_set(err, E_REFUSED, "%s", t.refused.buf);
	strbuf_release(&t.line);
	strbuf_release(&t.reason);
	strbuf_release(&t.refused);
	return r;
}

bool install_is_private(const struct app *app)
{
	struct stat st;

	return fstat(app->node.fd, &st) == 0 && st.st_uid != 0;
}
