#include "receiver/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include "common/fs.h"
#include "common/proc.h"

#define POLL_NS  10000000
#define GRACE_MS 10000 /* for what is removed behind the processes */

/* Names that meet in one place only wait for each other (FNV-1a). */
static off_t place_of(const char *app)
{
	uint32_t hash = 2166136261u;

	for (; *app; app++)
		hash = (hash ^ (unsigned char)*app) * 16777619u;
	return (off_t)hash;
}

int claim_app(const struct node *node, const char *app, int *out, struct error *err)
{
	int64_t deadline = clock_ms() + node->lock_wait_ms + 3 * (int64_t)node->drain_ms + GRACE_MS;
	struct flock range = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = place_of(app), .l_len = 1};
	autoclose int fd = -1;

	if (fs_open(node->fd, "run/claims", O_RDWR | O_CREAT, 0600, &fd, err) == -1)
		return -1;
	while (fcntl(fd, F_OFD_SETLK, &range) == -1) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return error_sys(err, errno, "cannot lock 'run/claims'");
		if (clock_ms() > deadline)
			return error_set(err, E_BUSY,
					 "'%s' is being made or destroyed by somebody else: try "
					 "again",
					 app);
		nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
	}
	*out = steal_fd(&fd);
	return 0;
}
