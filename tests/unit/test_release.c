/* Releases: a record is whole or not there, and the links lead to what is there. */
#include "tests/unit/store.h"

static struct release_info sample(unsigned number)
{
	static char master[] = "master", ian[] = "ian", python[] = "python",
		    runner[] = "src/app.py#main", subject[] = "say \\x1b; = [x] # it";
	struct release_info r = {
		.number = number,
		.slot = number + 1,
		.branch = master,
		.who = ian,
		.run = {.platform = python, .runner = runner},
		.subject = subject,
		.when = 1767225600,
		.files = 50112,
		.changed = 3,
	};

	memset(r.commit, 'a', 40);
	memset(r.tree, 'b', 40);
	memset(r.env_digest, 'c', 40);
	return r;
}

static void write_release(struct store *s, unsigned number, bool live)
{
	struct release_info r = sample(number);
	autostrv struct strv env = STRV_INIT;
	struct error err = ERROR_INIT;

	strv_add(&env, "A=1");
	strv_add(&env, "B=two\nlines");
	assert_ok(release_write(&s->app, &r, &env, NULL, &err), err);
	if (live)
		assert_ok(release_mark_live(&s->app, number, &err), err);
}

static void what_is_written_is_read_back(void **state)
{
	struct store *s = *state;
	struct release_info want = sample(7);
	autorelease struct release_info got = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;
	char env[64];

	write_release(s, 7, false);
	s->app.account = (struct account){
		.start_us = 5, .us = {[ACCOUNT_CHECKED] = 3100, [ACCOUNT_HEALTHY] = 210000}};
	assert_ok(release_write_times(&s->app, 7, &err), err);
	assert_ok(release_read(&s->app, 7, &got, &err), err);
	assert_int_equal(got.number, 7);
	assert_int_equal(got.slot, 8);
	assert_string_equal(got.commit, want.commit);
	assert_string_equal(got.tree, want.tree);
	assert_string_equal(got.env_digest, want.env_digest);
	assert_string_equal(got.branch, "master");
	assert_string_equal(got.who, "ian");
	assert_string_equal(got.subject, want.subject);
	assert_string_equal(got.run.runner, "src/app.py#main");
	assert_null(got.run.health);
	assert_int_equal(got.when, 1767225600);
	assert_int_equal(got.files, 50112);
	assert_int_equal(got.times.us[ACCOUNT_CHECKED], 3100);
	assert_int_equal(got.times.us[ACCOUNT_HEALTHY], 210000);
	assert_int_equal(got.times.start_us, 5);
	assert_int_equal(account_whole_us(&got.times), 213100);
	assert_false(got.live);
	autoclose int fd = openat(s->app.fd, "releases/7/env", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, env, sizeof(env)), 16);
	assert_memory_equal(env, "A=1\0B=two\nlines\0", 16);
}

static void the_environment_is_not_for_all_and_sockets_may_be_reached(void **state)
{
	struct store *s = *state;
	struct stat st;

	write_release(s, 1, false);
	assert_int_equal(fstatat(s->app.fd, "releases/1/env", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(fstatat(s->app.fd, "releases/1/run", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 01771);
	assert_int_equal(fstatat(s->app.fd, "releases/1", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
}

static void a_record_that_lacks_something_is_an_error_that_says_what(void **state)
{
	struct store *s = *state;
	struct release_info r;
	struct error err = ERROR_INIT;

	assert_int_equal(release_read(&s->app, 3, &r, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_string_equal(err.text, "there is no release 3");
	mkdirat(s->app.fd, "releases/3", 0755);
	put_file(s->app.fd, "releases/3/record.ini", "[release]\ncommit = short\n");
	assert_int_equal(release_read(&s->app, 3, &r, &err), -1);
	assert_int_equal(err.code, E_SYSTEM);
	assert_string_equal(err.text, "'releases/3/record.ini' has no valid 'commit'");
}

static void torn_times_are_no_obstacle(void **state)
{
	struct store *s = *state;
	autorelease struct release_info r = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;

	write_release(s, 1, false);
	put_file(s->app.fd, "releases/1/times.ini", "[times]\nstart_us = 4\nreceived_us =");
	assert_ok(release_read(&s->app, 1, &r, &err), err);
	put_file(s->app.fd, "releases/1/times.ini", "\x01\x02 [");
	release_info_release(&r);
	assert_ok(release_read(&s->app, 1, &r, &err), err);
}

static void foreign_names_are_ignored(void **state)
{
	static const char *const foreign[] = {"12abc",      ".x",    "007", "-1",
					      "4294967299", "8.new", "9"};
	struct store *s = *state;
	autofree unsigned *list = NULL;
	struct error err = ERROR_INIT;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		autofree char *path = xasprintf("releases/%s", foreign[i]);

		assert_int_equal(mkdirat(s->app.fd, path, 0755), 0);
	}
	put_file(s->app.fd, "releases/5", "a file");
	write_release(s, 10, true);
	write_release(s, 2, true);
	assert_ok(release_list(&s->app, &list, &n, &err), err);
	assert_int_equal(n, 2);
	assert_int_equal(list[0], 2);
	assert_int_equal(list[1], 10);
}

static void the_next_number_counts_only_what_was_accepted(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	unsigned number;

	assert_ok(release_next_number(&s->app, &number, &err), err);
	assert_int_equal(number, 1);
	write_release(s, 1, true);
	write_release(s, 2, true);
	write_release(s, 3, false);
	assert_ok(release_next_number(&s->app, &number, &err), err);
	assert_int_equal(number, 3);
}

static void links_lead_to_what_is_there(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	unsigned number;

	assert_int_equal(release_current(&s->app), 0);
	assert_int_equal(release_link(&s->app, "next", &number, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	write_release(s, 4, true);
	assert_ok(release_set_link(&s->app, "current", 4, &err), err);
	assert_int_equal(release_current(&s->app), 4);
	assert_ok(release_set_link(&s->app, "previous", 3, &err), err);
	assert_int_equal(release_link(&s->app, "previous", &number, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_int_equal(symlinkat("../../elsewhere", s->app.fd, "next"), 0);
	assert_int_equal(release_link(&s->app, "next", &number, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
}

static void a_stale_unfinished_release_is_no_obstacle(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	unsigned n;

	mkdirat(s->app.fd, "releases/1.new", 0700);
	put_file(s->app.fd, "releases/1.new/record.ini", "half");
	write_release(s, 1, false);
	mkdirat(s->app.fd, "releases/2.new", 0700);
	put_file(s->app.fd, "releases/2.new/record.ini", "half");
	assert_ok(release_remove_unfinished(&s->app, &n, &err), err);
	assert_int_equal(n, 1);
	assert_false(there(s->app.fd, "releases/2.new"));
	assert_true(there(s->app.fd, "releases/1/record.ini"));
	assert_ok(release_remove(&s->app, 1, &err), err);
	assert_ok(release_remove(&s->app, 1, &err), err);
	assert_false(there(s->app.fd, "releases/1"));
}

static void a_failed_record_leaves_no_release(void **state)
{
	struct store *s = *state;
	struct release_info r = sample(1);
	autostrv struct strv env = STRV_INIT;
	struct error err = ERROR_INIT;

	mkdirat(s->app.fd, "releases/1", 0755); /* in the way, and not empty */
	put_file(s->app.fd, "releases/1/foreign", "x");
	assert_int_equal(release_write(&s->app, &r, &env, NULL, &err), -1);
	assert_non_null(strstr(err.text, "recording release 1: cannot rename '1.new' to '1'"));
	assert_false(there(s->app.fd, "releases/1/record.ini"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(what_is_written_is_read_back),
		STORE_TEST(the_environment_is_not_for_all_and_sockets_may_be_reached),
		STORE_TEST(a_record_that_lacks_something_is_an_error_that_says_what),
		STORE_TEST(torn_times_are_no_obstacle),
		STORE_TEST(foreign_names_are_ignored),
		STORE_TEST(the_next_number_counts_only_what_was_accepted),
		STORE_TEST(links_lead_to_what_is_there),
		STORE_TEST(a_stale_unfinished_release_is_no_obstacle),
		STORE_TEST(a_failed_record_leaves_no_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
