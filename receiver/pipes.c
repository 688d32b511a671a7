#include "receiver/pipes.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

enum { PIPE_BYTES = 1 << 20 };

void job_ends_close(struct job_ends *ends)
{
	for (size_t i = 0; i < ends->n; i++)
		fd_close(&ends->fd[i]);
	ends->n = 0;
}

/* The session's sandbox has no fcntl(), so its ends become non-blocking here. A pipe's two ends are
 * two open file descriptions: the job keeps a blocking one. */
static int make_pipe(int *child, int *client, bool to_child, struct error *err)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) == -1)
		return error_sys(err, errno, "cannot make a pipe");
	*child = fd[to_child ? 0 : 1];
	*client = fd[to_child ? 1 : 0];
	if (fcntl(*client, F_SETFL, O_NONBLOCK) == -1)
		return error_sys(err, errno, "cannot set up a pipe");
	fcntl(fd[0], F_SETPIPE_SZ, PIPE_BYTES); /* only speed hangs on it */
	return 0;
}

int pipes_make(int child[3], struct job_ends *ends, struct error *err)
{
	ends->n = 3;
	for (int i = 0; i < 3; i++) {
		if (make_pipe(&child[i], &ends->fd[i], i == 0, err) == 0)
			continue;
		job_ends_close(ends);
		for (int k = 0; k < 3; k++)
			fd_close(&child[k]);
		return -1;
	}
	return 0;
}

static int open_slave(int master, unsigned cols, unsigned rows, uid_t owner, int *out,
		      struct error *err)
{
	struct winsize size = {.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
	char name[64];

	if (grantpt(master) == -1 || unlockpt(master) == -1 ||
	    ptsname_r(master, name, sizeof(name)) != 0)
		return error_sys(err, errno, "cannot set up a terminal");
	*out = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*out == -1)
		return error_sys(err, errno, "cannot open a terminal");
	ioctl(*out, TIOCSWINSZ, &size);
	if (geteuid() == 0 && (fchown(*out, owner, (gid_t)-1) == -1 || fchmod(*out, 0620) == -1))
		return error_sys(err, errno, "cannot hand over a terminal");
	return 0;
}

int pipes_make_terminal(int child[3], struct job_ends *ends, unsigned cols, unsigned rows,
			uid_t owner, struct error *err)
{
	autoclose int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	autoclose int slave = -1;

	if (master == -1)
		return error_sys(err, errno, "cannot make a terminal");
	if (open_slave(master, cols, rows, owner, &slave, err) == -1)
		return -1;
	for (int i = 0; i < 3; i++) {
		child[i] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
		if (child[i] == -1)
			return error_sys(err, errno, "cannot copy a terminal");
	}
	ends->fd[0] = steal_fd(&master);
	ends->n = 1;
	return 0;
}
