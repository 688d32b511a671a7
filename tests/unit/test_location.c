/* default_location: who has it, and what an app is called by then. */
#include "unit.h"
#include "hooks/location.h"

static void a_host_of_another_app_is_a_finding(void **state)
{
	struct app app = {.name = "blog", .node = {.fd = tmp_fd(state)}};
	struct appini ini = {.default_location = (char[]){"a.example"}, .location_line = 5};
	autostrv struct strv errors = STRV_INIT;

	location_check(&app, &ini, &errors);
	assert_int_equal(mkdirat(tmp_fd(state), "hosts", 0755), 0);
	location_check(&app, &ini, &errors);
	assert_int_equal(symlinkat("../apps/blog/current", tmp_fd(state), "hosts/a.example"), 0);
	location_check(&app, &ini, &errors);
	assert_int_equal(errors.n, 0); /* no such host, or it leads here */
	assert_int_equal(unlinkat(tmp_fd(state), "hosts/a.example", 0), 0);
	assert_int_equal(symlinkat("../apps/shop/current", tmp_fd(state), "hosts/a.example"), 0);
	location_check(&app, &ini, &errors);
	assert_int_equal(errors.n, 1);
	assert_string_equal(errors.v[0],
			    "app.ini:5: default_location 'a.example' leads to another app of this "
			    "node already; choose another name, or leave it out");
}

static void the_shorter_name_is_the_canonical_one(void **state)
{
	struct app app = {.host = xstrdup("blog.localhost")};
	struct appini ini = {.default_location = NULL};

	(void)state;
	location_choose(&app, &ini);
	assert_string_equal(app.host, "blog.localhost");
	ini.default_location = (char[]){"www.blog.example.com"};
	location_choose(&app, &ini);
	assert_string_equal(app.host, "blog.localhost");
	ini.default_location = (char[]){"blog.example"};
	location_choose(&app, &ini);
	assert_string_equal(app.host, "blog.example");
	free(app.host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TMP_TEST(a_host_of_another_app_is_a_finding),
		cmocka_unit_test(the_shorter_name_is_the_canonical_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
