/* The five fields of a schedule, and what snooze(1) is told of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>
#include "runtime/schedule.h"

/* either: one of two days is enough */
static void assert_snoozes(const char *text, bool either, const char *wanted)
{
	autostrv struct strv argv = STRV_INIT;
	autostrbuf struct strbuf all = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct schedule s;

	assert_int_equal(schedule_parse(text, &s, &err), 0);
	assert_int_equal(schedule_snooze(&s, &argv), either);
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
	assert_snoozes("30 4 * * mon-fri", false,
		       "-M30 -H4 -d" ALL_DAYS " -m" ALL_MONTHS " -w1,2,3,4,5");
	assert_snoozes("0,05,*/20 8-18/5 1 Jan,12 *", false,
		       "-M0,5,20,40 -H8,13,18 -d1 -m1,12 -w0,1,2,3,4,5,6");
	assert_snoozes("0 0 * * 7", false, "-M0 -H0 -d" ALL_DAYS " -m" ALL_MONTHS " -w0");
	assert_snoozes("\t00  0 * *  5-7 ", false,
		       "-M0 -H0 -d" ALL_DAYS " -m" ALL_MONTHS " -w0,5,6");
}

/* "2026-11-23 04:30", a Monday, in the node's zone. */
static time_t at(const char *text)
{
	struct tm tm = {.tm_isdst = -1};

	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return mktime(&tm);
}

static void assert_day(const char *schedule, const char *day, bool wanted)
{
	autofree char *noon = xasprintf("%s 12:00", day);
	time_t t = at(noon);
	struct error err = ERROR_INIT;
	struct schedule s;
	struct tm tm;

	assert_int_equal(schedule_parse(schedule, &s, &err), 0);
	assert_non_null(localtime_r(&t, &tm));
	assert_int_equal(schedule_has_day(&s, &tm), wanted);
}

static void either_of_two_days_is_enough(void **state)
{
	(void)state;
	assert_snoozes("0 0 13 * fri", true,
		       "-M0 -H0 -d" ALL_DAYS " -m" ALL_MONTHS " -w0,1,2,3,4,5,6");
	assert_snoozes("0 0 13 * *", false, "-M0 -H0 -d13 -m" ALL_MONTHS " -w0,1,2,3,4,5,6");
	assert_day("0 0 13 * fri", "2026-11-13", true); /* both */
	assert_day("0 0 13 * fri", "2026-12-13", true);
	assert_day("0 0 13 * fri", "2026-11-27", true);
	assert_day("0 0 13 * fri", "2026-11-28", false);
	assert_day("0 0 13 12 fri", "2026-11-27", false);
	assert_day("0 0 * * fri", "2026-11-13", true);
	assert_day("0 0 * * fri", "2026-11-14", false);
	assert_day("0 0 13 * *", "2026-11-14", false);
	assert_day("* * * * 7", "2026-11-29", true);
}

static void assert_next(const char *schedule, const char *after, const char *wanted)
{
	struct error err = ERROR_INIT;
	struct schedule s;
	char text[32] = "never";
	struct tm tm;
	time_t t;

	assert_int_equal(schedule_parse(schedule, &s, &err), 0);
	t = schedule_next(&s, at(after));
	if (t && localtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	assert_string_equal(text, wanted);
}

static void the_next_time_is_told(void **state)
{
	(void)state;
	assert_next("* * * * *", "2026-11-23 04:30", "2026-11-23 04:31");
	assert_next("30 4 * * *", "2026-11-23 04:30", "2026-11-24 04:30");
	assert_next("30 4 * * *", "2026-11-23 04:29", "2026-11-23 04:30");
	assert_next("*/20 8-9 * * *", "2026-11-23 08:55", "2026-11-23 09:00");
	assert_next("0 0 29 2 *", "2026-11-23 04:30", "2028-02-29 00:00");
	assert_next("0 5 13 * fri", "2026-11-23 04:30", "2026-11-27 05:00");
	assert_next("59 23 31 12 *", "2026-12-31 23:59", "2027-12-31 23:59");
}

static void an_hour_that_the_clock_skips_has_no_time(void **state)
{
	(void)state;
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	if (timezone != 0) { /* the zone is known here */
		assert_next("30 2 * * *", "2027-03-27 12:00", "2027-03-29 02:30");
		assert_next("30 3 * * *", "2027-03-27 12:00", "2027-03-28 03:30");
	}
	setenv("TZ", "UTC", 1);
	tzset();
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
	assert_snoozes("0 0 31 2 sun", true, "-M0 -H0 -d" ALL_DAYS " -m2 -w0,1,2,3,4,5,6");
	assert_snoozes("0 0 29 2 *", false, "-M0 -H0 -d29 -m2 -w0,1,2,3,4,5,6");
	assert_snoozes("0 0 30 2,4 *", false, "-M0 -H0 -d30 -m2,4 -w0,1,2,3,4,5,6");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_ranges_steps_and_names),
		cmocka_unit_test(either_of_two_days_is_enough),
		cmocka_unit_test(the_next_time_is_told),
		cmocka_unit_test(an_hour_that_the_clock_skips_has_no_time),
		cmocka_unit_test(what_is_no_schedule_is_refused),
		cmocka_unit_test(a_day_that_comes_in_some_month_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
