/* Memory, descriptors, strings that grow, lists of strings. */
#include "tests/unit/unit.h"
#include "common/mem.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static void autoclose_closes_and_keeps_errno(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd != -1);
	errno = 0;
	{
		autoclose int held = fd;
		autoclose int none = -1;

		assert_true(is_open(held));
		assert_int_equal(none, -1);
		errno = ENOTTY;
	}
	assert_int_equal(errno, ENOTTY);
	assert_false(is_open(fd));
}

static void what_was_stolen_is_not_released(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int kept = -1;
	char *text = NULL;

	(void)state;
	assert_true(fd != -1);
	{
		autoclose int held = fd;
		autofree char *s = xstrdup("kept");

		kept = steal_fd(&held);
		text = steal_ptr(&s);
		assert_int_equal(held, -1);
		assert_null(s);
	}
	assert_true(is_open(kept));
	assert_string_equal(text, "kept");
	free(text);
	fd_close(&kept);
	assert_int_equal(kept, -1);
	assert_false(is_open(fd));
	fd_close(&kept); /* nothing at -1 */
}

static void strings_are_copied_and_formatted(void **state)
{
	(void)state;
	autofree char *copy = xstrdup("");
	autofree char *cut = xstrndup("release", 3);
	autofree char *whole = xstrndup("abc", 100);
	autofree char *made = xasprintf("%s-%d", "app", 12);

	assert_string_equal(copy, "");
	assert_string_equal(cut, "rel");
	assert_string_equal(whole, "abc");
	assert_string_equal(made, "app-12");
}

static void an_array_size_that_overflows_aborts(void **state)
{
	(void)state;
	pid_t pid = fork();
	int status;

	assert_true(pid != -1);
	if (pid == 0) {
		volatile size_t huge = SIZE_MAX / 2;

		close(STDERR_FILENO);
		free(xrealloc_array(NULL, huge, 4));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void strbuf_grows_and_is_always_terminated(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	(void)state;
	assert_string_equal(strbuf_str(&s), "");
	for (int i = 0; i < 10000; i++) {
		strbuf_addch(&s, 'x');
		assert_int_equal(s.buf[s.len], '\0');
	}
	assert_int_equal(s.len, 10000);
	strbuf_reset(&s);
	assert_int_equal(s.len, 0);
	assert_string_equal(strbuf_str(&s), "");
	strbuf_addstr(&s, "a");
	strbuf_addf(&s, "%05d", 7);
	strbuf_add(&s, "\0b", 2);
	assert_int_equal(s.len, 8);
	assert_memory_equal(s.buf, "a00007\0b", 9);
}

static void strbuf_formats_more_than_it_had_room_for(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	(void)state;
	strbuf_addf(&s, "%2000d|", 1);
	strbuf_addf(&s, "%5000d", 2);
	assert_int_equal(s.len, 7001);
	assert_int_equal(s.buf[1999], '1');
	assert_int_equal(s.buf[2000], '|');
	assert_int_equal(s.buf[7000], '2');
}

static void detached_text_is_the_callers_and_never_null(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	(void)state;
	autofree char *nothing = strbuf_detach(&s);

	assert_string_equal(nothing, "");
	strbuf_addstr(&s, "again");
	autofree char *text = strbuf_detach(&s);

	assert_string_equal(text, "again");
	assert_int_equal(s.len, 0);
	assert_string_equal(strbuf_str(&s), "");
}

static void read_fd_takes_the_limit_and_refuses_one_more(void **state)
{
	int dir = tmp_fd(state);
	autostrbuf struct strbuf s = STRBUF_INIT;
	autostrbuf struct strbuf more = STRBUF_INIT;
	struct error err = ERROR_INIT;

	put_file(dir, "f", "0123456789");
	autoclose int fd = openat(dir, "f", O_RDONLY | O_CLOEXEC);

	assert_int_equal(strbuf_read_fd(&s, fd, 10, &err), 0);
	assert_string_equal(strbuf_str(&s), "0123456789");
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(strbuf_read_fd(&more, fd, 9, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
}

static void read_fd_reads_a_pipe_to_its_end(void **state)
{
	int fds[2];
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		char block[1000];

		memset(block, 'p', sizeof(block));
		for (int i = 0; i < 300; i++)
			if (write(fds[1], block, sizeof(block)) != (ssize_t)sizeof(block))
				_exit(1);
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(strbuf_read_fd(&s, fds[0], 1 << 20, &err), 0);
	assert_int_equal(s.len, 300000);
	close(fds[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void strv_is_an_argv(void **state)
{
	autostrv struct strv v = STRV_INIT;

	(void)state;
	assert_null(strv_argv(&v)[0]);
	assert_int_equal(v.n, 0);
	for (int i = 0; i < 100; i++)
		strv_addf(&v, "%d", i);
	assert_int_equal(v.n, 100);
	assert_null(strv_argv(&v)[100]);
	assert_string_equal(strv_argv(&v)[99], "99");
	assert_true(strv_has(&v, "42"));
	assert_false(strv_has(&v, "100"));
	assert_false(strv_has(&v, "4 2"));
}

static void strv_sorts_by_bytes(void **state)
{
	autostrv struct strv v = STRV_INIT;

	(void)state;
	strv_sort(&v);
	strv_add(&v, "b");
	strv_add(&v, "\xff");
	strv_add(&v, "B");
	strv_add(&v, "a10");
	strv_add(&v, "a-");
	strv_add(&v, "");
	strv_sort(&v);
	assert_string_equal(v.v[0], "");
	assert_string_equal(v.v[1], "B");
	assert_string_equal(v.v[2], "a-");
	assert_string_equal(v.v[3], "a10");
	assert_string_equal(v.v[4], "b");
	assert_string_equal(v.v[5], "\xff");
	assert_null(v.v[6]);
}

static void starts_and_ends(void **state)
{
	(void)state;
	assert_true(str_starts("refs/heads/x", "refs/heads/"));
	assert_true(str_starts("x", ""));
	assert_false(str_starts("refs", "refs/heads/"));
	assert_true(str_ends("app.git", ".git"));
	assert_true(str_ends("x", ""));
	assert_false(str_ends("git", ".git"));
	assert_false(str_ends("app.gitx", ".git"));
}

static void numbers_are_plain_decimals(void **state)
{
	static const struct {
		const char *text;
		uint64_t max, value;
		bool good;
	} table[] = {
		{"0", 10, 0, true},
		{"10", 10, 10, true},
		{"11", 10, 0, false},
		{"00", 10, 0, false},
		{"01", 10, 0, false},
		{"", 10, 0, false},
		{"-1", 10, 0, false},
		{"+1", 10, 0, false},
		{" 1", 10, 0, false},
		{"1 ", 10, 0, false},
		{"1\n", 10, 0, false},
		{"0x1", 100, 0, false},
		{"1e1", 100, 0, false},
		{"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
		{"18446744073709551616", UINT64_MAX, 0, false},
		{"99999999999999999999999", UINT64_MAX, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		uint64_t value = 77;
		bool good = str_to_uint(table[i].text, table[i].max, &value);

		if (good != table[i].good)
			fail_msg("'%s': %s", table[i].text, good ? "taken" : "refused");
		if (good)
			assert_true(value == table[i].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(autoclose_closes_and_keeps_errno),
		cmocka_unit_test(what_was_stolen_is_not_released),
		cmocka_unit_test(strings_are_copied_and_formatted),
		cmocka_unit_test(an_array_size_that_overflows_aborts),
		cmocka_unit_test(strbuf_grows_and_is_always_terminated),
		cmocka_unit_test(strbuf_formats_more_than_it_had_room_for),
		cmocka_unit_test(detached_text_is_the_callers_and_never_null),
		TMP_TEST(read_fd_takes_the_limit_and_refuses_one_more),
		cmocka_unit_test(read_fd_reads_a_pipe_to_its_end),
		cmocka_unit_test(strv_is_an_argv),
		cmocka_unit_test(strv_sorts_by_bytes),
		cmocka_unit_test(starts_and_ends),
		cmocka_unit_test(numbers_are_plain_decimals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
