#include "receiver/destroy.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/lock.h"
#include "common/names.h"
#include "receiver/accounts.h"
#include "receiver/claim.h"
#include "receiver/keys.h"
#include "receiver/provide.h"
#include "receiver/provision.h"
#include "receiver/locate.h"
#include "runtime/runner.h"
#include "runtime/s6.h"
#include "runtime/workers.h"

static char *gone_name(const char *app)
{
	return xasprintf(".%s.gone", app);
}

static int remove_below(const struct node *node, const char *parent, const char *name,
			struct error *err)
{
	autoclose int fd = -1;

	if (fs_open_dir(node->fd, parent, &fd, err) == -1 || fs_remove_tree(fd, name, err) == -1 ||
	    fs_sync(fd, err) == -1)
		return error_prefix(err, "removing '%s/%s'", parent, name);
	return 0;
}

/* Workers that are being started, on behalf of a push that is over, are there before all are ended;
 * nobody starts more once the app's name is gone. */
static int await_workers(const struct node *node, int apps_fd, const char *app, struct error *err)
{
	autofree char *gone = gone_name(app), *repo = xasprintf("%s/repo.git", gone);
	autoclose int app_fd = -1, lock_fd = -1;

	if (!fs_exists(apps_fd, repo))
		return 0;
	if (fs_open_dir(apps_fd, gone, &app_fd, err) == -1)
		return -1;
	return workers_lock(app_fd, 2 * node->drain_ms, &lock_fd, err);
}

/* What follows the rename. The users go before the directory that tells that there is something
 * left. */
static int remove_remains(const struct node *node, int apps_fd, const char *app, struct error *err)
{
	autofree char *gone = gone_name(app), *fresh = xasprintf(".%s.new", app);
	struct runner runner;
	struct error none = ERROR_INIT;

	if (locate_remove_all(node, app, err) == -1 || keys_forget_app(node, app, err) == -1 ||
	    await_workers(node, apps_fd, app, err) == -1 ||
	    s6_stop_app(node, app, node->drain_ms, err) == -1)
		return -1;
	if (geteuid() == 0 && runner_find(node, app, &runner, &none) == 0)
		runner_kill_user(runner.uid);
	if (provide_remove_all(node, app, gone, err) == -1)
		return -1;
	if (remove_below(node, "data", app, err) == -1 || remove_below(node, "log", app, err) == -1)
		return -1;
	if (geteuid() == 0 && accounts_remove(node, app, err) == -1)
		return -1;
	if (fs_remove_tree(apps_fd, fresh, err) == -1 || fs_remove_tree(apps_fd, gone, err) == -1)
		return -1;
	return fs_sync(apps_fd, err);
}

/* Under the app's lock, which *lock_fd holds: a push that waits for it must not begin in what is
 * being removed. */
static int retire_app(const struct node *node, int apps_fd, const char *app, int *lock_fd,
		      struct error *err)
{
	autofree char *gone = gone_name(app);
	autoclose int app_fd = -1;

	if (node_open_app(node, app, &app_fd, err) == -1 ||
	    fs_open(app_fd, "lock", O_RDWR, 0, lock_fd, err) == -1 ||
	    lock_take(*lock_fd, "destroy", node->lock_wait_ms, err) == -1)
		return -1;
	return fs_rename_sync(apps_fd, app, apps_fd, gone, err);
}

int destroy_app(const struct node *node, const char *app, struct error *err)
{
	autofree char *gone = gone_name(app), *data = xasprintf("data/%s", app);
	autoclose int apps_fd = -1, lock_fd = -1, claim = -1;
	bool exists, remains;

	if (name_check_app(app, err) == -1 || claim_app(node, app, &claim, err) == -1 ||
	    fs_open_dir(node->fd, "apps", &apps_fd, err) == -1)
		return -1;
	exists = fs_exists(apps_fd, app);
	remains = fs_exists(apps_fd, gone) || fs_exists(node->fd, data);
	if (!exists && !remains)
		return error_set(err, E_NOTFOUND, "no app '%s'", app);
	if (exists && fs_exists(apps_fd, gone) && fs_remove_tree(apps_fd, gone, err) == -1)
		return -1;
	if (exists && retire_app(node, apps_fd, app, &lock_fd, err) == -1)
		return -1;
	return remove_remains(node, apps_fd, app, err);
}

int destroy_finish(const struct node *node, const char *app, struct error *err)
{
	autofree char *gone = gone_name(app);
	autoclose int apps_fd = -1;

	if (fs_open_dir(node->fd, "apps", &apps_fd, err) == -1)
		return -1;
	return fs_exists(apps_fd, gone) ? remove_remains(node, apps_fd, app, err) : 0;
}

/* *gone: it is not there any more. A directory that holds something is somebody's. */
static int remove_empty(const struct node *node, const char *parent, const char *app, bool *gone,
			struct error *err)
{
	autoclose int fd = -1;

	if (fs_open_dir(node->fd, parent, &fd, err) == -1)
		return -1;
	*gone = fs_remove_empty_dir(fd, app, err) == 0;
	return *gone ? fs_sync(fd, err) : err->code == E_REFUSED ? 0 : -1;
}

/* apps/.APP.new goes last, for the reason that .APP.gone does. */
static int take_back(const struct node *node, int apps_fd, const char *app, struct error *err)
{
	autofree char *fresh = xasprintf(".%s.new", app);
	bool data_gone, log_gone;

	if (locate_remove_all(node, app, err) == -1 ||
	    remove_empty(node, "log", app, &log_gone, err) == -1 ||
	    remove_empty(node, "data", app, &data_gone, err) == -1)
		return -1;
	if (data_gone && log_gone && geteuid() == 0 && accounts_remove(node, app, err) == -1)
		return -1;
	if (fs_remove_tree(apps_fd, fresh, err) == -1)
		return -1;
	return fs_sync(apps_fd, err);
}

/* "blog" of ".blog.gone"; NULL: some other name. The caller frees. */
static char *app_of(const char *name, const char *ending)
{
	autofree char *app = NULL;
	struct error bad = ERROR_INIT;

	if (*name != '.' || !str_ends(name, ending))
		return NULL;
	app = xstrndup(name + 1, strlen(name) - 1 - strlen(ending));
	return name_check_app(app, &bad) == 0 ? steal_ptr(&app) : NULL;
}

static int remove_leftover(const struct node *node, int apps_fd, const char *name,
			   struct error *err)
{
	autofree char *destroyed = app_of(name, ".gone"), *begun = app_of(name, ".new");
	const char *app = destroyed ? destroyed : begun;
	autoclose int claim = -1;

	if (app && claim_app(node, app, &claim, err) == -1)
		return -1;
	if (destroyed && remove_remains(node, apps_fd, destroyed, err) == -1)
		return error_prefix(err, "finishing the destroy of '%s'", destroyed);
	if (begun && take_back(node, apps_fd, begun, err) == -1)
		return error_prefix(err, "taking back '%s', which was being created", begun);
	return 0;
}

int destroy_leftovers(const struct node *node, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int apps_fd = -1;

	if (fs_open_dir(node->fd, "apps", &apps_fd, err) == -1 ||
	    fs_list(apps_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct error left = ERROR_INIT;

		if (remove_leftover(node, apps_fd, names.v[i], &left) == -1)
			error_report(&left);
	}
	return 0;
}
