/* What `silver config` keeps: bytes that survive, names and sizes that are refused, and a change
 * that is there whole or not at all. */
#include "tests/unit/store.h"
#include "buildless/config.h"
#include "buildless/config_text.h"

static void names_of_variables_have_rules(void **state)
{
	static const char *const good[] = {"A", "_a", "DATABASE_URL", "LANG", "PATHS", "SILVERY"};
	static const char *const bad[] = {
		"",     "1A",         "A-B",  "A B",  "A=",     "\xc3\xa9",  "PATH",
		"LD_X", "SILVER_APP", "HOME", "PORT", "TMPDIR", "LISTEN_FDS"};
	autofree char *longest = xmalloc(202);
	struct error err = ERROR_INIT;

	(void)state;
	memset(longest, 'A', 201);
	longest[201] = '\0';
	assert_int_equal(config_check_name(longest, &err), -1);
	longest[200] = '\0';
	assert_int_equal(config_check_name(longest, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_ok(config_check_name(good[i], &err), err);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(config_check_name(bad[i], &err), -1);
		assert_int_equal(err.code, E_USAGE);
	}
}

static void names_of_files_lead_nowhere_else(void **state)
{
	static const char *const bad[] = {"", ".", "..", ".x", "a/b", "-a", "a b", "a\n"};
	struct error err = ERROR_INIT;

	(void)state;
	assert_ok(config_check_file("settings.ini", &err), err);
	assert_ok(config_check_file("a-b_c.9", &err), err);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(config_check_file(bad[i], &err), -1);
}

static void set(struct config *c, const char *name, const char *value)
{
	struct error err = ERROR_INIT;

	assert_ok(config_set(c, name, value, &err), err);
}

static void each_name_is_there_once_in_its_place(void **state)
{
	autoconfig struct config c = CONFIG_INIT;

	(void)state;
	set(&c, "AB", "2");
	set(&c, "A", "1");
	set(&c, "B", "");
	set(&c, "ABC", "3");
	set(&c, "AB", "two=2");
	assert_int_equal(c.set.n, 4);
	assert_string_equal(c.set.v[0], "A=1");
	assert_string_equal(c.set.v[1], "AB=two=2");
	assert_string_equal(c.set.v[2], "ABC=3");
	assert_string_equal(config_get(&c, "B"), "");
	assert_null(config_get(&c, "C"));
	assert_true(config_unset(&c, "AB"));
	assert_false(config_unset(&c, "AB"));
	assert_string_equal(config_get(&c, "ABC"), "3");
	assert_int_equal(c.set.n, 3);
}

static void too_much_is_refused_with_numbers(void **state)
{
	autoconfig struct config c = CONFIG_INIT;
	autofree char *value = xcalloc(1, CONFIG_VALUE_MAX + 2);
	struct error err = ERROR_INIT;
	int r = 0;

	(void)state;
	memset(value, 'x', CONFIG_VALUE_MAX + 1);
	assert_int_equal(config_set(&c, "A", value, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_non_null(strstr(err.text, "65537 bytes, at most 65536"));
	value[CONFIG_VALUE_MAX] = '\0';
	for (char name[] = "A"; r == 0 && *name < 'Z'; ++*name)
		r = config_set(&c, name, value, &err);
	assert_int_equal(r, -1);
	assert_non_null(strstr(err.text, "all variables together"));
	config_release(&c);
	for (int i = 0; i <= 500; i++) {
		autofree char *name = xasprintf("A%d", i);

		assert_int_equal(config_set(&c, name, "", &err), i < 500 ? 0 : -1);
	}
}

static void assert_round_trip(const char *value)
{
	autostrv struct strv back = STRV_INIT, errors = STRV_INIT;
	autostrbuf struct strbuf text = STRBUF_INIT;
	autofree char *want = xasprintf("A=%s", value);

	config_text_add(&text, "A", value);
	assert_int_equal(config_text_parse(text.buf, text.len, "x", &back, &errors), 0);
	assert_int_equal(back.n, 1);
	assert_string_equal(back.v[0], want);
	assert_ptr_equal(strchr(text.buf, '\n'), text.buf + text.len - 1);
}

static void text_keeps_every_byte(void **state)
{
	char value[8] = "";

	(void)state;
	assert_round_trip("");
	assert_round_trip("it's $HOME \\n \"q\" #");
	assert_round_trip("'q'");
	assert_round_trip("\"");
	assert_round_trip(" a ");
	assert_round_trip("# no comment");
	assert_round_trip("\xc2\x85\xe2\x82\xac\xff");
	for (int a = 1; a < 256; a++)
		for (int b = 1; b < 256; b += 7) {
			value[0] = (char)a;
			value[1] = (char)b;
			assert_round_trip(value);
		}
}

static void text_that_is_wrong_is_told_line_by_line(void **state)
{
	static const char text[] = "# fine\r\nA=1\r\n\nno\nB='x'\nC=\"a\nD=\"a\" b\nE=\"\\q\"\n"
				   "F=\"\\x00\"\nG=\x01\nH=\"";
	autostrv struct strv set_ = STRV_INIT, errors = STRV_INIT;

	(void)state;
	assert_int_equal(config_text_parse(text, sizeof(text) - 1, "in", &set_, &errors), 8);
	assert_string_equal(errors.v[0], "in:4: a line is NAME=VALUE");
	assert_true(str_starts(errors.v[1], "in:5: single quotes"));
	assert_true(str_starts(errors.v[7], "in:11: the double quotes do not end"));
	assert_int_equal(set_.n, 1);
	assert_string_equal(set_.v[0], "A=1");
}

static void assert_same(const struct config *a, const struct config *b)
{
	char x[OID_HEX], y[OID_HEX];

	config_digest(a, x);
	config_digest(b, y);
	assert_string_equal(x, y);
	assert_string_not_equal(x, "");
}

static void wait_with(struct store *s, const struct config *c)
{
	struct error err = ERROR_INIT;

	assert_ok(config_write_waiting(&s->app, c, &err), err);
}

static void what_waits_is_there_whole(void **state)
{
	struct store *s = *state;
	autoconfig struct config c = CONFIG_INIT, back = CONFIG_INIT, more = CONFIG_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(mkdirat(s->app.fd, "config", 0750), 0);
	assert_ok(config_read_live(&s->app, &c, &err), err);
	assert_int_equal(c.set.n + c.n_files, 0);
	set(&c, "A", "line\nline\xff");
	assert_ok(config_put(&c, "x.bin", "a\0b", 3, &err), err);
	wait_with(s, &c);
	assert_ok(config_read_live(&s->app, &back, &err), err);
	assert_same(&c, &back);
	set(&back, "B", "2");
	wait_with(s, &back);
	assert_true(there(s->app.fd, "config/2/config.d/x.bin"));
	assert_false(there(s->app.fd, "config/1")); /* replaced */
	/* a crash in the middle of the next leaves this one */
	assert_int_equal(mkdirat(s->app.fd, "config/3.new", 0750), 0);
	assert_ok(config_read_live(&s->app, &more, &err), err);
	assert_same(&back, &more);
	assert_ok(config_tidy(&s->app, &err), err);
	assert_false(there(s->app.fd, "config/3.new"));
	assert_true(there(s->app.fd, "config/2"));
}

static void a_change_is_told_by_names(void **state)
{
	autoconfig struct config a = CONFIG_INIT, b = CONFIG_INIT;
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	set(&a, "KEPT", "1");
	set(&a, "GONE", "secret");
	set(&a, "OTHER", "old");
	set(&b, "KEPT", "1");
	set(&b, "OTHER", "new");
	set(&b, "NEW", "secret");
	assert_ok(config_put(&b, "f.ini", "", 0, &err), err);
	config_describe(&a, &b, &text);
	assert_string_equal(text.buf, "set NEW, OTHER, unset GONE, put f.ini");
	strbuf_reset(&text);
	config_describe(&b, &b, &text);
	assert_int_equal(text.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_variables_have_rules),
		cmocka_unit_test(names_of_files_lead_nowhere_else),
		cmocka_unit_test(each_name_is_there_once_in_its_place),
		cmocka_unit_test(too_much_is_refused_with_numbers),
		cmocka_unit_test(text_keeps_every_byte),
		cmocka_unit_test(text_that_is_wrong_is_told_line_by_line),
		STORE_TEST(what_waits_is_there_whole),
		cmocka_unit_test(a_change_is_told_by_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
