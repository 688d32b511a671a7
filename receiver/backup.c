#include "receiver/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"
#include "runtime/runner.h"
#include "services/undo.h"

#define ENDING         BACKUP_ENDING
#define NAME_MAX_BYTES 100

/* As the runner's: it can read all of that anyway. */
static int give_to_runner(const struct node *node, const char *app, int fd, struct error *err)
{
	struct runner runner;

	if (geteuid() != 0)
		return 0;
	if (runner_find(node, app, &runner, err) == -1)
		return -1;
	return fchown(fd, runner.uid, runner.gid) == -1
		       ? error_sys(err, errno, "cannot give the backup to the app's user")
		       : 0;
}

static int open_dir(const struct node *node, const char *app, int *out, struct error *err)
{
	autofree char *path = xasprintf("data/%s", app);
	autoclose int data_fd = -1, fd = -1;

	if (fs_open_dir(node->fd, path, &data_fd, err) == -1 ||
	    fs_ensure_dir(data_fd, "backups", 0750, &fd, err) == -1 ||
	    give_to_runner(node, app, fd, err) == -1 || fs_sync(data_fd, err) == -1)
		return -1;
	*out = steal_fd(&fd);
	return 0;
}

static int check_name(const char *name, struct error *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._";
	autofree char *shown = name_printable(name);

	if (*name && *name != '.' && *name != '-' && strlen(name) <= NAME_MAX_BYTES &&
	    strspn(name, plain) == strlen(name) && str_ends(name, ENDING))
		return 0;
	return error_set(
		err, E_USAGE,
		"'%s' is no name of a backup: letters, digits, '-', '.' and '_', and '" ENDING
		"' at the end",
		shown);
}

static char *name_by_time(void)
{
	time_t now = (time_t)(clock_utc_ms() / 1000);
	struct tm tm;
	char text[32];

	strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	return xasprintf("%s" ENDING, text);
}

int backup_begin(const struct node *node, const char *app, int *out, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int dir_fd = -1;

	if (open_dir(node, app, &dir_fd, err) == -1)
		return -1;
	if (flock(dir_fd, LOCK_EX | LOCK_NB) == -1)
		return errno == EWOULDBLOCK
			       ? error_set(err, E_BUSY,
					   "a backup or a restore of this app is under way")
			       : error_sys(err, errno, "cannot lock the backups");
	if (fs_list(dir_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (names.v[i][0] == '.' && str_ends(names.v[i], ".new") &&
		    fs_unlink(dir_fd, names.v[i], err) == -1)
			return -1;
	*out = steal_fd(&dir_fd);
	return 0;
}

static int write_file(const struct node *node, const char *app, const struct dumps *dumps,
		      int dir_fd, const char *name, struct error *err)
{
	autofree char *fresh = xasprintf(".%s.new", name);
	autoclose int fd = -1;

	if (fs_open(dir_fd, fresh, O_WRONLY | O_CREAT | O_EXCL, 0640, &fd, err) == -1 ||
	    give_to_runner(node, app, fd, err) == -1)
		return -1;
	if (dumps_pack(node, app, dumps, fd, err) == -1 || fs_sync(fd, err) == -1) {
		struct error left = ERROR_INIT;

		if (fs_unlink(dir_fd, fresh, &left) == -1)
			data_tell("%s", left.text);
		return -1;
	}
	return fs_rename_sync(dir_fd, fresh, dir_fd, name, err);
}

int backup_write_kept(const struct node *node, const char *app, int dir_fd,
		      const struct dumps *dumps, const char *name, struct error *err)
{
	if (write_file(node, app, dumps, dir_fd, name, err) == -1)
		return error_prefix(err, "writing '%s'", name);
	return 0;
}

/* What is half is no backup. */
static int check_whole(const struct node *node, const char *app, struct error *err)
{
	struct undo_mark mark;
	autoclose int app_fd = -1;

	if (node_open_app(node, app, &app_fd, err) == -1 ||
	    undo_mark_read(app_fd, &mark, err) == -1)
		return -1;
	if (!mark.there || !*mark.archive)
		return 0;
	return error_set(err, E_BUSY,
			 "the data of %s are being changed, by a push with a checkpoint or by a "
			 "restore, or such a one was interrupted: what they were is in %s",
			 app, mark.archive);
}

/* The directory is ours to the end, wherever it goes: no restore comes in between. */
int backup_take(const struct node *node, const char *app, const char *name, struct error *err)
{
	autodumps struct dumps dumps = DUMPS_INIT;
	autofree char *by_time = name_by_time();
	bool to_stdout = name && strcmp(name, "-") == 0;
	autoclose int dir_fd = -1;

	if (!name)
		name = by_time;
	if (name_check_app(app, err) == -1 || (!to_stdout && check_name(name, err) == -1) ||
	    backup_begin(node, app, &dir_fd, err) == -1 || check_whole(node, app, err) == -1 ||
	    dumps_find(node, app, &dumps, err) == -1 || dumps_take(node, app, &dumps, err) == -1)
		return -1;
	if (to_stdout)
		return dumps_pack(node, app, &dumps, STDOUT_FILENO, err);
	if (backup_write_kept(node, app, dir_fd, &dumps, name, err) == -1)
		return -1;
	printf("%s/data/%s/backups/%s\n", node->dir, app, name);
	return 0;
}

int backup_list(const struct node *node, const char *app, struct error *err)
{
	autofree char *path = xasprintf("data/%s/backups", app);
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (name_check_app(app, err) == -1)
		return -1;
	if (fs_open_dir(node->fd, path, &fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct error bad = ERROR_INIT;
		struct stat st;

		if (check_name(names.v[i], &bad) == 0 &&
		    fstatat(fd, names.v[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			printf("%-40s %lld bytes\n", names.v[i], (long long)st.st_size);
	}
	return 0;
}

int backup_open(const struct node *node, const char *app, const char *name, int *out,
		struct error *err)
{
	autofree char *path = xasprintf("data/%s/backups/%s", app, name);
	struct stat st;

	if (check_name(name, err) == -1)
		return -1;
	if (fs_open(node->fd, path, O_RDONLY | O_NONBLOCK, 0, out, err) == -1)
		return err->code == E_NOTFOUND
			       ? error_set(err, E_NOTFOUND,
					   "'%s' has no backup '%s': `silver backup %s --list`",
					   app, name, app)
			       : -1;
	if (fstat(*out, &st) == -1 || !S_ISREG(st.st_mode))
		return error_set(err, E_REFUSED, "'%s' is no file", name);
	return 0;
}
