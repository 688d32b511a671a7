#include "common/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "common/proc.h"

/* glibc 2.36 has no wrapper for openat2(2). */
static int open_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	do
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	while (fd == -1 && errno == EINTR);
	return (int)fd;
}

static int open_error(struct error *err, const char *path)
{
	int saved = errno;

	error_sys(err, saved, "cannot open '%s'", path);
	if (saved == ENOENT || saved == ENOTDIR)
		err->code = E_NOTFOUND;
	return -1;
}

int fs_open(int dir_fd, const char *path, int flags, mode_t mode, int *out, struct error *err)
{
	*out = open_beneath(dir_fd, path, flags, mode);
	return *out == -1 ? open_error(err, path) : 0;
}

int fs_open_dir(int dir_fd, const char *path, int *out, struct error *err)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

	*out = dir_fd == AT_FDCWD ? open(path, flags) : open_beneath(dir_fd, path, flags, 0);
	return *out == -1 ? open_error(err, path) : 0;
}

int fs_ensure_dir(int dir_fd, const char *name, mode_t mode, int *out, struct error *err)
{
	autoclose int fd = -1;

	if (mkdirat(dir_fd, name, mode) == 0) {
		if (fs_open_dir(dir_fd, name, &fd, err) == -1)
			return -1;
		if (fchmod(fd, mode) == -1) /* whatever the umask is */
			return error_sys(err, errno, "cannot set the mode of '%s'", name);
	} else if (errno != EEXIST) {
		return error_sys(err, errno, "cannot make directory '%s'", name);
	} else if (fs_open_dir(dir_fd, name, &fd, err) == -1) {
		return -1;
	}
	if (out)
		*out = steal_fd(&fd);
	return 0;
}

int fs_read_file(int dir_fd, const char *path, size_t max_bytes, struct strbuf *s,
		 struct error *err)
{
	autoclose int fd = -1;

	if (fs_open(dir_fd, path, O_RDONLY, 0, &fd, err) == -1)
		return -1;
	if (strbuf_read_fd(s, fd, max_bytes, err) == -1)
		return error_prefix(err, "'%s'", path);
	return 0;
}

int fs_write_all(int fd, const void *bytes, size_t len, struct error *err)
{
	const char *p = bytes;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_sys(err, errno, "cannot write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_new_file(int dir_fd, const char *name, const void *content, size_t len,
			  mode_t mode, struct error *err)
{
	autoclose int fd = -1;

	if (unlinkat(dir_fd, name, 0) == -1 && errno != ENOENT) /* left by a crash */
		return error_sys(err, errno, "cannot remove stale '%s'", name);
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd == -1)
		return error_sys(err, errno, "cannot create '%s'", name);
	if (fchmod(fd, mode) == -1) /* whatever the umask is */
		return error_sys(err, errno, "cannot set the mode of '%s'", name);
	if (fs_write_all(fd, content, len, err) == -1)
		return error_prefix(err, "'%s'", name);
	return fs_sync(fd, err) == -1 ? error_prefix(err, "'%s'", name) : 0;
}

int fs_replace_file(int dir_fd, const char *name, const void *content, size_t len, mode_t mode,
		    struct error *err)
{
	autofree char *tmp = xasprintf(".%s.new", name);

	if (write_new_file(dir_fd, tmp, content, len, mode, err) == -1) {
		unlinkat(dir_fd, tmp, 0); /* a full disk gets its bytes back */
		return -1;
	}
	return fs_rename_sync(dir_fd, tmp, dir_fd, name, err);
}

int fs_replace_link_nosync(int dir_fd, const char *name, const char *target, struct error *err)
{
	autofree char *tmp = xasprintf(".%s.new", name);

	if (fs_unlink(dir_fd, tmp, err) == -1 || fs_symlink(target, dir_fd, tmp, err) == -1)
		return -1;
	return fs_rename(dir_fd, tmp, dir_fd, name, err);
}

int fs_replace_link(int dir_fd, const char *name, const char *target, struct error *err)
{
	if (fs_replace_link_nosync(dir_fd, name, target, err) == -1)
		return -1;
	return fs_sync(dir_fd, err) == -1 ? error_prefix(err, "directory of '%s'", name) : 0;
}

int fs_read_link(int dir_fd, const char *name, char **out, struct error *err)
{
	char target[4096];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target));

	*out = NULL;
	if (n == -1 && errno == ENOENT)
		return error_set(err, E_NOTFOUND, "no link '%s'", name);
	if (n == -1)
		return error_sys(err, errno, "cannot read the link '%s'", name);
	if ((size_t)n == sizeof(target))
		return error_set(err, E_SYSTEM, "the link '%s' is too long", name);
	*out = xstrndup(target, (size_t)n);
	return 0;
}

int fs_rename(int from_fd, const char *from, int to_fd, const char *to, struct error *err)
{
	if (renameat(from_fd, from, to_fd, to) == -1)
		return error_sys(err, errno, "cannot rename '%s' to '%s'", from, to);
	return 0;
}

int fs_rename_sync(int from_fd, const char *from, int to_fd, const char *to, struct error *err)
{
	if (fs_rename(from_fd, from, to_fd, to, err) == -1)
		return -1;
	if (fs_sync(to_fd, err) == -1 || (from_fd != to_fd && fs_sync(from_fd, err) == -1))
		return error_prefix(err, "directory of '%s'", to);
	return 0;
}

int fs_link(int from_fd, const char *from, int to_fd, const char *to, struct error *err)
{
	if (linkat(from_fd, from, to_fd, to, 0) == -1)
		return error_sys(err, errno, "cannot link '%s' to '%s'", from, to);
	return 0;
}

int fs_symlink(const char *target, int dir_fd, const char *name, struct error *err)
{
	if (symlinkat(target, dir_fd, name) == -1)
		return error_sys(err, errno, "cannot make the link '%s'", name);
	return 0;
}

int fs_unlink(int dir_fd, const char *name, struct error *err)
{
	if (unlinkat(dir_fd, name, 0) == -1 && errno != ENOENT)
		return error_sys(err, errno, "cannot remove '%s'", name);
	return 0;
}

int fs_remove_dir(int dir_fd, const char *name, struct error *err)
{
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == -1 && errno != ENOENT)
		return error_sys(err, errno, "cannot remove the directory '%s'", name);
	return 0;
}

static int remove_content(int fd, dev_t device, struct error *err);

/* `name` is a directory entry of any kind; a directory on another filesystem is refused. */
static int remove_entry(int dir_fd, const char *name, dev_t device, struct error *err)
{
	autoclose int fd = -1;
	struct stat st;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_sys(err, errno, "cannot remove '%s'", name);
	if (fs_open_dir(dir_fd, name, &fd, err) == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		return error_sys(err, errno, "cannot stat '%s'", name);
	if (st.st_dev != device)
		return error_set(err, E_SYSTEM, "'%s' is a mount point", name);
	if (remove_content(fd, device, err) == -1)
		return error_prefix(err, "in '%s'", name);
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == -1 && errno != ENOENT)
		return error_sys(err, errno, "cannot remove '%s'", name);
	return 0;
}

/* fd stays the caller's. */
static int remove_content(int fd, dev_t device, struct error *err)
{
	autostrv struct strv names = STRV_INIT;

	if (fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (remove_entry(fd, names.v[i], device, err) == -1)
			return -1;
	return 0;
}

int fs_remove_tree(int dir_fd, const char *name, struct error *err)
{
	struct stat st;

	if (fstat(dir_fd, &st) == -1)
		return error_sys(err, errno, "cannot stat the directory of '%s'", name);
	return remove_entry(dir_fd, name, st.st_dev, err);
}

int fs_remove_empty_dir(int dir_fd, const char *name, struct error *err)
{
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno == ENOTEMPTY)
		return error_set(err, E_REFUSED, "'%s' is not empty", name);
	return error_sys(err, errno, "cannot remove '%s'", name);
}

static _Atomic int64_t synced_us;

int64_t fs_synced_us(void)
{
	return synced_us;
}

static int timed_sync(int (*call)(int), int fd)
{
	int64_t start = clock_us();
	int rc = call(fd), saved = errno;

	synced_us += clock_us() - start;
	errno = saved;
	return rc;
}

int fs_sync(int fd, struct error *err)
{
	return timed_sync(fsync, fd) == -1 ? error_sys(err, errno, "cannot sync") : 0;
}

int fs_sync_all(int fd, struct error *err)
{
	return timed_sync(syncfs, fd) == -1 ? error_sys(err, errno, "cannot sync the filesystem")
					    : 0;
}

int fs_sync_early(int fd, struct error *err)
{
	return syncfs(fd) == -1 ? error_sys(err, errno, "cannot sync the filesystem") : 0;
}

int fs_list(int dir_fd, struct strv *names, struct error *err)
{
	autodir DIR *dir = NULL;
	const struct dirent *entry;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1 || !(dir = fdopendir(fd))) {
		int saved = errno;

		fd_close(&fd);
		return error_sys(err, saved, "cannot read a directory");
	}
	for (errno = 0; (entry = readdir(dir)); errno = 0)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			strv_add(names, entry->d_name);
	if (errno)
		return error_sys(err, errno, "cannot read a directory");
	strv_sort(names);
	return 0;
}

bool fs_exists(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}
