#include "receiver/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/address.h"
#include "common/log.h"

enum { FIRST_FD = 3, FDS_MAX = 64 };

/* "/run/..." or "@abstract". */
static socklen_t notify_address(struct sockaddr_un *out)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (len < 2 || len >= sizeof(out->sun_path) || (*path != '/' && *path != '@'))
		return 0;
	memcpy(out->sun_path, path, len);
	if (*path == '@')
		out->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static void send_lines(const char *lines, int fd)
{
	struct sockaddr_un to;
	socklen_t len = notify_address(&to);
	autofree char *copy = xstrdup(lines);
	struct iovec text = {.iov_base = copy, .iov_len = strlen(copy)};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {
		.msg_name = &to, .msg_namelen = len, .msg_iov = &text, .msg_iovlen = 1};
	autoclose int s = len ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;

	if (s == -1)
		return;
	if (fd != -1) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
						  .cmsg_level = SOL_SOCKET,
						  .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	if (sendmsg(s, &message, MSG_NOSIGNAL) == -1)
		log_line("cannot tell systemd: %s", strerror(errno));
}

void notify_say(const char *lines)
{
	send_lines(lines, -1);
}

void notify_keep(int fd, const char *name)
{
	autofree char *old = xasprintf("FDSTOREREMOVE=1\nFDNAME=%s\n", name);
	autofree char *lines = xasprintf("FDSTORE=1\nFDNAME=%s\n", name);

	send_lines(old, -1);
	send_lines(lines, fd);
}

struct watchdog {
	struct loop *loop;
	struct timer *timer;
	int64_t every_ms;
};

static void on_watchdog(void *ctx)
{
	struct watchdog *w = ctx;

	notify_say("WATCHDOG=1\n");
	loop_timer(w->loop, &w->timer, w->every_ms, on_watchdog, w);
}

void notify_watchdog(struct loop *loop)
{
	static struct watchdog watchdog; /* one silverd a process */
	const char *text = getenv("WATCHDOG_USEC");
	uint64_t usec;

	if (!text || !str_to_uint(text, INT64_MAX, &usec) || usec < 4000)
		return;
	watchdog.loop = loop;
	watchdog.every_ms = (int64_t)(usec / 3000); /* two may come late */
	on_watchdog(&watchdog);
}

/* As many as LISTEN_FDS says, if they are for this process. */
static int passed_fds(void)
{
	const char *pid_text = getenv("LISTEN_PID"), *n_text = getenv("LISTEN_FDS");
	uint64_t pid, n;

	if (!pid_text || !n_text || !str_to_uint(pid_text, INT32_MAX, &pid) ||
	    (pid_t)pid != getpid() || !str_to_uint(n_text, FDS_MAX, &n))
		return 0;
	return (int)n;
}

static bool listens_on(int fd, const char *address)
{
	union address a = {0};
	socklen_t len = sizeof(a);
	int listens = 0;
	socklen_t listens_len = sizeof(listens);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_len) == -1 || !listens ||
	    getsockname(fd, &a.any, &len) == -1 ||
	    (a.any.sa_family != AF_INET && a.any.sa_family != AF_INET6))
		return false;
	autofree char *text = address_text(&a);
	return strcmp(text, address) == 0;
}

int notify_take(const char *address)
{
	int n = passed_fds(), found = -1;

	for (int fd = FIRST_FD; fd < FIRST_FD + n; fd++) {
		if (found != -1 || !listens_on(fd, address)) {
			close(fd);
			continue;
		}
		found = fd;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
	}
	unsetenv("LISTEN_FDS");
	return found;
}
