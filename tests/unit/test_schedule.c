/* The five fields of a schedule, and what snooze(1) is told of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/schedule.h"

static void assert_snoozes(const char *text, unsigned variant, const char *wanted)
{
	autostrv struct strv argv = STRV_INIT;
	autostrbuf struct strbuf all = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct schedule s;

	assert_int_equal(schedule_parse(text, &s, &err), 0);
	if (schedule_snooze(&s, variant, &argv))
		for (size_t i = 0; i < argv.n; i++)
			strbuf_addf(&all, "%s%s", i ? " " : "", argv.v[i]);
	assert_string_equal(strbuf_str(&all), wanted);
}

static void assert_refused(const char *text)
{
	struct error err = ERROR_INIT;
	struct schedule s;

	assert_int_equal(schedule_parse(text, &s, &err), -1);
	assert_int_equal(err.code, E_USAGE);
}

#define ALL_DAYS                                                                                   \
	"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"
#define ALL_MONTHS "1,2,3,4,5,6,7,8,9,10,11,12"

static void lists_ranges_steps_and_names(void **state)
{
	(void)state;
	assert_snoozes("30 4 * * mon-fri", 0,
		       "-M30 -H4 -d" ALL_DAYS " -m" ALL_MONTHS " -w1,2,3,4,5");
	assert_snoozes("0,05,*/20 8-18/5 1 Jan,12 *", 0,
		       "-M0,5,20,40 -H8,13,18 -d1 -m1,12 -w0,1,2,3,4,5,6");
	assert_snoozes("0 0 * * 7", 0, "-M0 -H0 -d" ALL_DAYS " -m" ALL_MONTHS " -w0");
	assert_snoozes("\t00  0 * *  5-7 ", 0, "-M0 -H0 -d" ALL_DAYS " -m" ALL_MONTHS " -w0,5,6");
}

static void either_of_two_days_is_enough_and_never_twice(void **state)
{
	(void)state;
	assert_snoozes("0 0 1-30 * sun", 0,
		       "-M0 -H0 "
		       "-d1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,"
		       "28,29,30 -m" ALL_MONTHS " -w0,1,2,3,4,5,6");
	assert_snoozes("0 0 1-30 * sun", 1, "-M0 -H0 -d31 -m" ALL_MONTHS " -w0");
	assert_snoozes("0 0 1-31 * sun", 1, "");
	assert_snoozes("0 0 1 * *", 1, "");
	assert_snoozes("0 0 * * sun", 1, "");
}

static void what_is_no_schedule_is_refused(void **state)
{
	static const char *const wrong[] = {"",
					    "* * * *",
					    "* * * * * *",
					    "60 * * * *",
					    "* 24 * * *",
					    "* * 0 * *",
					    "* * 32 * *",
					    "* * * 13 *",
					    "* * * * 8",
					    "5-1 * * * *",
					    "*/0 * * * *",
					    "5/2 * * * *",
					    "1, * * * *",
					    "-1 * * * *",
					    "a * * * *",
					    "* * * mo *",
					    "* * * * mond",
					    "@daily",
					    "* * 31 2 *",
					    "0 0 31 4,6,9,11 *",
					    "0 0 30 2 *",
					    "1;2 * * * *",
					    "*\n * * * *",
					    "1-2-3 * * * *"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_refused(wrong[i]);
}

static void a_day_that_comes_in_some_month_is_taken(void **state)
{
	(void)state;
	assert_snoozes("0 0 31 2 sun", 1,
		       "-M0 -H0 "
		       "-d1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,"
		       "28,29,30 -m2 -w0");
	assert_snoozes("0 0 29 2 *", 0, "-M0 -H0 -d29 -m2 -w0,1,2,3,4,5,6");
	assert_snoozes("0 0 30 2,4 *", 0, "-M0 -H0 -d30 -m2,4 -w0,1,2,3,4,5,6");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_ranges_steps_and_names),
		cmocka_unit_test(either_of_two_days_is_enough_and_never_twice),
		cmocka_unit_test(what_is_no_schedule_is_refused),
		cmocka_unit_test(a_day_that_comes_in_some_month_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
