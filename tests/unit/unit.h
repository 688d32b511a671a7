/* unit.h - what the unit tests share: cmocka's includes in its order, and a directory of one's own
 * per test.
 *
 *	cmocka_unit_test_setup_teardown(replace_keeps_the_old_file, tmp_setup, tmp_teardown)
 *	int dir = tmp_fd(state);
 *
 * Real files, no mocks: what a test needs to fail is made to fail. */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "common/mem.h"

struct tmp {
	char path[64];
	int fd;
};

#define TMP_TEST(f) cmocka_unit_test_setup_teardown(f, tmp_setup, tmp_teardown)

static inline int tmp_setup(void **state)
{
	struct tmp *t = xcalloc(1, sizeof(*t));

	snprintf(t->path, sizeof(t->path), "/tmp/silver-unit-XXXXXX");
	if (mkdtemp(t->path) == NULL)
		return -1;
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = t;
	return t->fd == -1 ? -1 : 0;
}

/* Not fs_remove_tree(): that is itself under test. */
static inline void tmp_empty(int dir_fd)
{
	DIR *dir = fdopendir(dir_fd);
	const struct dirent *e;

	if (dir == NULL) {
		close(dir_fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dir_fd, e->d_name, 0) == 0)
			continue;
		int fd = openat(dir_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd != -1)
			tmp_empty(fd);
		unlinkat(dir_fd, e->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

static inline int tmp_teardown(void **state)
{
	struct tmp *t = *state;

	tmp_empty(t->fd);
	rmdir(t->path);
	free(t);
	return 0;
}

static inline int tmp_fd(void **state)
{
	return ((const struct tmp *)*state)->fd;
}

static inline void put_file(int dir, const char *name, const char *content)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd != -1);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
}

static inline void assert_content(int dir, const char *name, const char *expected)
{
	char got[4096];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd != -1);
	n = read(fd, got, sizeof(got) - 1);
	close(fd);
	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, expected);
}

static inline bool there(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}
