/* default_location: who has it, and what an app is called by then. */
#include "unit.h"
#include "hooks/location.h"
#include "runtime/location.h"

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
	struct app app = {.host = xstrdup("blog.localhost"), .path = xstrdup("")};
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
	ini.default_location = (char[]){"blog.example.org/blog"};
	location_choose(&app, &ini);
	assert_string_equal(app.host, "blog.example");
	ini.default_location = (char[]){"a.example/blog"};
	location_choose(&app, &ini);
	assert_string_equal(app.host, "a.example");
	assert_string_equal(app.path, "/blog");
	free(app.host);
	free(app.path);
}

static void a_location_is_a_host_a_suffix_or_all_with_a_path_or_without(void **state)
{
	static const struct {
		const char *text, *name;
	} good[] = {
		{"a.example", "a.example"},
		{"a.example/b", "a.example,b"},
		{"a.example/b/c.d~e_f-g", "a.example,b,c.d~e_f-g"},
		{".example.com", "*.example.com"},
		{".new", "*.new"},
		{".x/y", "*.x,y"},
		{"*", "*"},
		{"*/y", "*,y"},
	};
	static const char *const bad[] = {
		"",
		".",
		"/",
		"a.example/",
		"a.example//b",
		"a.example/./b",
		"a/../b",
		"a/..",
		"A.example",
		"http://a",
		"a:80",
		"a b",
		"**",
		"*.a",
		"a.*",
		"a,b",
		"a/b,c",
		"a/b?c",
		"a/b;",
		"a/\"",
		"a/%41",
		"-a",
		"..a",
		"a/$x",
		"a/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		autolocation struct location l = {0};
		autofree char *name = location_name(good[i].text);
		struct error err = ERROR_INIT;

		assert_int_equal(location_parse(good[i].text, &l, &err), 0);
		assert_string_equal(l.text, good[i].text);
		assert_string_equal(name, good[i].name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autolocation struct location l = {0};
		struct error err = ERROR_INIT;

		if (location_parse(bad[i], &l, &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(err.code, E_USAGE);
	}
}

static void links_in_hosts_are_read_and_ordered(void **state)
{
	static const char *const links[][2] = {
		{"long.blog.example", "../apps/blog/current"},
		{"blog.example", "../apps/blog/current"},
		{"*", "../apps/blog/current"},
		{"*.example", "../apps/shop/current"},
		{"blog.example,a", "../apps/shop/current"},
		{"z", "../apps/blog/alias/blog.example"},
		{"bad", "../apps/blog/releases/1"},
		{"bad2", "/etc"},
		{"BAD", "../apps/blog/current"},
		{"bad3", "../apps/../current"},
	};
	autolocations struct locations all = {NULL, 0};
	struct node node = {.fd = tmp_fd(state), .domain = (char[]){"localhost"}};
	autofree char *host = NULL, *path = NULL, *none_host = NULL, *none_path = NULL;
	autostrbuf struct strbuf record = STRBUF_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(mkdirat(node.fd, "hosts", 0755), 0);
	assert_int_equal(mkdirat(node.fd, "locations", 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		autofree char *name = xasprintf("hosts/%s", links[i][0]);

		assert_int_equal(symlinkat(links[i][1], node.fd, name), 0);
	}
	assert_int_equal(locations_read(&node, &all, &err), 0);
	assert_int_equal(all.n, 6);
	assert_string_equal(all.v[0].text, "long.blog.example");
	assert_string_equal(all.v[1].text, "blog.example/a");
	assert_string_equal(all.v[5].text, "*");
	assert_string_equal(locations_canonical(&all, "blog")->text, "blog.example");
	locations_format(&all, "blog", &record);
	assert_string_equal(strbuf_str(&record),
			    "blog.example\nlong.blog.example\nz -> blog.example\n*\n");
	put_file(node.fd, "locations/blog", strbuf_str(&record));
	location_of_app(&node, "blog", &host, &path);
	assert_string_equal(host, "blog.example");
	put_file(node.fd, "locations/torn", "torn/");
	location_of_app(&node, "torn", &none_host, &none_path);
	assert_string_equal(none_host, "torn.localhost");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TMP_TEST(a_host_of_another_app_is_a_finding),
		cmocka_unit_test(the_shorter_name_is_the_canonical_one),
		cmocka_unit_test(a_location_is_a_host_a_suffix_or_all_with_a_path_or_without),
		TMP_TEST(links_in_hosts_are_read_and_ordered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
