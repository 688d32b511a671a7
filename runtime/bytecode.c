#include "runtime/bytecode.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"
#include "runtime/launch.h"

#define DEPTH_MAX 64

static int link_all(int from_fd, int to_fd, int depth, struct error *err);

static int link_one(int from_fd, int to_fd, const char *name, int depth, struct error *err)
{
	autoclose int from = -1, to = -1;
	struct stat st;

	if (fstatat(from_fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return 0; /* Python has just put another in its place */
	if (S_ISREG(st.st_mode))
		return fs_link(from_fd, name, to_fd, name, err);
	if (!S_ISDIR(st.st_mode) || depth == DEPTH_MAX)
		return 0;
	if (fs_open_dir(from_fd, name, &from, err) == -1 ||
	    fs_ensure_dir(to_fd, name, 0755, &to, err) == -1)
		return -1;
	return link_all(from, to, depth + 1, err);
}

static int link_all(int from_fd, int to_fd, int depth, struct error *err)
{
	autostrv struct strv names = STRV_INIT;

	if (fs_list(from_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (link_one(from_fd, to_fd, names.v[i], depth, err) == -1)
			return -1;
	return 0;
}

/* The name of the slot that the live release has; NULL: nothing is live. The caller frees. */
static char *live_slot(const struct node *node, const char *app)
{
	static const char begin[] = "../../slots/";
	autofree char *link = NULL, *target = NULL;
	struct error none = ERROR_INIT;
	autoclose int app_fd = -1;
	unsigned current;

	if (launch_current(node, app, &current, &none) == -1 ||
	    node_open_app(node, app, &app_fd, &none) == -1)
		return NULL;
	link = xasprintf("releases/%u/app", current);
	if (fs_read_link(app_fd, link, &target, &none) == -1 || !str_starts(target, begin) ||
	    strchr(target + strlen(begin), '/'))
		return NULL;
	return xstrdup(target + strlen(begin));
}

/* Under a name of its own until it is whole: two processes of a release may start at once. */
void bytecode_share(const struct node *node, const char *app, int data_fd, const char *slot)
{
	autofree char *from = live_slot(node, app);
	autofree char *slots = xasprintf("pycache/%s/apps/%s/slots", node->dir + 1, app);
	autofree char *tmp = xasprintf(".%s.%d", slot, (int)getpid());
	autoclose int slots_fd = -1, from_fd = -1, to_fd = -1;
	struct error none = ERROR_INIT;

	if (!from || fs_open_dir(data_fd, slots, &slots_fd, &none) == -1 ||
	    fs_exists(slots_fd, slot) || fs_open_dir(slots_fd, from, &from_fd, &none) == -1 ||
	    fs_ensure_dir(slots_fd, tmp, 0755, &to_fd, &none) == -1)
		return;
	if (link_all(from_fd, to_fd, 0, &none) == -1 ||
	    fs_rename(slots_fd, tmp, slots_fd, slot, &none) == -1)
		if (fs_remove_tree(slots_fd, tmp, &none) == -1)
			return;
}
