#include "cli/parallel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include "cli/terminal.h"
#include "cli/tool.h"
#include "common/names.h"
#include "common/proc.h"

struct table {
	struct task *task;
	size_t n;
	bool drawn, quiet, redraws;
	int width; /* of the longest name */
};

void task_init(struct task *t, const char *name)
{
	*t = (struct task){.name = name, .pid = -1, .out_fd = -1, .err_fd = -1};
}

void task_release(struct task *t)
{
	strv_free_p(&t->argv);
	strbuf_release(&t->out);
	strbuf_release(&t->said);
	strbuf_release(&t->line);
	free(t->last);
	fd_close(&t->out_fd);
	fd_close(&t->err_fd);
}

static const char *state_of(const struct task *t)
{
	return t->pid != -1 ? "..." : t->status == 0 ? "ok" : "failed";
}

/* Each task a line, over the lines that were drawn before. */
static void draw(struct table *t)
{
	unsigned cols, rows;

	if (!t->redraws || t->quiet)
		return;
	terminal_size(&cols, &rows);
	if (t->drawn)
		fprintf(stderr, "\033[%zuA", t->n);
	for (size_t i = 0; i < t->n; i++) {
		const struct task *one = &t->task[i];
		int left = (int)cols - t->width - 12;

		fprintf(stderr, "\r\033[K%-*s  %-6s  %.*s\n", t->width, one->name, state_of(one),
			left > 0 ? left : 0, one->last ? one->last : "");
	}
	t->drawn = true;
}

/* What git prints of a node's words begins with "remote: " and ends with blanks. */
static void take_line(struct table *table, struct task *t)
{
	const char *text = strbuf_str(&t->line);
	size_t len = t->line.len;
	autofree char *line = NULL;

	if (str_starts(text, "remote: ")) {
		text += strlen("remote: ");
		len -= strlen("remote: ");
	}
	while (len && strchr(" \r", text[len - 1]))
		len--;
	line = xstrndup(text, len);
	strbuf_reset(&t->line);
	if (!*line)
		return;
	strbuf_addf(&t->said, "%s\n", line);
	free(t->last);
	t->last = name_printable(line);
	if (!table->redraws && !table->quiet)
		fprintf(stderr, "%s%s%s\n", table->n > 1 ? t->name : "", table->n > 1 ? ": " : "",
			t->last);
}

static void take_said(struct table *table, struct task *t, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] == '\n')
			take_line(table, t);
		else
			strbuf_addch(&t->line, bytes[i]);
}

/* 1: more may come. */
static int take_some(struct table *table, struct task *t, int *fd)
{
	char bytes[4096];
	ssize_t n = read(*fd, bytes, sizeof(bytes));

	if (n == -1 && errno == EINTR)
		return 1;
	if (n <= 0) {
		fd_close(fd);
		return 0;
	}
	if (fd == &t->out_fd)
		strbuf_add(&t->out, bytes, (size_t)n);
	else
		take_said(table, t, bytes, (size_t)n);
	return 1;
}

static void end_task(struct table *table, struct task *t)
{
	struct error err = ERROR_INIT;

	if (t->line.len)
		take_line(table, t);
	if (proc_wait(t->pid, -1, &t->status, &err) == -1)
		t->status = -1;
	t->pid = -1;
	t->ended_ms = clock_ms();
}

static void start_task(struct table *table, struct task *t, const char *dir, char *const *env)
{
	struct tool tool = {.argv = strv_argv(&t->argv), .dir = dir, .env = env, .in = -1};
	struct error err = ERROR_INIT;
	int out[2] = {-1, -1}, said[2] = {-1, -1};

	if (t->argv.n == 0)
		return;
	if (pipe2(out, O_CLOEXEC) == -1 || pipe2(said, O_CLOEXEC) == -1) {
		error_sys(&err, errno, "cannot make a pipe");
		t->status = -1;
	} else {
		tool.out = out[1];
		tool.err = said[1];
		t->status = tool_start(&tool, &t->pid, &err);
	}
	fd_close(&out[1]);
	fd_close(&said[1]);
	t->out_fd = steal_fd(&out[0]);
	t->err_fd = steal_fd(&said[0]);
	if (t->status == 0)
		return;
	t->pid = -1;
	fd_close(&t->out_fd);
	fd_close(&t->err_fd);
	strbuf_addstr(&t->line, err.text);
	take_line(table, t);
}

/* Waits until one of them says something; false: all have ended. */
static bool step(struct table *table)
{
	struct pollfd *p = xcalloc(2 * table->n, sizeof(*p));
	bool any = false;

	for (size_t i = 0; i < table->n; i++) {
		p[2 * i] = (struct pollfd){.fd = table->task[i].out_fd, .events = POLLIN};
		p[2 * i + 1] = (struct pollfd){.fd = table->task[i].err_fd, .events = POLLIN};
		any = any || table->task[i].pid != -1;
	}
	if (any && poll(p, 2 * table->n, -1) > 0)
		for (size_t i = 0; i < table->n; i++) {
			struct task *t = &table->task[i];

			if (p[2 * i].revents)
				take_some(table, t, &t->out_fd);
			if (p[2 * i + 1].revents)
				take_some(table, t, &t->err_fd);
			if (t->pid != -1 && t->out_fd == -1 && t->err_fd == -1)
				end_task(table, t);
		}
	free(p);
	return any;
}

void tasks_run(struct task *task, size_t n, const char *dir, char *const *env, const char *title,
	       bool quiet)
{
	struct table table = {.task = task, .n = n, .quiet = quiet};

	table.redraws = n > 1 && isatty(STDERR_FILENO);
	for (size_t i = 0; i < n; i++)
		if ((int)strlen(task[i].name) > table.width)
			table.width = (int)strlen(task[i].name);
	if (title && !quiet)
		fprintf(stderr, "%s\n", title);
	for (size_t i = 0; i < n; i++)
		start_task(&table, &task[i], dir, env);
	draw(&table);
	while (step(&table))
		draw(&table);
}

size_t tasks_failed(const struct task *task, size_t n)
{
	size_t failed = 0;

	for (size_t i = 0; i < n; i++)
		failed += task[i].status != 0;
	return failed;
}
