/* The environment of a release: what APP.md promises, each value whole. */
#include "tests/unit/unit.h"
#include "services/devel.h"
#include "services/environment.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static void compose(struct strv *env)
{
	struct node node = {.fd = -1, .dir = (char[]){"/srv/silver"}};
	struct environment_release release = {.node = &node,
					      .app = "blog",
					      .host = "blog.example.com",
					      .number = 12,
					      .slot = 3,
					      .commit = COMMIT,
					      .config_dir = "releases/12/config.d"};
	struct error err = ERROR_INIT;

	assert_int_equal(environment_compose(&release, env, &err), 0);
}

static void every_promised_variable_is_there(void **state)
{
	const char *version = "SILVER_VERSION=silverlining/" SILVER_VERSION;
	const char *commit = "SILVER_COMMIT=" COMMIT;
	const char *static_url = "STATIC_URL=/static-" COMMIT "/";
	const char *const expected[] = {
		version,
		"SILVER_APP_NAME=blog",
		"SILVER_INSTANCE_NAME=blog.12",
		"SILVER_CANONICAL_HOSTNAME=blog.example.com",
		"SILVER_MATCH_PATH=/",
		"SILVER_APP_CONFIG=/srv/silver/apps/blog/releases/12/config.d",
		"SILVER_LOGS=/srv/silver/log/blog",
		"SILVER_APP_DIR=/srv/silver/apps/blog/slots/3",
		commit,
		"SILVER_RELEASE=12",
		"HOME=/srv/silver/data/blog",
		static_url,
		"LANG=C.UTF-8",
		"TEMP=/srv/silver/data/blog/tmp/12",
		"TMPDIR=/srv/silver/data/blog/tmp/12",
		"PATH=/srv/silver/apps/blog/slots/3/bin:/usr/local/bin:/usr/bin:/bin",
		"PYTHONPYCACHEPREFIX=/srv/silver/data/blog/pycache",
		"PYTHONUNBUFFERED=1",
	};
	autostrv struct strv env = STRV_INIT;

	(void)state;
	compose(&env);
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		if (!strv_has(&env, expected[i]))
			fail_msg("missing: %s", expected[i]);
	/* PHP_INI_SCAN_DIR and PYTHONPATH, wherever we are installed */
	assert_int_equal(env.n, ARRAY_SIZE(expected) + 2);
}

static void a_developers_own_node_overrides(void **state)
{
	struct node node = {.fd = tmp_fd(state)};
	autostrv struct strv env = STRV_INIT;
	struct error err = ERROR_INIT;

	strv_add(&env, "SILVER_VERSION=silverlining/1");
	strv_add(&env, "A=1");
	strv_add(&env, "AB=1");
	assert_int_equal(devel_override(&node, &env, &err), 0);
	assert_true(strv_has(&env, "SILVER_VERSION=silverlining/1"));
	put_file(node.fd, DEVEL_INI, "[environment]\nA = two words\nB = 'b'\nB = last\n");
	assert_int_equal(devel_override(&node, &env, &err), 0);
	assert_int_equal(env.n, 4);
	assert_true(strv_has(&env, "SILVER_VERSION=devel/" SILVER_VERSION));
	assert_true(strv_has(&env, "A=two words"));
	assert_true(strv_has(&env, "AB=1"));
	assert_true(strv_has(&env, "B=last"));
	put_file(node.fd, DEVEL_INI, "[environment]\nA-B = 1\n");
	assert_int_equal(devel_override(&node, &env, &err), -1);
	assert_string_equal(err.text, "devel.ini:2: 'A-B' is no variable's name");
}

static void names_are_sorted_and_unique(void **state)
{
	autostrv struct strv env = STRV_INIT;

	(void)state;
	compose(&env);
	for (size_t i = 1; i < env.n; i++)
		assert_true(strcmp(env.v[i - 1], env.v[i]) < 0);
}

static void a_directory_that_would_divide_path_is_refused(void **state)
{
	struct node node = {.fd = -1, .dir = (char[]){"/srv/a:b"}};
	struct environment_release release = {.node = &node,
					      .app = "blog",
					      .host = "h",
					      .number = 1,
					      .slot = 0,
					      .commit = COMMIT,
					      .config_dir = "releases/12/config.d"};
	autostrv struct strv env = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(environment_compose(&release, &env, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_promised_variable_is_there),
		TMP_TEST(a_developers_own_node_overrides),
		cmocka_unit_test(names_are_sorted_and_unique),
		cmocka_unit_test(a_directory_that_would_divide_path_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) > 0;
}
