#include "cli/ask.h"
#include <errno.h>
#include <fcntl.h>
#include "cli/feed.h"
#include "cli/terminal.h"
#include "common/fs.h"
#include "common/proc.h"
#include "common/wire.h"
#include "receiver/control.h"

/* in_fd: what the verb gets as its standard input. */
static int send_request(int fd, const struct request *request, char *const *words, size_t n,
			int in_fd, struct error *err)
{
	const int std[] = {in_fd, STDOUT_FILENO, STDERR_FILENO};
	const char *term = getenv("TERM");
	const char *message[WIRE_STRINGS] = {"exec", ""};
	bool terminal =
		(request->command->flags & TTY) && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	unsigned cols, rows;

	if (n > WIRE_STRINGS - 5)
		return error_set(err, E_USAGE, "too many words");
	terminal_size(&cols, &rows);
	autofree char *cols_text = xasprintf("%u", cols);
	autofree char *rows_text = xasprintf("%u", rows);
	message[2] = !terminal ? "" : term && *term ? term : "dumb";
	message[3] = cols_text;
	message[4] = rows_text;
	for (size_t i = 0; i < n; i++)
		message[5 + i] = words[i];
	return wire_send(fd, message, n + 5, std, 3, err);
}

/* One message of the node; *status is set and 1 returned when it was the last. feed_fd: where our
 * input goes, -1 for a verb that has it itself. */
static int take_answer(int fd, int *feed_fd, int *status, struct error *err)
{
	static struct wire_message m;
	uint64_t number = E_SYSTEM;
	int got = wire_recv(fd, &m, err);
	int result = 0;

	if (got == 0)
		return error_set(err, E_SYSTEM, "the node has stopped before it answered");
	if (got == -1)
		return -1;
	if (!strcmp(m.word[0], "exit") && m.n == 2 && str_to_uint(m.word[1], 255, &number)) {
		*status = (int)number;
		return 1;
	}
	if (!strcmp(m.word[0], "no") && m.n == 3 && str_to_uint(m.word[1], 255, &number))
		return error_set(err, error_code_from((int)number), "%s", m.word[2]);
	if (!strcmp(m.word[0], "say") && m.n == 2)
		return fs_write_all(STDOUT_FILENO, m.word[1], strlen(m.word[1]), err);
	if (!strcmp(m.word[0], "run") && *feed_fd != -1)
		feed_input(steal_fd(feed_fd), fd);
	else if (!strcmp(m.word[0], "run"))
		result = m.n_fds == 1 ? terminal_pump(m.fd[0], fd, err) : 0;
	else
		result = error_set(err, E_SYSTEM, "the node answered '%.20s'", m.word[0]);
	wire_release(&m);
	return result;
}

/* Keys can be managed before the node runs, and a node that does not run can be looked at. */
static bool works_without_silverd(const struct request *request)
{
	return !strcmp(request->command->name, "user") || !strcmp(request->command->name, "fsck");
}

static int without_silverd(const struct node *node, char *const *words, size_t n, struct error *err)
{
	autofree char *program = proc_program("silver-root");
	autostrv struct strv argv = STRV_INIT;

	strv_add(&argv, "silver-root");
	strv_add(&argv, "--dir");
	strv_add(&argv, node->dir);
	for (size_t i = 0; i < n; i++)
		strv_add(&argv, words[i]);
	execv(program, strv_argv(&argv));
	return error_sys(err, errno, "cannot run '%s'", program);
}

static int make_pipe(int *read_fd, int *write_fd, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1)
		return error_sys(err, errno, "cannot make a pipe");
	*read_fd = ends[0];
	*write_fd = ends[1];
	return 0;
}

static int ask_node(const struct node *node, const struct request *request, char *const *words,
		    size_t n, int *status, struct error *err)
{
	autoclose int fd = -1, read_fd = -1, feed_fd = -1;
	int result;

	if (control_connect(node, &fd, err) == -1) {
		if (err->code == E_NOTFOUND && works_without_silverd(request))
			return without_silverd(node, words, n, err);
		return -1;
	}
	if ((request->command->flags & INPUT) && make_pipe(&read_fd, &feed_fd, err) == -1)
		return -1;
	if (send_request(fd, request, words, n, read_fd == -1 ? STDIN_FILENO : read_fd, err) == -1)
		return -1;
	fd_close(&read_fd);
	do
		result = take_answer(fd, &feed_fd, status, err);
	while (result == 0);
	return result == 1 ? 0 : -1;
}

int ask_local(const char *dir, const struct request *request, char *const *words, size_t n,
	      int *status, struct error *err)
{
	struct node node;
	int result;

	if (node_open(&node, dir, err) == -1)
		return -1;
	result = ask_node(&node, request, words, n, status, err);
	node_release(&node);
	return result;
}
