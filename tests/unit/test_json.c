/* JSON as a parser wants it: commas, escapes, and never a byte that is no UTF-8. */
#include "tests/unit/unit.h"
#include "common/json.h"
#include "common/json_read.h"

static void objects_and_arrays_nest_with_their_commas(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct json j = {.out = &s, .need_comma = false};

	(void)state;
	json_open(&j, NULL, '{');
	json_str(&j, "app", "blog");
	json_int(&j, "release", 12);
	json_open(&j, "list", '[');
	json_int(&j, NULL, 1);
	json_str(&j, NULL, "two");
	json_open(&j, NULL, '{');
	json_close(&j, '}');
	json_open(&j, NULL, '{');
	json_bool(&j, "live", true);
	json_close(&j, '}');
	json_close(&j, ']');
	json_bool(&j, "dirty", false);
	json_str(&j, "who", NULL);
	json_close(&j, '}');

	autostrbuf struct strbuf packed = STRBUF_INIT; /* white space between tokens is free */
	for (const char *p = strbuf_str(&s); *p != '\0'; p++)
		if (*p != ' ' && *p != '\n')
			strbuf_addch(&packed, *p);
	assert_string_equal(strbuf_str(&packed),
			    "{\"app\":\"blog\",\"release\":12,\"list\":[1,\"two\",{},{\"live\":"
			    "true}],\"dirty\":false,\"who\":null}");
}

static void assert_string(const char *value, const char *expected)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct json j = {.out = &s, .need_comma = false};

	json_str(&j, NULL, value);
	assert_string_equal(strbuf_str(&s), expected);
}

static void strings_are_escaped(void **state)
{
	(void)state;
	assert_string("", "\"\"");
	assert_string("a\"b\\c", "\"a\\\"b\\\\c\"");
	assert_string("tab\tnl\n", "\"tab\\u0009nl\\u000a\"");
	assert_string("\x01\x1f", "\"\\u0001\\u001f\"");
	assert_string("caf\xc3\xa9 \xf0\x9f\x90\xa7", "\"caf\xc3\xa9 \xf0\x9f\x90\xa7\"");
}

static void bytes_that_are_no_utf8_become_the_replacement(void **state)
{
	(void)state;
	assert_string("a\xff"
		      "b",
		      "\"a\xef\xbf\xbd"
		      "b\"");
	assert_string("\xc3", "\"\xef\xbf\xbd\"");
	assert_string("\xc3(", "\"\xef\xbf\xbd(\"");
}

static void keys_are_escaped_too(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct json j = {.out = &s, .need_comma = false};

	(void)state;
	json_open(&j, NULL, '{');
	json_int(&j, "a\"b", 1);
	json_close(&j, '}');
	assert_non_null(strstr(strbuf_str(&s), "\"a\\\"b\""));
}

static void numbers_of_all_sizes(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct json j = {.out = &s, .need_comma = false};

	(void)state;
	json_int(&j, NULL, INT64_MIN);
	assert_string_equal(strbuf_str(&s), "-9223372036854775808");
}

static void add_line(void *ctx, size_t object, const char *key, const char *value)
{
	strbuf_addf(ctx, "%zu %s=%s\n", object, key, value);
}

static void assert_read(const char *text, size_t objects, const char *lines)
{
	autostrbuf struct strbuf got = STRBUF_INIT;
	struct error err = ERROR_INIT;
	size_t n = 99;

	assert_int_equal(json_read(text, strlen(text), add_line, &got, &n, &err), 0);
	assert_int_equal(n, objects);
	assert_string_equal(strbuf_str(&got), lines);
}

static void tables_are_read(void **state)
{
	(void)state;
	assert_read("[]", 0, "");
	assert_read("{\"host\": \"a\\u00e9\", \"port\": 22, \"up\": true, \"at\": null}\n", 1,
		    "0 host=a\xc3\xa9\n0 port=22\n0 up=true\n");
	assert_read("[{\"n\": 1}, {}, {\"n\": {\"a\": -3, \"b\": {\"c\": false}}}]", 3,
		    "0 n=1\n2 n.a=-3\n2 n.b.c=false\n");
	assert_read("{\"kept\": [3, {\"n\": \"x\"}, []]}", 1, "0 kept.0=3\n0 kept.1.n=x\n");
}

static void assert_unreadable(const char *text, size_t len, const char *why)
{
	autostrbuf struct strbuf got = STRBUF_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(json_read(text, len, add_line, &got, NULL, &err), -1);
	assert_int_equal(err.code, E_USAGE);
	assert_non_null(strstr(err.text, why));
}

static void what_is_no_table_is_refused(void **state)
{
	static const char *const bad[][2] = {
		{"", "line 1"},
		{"{\"a\": 1", "line 1"},
		{"{\n\"a\": 1,\n\"a\": 2}", "line 3: duplicate"},
		{"{} {}", "end of file expected"},
		{"{\"a\": \"\xff\"}", "line 1"},
		{"{\"a\": \"\\u0000\"}", "\\u0000"},
		{"[1]", "an array of objects"},
		{"7", "line 1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_unreadable(bad[i][0], strlen(bad[i][0]), bad[i][1]);
	assert_unreadable("{}\0{}", 5, "line 1");

	autostrbuf struct strbuf deep = STRBUF_INIT;
	for (int i = 0; i < 10; i++)
		strbuf_addstr(&deep, "{\"a\":");
	strbuf_addstr(&deep, "1}}}}}}}}}}");
	assert_unreadable(strbuf_str(&deep), deep.len, "nested deeper");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_and_arrays_nest_with_their_commas),
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(bytes_that_are_no_utf8_become_the_replacement),
		cmocka_unit_test(keys_are_escaped_too),
		cmocka_unit_test(numbers_of_all_sizes),
		cmocka_unit_test(tables_are_read),
		cmocka_unit_test(what_is_no_table_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
