/* Logs: the last lines over all parts, and following over rotation and flips. */
#include "tests/unit/store.h"
#include <poll.h>
#include "buildless/logs.h"

static int log_dir(const struct store *s, unsigned release)
{
	autofree char *path = xasprintf("log/blog/%u", release);

	mkdirat(s->tmp->fd, "log/blog", 0755);
	mkdirat(s->tmp->fd, path, 0755);
	return openat(s->tmp->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void append(int dir, const char *text)
{
	autoclose int fd = openat(dir, "current", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void make_live(const struct store *s, unsigned release)
{
	autofree char *path = xasprintf("releases/%u", release),
		      *record = xasprintf("releases/%u/record.ini", release);
	struct error err = ERROR_INIT;

	mkdirat(s->app.fd, path, 0755);
	put_file(s->app.fd, record, "");
	assert_ok(release_set_link(&s->app, "current", release, &err), err);
}

/* A process that prints the log into a pipe; the pipe's other end. */
static int start_printing_of(const struct store *s, unsigned release, const char *process,
			     size_t lines, bool follow, pid_t *pid)
{
	struct error err = ERROR_INIT;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	*pid = fork();
	assert_true(*pid != -1);
	if (*pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		signal(SIGPIPE, SIG_IGN);
		struct logs_query query = {
			.release = release, .lines = lines, .follow = follow, .process = process};

		_exit(logs_print(&s->app, &query, &err) == -1 ? (int)err.code : 0);
	}
	close(ends[1]);
	return ends[0];
}

static int start_printing(const struct store *s, unsigned release, size_t lines, bool follow,
			  pid_t *pid)
{
	return start_printing_of(s, release, NULL, lines, follow, pid);
}

static int ended(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void assert_prints(const struct store *s, unsigned release, size_t lines, const char *want)
{
	autostrbuf struct strbuf got = STRBUF_INIT;
	struct error err = ERROR_INIT;
	pid_t pid;
	autoclose int fd = start_printing(s, release, lines, false, &pid);

	assert_ok(strbuf_read_fd(&got, fd, 1 << 20, &err), err);
	assert_int_equal(ended(pid), 0);
	assert_string_equal(strbuf_str(&got), want);
}

static void the_last_lines_reach_back_into_older_parts(void **state)
{
	struct store *s = *state;
	autoclose int dir = log_dir(s, 3);

	make_live(s, 3);
	put_file(dir, "@40000000000000010000000a.s", "one\ntwo\n");
	put_file(dir, "@40000000000000020000000a.s", "three\nfour\n");
	put_file(dir, "lock", "");
	append(dir, "five\nsix\n");
	assert_prints(s, 0, 1, "six\n");
	assert_prints(s, 0, 2, "five\nsix\n");
	assert_prints(s, 0, 3, "four\nfive\nsix\n");
	assert_prints(s, 3, 5, "two\nthree\nfour\nfive\nsix\n");
	assert_prints(s, 3, 100, "one\ntwo\nthree\nfour\nfive\nsix\n");
	assert_prints(s, 3, 0, "");
	append(dir, "not ended");
	assert_prints(s, 0, 2, "six\nnot ended");
}

static void a_log_that_is_not_there_is_said(void **state)
{
	struct logs_query query = {.lines = 10};
	struct store *s = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(logs_print(&s->app, &query, &err), -1);
	assert_string_equal(err.text, "nothing of blog is live yet");
	make_live(s, 2);
	assert_int_equal(logs_print(&s->app, &query, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_string_equal(err.text, "release 2 has no log: nothing ran that wrote one; "
				      "--access has the requests");
}

/* Reads until `want` has come; what comes is exactly that. */
static void expect(int fd, const char *want)
{
	for (size_t at = 0, len = strlen(want); at < len;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		char bytes[256];
		ssize_t n;

		assert_int_equal(poll(&p, 1, 10000), 1);
		n = read(fd, bytes, len - at < sizeof(bytes) ? len - at : sizeof(bytes));
		assert_true(n > 0);
		assert_memory_equal(bytes, want + at, (size_t)n);
		at += (size_t)n;
	}
}

static void following_goes_on_over_rotation_and_flips_until_nobody_reads(void **state)
{
	struct store *s = *state;
	autoclose int one = log_dir(s, 1), two = log_dir(s, 2);
	pid_t pid;

	make_live(s, 1);
	append(one, "old\n");
	autoclose int fd = start_printing(s, 0, 10, true, &pid);
	expect(fd, "old\n");
	append(one, "new\n");
	expect(fd, "new\n");
	append(one, "before\n");
	assert_int_equal(renameat(one, "current", one, "@40000000000000010000000a.s"), 0);
	append(one, "after\n");
	expect(fd, "before\nafter\n");
	append(two, "starting\n");
	make_live(s, 2);
	expect(fd, "[2 web] starting\n");
	append(one, "last request\n");
	expect(fd, "[1 web] last request\n");
	append(two, "2026-11-23 11:30:31.214673315  serv");
	append(two, "ing\n");
	expect(fd, "2026-11-23 11:30:31.214673315  [2 web] serving\n");
	fd_close(&fd);
	assert_int_equal(ended(pid), 0);
}

static void following_one_release_does_not_leave_it(void **state)
{
	struct store *s = *state;
	autoclose int one = log_dir(s, 1), two = log_dir(s, 2);
	pid_t pid;

	make_live(s, 1);
	append(one, "old\n");
	autoclose int fd = start_printing(s, 1, 10, true, &pid);
	expect(fd, "old\n");
	make_live(s, 2);
	append(two, "other\n");
	usleep(500000);
	append(one, "mine\n");
	expect(fd, "mine\n");
	fd_close(&fd);
	assert_int_equal(ended(pid), 0);
}

#define AT(s) "2026-11-23 11:30:3" s ".000000000  "

static void assert_prints_of(const struct store *s, const char *process, size_t lines,
			     const char *want)
{
	autostrbuf struct strbuf got = STRBUF_INIT;
	struct error err = ERROR_INIT;
	pid_t pid;
	autoclose int fd = start_printing_of(s, 0, process, lines, false, &pid);

	assert_ok(strbuf_read_fd(&got, fd, 1 << 20, &err), err);
	assert_int_equal(ended(pid), 0);
	assert_string_equal(strbuf_str(&got), want);
}

static int part_dir(const struct store *s, const char *part)
{
	autofree char *path = xasprintf("log/blog/%s", part);

	mkdirat(s->tmp->fd, path, 0755);
	return openat(s->tmp->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void several_logs_are_one_in_the_order_of_time(void **state)
{
	struct store *s = *state;
	autoclose int web = log_dir(s, 3), one = part_dir(s, "3.mail.1"),
		      two = part_dir(s, "3.mail.2"), cron = part_dir(s, "3.cron-tidy"),
		      other = part_dir(s, "2.mail.1");

	make_live(s, 3);
	append(web, AT("1") "a\n" AT("5") "e\n");
	append(one, AT("2") "b\nhalf of it\n" AT("6") "f\n");
	append(two, AT("3") "c\n");
	append(cron, AT("4") "d");
	append(other, AT("9") "of another release\n");
	assert_prints_of(
		s, NULL, 100,
		AT("1") "[3 web] a\n" AT("2") "[3 mail.1] b\n[3 mail.1] half of it\n" AT(
			"3") "[3 mail.2] c\n" AT("4") "[3 cron-tidy] d\n" AT("5") "[3 web] e\n" AT("6") "[3 "
													"mail.1] "
													"f\n");
	assert_prints_of(s, NULL, 2, AT("5") "[3 web] e\n" AT("6") "[3 mail.1] f\n");
	assert_prints_of(s, "mail", 2, AT("3") "[3 mail.2] c\n" AT("6") "[3 mail.1] f\n");
	assert_prints_of(s, "mail.1", 1, AT("6") "f\n");
	assert_prints_of(s, "web", 1, AT("5") "e\n");
	assert_prints_of(s, "cron-tidy", 9, AT("4") "d");
}

static void a_process_without_a_log_is_said(void **state)
{
	struct logs_query query = {.lines = 10, .process = "mial"};
	struct store *s = *state;
	autoclose int web = log_dir(s, 3);
	struct error err = ERROR_INIT;

	make_live(s, 3);
	assert_int_equal(logs_print(&s->app, &query, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_string_equal(err.text,
			    "release 3 has no log of a process 'mial'; 'status' lists them");
	assert_true(web != -1);
}

static void what_an_app_wrote_is_shown_printable(void **state)
{
	struct store *s = *state;
	autoclose int dir = log_dir(s, 1);
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	append(dir, "one\ntwo \x1b[31mred\nthree");
	logs_show_end(&s->app, 1, 2, to);
	logs_show_end(&s->app, 9, 2, to);
	fclose(to);
	assert_string_equal(text, "silver: | two \\x1b[31mred\nsilver: | three\n");
	free(text);
}

static void the_end_is_shown_without_the_times_of_the_log(void **state)
{
	struct store *s = *state;
	autoclose int dir = log_dir(s, 1);
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	append(dir, "2026-11-23 11:30:31.214673315  Traceback:\n"
		    "2026-11-23 11:30:31.214673316    File \"app.py\"\n"
		    "2026-11-23 11:30:31.214673317  \n"
		    "2026-11-23 11:30:31 the app's own\n"
		    "2026-11-23 11:30:31.21467331x  not quite\n"
		    "2026-11-23 11:30:31.2");
	logs_show_end(&s->app, 1, 20, to);
	fclose(to);
	assert_string_equal(text, "silver: | Traceback:\n"
				  "silver: |   File \"app.py\"\n"
				  "silver: | \n"
				  "silver: | 2026-11-23 11:30:31 the app's own\n"
				  "silver: | 2026-11-23 11:30:31.21467331x  not quite\n"
				  "silver: | 2026-11-23 11:30:31.2\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(the_last_lines_reach_back_into_older_parts),
		STORE_TEST(a_log_that_is_not_there_is_said),
		STORE_TEST(following_goes_on_over_rotation_and_flips_until_nobody_reads),
		STORE_TEST(following_one_release_does_not_leave_it),
		STORE_TEST(several_logs_are_one_in_the_order_of_time),
		STORE_TEST(a_process_without_a_log_is_said),
		STORE_TEST(what_an_app_wrote_is_shown_printable),
		STORE_TEST(the_end_is_shown_without_the_times_of_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
