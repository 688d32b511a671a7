#include "buildless/app.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"
#include "runtime/location.h"

#define DESCRIPTORS 2048

static int required(const char *name, const char **out, struct error *err)
{
	*out = getenv(name);
	if (!*out || !**out)
		return error_set(err, E_USAGE, "%s is not set; silverd starts this program", name);
	return 0;
}

/* The lock is the open file description that silverd passed on; a program that was started by hand
 * opens its own. */
static int take_lock_fd(struct app *app, struct error *err)
{
	const char *text = getenv("SILVER_LOCK_FD");
	uint64_t number;

	if (!text)
		return fs_open(app->fd, "lock", O_RDWR, 0, &app->lock_fd, err);
	if (!str_to_uint(text, 65535, &number) || fcntl((int)number, F_SETFD, FD_CLOEXEC) == -1)
		return error_set(err, E_USAGE, "SILVER_LOCK_FD=%s is no open descriptor", text);
	app->lock_fd = (int)number;
	return 0;
}

/* Walks hold two descriptors per directory on the way down (REPO_DEPTH_MAX). */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS) {
		limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
		setrlimit(RLIMIT_NOFILE, &limit); /* without it only a very deep tree fails */
	}
}

int app_open_from_environment(struct app *app, struct error *err)
{
	const char *dir, *name, *user = getenv("SILVER_USER"), *start = getenv("SILVER_START_US");
	uint64_t start_us;

	*app = (struct app){.node = {.fd = -1}, .fd = -1, .lock_fd = -1};
	allow_descriptors();
	umask(022); /* what is made below apps/APP has the mode that the code says, however we were
		       started */
	if (required("SILVER_DIR", &dir, err) == -1 || required("SILVER_APP", &name, err) == -1 ||
	    name_check_app(name, err) == -1)
		return -1;
	if (node_open(&app->node, dir, err) == -1)
		return -1;
	memcpy(app->name, name, strlen(name) + 1);
	if (node_open_app(&app->node, name, &app->fd, err) == -1 || take_lock_fd(app, err) == -1) {
		app_release(app);
		return -1;
	}
	app->user = xstrdup(user && *user ? user : "local");
	app->repo_path = xasprintf("%s/apps/%s/repo.git", app->node.dir, name);
	location_of_app(&app->node, name, &app->host, &app->path);
	account_begin(&app->account, start && str_to_uint(start, INT64_MAX, &start_us)
					     ? (int64_t)start_us
					     : clock_us());
	app->start_ms = app->account.start_us / 1000;
	return 0;
}

char *app_url(const struct app *app)
{
	autofree char *location = xasprintf("%s%s", app->host, app->path ? app->path : "");

	return node_url(&app->node, location);
}

void app_release(struct app *app)
{
	fd_close(&app->fd);
	fd_close(&app->lock_fd);
	free(steal_ptr(&app->user));
	free(steal_ptr(&app->repo_path));
	free(steal_ptr(&app->host));
	free(steal_ptr(&app->path));
	node_release(&app->node);
}
