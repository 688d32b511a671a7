/* Names from outside: what passes is safe, what does not says why. */
#include "tests/unit/unit.h"
#include "common/names.h"

static const char a31[] = "abcdefghijklmnopqrstuvwxyz01234";
static const char a32[] = "abcdefghijklmnopqrstuvwxyz012345";

static void app_names_follow_the_rule(void **state)
{
	static const char *const good[] = {"a", "blog", "prod-admin", "a-b-c", "x9", "a--b", a31};
	static const char *const bad[] = {"",     "Blog", "9lives", "-x",   "x-",       "a_b",
					  "a.b",  "a/b",  "..",     ".",    "a b",      "a'b",
					  "a\"b", "a;b",  "a$(id)", "a\nb", "\xc3\xa9", "a*",
					  "a\tb", "~a",   "a\\b",   a32};
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (name_check_app(good[i], &err) == -1)
			fail_msg("'%s' was refused: %s", good[i], err.text);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct error)ERROR_INIT;
		if (name_check_app(bad[i], &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(err.code, E_USAGE);
		assert_true(err.text[0] != '\0');
	}
}

static void user_names_follow_the_rule(void **state)
{
	static const char *const good[] = {"ian", "Ian.B", "a@b.example", "0", "a_b-c"};
	static const char *const bad[] = {"",    ".",   "..",  "-x",       "@x",
					  "a/b", "a b", "a\n", "\xc3\xa9", "a;b"};
	struct error err = ERROR_INIT;
	char longest[66];

	(void)state;
	memset(longest, 'u', sizeof(longest));
	longest[64] = '\0';
	assert_int_equal(name_check_user(longest, &err), 0);
	longest[64] = 'u';
	longest[65] = '\0';
	assert_int_equal(name_check_user(longest, &err), -1);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (name_check_user(good[i], &err) == -1)
			fail_msg("'%s' was refused: %s", good[i], err.text);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (name_check_user(bad[i], &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
}

static void host_names_are_lower_case_and_fit_a_socket_path(void **state)
{
	static const char *const good[] = {"blog.localhost", "a", "a-b.example.com", "1.example",
					   "xn--bcher-kva.example"};
	static const char *const bad[] = {"",          ".",          "a.",         ".a",  "a..b",
					  "A.example", "-a.example", "a-.example", "a_b", "a/b",
					  "../x",      "a b",        "a\n",        "*.x"};
	struct error err = ERROR_INIT;
	char host[82];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (name_check_host(good[i], &err) == -1)
			fail_msg("'%s' was refused: %s", good[i], err.text);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (name_check_host(bad[i], &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
	memset(host, 'h', sizeof(host));
	host[40] = '.';
	host[81] = '\0';
	assert_int_equal(name_check_host(host, &err), -1);
	host[80] = '\0';
	assert_int_equal(name_check_host(host, &err), 0);
}

static void url_paths_name_an_app(void **state)
{
	static const char *const forms[] = {"blog",     "/blog/",    "/blog",
					    "blog.git", "/blog.git", "~/blog"};
	static const char *const bad[] = {"",        "/",        ".git",         "/.git",
					  "~",       "~/",       "//blog",       "/a/b",
					  "../blog", "/../blog", "~root/blog",   "blog.git.git",
					  "Blog",    "'blog'",   "blog;id",      "-blog",
					  a32,       "blog\n",   "/srv/blog.git"};
	struct error err = ERROR_INIT;
	char out[APP_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		memset(out, '#', sizeof(out));
		if (name_from_url_path(forms[i], out, &err) == -1)
			fail_msg("'%s' was refused: %s", forms[i], err.text);
		assert_string_equal(out, "blog");
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (name_from_url_path(bad[i], out, &err) == 0)
			fail_msg("'%s' was taken as '%s'", bad[i], out);
	assert_int_equal(name_from_url_path(a31, out, &err), 0);
	assert_string_equal(out, a31);
}

static void a_long_path_writes_nothing_past_the_name(void **state)
{
	struct error err = ERROR_INIT;
	char out[APP_NAME_MAX + 1];
	char path[5000];

	(void)state;
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(name_from_url_path(path, out, &err), -1);
	assert_int_equal(name_check_app(path, &err), -1);
	assert_int_equal(name_check_host(path, &err), -1);
}

static void oids_are_40_lower_case_hex_digits(void **state)
{
	(void)state;
	assert_true(name_is_oid("0123456789abcdef0123456789abcdef01234567"));
	assert_false(name_is_oid("0123456789ABCDEF0123456789abcdef01234567"));
	assert_false(name_is_oid("0123456789abcdef0123456789abcdef0123456"));
	assert_false(name_is_oid("0123456789abcdef0123456789abcdef012345678"));
	assert_false(name_is_oid("0123456789abcdef0123456789abcdef0123456g"));
	assert_false(name_is_oid(""));
}

static void the_nearest_candidate_is_found(void **state)
{
	static const char *const keys[] = {"runner", "platform", "packages", "health", "app_name"};

	(void)state;
	assert_string_equal(name_nearest("runer", keys, ARRAY_SIZE(keys)), "runner");
	assert_string_equal(name_nearest("rnuner", keys, ARRAY_SIZE(keys)), "runner");
	assert_string_equal(name_nearest("platfrom", keys, ARRAY_SIZE(keys)), "platform");
	assert_string_equal(name_nearest("package", keys, ARRAY_SIZE(keys)), "packages");
	assert_string_equal(name_nearest("health", keys, ARRAY_SIZE(keys)), "health");
	assert_null(name_nearest("zzzzzzzzzz", keys, ARRAY_SIZE(keys)));
	assert_null(name_nearest("runner", NULL, 0));
}

static void a_word_of_any_length_has_no_nearest(void **state)
{
	static const char *const keys[] = {"runner"};
	char word[70000];

	(void)state;
	memset(word, 'r', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	assert_null(name_nearest(word, keys, ARRAY_SIZE(keys)));
	assert_null(name_nearest("", keys, ARRAY_SIZE(keys)));
}

static void bytes_for_a_terminal_are_harmless(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *shown;
	} table[] = {
		{"plain text", 10, "plain text"},
		{"\xc3\xa9t\xc3\xa9", 5, "\xc3\xa9t\xc3\xa9"}, /* valid UTF-8 stays */
		{"\xe2\x82\xac", 3, "\xe2\x82\xac"},
		{"\xf0\x9f\x90\xa7", 4, "\xf0\x9f\x90\xa7"},
		{"a\x1b[31m", 6, "a\\x1b[31m"}, /* no escape sequence */
		{"a\nb\r", 4, "a\\x0ab\\x0d"},  /* no line of its own */
		{"\x7f", 1, "\\x7f"},
		{"\xff\xc3", 2, "\\xff\\xc3"},                   /* not UTF-8, cut UTF-8 */
		{"\xc0\xaf", 2, "\\xc0\\xaf"},                   /* overlong */
		{"\xed\xa0\x80", 3, "\\xed\\xa0\\x80"},          /* a surrogate */
		{"\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"}, /* past U+10FFFF */
		{"a\0b", 3, "a\\x00b"},
		{"\xc2\x9b"
		 "31m",
		 5,
		 "\\xc2\\x9b"
		 "31m"}, /* C1: CSI in one character */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		autostrbuf struct strbuf s = STRBUF_INIT;

		name_add_printable(&s, table[i].bytes, table[i].len);
		assert_string_equal(strbuf_str(&s), table[i].shown);
	}
}

static void a_word_to_paste_is_one_word_of_a_shell(void **state)
{
	static const char *const table[][2] = {
		{"static/a-b_c.png", "static/a-b_c.png"},
		{"", "''"},
		{"a b", "'a b'"},
		{"it's", "'it'\\''s'"},
		{"$(id);~*", "'$(id);~*'"},
		{"-rf", "./'-rf'"}, /* no option */
		{"a\nb", "'a\\x0ab'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		autofree char *quoted = name_shell_quoted(table[i][0]);

		assert_string_equal(quoted, table[i][1]);
	}
}

static void a_branch_is_called_without_where_refs_are(void **state)
{
	(void)state;
	assert_string_equal(name_branch("refs/heads/master"), "master");
	assert_string_equal(name_branch("refs/heads/a/b"), "a/b");
	assert_string_equal(name_branch("refs/tags/v1"), "refs/tags/v1");
	assert_string_equal(name_branch("master"), "master");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(app_names_follow_the_rule),
		cmocka_unit_test(user_names_follow_the_rule),
		cmocka_unit_test(host_names_are_lower_case_and_fit_a_socket_path),
		cmocka_unit_test(url_paths_name_an_app),
		cmocka_unit_test(a_long_path_writes_nothing_past_the_name),
		cmocka_unit_test(oids_are_40_lower_case_hex_digits),
		cmocka_unit_test(the_nearest_candidate_is_found),
		cmocka_unit_test(a_word_of_any_length_has_no_nearest),
		cmocka_unit_test(bytes_for_a_terminal_are_harmless),
		cmocka_unit_test(a_word_to_paste_is_one_word_of_a_shell),
		cmocka_unit_test(a_branch_is_called_without_where_refs_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
