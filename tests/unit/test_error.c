/* Errors as values: what they say, what is cut, what is printed. */
#include "tests/unit/unit.h"
#include "common/error.h"

static void set_keeps_the_code_and_the_text(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(error_set(&err, E_NOTFOUND, "no app '%s'", "blog"), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_string_equal(err.text, "no app 'blog'");
}

static void sys_adds_the_reason_of_the_system(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(error_sys(&err, ENOSPC, "cannot write '%s'", "x"), -1);
	assert_int_equal(err.code, E_SYSTEM);
	assert_string_equal(err.text, "cannot write 'x': No space left on device");
}

static void prefix_goes_in_front_and_keeps_the_code(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	error_set(&err, E_BUSY, "held by alice");
	assert_int_equal(error_prefix(&err, "release %u", 12u), -1);
	assert_int_equal(error_prefix(&err, "deploying '%s'", "blog"), -1);
	assert_int_equal(err.code, E_BUSY);
	assert_string_equal(err.text, "deploying 'blog': release 12: held by alice");
}

static void text_that_is_too_long_is_cut(void **state)
{
	struct error err = ERROR_INIT;
	char big[3 * sizeof(err.text)];

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	error_set(&err, E_REFUSED, "%s", big);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	error_prefix(&err, "%s", big);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	error_set(&err, E_REFUSED, "tail");
	error_prefix(&err, "%s", big);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	error_sys(&err, EIO, "%s", big);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_int_equal(err.text[0], 'x');
}

static void a_percent_in_the_text_stays(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	error_set(&err, E_REFUSED, "%s", "100%s of %n");
	error_prefix(&err, "app");
	assert_string_equal(err.text, "app: 100%s of %n");
}

static void codes_from_elsewhere_are_known_or_system(void **state)
{
	(void)state;
	for (int code = E_OK; code <= E_SYSTEM; code++)
		assert_int_equal(error_code_from(code), code);
	assert_int_equal(error_code_from(-1), E_SYSTEM);
	assert_int_equal(error_code_from(7), E_SYSTEM);
	assert_int_equal(error_code_from(127), E_SYSTEM);
	assert_int_equal(error_code_from(137), E_SYSTEM);
}

static void report_prints_each_line_with_the_prefix(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	int saved = dup(STDERR_FILENO);
	int file = openat(dir, "err", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(saved != -1 && file != -1);
	error_set(&err, E_REFUSED, "app.ini:2: unknown key\napp.ini:3: bad value");
	fflush(stderr);
	dup2(file, STDERR_FILENO);
	int status = error_report(&err);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(file);
	assert_int_equal(status, E_REFUSED);
	assert_content(dir, "err",
		       "silver: app.ini:2: unknown key\nsilver: app.ini:3: bad value\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_keeps_the_code_and_the_text),
		cmocka_unit_test(sys_adds_the_reason_of_the_system),
		cmocka_unit_test(prefix_goes_in_front_and_keeps_the_code),
		cmocka_unit_test(text_that_is_too_long_is_cut),
		cmocka_unit_test(a_percent_in_the_text_stays),
		cmocka_unit_test(codes_from_elsewhere_are_known_or_system),
		TMP_TEST(report_prints_each_line_with_the_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
