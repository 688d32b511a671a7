#include "receiver/control.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "common/fs.h"
#include "common/log.h"
#include "common/wire.h"

enum { BACKLOG = 64 };

/* Two sockets, one for each kind of caller. */
struct door {
	struct control *control;
	const char *name; /* below DIR/run */
	bool is_shell;
	uid_t uid; /* beside root, who may come */
	int fd;
	struct watch *watch;
};

struct control {
	struct loop *loop;
	struct monitor *monitor;
	struct door door[2];
	size_t n_doors;
	unsigned last_number;
	struct local *all;
};

struct local {
	struct client *client;
	struct local *next, **prev;
};

/* By way of the directory's descriptor, because a path may be longer than a socket's address. */
static struct sockaddr_un address_of(int run_fd, const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", run_fd, name);
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

static struct local *local_new(struct control *c)
{
	struct local *local = xcalloc(1, sizeof(*local));

	*local = (struct local){.next = c->all, .prev = &c->all};
	if (local->next)
		local->next->prev = &local->next;
	c->all = local;
	return local;
}

static void on_connection(void *ctx)
{
	struct door *door = ctx;
	struct control *c = door->control;
	autoclose int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC);
	struct ucred peer;
	socklen_t len = sizeof(peer);
	autofree char *user = NULL;
	struct local *local;
	struct error err = ERROR_INIT;

	if (fd == -1 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1)
		return;
	user = user_text(peer.uid);
	if (peer.uid != 0 && peer.uid != door->uid) {
		log_line("%s: refused %s", door->name, user);
		if (WIRE_SEND(fd, &err, "no", "5", "only root and the node's own user may") == -1)
			return;
		return;
	}
	local = local_new(c);
	++c->last_number;
	local->client = door->is_shell
				? monitor_add_session(c->monitor, steal_fd(&fd), c->last_number,
						      "sshd", client_gone, local)
				: monitor_add_local(c->monitor, steal_fd(&fd), c->last_number, user,
						    client_gone, local);
}

static int open_door(struct control *c, const struct node *node, const char *name, uid_t uid,
		     struct error *err)
{
	struct door *door = &c->door[c->n_doors];
	autoclose int run_fd = -1;
	autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;

	if (fd == -1)
		return error_sys(err, errno, "cannot make the %s socket", name);
	if (fs_open_dir(node->fd, "run", &run_fd, err) == -1 || fs_unlink(run_fd, name, err) == -1)
		return -1;
	address = address_of(run_fd, name);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == -1 ||
	    fchmodat(run_fd, name, 0600, 0) == -1 ||
	    (uid != geteuid() && fchownat(run_fd, name, uid, (gid_t)-1, 0) == -1) ||
	    listen(fd, BACKLOG) == -1)
		return error_sys(err, errno, "cannot open the %s socket", name);
	*door = (struct door){.control = c,
			      .name = name,
			      .is_shell = c->n_doors > 0,
			      .uid = uid,
			      .fd = steal_fd(&fd)};
	door->watch = loop_watch(c->loop, door->fd, EPOLLIN, on_connection, door);
	c->n_doors++;
	return 0;
}

/* As whom sshd runs silver-shell. */
static int find_shell_user(const struct node *node, uid_t *out, struct error *err)
{
	struct passwd room, *found = NULL;
	const char *name = node->shell_user;
	char buf[4096];

	if (getpwnam_r(name, &room, buf, sizeof(buf), &found) != 0 || !found)
		return error_set(err, E_SYSTEM, "node.ini: shell_user = %s: there is no such user",
				 name);
	*out = found->pw_uid;
	return 0;
}

int control_start(struct control **out, struct loop *loop, const struct node *node,
		  struct monitor *monitor, struct error *err)
{
	struct control *c = xcalloc(1, sizeof(*c));
	uid_t uid = 0;
	int r;

	*out = c;
	*c = (struct control){.loop = loop, .monitor = monitor};
	r = open_door(c, node, "control", geteuid(), err);
	if (r == 0 && strcmp(node->shell_user, "none") != 0)
		r = find_shell_user(node, &uid, err) == -1 ||
				    open_door(c, node, "shell", uid, err) == -1
			    ? -1
			    : 0;
	return r;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	for (struct local *l = control->all, *next; l; l = next) {
		next = l->next;
		local_free(l);
	}
	for (size_t i = 0; i < control->n_doors; i++) {
		loop_unwatch(&control->door[i].watch);
		fd_close(&control->door[i].fd);
	}
	free(control);
}

static int connect_to(int dir_fd, const char *dir, const char *name, int *out, struct error *err)
{
	autoclose int run_fd = -1;
	autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	if (fd == -1)
		return error_sys(err, errno, "cannot make a socket");
	if (fs_open_dir(dir_fd, "run", &run_fd, err) == -1)
		return -1;
	address = address_of(run_fd, name);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		*out = steal_fd(&fd);
		return 0;
	}
	if (errno == ECONNREFUSED || errno == ENOENT)
		return error_set(err, E_NOTFOUND,
				 "no node is running at %s: `silverd --dir %s` starts it", dir,
				 dir);
	if (errno == EACCES)
		return error_set(
			err, E_DENIED,
			"the node at %s is another user's: only root and that user may ask it "
			"this way",
			dir);
	return error_sys(err, errno, "cannot reach the node at %s", dir);
}

int control_connect(const struct node *node, int *out, struct error *err)
{
	return connect_to(node->fd, node->dir, "control", out, err);
}

int control_connect_shell(const char *dir, int *out, struct error *err)
{
	autoclose int dir_fd = -1;

	if (fs_open_dir(AT_FDCWD, dir, &dir_fd, err) == -1)
		return -1;
	return connect_to(dir_fd, dir, "shell", out, err);
}
