/* The disk: nothing is followed, nothing is half written, and the order of syncs is the promised
 * one. */
#include "tests/unit/unit.h"
#include "common/fs.h"

/* The calls that fs.c makes pass through here (-Wl,--wrap): they are noted, and the n-th can fail.
 */
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);

static char calls[256]; /* "f" fsync of a file, "d" of a directory, "r" rename */
static int fail_fsync;  /* the n-th from now fails with EIO; 0: none */
static int fail_rename; /* the same for rename */

static void note(char what)
{
	size_t n = strlen(calls);

	if (n + 1 < sizeof(calls)) {
		calls[n] = what;
		calls[n + 1] = '\0';
	}
}

int __wrap_fsync(int fd)
{
	struct stat st;

	note(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? 'd' : 'f');
	if (fail_fsync > 0 && --fail_fsync == 0) {
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	note('r');
	if (fail_rename > 0 && --fail_rename == 0) {
		errno = ENOSPC;
		return -1;
	}
	return __real_renameat(from_fd, from, to_fd, to);
}

static void forget_calls(void)
{
	calls[0] = '\0';
	fail_fsync = fail_rename = 0;
}

static void open_stays_below_the_directory(void **state)
{
	int dir = tmp_fd(state);
	static const char *const outside[] = {
		"..", "../x", "sub/../../x", "/etc/passwd", "link/passwd", "sub/up/x", "self"};
	struct error err = ERROR_INIT;

	assert_int_equal(mkdirat(dir, "sub", 0755), 0);
	put_file(dir, "sub/file", "in");
	assert_int_equal(symlinkat("/etc", dir, "link"), 0);
	assert_int_equal(symlinkat("..", dir, "sub/up"), 0);
	assert_int_equal(symlinkat("sub/file", dir, "self"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
		int fd = -1;

		if (fs_open(dir, outside[i], O_RDONLY, 0, &fd, &err) != -1)
			fail_msg("'%s' was opened", outside[i]);
		assert_int_equal(fd, -1);
	}
	autoclose int fd = -1;
	assert_int_equal(fs_open(dir, "sub/file", O_RDONLY, 0, &fd, &err), 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static void open_tells_what_is_absent(void **state)
{
	struct error err = ERROR_INIT;
	int fd = -1;

	assert_int_equal(fs_open(tmp_fd(state), "none", O_RDONLY, 0, &fd, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_non_null(strstr(err.text, "'none'"));
	assert_int_equal(fs_open_dir(tmp_fd(state), "none", &fd, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
}

static void ensure_dir_makes_one_and_takes_one(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	autoclose int fd = -1;

	assert_int_equal(fs_ensure_dir(dir, "d", 0750, NULL, &err), 0);
	assert_int_equal(fs_ensure_dir(dir, "d", 0750, &fd, &err), 0);
	put_file(fd, "x", "1");
	assert_content(dir, "d/x", "1");
}

static void ensure_dir_takes_no_file_and_no_link(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	int fd = -1;

	put_file(dir, "file", "");
	assert_int_equal(symlinkat("/etc", dir, "link"), 0);
	assert_int_equal(fs_ensure_dir(dir, "file", 0750, &fd, &err), -1);
	assert_int_equal(fs_ensure_dir(dir, "link", 0750, &fd, &err), -1);
	assert_int_equal(fd, -1);
}

static void read_file_has_a_limit(void **state)
{
	int dir = tmp_fd(state);
	autostrbuf struct strbuf s = STRBUF_INIT;
	autostrbuf struct strbuf t = STRBUF_INIT;
	struct error err = ERROR_INIT;

	put_file(dir, "f", "12345");
	assert_int_equal(fs_read_file(dir, "f", 5, &s, &err), 0);
	assert_string_equal(strbuf_str(&s), "12345");
	assert_int_equal(fs_read_file(dir, "f", 4, &t, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_int_equal(fs_read_file(dir, "none", 4, &t, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
}

static void replace_writes_content_then_name_then_directory(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	struct stat st;

	forget_calls();
	assert_int_equal(fs_replace_file(dir, "current", "old", 3, 0640, &err), 0);
	assert_string_equal(calls, "frd");
	assert_content(dir, "current", "old");
	assert_int_equal(fstatat(dir, "current", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(fs_replace_file(dir, "current", "", 0, 0600, &err), 0);
	assert_content(dir, "current", "");
	assert_int_equal(fstatat(dir, "current", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void replace_keeps_the_old_file_when_content_cannot_be_synced(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;

	forget_calls();
	assert_int_equal(fs_replace_file(dir, "current", "old", 3, 0644, &err), 0);
	fail_fsync = 1;
	assert_int_equal(fs_replace_file(dir, "current", "new", 3, 0644, &err), -1);
	assert_int_equal(err.code, E_SYSTEM);
	assert_non_null(strstr(err.text, "Input/output error"));
	assert_content(dir, "current", "old");
	assert_int_equal(fs_replace_file(dir, "current", "new", 3, 0644, &err),
			 0); /* stale temp is no obstacle */
	assert_content(dir, "current", "new");
}

static void replace_reports_a_directory_that_cannot_be_synced(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;

	forget_calls();
	fail_fsync = 2;
	assert_int_equal(fs_replace_file(dir, "current", "new", 3, 0644, &err), -1);
	assert_string_equal(calls, "frd");
}

static void replace_keeps_the_old_file_when_the_rename_fails(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;

	forget_calls();
	assert_int_equal(fs_replace_file(dir, "current", "old", 3, 0644, &err), 0);
	fail_rename = 1;
	assert_int_equal(fs_replace_file(dir, "current", "new", 3, 0644, &err), -1);
	assert_non_null(strstr(err.text, "No space left on device"));
	assert_content(dir, "current", "old");
}

static void replace_writes_through_no_link(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;

	forget_calls();
	put_file(dir, "target", "kept");
	assert_int_equal(symlinkat("target", dir, "name"), 0);
	assert_int_equal(symlinkat("target", dir, ".name.new"),
			 0); /* planted where the temporary goes */
	assert_int_equal(fs_replace_file(dir, "name", "mine", 4, 0644, &err), 0);
	assert_content(dir, "target", "kept");
	assert_content(dir, "name", "mine");
	assert_false(there(dir, ".name.new"));
}

static void replace_takes_a_name_and_no_path(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;

	assert_int_equal(symlinkat("/tmp", dir, "out"), 0);
	pid_t pid = fork(); /* an assertion there is as good as an error */
	assert_true(pid != -1);
	if (pid == 0) {
		close(STDERR_FILENO);
		_exit(fs_replace_file(dir, "out/silver-unit-escaped", "x", 1, 0644, &err) == -1
			      ? 3
			      : 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 3);
	assert_int_equal(access("/tmp/silver-unit-escaped", F_OK), -1);
}

static void links_are_replaced_whole(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	autofree char *text = NULL;

	forget_calls();
	assert_int_equal(fs_replace_link(dir, "current", "releases/1", &err), 0);
	assert_string_equal(calls, "rd");
	assert_int_equal(symlinkat("left by a crash", dir, ".current.new"), 0);
	forget_calls();
	assert_int_equal(fs_replace_link_nosync(dir, "current", "releases/2", &err), 0);
	assert_string_equal(calls, "r");
	assert_int_equal(fs_read_link(dir, "current", &text, &err), 0);
	assert_string_equal(text, "releases/2");
	assert_false(there(dir, ".current.new"));
}

static void a_link_of_any_length_is_read(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	autofree char *text = NULL;
	char target[4000];

	memset(target, 'a', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	assert_int_equal(fs_symlink(target, dir, "long", &err), 0);
	assert_int_equal(fs_read_link(dir, "long", &text, &err), 0);
	assert_string_equal(text, target);
	char *none = NULL;
	assert_int_equal(fs_read_link(dir, "none", &none, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	put_file(dir, "file", "");
	assert_int_equal(fs_read_link(dir, "file", &none, &err), -1);
	assert_null(none);
}

static void rename_sync_syncs_both_directories(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	autoclose int a = -1;
	autoclose int b = -1;

	assert_int_equal(fs_ensure_dir(dir, "a", 0755, &a, &err), 0);
	assert_int_equal(fs_ensure_dir(dir, "b", 0755, &b, &err), 0);
	put_file(a, "x", "1");
	forget_calls();
	assert_int_equal(fs_rename_sync(a, "x", b, "y", &err), 0);
	assert_string_equal(calls, "rdd");
	assert_content(b, "y", "1");
	forget_calls();
	assert_int_equal(fs_rename_sync(b, "y", b, "z", &err), 0);
	assert_string_equal(calls, "rd");
	forget_calls();
	assert_int_equal(fs_rename(b, "z", a, "x", &err), 0);
	assert_string_equal(calls, "r");
	assert_int_equal(fs_rename(b, "none", a, "x", &err), -1);
	assert_content(a, "x", "1");
}

static void link_never_replaces_and_follows_no_link(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	struct stat st;

	put_file(dir, "a", "a");
	put_file(dir, "b", "b");
	assert_int_equal(fs_link(dir, "a", dir, "b", &err), -1);
	assert_content(dir, "b", "b");
	assert_int_equal(fs_link(dir, "a", dir, "c", &err), 0);
	assert_int_equal(fstatat(dir, "c", &st, 0), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(fs_symlink("a", dir, "s", &err), 0);
	assert_int_equal(fs_link(dir, "s", dir, "t", &err), 0);
	assert_int_equal(fstatat(dir, "t", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void unlink_takes_what_is_there_and_minds_nothing_else(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;

	put_file(dir, "x", "");
	assert_int_equal(fs_unlink(dir, "x", &err), 0);
	assert_int_equal(fs_unlink(dir, "x", &err), 0);
	assert_int_equal(mkdirat(dir, "d", 0755), 0);
	assert_int_equal(fs_unlink(dir, "d", &err), -1);
	assert_true(there(dir, "d"));
}

static void remove_tree_leaves_what_links_lead_to(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;

	assert_int_equal(mkdirat(dir, "keep", 0755), 0);
	put_file(dir, "keep/x", "kept");
	assert_int_equal(mkdirat(dir, "t", 0755), 0);
	assert_int_equal(mkdirat(dir, "t/sub", 0700), 0);
	put_file(dir, "t/sub/f", "");
	put_file(dir, "t/\xff\n", "");
	assert_int_equal(symlinkat("../keep", dir, "t/dir"), 0);
	assert_int_equal(symlinkat("../keep/x", dir, "t/file"), 0);
	assert_int_equal(fs_remove_tree(dir, "t", &err), 0);
	assert_false(there(dir, "t"));
	assert_content(dir, "keep/x", "kept");
	assert_int_equal(fs_remove_tree(dir, "t", &err), 0); /* absent */
	assert_int_equal(symlinkat("keep", dir, "l"), 0);
	assert_int_equal(fs_remove_tree(dir, "l", &err), 0);
	assert_false(there(dir, "l"));
	assert_content(dir, "keep/x", "kept");
}

static void remove_tree_goes_deep(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	int at = dup(dir);

	for (int i = 0; i < 200; i++) {
		assert_int_equal(mkdirat(at, "d", 0755), 0);
		int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next != -1);
		close(at);
		at = next;
	}
	close(at);
	assert_int_equal(fs_remove_tree(dir, "d", &err), 0);
	assert_false(there(dir, "d"));
}

static void names_are_listed_sorted_and_whole(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	autostrv struct strv names = STRV_INIT;

	put_file(dir, "b", "");
	put_file(dir, ".hidden", "");
	assert_int_equal(symlinkat("nowhere", dir, "a"), 0);
	for (int twice = 0; twice < 2;
	     twice++) { /* a second time: the offset of the fd is not used up */
		autostrv struct strv again = STRV_INIT;

		assert_int_equal(fs_list(dir, &again, &err), 0);
		assert_int_equal(again.n, 3);
	}
	assert_int_equal(fs_list(dir, &names, &err), 0);
	assert_string_equal(names.v[0], ".hidden");
	assert_string_equal(names.v[1], "a");
	assert_string_equal(names.v[2], "b");
}

static void a_dangling_link_exists(void **state)
{
	int dir = tmp_fd(state);

	assert_int_equal(symlinkat("nowhere", dir, "l"), 0);
	assert_true(fs_exists(dir, "l"));
	assert_false(fs_exists(dir, "nowhere"));
}

static void write_all_writes_past_what_a_pipe_holds(void **state)
{
	int fds[2];
	struct error err = ERROR_INIT;
	size_t len = 300000;
	autofree char *bytes = xmalloc(len);

	(void)state;
	memset(bytes, 'w', len);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		close(fds[0]);
		_exit(fs_write_all(fds[1], bytes, len, &err) == 0 ? 0 : 1);
	}
	close(fds[1]);
	autostrbuf struct strbuf s = STRBUF_INIT;
	assert_int_equal(strbuf_read_fd(&s, fds[0], len, &err), 0);
	assert_int_equal(s.len, len);
	close(fds[0]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TMP_TEST(open_stays_below_the_directory),
		TMP_TEST(open_tells_what_is_absent),
		TMP_TEST(ensure_dir_makes_one_and_takes_one),
		TMP_TEST(ensure_dir_takes_no_file_and_no_link),
		TMP_TEST(read_file_has_a_limit),
		TMP_TEST(replace_writes_content_then_name_then_directory),
		TMP_TEST(replace_keeps_the_old_file_when_content_cannot_be_synced),
		TMP_TEST(replace_reports_a_directory_that_cannot_be_synced),
		TMP_TEST(replace_keeps_the_old_file_when_the_rename_fails),
		TMP_TEST(replace_writes_through_no_link),
		TMP_TEST(replace_takes_a_name_and_no_path),
		TMP_TEST(links_are_replaced_whole),
		TMP_TEST(a_link_of_any_length_is_read),
		TMP_TEST(rename_sync_syncs_both_directories),
		TMP_TEST(link_never_replaces_and_follows_no_link),
		TMP_TEST(unlink_takes_what_is_there_and_minds_nothing_else),
		TMP_TEST(remove_tree_leaves_what_links_lead_to),
		TMP_TEST(remove_tree_goes_deep),
		TMP_TEST(names_are_listed_sorted_and_whole),
		TMP_TEST(a_dangling_link_exists),
		cmocka_unit_test(write_all_writes_past_what_a_pipe_holds),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
