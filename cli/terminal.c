#include "cli/terminal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include "common/fs.h"

void terminal_size(unsigned *cols, unsigned *rows)
{
	struct winsize size;

	*cols = 80;
	*rows = 24;
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
		*cols = size.ws_col;
		*rows = size.ws_row;
	}
}

static void pass_size(int master_fd)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		ioctl(master_fd, TIOCSWINSZ, &size);
}

/* 1: copied; 0: nothing there now; -1: the end. */
static int copy_some(int from, int to, struct error *err)
{
	char buf[16384];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) /* a terminal without its program says EIO */
		return -1;
	return fs_write_all(to, buf, (size_t)n, err) == 0 ? 1 : -1;
}

static void drain(int master_fd, struct error *err)
{
	while (copy_some(master_fd, STDOUT_FILENO, err) == 1)
		;
}

static void pump(int master_fd, int control_fd, int resized_fd, struct error *err)
{
	struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			     {.fd = master_fd, .events = POLLIN},
			     {.fd = control_fd, .events = POLLIN},
			     {.fd = resized_fd, .events = POLLIN}};
	struct signalfd_siginfo info;

	for (;;) {
		if (poll(p, ARRAY_SIZE(p), -1) == -1 && errno != EINTR)
			return;
		if (p[3].revents && read(resized_fd, &info, sizeof(info)) == sizeof(info))
			pass_size(master_fd);
		if (p[1].revents && copy_some(master_fd, STDOUT_FILENO, err) == -1)
			p[1].fd = -1; /* the status is still to come */
		if (p[0].revents && copy_some(STDIN_FILENO, master_fd, err) == -1)
			return;
		if (p[2].revents) {
			drain(master_fd, err);
			return;
		}
	}
}

int terminal_pump(int master_fd, int control_fd, struct error *err)
{
	struct termios old, raw;
	sigset_t set;
	autoclose int resized_fd = -1;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	resized_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (resized_fd == -1 || tcgetattr(STDIN_FILENO, &old) == -1)
		return error_sys(err, errno, "cannot set up the terminal");
	raw = old;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == -1)
		return error_sys(err, errno, "cannot set up the terminal");
	pump(master_fd, control_fd, resized_fd, err);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &old);
	return 0;
}
