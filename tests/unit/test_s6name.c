/* Names of services: what each means, and that nothing else is taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "runtime/s6name.h"

static void assert_name(const char *name, const char *app, unsigned release, const char *label)
{
	struct s6name s;
	autofree char *has = NULL, *again = NULL;

	assert_true(s6name_parse(name, &s));
	has = s6name_label(&s);
	again = s6name_format(&s);
	assert_string_equal(s.app, app);
	assert_int_equal(s.release, release);
	assert_string_equal(has, label);
	assert_string_equal(again, name);
}

static void each_name_means_one_service(void **state)
{
	(void)state;
	assert_name("blog.12", "blog", 12, "web");
	assert_name("blog.12.mail.2", "blog", 12, "mail.2");
	assert_name("blog.12.cron-tidy", "blog", 12, "cron-tidy");
	assert_name("blog.12.cron-tidy.1", "blog", 12, "cron-tidy.1"); /* [process:cron-tidy] */
	assert_name("cron-x.1.cron-cron-y", "cron-x", 1, "cron-cron-y");
}

static void other_names_are_none(void **state)
{
	static const char *const none[] = {"nginx",
					   "",
					   ".",
					   "blog",
					   "blog.",
					   "blog.0",
					   "blog.x",
					   "blog.01",
					   "blog.1.",
					   "blog.1.mail",
					   "blog.1.mail.0",
					   "blog.1.mail.65",
					   "blog.1.mail.1.2",
					   "blog.1.Mail.1",
					   "blog.1.cron-",
					   "blog.1.cron-.1",
					   "blog.1...1",
					   "../x.1",
					   "blog.99999999999",
					   ".blog.1.new"};
	struct s6name s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		if (s6name_parse(none[i], &s) || s6name_parse_entry(none[i], &s))
			fail_msg("'%s' is taken for a service", none[i]);
}

static void what_is_being_ended_keeps_its_name(void **state)
{
	struct s6name s;

	(void)state;
	assert_true(s6name_parse_entry(".blog.12.mail.2.gone", &s));
	assert_int_equal(s.kind, S6_WORKER);
	assert_int_equal(s.index, 2);
	assert_true(s6name_parse_entry("blog.12", &s));
	assert_false(s6name_parse(".blog.12.gone", &s));
}

static void a_word_asks_for_all_of_a_name(void **state)
{
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(s6name_expand("blog", 7, "mail.2", &names, &err), 0);
	assert_int_equal(s6name_expand("blog", 7, "cron-tidy", &names, &err), 0);
	assert_int_equal(names.n, 3);
	assert_string_equal(names.v[0], "blog.7.mail.1");
	assert_string_equal(names.v[1], "blog.7.mail.2");
	assert_string_equal(names.v[2], "blog.7.cron-tidy");
	assert_int_equal(s6name_expand("blog", 7, "mail", &names, &err), -1);
	assert_int_equal(err.code, E_USAGE);
	assert_int_equal(s6name_expand("blog", 7, "../mail.1", &names, &err), -1);
	assert_int_equal(s6name_expand("blog", 7, "mail.0", &names, &err), -1);
	assert_int_equal(s6name_expand("blog", 7, "", &names, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_name_means_one_service),
		cmocka_unit_test(other_names_are_none),
		cmocka_unit_test(what_is_being_ended_keeps_its_name),
		cmocka_unit_test(a_word_asks_for_all_of_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
