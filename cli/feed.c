#include "cli/feed.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include "common/fs.h"

/* False at the end, whoever's it is. */
static bool copy_some(int pipe_fd)
{
	struct error gone = ERROR_INIT; /* the verb has ended: its status is still to come */
	char bytes[16384];
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n == 0 && fs_write_all(pipe_fd, "", 1, &gone) == -1)
		gone.code = E_OK;
	return n > 0 && fs_write_all(pipe_fd, bytes, (size_t)n, &gone) == 0;
}

void feed_input(int pipe_fd, int control_fd)
{
	struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			     {.fd = control_fd, .events = POLLIN}};

	signal(SIGPIPE, SIG_IGN);
	do {
		if (poll(p, ARRAY_SIZE(p), -1) == -1 && errno != EINTR)
			break;
	} while (!p[1].revents && (!p[0].revents || copy_some(pipe_fd)));
	fd_close(&pipe_fd);
}
