#include "receiver/control.h"
#include <errno.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "common/fs.h"
#include "common/log.h"
#include "common/wire.h"

enum { BACKLOG = 64 };

struct control {
	struct loop *loop;
	struct monitor *monitor;
	int fd;
	struct watch *watch;
	unsigned last_number;
	struct local *all;
};

struct local {
	struct client *client;
	struct local *next, **prev;
};

/* By way of the directory's descriptor, because a path may be longer than a socket's address. */
static struct sockaddr_un control_address(int run_fd)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/control", run_fd);
	return a;
}

static void local_free(struct local *local)
{
	*local->prev = local->next;
	if (local->next)
		local->next->prev = local->prev;
	client_drop(&local->client);
	free(local);
}

static void client_gone(void *ctx, bool broken)
{
	struct local *local = ctx;

	(void)broken;
	local->client = NULL;
	local_free(local);
}

static char *user_text(uid_t uid)
{
	struct passwd room, *found = NULL;
	char buf[4096];

	if (getpwuid_r(uid, &room, buf, sizeof(buf), &found) == 0 && found)
		return xasprintf("local:%s", found->pw_name);
	return xasprintf("local:%u", (unsigned)uid);
}

static void on_connection(void *ctx)
{
	struct control *c = ctx;
	autoclose int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
	struct ucred peer;
	socklen_t len = sizeof(peer);
	autofree char *user = NULL;
	struct local *local;
	struct error err = ERROR_INIT;

	if (fd == -1 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
		return;
	user = user_text(peer.uid);
	if (peer.uid != 0 && peer.uid != geteuid()) {
		log_line("control: refused %s", user);
		if (WIRE_SEND(fd, &err, "no", "5", "only root and the node's own user may") == -1)
			return;
		return;
	}
	local = xcalloc(1, sizeof(*local));
	*local = (struct local){.next = c->all, .prev = &c->all};
	if (local->next)
		local->next->prev = &local->next;
	c->all = local;
	local->client = monitor_add_local(c->monitor, steal_fd(&fd), ++c->last_number, user,
					  client_gone, local);
}

int control_start(struct control **out, struct loop *loop, const struct node *node,
		  struct monitor *monitor, struct error *err)
{
	autoclose int run_fd = -1;
	autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;

	if (fd == -1)
		return error_sys(err, errno, "cannot make the control socket");
	if (fs_open_dir(node->fd, "run", &run_fd, err) == -1 ||
	    fs_unlink(run_fd, "control", err) == -1)
		return -1;
	address = control_address(run_fd);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == -1 ||
	    fchmodat(run_fd, "control", 0600, 0) == -1 || listen(fd, BACKLOG) == -1)
		return error_sys(err, errno, "cannot open the control socket");
	*out = xcalloc(1, sizeof(**out));
	**out = (struct control){.loop = loop, .monitor = monitor, .fd = steal_fd(&fd)};
	(*out)->watch = loop_watch(loop, (*out)->fd, EPOLLIN, on_connection, *out);
	return 0;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	for (struct local *l = control->all, *next; l; l = next) {
		next = l->next;
		local_free(l);
	}
	loop_unwatch(&control->watch);
	fd_close(&control->fd);
	free(control);
}

int control_connect(const struct node *node, int *out, struct error *err)
{
	autoclose int run_fd = -1;
	autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	if (fd == -1)
		return error_sys(err, errno, "cannot make a socket");
	if (fs_open_dir(node->fd, "run", &run_fd, err) == -1)
		return -1;
	address = control_address(run_fd);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		*out = steal_fd(&fd);
		return 0;
	}
	if (errno == ECONNREFUSED || errno == ENOENT)
		return error_set(err, E_NOTFOUND,
				 "no node is running at %s: `silverd --dir %s` starts it",
				 node->dir, node->dir);
	if (errno == EACCES)
		return error_set(
			err, E_DENIED,
			"the node at %s is another user's: only root and that user may ask it "
			"this way",
			node->dir);
	return error_sys(err, errno, "cannot reach the node at %s", node->dir);
}
