#include "runtime/workers.h"

#include <errno.h>
#include <sys/file.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/proc.h"
#include "runtime/launch.h"
#include "runtime/s6.h"
#include "runtime/s6name.h"

#define POLL_MS  10
#define GRACE_MS 20000 /* what ending takes beyond its patience (s6.c) */

/* repo.git: a directory of the app's that its runner cannot open. */
int workers_lock(int app_fd, int wait_ms, int *lock_fd, struct error *err)
{
	int64_t deadline = clock_ms() + wait_ms;

	if (fs_open_dir(app_fd, "repo.git", lock_fd, err) == -1)
		return -1;
	while (flock(*lock_fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_sys(err, errno, "cannot lock the workers");
		if (clock_ms() >= deadline)
			return error_set(err, E_BUSY, "workers that were asked to end do not");
		usleep(POLL_MS * 1000);
	}
	return 0;
}

static int set_locked(const struct node *node, const char *app, unsigned release,
		      const struct strv *names, int kill_ms, struct error *err)
{
	unsigned live;

	if (s6_stop_workers(node, app, names, kill_ms, err) == -1)
		return -1;
	if (launch_current(node, app, &live, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	return live == release ? s6_add(node, names, err) : 0;
}

int workers_set(const struct node *node, const char *app, unsigned release,
		const struct strv *words, int kill_ms, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int app_fd = -1, lock_fd = -1;

	for (size_t i = 0; i < words->n; i++)
		if (s6name_expand(app, release, words->v[i], &names, err) == -1)
			return -1;
	if (node_open_app(node, app, &app_fd, err) == -1 ||
	    workers_lock(app_fd, kill_ms + GRACE_MS, &lock_fd, err) == -1)
		return -1;
	return set_locked(node, app, release, &names, kill_ms, err);
}
