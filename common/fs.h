/* fs.h - the disk: the only file that renames, links, unlinks or syncs.
 *
 * Paths are relative to a directory fd and resolved below it: no symlink is followed on the way
 * (openat2 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), names with ".." fail. Where a function says
 * "on disk", content and name survive a power cut once it has returned 0. All fds are CLOEXEC. */
#pragma once
#include <sys/types.h>
#include <sys/stat.h>
#include "common/mem.h"

/* Opens below dir_fd; fails with ENOENT text and code E_NOTFOUND where there is none. flags as
 * open(2). */
MUST_CHECK int fs_open(int dir_fd, const char *path, int flags, mode_t mode, int *out,
		       struct error *err);
/* Opens a directory for the *at calls. dir_fd may be AT_FDCWD with a path from the operator
 * (symlinks followed then). */
MUST_CHECK int fs_open_dir(int dir_fd, const char *path, int *out, struct error *err);
/* mkdir, and no error when a directory is there; then opens it if out is not NULL. Not synced. */
MUST_CHECK int fs_ensure_dir(int dir_fd, const char *name, mode_t mode, int *out,
			     struct error *err);

/* Whole file into s; more than max_bytes is E_REFUSED; absent is E_NOTFOUND. */
MUST_CHECK int fs_read_file(int dir_fd, const char *path, size_t max_bytes, struct strbuf *s,
			    struct error *err);
/* Content to ".NAME.new", fsync, rename, fsync of dir_fd: old or new, never half. On disk. `name`
 * has no slash. */
MUST_CHECK int fs_replace_file(int dir_fd, const char *name, const void *content, size_t len,
			       mode_t mode, struct error *err);
/* The same for a symlink. On disk. */
MUST_CHECK int fs_replace_link(int dir_fd, const char *name, const char *target, struct error *err);
/* The same without the last fsync, for several links in one directory that fs_sync(dir_fd) covers.
 */
MUST_CHECK int fs_replace_link_nosync(int dir_fd, const char *name, const char *target,
				      struct error *err);
/* Text of a symlink; E_NOTFOUND when absent. The caller frees. */
MUST_CHECK int fs_read_link(int dir_fd, const char *name, char **out, struct error *err);
/* rename(2) in one or between two directories; not synced. */
MUST_CHECK int fs_rename(int from_fd, const char *from, int to_fd, const char *to,
			 struct error *err);
/* rename, then fsync of to_fd (and of from_fd where it is another). On disk. */
MUST_CHECK int fs_rename_sync(int from_fd, const char *from, int to_fd, const char *to,
			      struct error *err);
MUST_CHECK int fs_link(int from_fd, const char *from, int to_fd, const char *to, struct error *err);
MUST_CHECK int fs_symlink(const char *target, int dir_fd, const char *name, struct error *err);
/* No error when absent. */
MUST_CHECK int fs_unlink(int dir_fd, const char *name, struct error *err);
/* An empty directory. No error when absent. */
MUST_CHECK int fs_remove_dir(int dir_fd, const char *name, struct error *err);
/* A whole tree, which may be absent; never leaves it through a symlink or a mount. */
MUST_CHECK int fs_remove_tree(int dir_fd, const char *name, struct error *err);
/* No error when absent; E_REFUSED when something is in it. */
MUST_CHECK int fs_remove_empty_dir(int dir_fd, const char *name, struct error *err);
MUST_CHECK int fs_sync(int fd, struct error *err);     /* fsync of a file or directory */
MUST_CHECK int fs_sync_all(int fd, struct error *err); /* syncfs of the filesystem that fd is on */
/* The same beside other work, so that less is left for it at the end; the error that it returns is
 * one that fs_sync_all() of this fd does not see again. */
MUST_CHECK int fs_sync_early(int fd, struct error *err);
/* How long this process has waited in fs_sync() and fs_sync_all(), all threads together. */
int64_t fs_synced_us(void);
MUST_CHECK int fs_write_all(int fd, const void *bytes, size_t len, struct error *err);
/* Names in a directory without "." and "..", sorted. */
MUST_CHECK int fs_list(int dir_fd, struct strv *names, struct error *err);
bool fs_exists(int dir_fd, const char *name); /* lstat says so */
