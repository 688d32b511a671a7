/* The account of a deploy: its parts are the whole, whichever process closed them. */
#include "tests/unit/unit.h"
#include "buildless/account.h"
#include "common/fs.h"
#include "common/proc.h"

static void the_parts_are_the_whole(void **state)
{
	struct account a;

	(void)state;
	account_begin(&a, clock_us() - 12000);
	assert_true(account_close(&a, ACCOUNT_RECEIVED) >= 12000);
	usleep(2000);
	assert_true(account_close(&a, ACCOUNT_CHECKED) >= 2000);
	account_close(&a, ACCOUNT_LIVE);
	assert_true(a.us[ACCOUNT_RECEIVED] >= 12000);
	assert_true(a.us[ACCOUNT_CHECKED] >= 2000);
	assert_int_equal(account_whole_us(&a), a.mark_us - a.start_us);
}

static void what_syncs_take_is_counted_apart(void **state)
{
	struct error err = ERROR_INIT;
	struct account a;
	int64_t before;

	account_begin(&a, clock_us());
	before = fs_synced_us();
	for (int i = 0; i < 3; i++) {
		autofree char *name = xasprintf("f%d", i);

		assert_int_equal(fs_replace_file(tmp_fd(state), name, "x", 1, 0644, &err), 0);
	}
	account_close(&a, ACCOUNT_STAGED);
	assert_int_equal(a.us[ACCOUNT_SYNCED], fs_synced_us() - before);
	assert_int_equal(a.us[ACCOUNT_STAGED] + a.us[ACCOUNT_SYNCED], a.mark_us - a.start_us);
}

static void the_next_process_goes_on_with_it(void **state)
{
	struct account first, next;

	(void)state;
	account_begin(&first, clock_us() - 5000);
	account_close(&first, ACCOUNT_RECEIVED);
	account_begin(&next, first.start_us);
	account_resume(&next, &first);
	account_close(&next, ACCOUNT_ACCEPTED);
	assert_int_equal(next.us[ACCOUNT_RECEIVED], first.us[ACCOUNT_RECEIVED]);
	assert_int_equal(account_whole_us(&next), next.mark_us - first.start_us);
}

static void the_account_of_another_push_is_not_taken(void **state)
{
	struct account other = {.start_us = 1, .us = {[ACCOUNT_CHECKED] = 999}}, a;

	(void)state;
	account_begin(&a, clock_us());
	account_resume(&a, &other);
	assert_int_equal(account_whole_us(&a), 0);
}

static void assert_text(const struct account *a, const char *files, const char *expected)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	account_add_text(&s, a, files);
	assert_string_equal(strbuf_str(&s), expected);
}

static void it_reads_well(void **state)
{
	const struct account push = {.us = {[ACCOUNT_RECEIVED] = 12400,
					    [ACCOUNT_CHECKED] = 3140,
					    [ACCOUNT_STAGED] = 8000,
					    [ACCOUNT_SYNCED] = 9960,
					    [ACCOUNT_HEALTHY] = 65432100,
					    [ACCOUNT_ACCEPTED] = 49,
					    [ACCOUNT_LIVE] = 200}};

	(void)state;
	assert_text(&push, "3 of 50 112 files",
		    "received 12 ms, checked 3.1 ms, 3 of 50 112 files 8.0 ms, synced 10 ms, "
		    "healthy 65.4 s, live 0.2 ms");
	assert_text(&push, NULL,
		    "received 12 ms, checked 3.1 ms, staged 8.0 ms, synced 10 ms, healthy 65.4 s, "
		    "live 0.2 ms");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_parts_are_the_whole),
		TMP_TEST(what_syncs_take_is_counted_apart),
		cmocka_unit_test(the_next_process_goes_on_with_it),
		cmocka_unit_test(the_account_of_another_push_is_not_taken),
		cmocka_unit_test(it_reads_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
