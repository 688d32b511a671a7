/* INI files: every line is understood or reported with its number, and nothing is cut. */
#include "tests/unit/unit.h"
#include "common/fs.h"
#include "common/ini.h"

/* What the parser said, as text: "LINE[section]key=value|" and "LINE!|". */
static void note_key(void *ctx, unsigned line, const char *section, const char *key,
		     const char *value)
{
	strbuf_addf(ctx, "%u[%s]%s=%s|", line, section, key, value);
}

static void note_problem(void *ctx, unsigned line, const char *text)
{
	assert_true(text[0] != '\0');
	strbuf_addf(ctx, "%u!|", line);
}

static void assert_parsed(const char *text, size_t len, const char *expected)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	ini_parse_text(text, len, note_key, note_problem, &s);
	assert_string_equal(strbuf_str(&s), expected);
}

static void keys_come_with_their_lines(void **state)
{
	static const struct {
		const char *text, *expected;
	} table[] = {
		{"", ""},
		{"\n\n", ""},
		{"[a]\nk = v\n", "2[a]k=v|"},
		{"k=v", "1[]k=v|"},                     /* no section, no newline at the end */
		{"[a]\r\nk = v\r\n", "2[a]k=v|"},       /* CRLF */
		{"\xef\xbb\xbf[a]\nk=v\n", "2[a]k=v|"}, /* byte order mark */
		{"# c\n; c\n[a]\n\nk=v\n", "5[a]k=v|"},
		{"[a]\nk = http://x;y#z\n",
		 "2[a]k=http://x;y#z|"}, /* comments only after white space */
		{"[a]\nk =\nl = 1\n", "2[a]k=|3[a]l=1|"},
		{"[a]\nk = a = b\n", "2[a]k=a = b|"},
		{"[a]\nk=1\n[b]\nk=2\n[a]\nk=3\n", "2[a]k=1|4[b]k=2|6[a]k=3|"},
		{"[Prod]\nKey = V\n", "2[Prod]Key=V|"}, /* as written */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		assert_parsed(table[i].text, strlen(table[i].text), table[i].expected);
}

static void continued_lines_make_one_value(void **state)
{
	static const char text[] = "[a]\npackages = one\n  two\n\tthree\nnext = 1\n";

	(void)state;
	assert_parsed(text, sizeof(text) - 1, "2[a]packages=one\ntwo\nthree|5[a]next=1|");
}

static void all_problems_are_reported_and_parsing_goes_on(void **state)
{
	static const char text[] = "[a\nk = 1\nnonsense\nl = 2\nmore nonsense\n";
	autostrbuf struct strbuf s = STRBUF_INIT;

	(void)state;
	assert_int_equal(ini_parse_text(text, sizeof(text) - 1, note_key, note_problem, &s), 3);
	assert_non_null(strstr(strbuf_str(&s), "1!|"));
	assert_non_null(strstr(strbuf_str(&s), "3!|"));
	assert_non_null(strstr(strbuf_str(&s), "5!|"));
	assert_non_null(strstr(strbuf_str(&s), "4[]l=2|"));
}

static void a_nul_is_a_problem(void **state)
{
	static const char text[] = "[a]\nk = v\0w\nl = 1\n";
	autostrbuf struct strbuf s = STRBUF_INIT;

	(void)state;
	assert_true(ini_parse_text(text, sizeof(text) - 1, note_key, note_problem, &s) >= 1);
	assert_non_null(strstr(strbuf_str(&s), "2!|"));
}

static void long_values_arrive_whole(void **state)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autostrbuf struct strbuf got = STRBUF_INIT;
	size_t len = 60000;

	(void)state;
	strbuf_addstr(&text, "k = ");
	for (size_t i = 0; i < len; i++)
		strbuf_addch(&text, (char)('a' + i % 26));
	strbuf_addstr(&text, "\nl = 1\n");
	assert_int_equal(ini_parse_text(text.buf, text.len, note_key, note_problem, &got), 0);
	assert_int_equal(got.len, strlen("1[]k=|") + len + strlen("2[]l=1|"));
	assert_memory_equal(got.buf + strlen("1[]k="), text.buf + strlen("k = "), len);
}

static void a_line_over_the_limit_is_a_problem(void **state)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autostrbuf struct strbuf got = STRBUF_INIT;

	(void)state;
	strbuf_addstr(&text, "[a]\nk = ");
	for (size_t i = 0; i < 70000; i++)
		strbuf_addch(&text, 'x');
	strbuf_addstr(&text, "\nl = 1\n");
	assert_true(ini_parse_text(text.buf, text.len, note_key, note_problem, &got) >= 1);
	assert_non_null(strstr(strbuf_str(&got), "2!|"));
}

static void names_that_inih_would_cut_are_problems(void **state)
{
	static const char name[] = "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeee"; /* 49 */
	autofree char *fits = xasprintf("[%s]\n%s = v\n", name, name);
	autofree char *section = xasprintf("[%sx]\nk = v\n", name);
	autofree char *key = xasprintf("[a]\n%sx = v\n  w\n", name);
	autofree char *expected = xasprintf("2[%s]%s=v|", name, name);
	autostrbuf struct strbuf a = STRBUF_INIT;
	autostrbuf struct strbuf b = STRBUF_INIT;

	(void)state;
	assert_parsed(fits, strlen(fits), expected);
	assert_true(ini_parse_text(section, strlen(section), note_key, note_problem, &a) >= 1);
	assert_non_null(strstr(strbuf_str(&a), "1!|"));
	assert_true(ini_parse_text(key, strlen(key), note_key, note_problem, &b) >= 1);
	assert_non_null(strstr(strbuf_str(&b), "2!|"));
}

static void a_file_is_read_and_the_last_key_wins(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	autoini struct ini ini = INI_INIT;

	put_file(dir, "f.ini", "[release]\nnumber = 1\nnumber = 2\n[other]\nnumber = 3\nempty =\n");
	assert_int_equal(ini_read(dir, "f.ini", &ini, &err), 0);
	assert_string_equal(ini_get(&ini, "release", "number"), "2");
	assert_string_equal(ini_get(&ini, "other", "number"), "3");
	assert_string_equal(ini_get(&ini, "other", "empty"), "");
	assert_null(ini_get(&ini, "other", "none"));
	assert_null(ini_get(&ini, "none", "number"));
}

static void a_file_with_a_problem_names_it(void **state)
{
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	autoini struct ini ini = INI_INIT;
	autoini struct ini absent = INI_INIT;

	put_file(dir, "bad.ini", "[a]\nk = v\nnonsense\n");
	assert_int_equal(ini_read(dir, "bad.ini", &ini, &err), -1);
	assert_int_equal(err.code, E_SYSTEM);
	assert_non_null(strstr(err.text, "bad.ini:3: "));
	assert_int_equal(ini_read(dir, "none.ini", &absent, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
}

static void what_is_written_is_read_back(void **state)
{
	static const char *const values[] = {
		"plain",           "",   "two\nlines", "a = b",     "http://x/;y#z", "caf\xc3\xa9",
		"[not a section]", "#x", "x ; y",      "\"quoted\""};
	int dir = tmp_fd(state);
	struct error err = ERROR_INIT;
	autostrbuf struct strbuf s = STRBUF_INIT;
	autoini struct ini ini = INI_INIT;

	strbuf_addstr(&s, "[v]\n");
	for (size_t i = 0; i < 6; i++) {
		autofree char *key = xasprintf("k%zu", i);

		ini_add(&s, key, values[i]);
	}
	ini_addf(&s, "number", "%u", 12u);
	assert_int_equal(fs_replace_file(dir, "w.ini", s.buf, s.len, 0644, &err), 0);
	assert_int_equal(ini_read(dir, "w.ini", &ini, &err), 0);
	for (size_t i = 0; i < 6; i++) {
		autofree char *key = xasprintf("k%zu", i);

		assert_string_equal(ini_get(&ini, "v", key), values[i]);
	}
	assert_string_equal(ini_get(&ini, "v", "number"), "12");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_come_with_their_lines),
		cmocka_unit_test(continued_lines_make_one_value),
		cmocka_unit_test(all_problems_are_reported_and_parsing_goes_on),
		cmocka_unit_test(a_nul_is_a_problem),
		cmocka_unit_test(long_values_arrive_whole),
		cmocka_unit_test(a_line_over_the_limit_is_a_problem),
		cmocka_unit_test(names_that_inih_would_cut_are_problems),
		TMP_TEST(a_file_is_read_and_the_last_key_wins),
		TMP_TEST(a_file_with_a_problem_names_it),
		TMP_TEST(what_is_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
