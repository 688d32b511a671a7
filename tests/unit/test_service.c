/* What services are called, what their records say, and the words that drivers make of names. */
#include "tests/unit/unit.h"
#include "common/names.h"
#include "services/catalog.h"
#include "services/driver.h"
#include "services/record.h"
#include "services/settings.h"

static void a_name_or_value_that_is_none_is_refused_with_words(void **state)
{
	struct node node = {.fd = tmp_fd(state)};
	struct error err = ERROR_INIT;

	assert_int_equal(service_check(&node, "postgresql", "", &err), 0);
	assert_int_equal(service_check(&node, "files", "YES", &err), 0);
	assert_int_equal(service_check(&node, "postgre", "", &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_non_null(strstr(err.text, "'postgre'"));
	assert_int_equal(service_check(&node, "sqlite", "/tmp/x\x1b", &err), -1);
	assert_non_null(strstr(err.text, "takes no value, and has '/tmp/x\\x1b'"));
}

static void every_service_has_a_name_that_passes(void **state)
{
	const struct service *s;
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; (s = service_at(i)); i++) {
		assert_int_equal(name_check_service(s->name, &err), 0);
		assert_ptr_equal(service_named(s->name), s);
		assert_non_null(service_named(s->record));
	}
}

static void a_record_comes_back_as_it_was_written(void **state)
{
	static const char nothing[] = "=\0";
	struct service_record r = {(char[]){"postgis"}, STRV_INIT}, read;
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	strv_add(&r.env, "CONFIG_A=one=two");
	strv_add(&r.env, "CONFIG_B=three\nfour");
	service_record_format(&r, &text);
	assert_int_equal(service_record_parse(&read, text.buf, text.len, &err), 0);
	assert_string_equal(read.value, "postgis");
	assert_string_equal(service_env_get(&read.env, "CONFIG_A"), "one=two");
	assert_string_equal(service_env_get(&read.env, "CONFIG_B"), "three\nfour");
	assert_null(service_env_get(&read.env, "CONFIG"));
	service_record_release(&read);
	strv_free_p(&r.env);
	assert_int_equal(service_record_parse(&read, nothing, 2, &err), 0);
	assert_string_equal(read.value, "");
	service_record_release(&read);
}

static void a_record_that_is_cut_or_lies_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {
		{"", 0},          {"=", 1},          {"=a\0CONFIG_A=1", 12},    {"A=1\0", 4},
		{"=\0PATH\0", 7}, {"=\0a b=1\0", 8}, {"=\0SILVER_APP=x\0", 15}, {"=\0001A=1\0", 7},
	};
	struct service_record r;
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (service_record_parse(&r, bad[i].text, bad[i].len, &err) == 0)
			fail_msg("taken: %zu", i);
}

static void who_has_postgis_has_postgresql(void **state)
{
	struct service_record none = {NULL, STRV_INIT}, plain = {(char[]){""}, STRV_INIT},
			      gis = {(char[]){"postgis"}, STRV_INIT};

	(void)state;
	assert_false(service_record_gives(&none, "postgresql", ""));
	assert_true(service_record_gives(&plain, "postgresql", ""));
	assert_false(service_record_gives(&plain, "postgis", ""));
	assert_true(service_record_gives(&gis, "postgis", ""));
	assert_true(service_record_gives(&gis, "postgresql", ""));
}

static void names_of_databases_differ_as_those_of_apps_do(void **state)
{
	static const char *const taken[] = {"postgres"};
	static const char *const apps[][2] = {
		{"blog", "blog"}, {"my-blog", "my_blog"}, {"postgres", "postgres_"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(apps); i++) {
		autofree char *name = service_database_name(apps[i][0], taken, 1);

		assert_string_equal(name, apps[i][1]);
	}
}

static void passwords_differ_and_are_long(void **state)
{
	autofree char *a = service_new_password(), *b = service_new_password();

	(void)state;
	assert_int_equal(strlen(a), 32);
	assert_string_not_equal(a, b);
}

static void what_a_url_divides_is_quoted(void **state)
{
	autofree char *quoted = service_url_quoted("/srv/a b@c%:d");

	(void)state;
	assert_string_equal(quoted, "/srv/a%20b%40c%25%3Ad");
}

static void a_password_that_everybody_may_read_is_refused(void **state)
{
	struct node node = {.fd = tmp_fd(state)};
	autosettings struct service_settings s = {0};
	struct error err = ERROR_INIT;

	put_file(node.fd, "node.ini",
		 "[node]\n[service.postgresql]\nadmin = postgresql://a:b@c/d\n");
	assert_int_equal(fchmodat(node.fd, "node.ini", 0644, 0), 0);
	assert_int_equal(service_settings_read(&node, service_named("postgresql"), &s, &err), -1);
	assert_true(str_starts(err.text, "node.ini:3: [service.postgresql]: everybody may read"));
	service_settings_release(&s);
	assert_int_equal(service_settings_read(&node, service_named("mysql"), &s, &err), 0);
	assert_null(s.admin);
	assert_int_equal(fchmodat(node.fd, "node.ini", 0600, 0), 0);
	assert_int_equal(service_settings_read(&node, service_named("postgresql"), &s, &err), 0);
	assert_string_equal(s.admin, "postgresql://a:b@c/d");
}

static void what_nobody_knows_in_node_ini_is_refused(void **state)
{
	struct node node = {.fd = tmp_fd(state)};
	autosettings struct service_settings s = {0};
	struct error err = ERROR_INIT;

	put_file(node.fd, "node.ini", "[service.postgresql]\nadmn = postgresql://c/d\n");
	assert_int_equal(service_settings_read(&node, service_named("postgresql"), &s, &err), -1);
	assert_non_null(strstr(err.text, "unknown setting 'admn'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TMP_TEST(a_name_or_value_that_is_none_is_refused_with_words),
		cmocka_unit_test(every_service_has_a_name_that_passes),
		cmocka_unit_test(a_record_comes_back_as_it_was_written),
		cmocka_unit_test(a_record_that_is_cut_or_lies_is_refused),
		cmocka_unit_test(who_has_postgis_has_postgresql),
		cmocka_unit_test(names_of_databases_differ_as_those_of_apps_do),
		cmocka_unit_test(passwords_differ_and_are_long),
		cmocka_unit_test(what_a_url_divides_is_quoted),
		TMP_TEST(a_password_that_everybody_may_read_is_refused),
		TMP_TEST(what_nobody_knows_in_node_ini_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) > 0;
}
