/* An exec string is unquoted as a shell would, and never expanded. */
#include "tests/unit/unit.h"

#include "common/words.h"

static void assert_words(const char *text, size_t n, const char *const *expected)
{
	autostrv struct strv words = STRV_INIT;
	struct error err = ERROR_INIT;

	if (words_split(text, strlen(text), &words, &err) == -1)
		fail_msg("%s: %s", text, err.text);
	assert_int_equal(words.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(words.v[i], expected[i]);
}
#define WORDS(text, ...)                                                                           \
	assert_words((text), sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),               \
		     (const char *[]){__VA_ARGS__})

static void assert_refused(const char *text, size_t len, const char *reason)
{
	autostrv struct strv words = STRV_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(words_split(text, len, &words, &err), -1);
	assert_int_equal(err.code, E_USAGE);
	assert_string_equal(err.text, reason);
}

static void what_git_sends_becomes_two_words(void **state)
{
	(void)state;
	WORDS("git-receive-pack 'blog'", "git-receive-pack", "blog");
	WORDS("git-upload-pack '/blog.git'", "git-upload-pack", "/blog.git");
	WORDS("git-receive-pack 'it'\\''s'\\!'here'", "git-receive-pack", "it's!here");
}

static void quotes_join_and_vanish(void **state)
{
	(void)state;
	WORDS("a'b'\"c\"d", "abcd");
	WORDS("  run\tblog  -- ", "run", "blog", "--");
	WORDS("'' \"\" x", "", "", "x");
	WORDS("'a  b' \"c\td\"", "a  b", "c\td");
	WORDS("a\\ b c\\'d \\\\", "a b", "c'd", "\\");
}

static void double_quotes_keep_a_backslash_that_quotes_nothing(void **state)
{
	(void)state;
	WORDS("\"a\\\"b\" \"\\$x\" \"\\`\" \"\\\\\" \"\\n\"", "a\"b", "$x", "`", "\\", "\\n");
	WORDS("'\\n\\'", "\\n\\");
}

static void nothing_is_expanded(void **state)
{
	(void)state;
	WORDS("$HOME `id` $(id) ~ *.c {a,b}", "$HOME", "`id`", "$(id)", "~", "*.c", "{a,b}");
	WORDS("a;b && c|d>e<f # g", "a;b", "&&", "c|d>e<f", "#", "g");
}

static void a_line_break_is_data_inside_quotes_only(void **state)
{
	(void)state;
	WORDS("run 'a\nb' \"c\nd\"", "run", "a\nb", "c\nd");
	WORDS("a\\\nb \"c\\\nd\"", "ab", "cd");
	assert_refused("a\nb", 3, "the command has a line break outside quotes");
}

static void a_command_may_have_no_word(void **state)
{
	autostrv struct strv words = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(words_split(" \t ", 3, &words, &err), 0);
	assert_int_equal(words.n, 0);
}

static void bytes_above_ascii_pass(void **state)
{
	(void)state;
	WORDS("caf\xc3\xa9 \xff", "caf\xc3\xa9", "\xff");
}

static void unbalanced_quotes_are_refused(void **state)
{
	(void)state;
	assert_refused("a 'b", 4, "the command has a single quote without its pair");
	assert_refused("a \"b\\\"", 6, "the command has a double quote without its pair");
	assert_refused("a\\", 2, "the command ends in a backslash");
}

static void control_characters_are_refused(void **state)
{
	(void)state;
	assert_refused("a\0b", 3, "the command has the control character 0x00");
	assert_refused("'a\0b'", 5, "the command has the control character 0x00");
	assert_refused("'\033[2J'", 6, "the command has the control character 0x1b");
	assert_refused("a\r", 2, "the command has the control character 0x0d");
	assert_refused("\\\x7f", 2, "the command has the control character 0x7f");
}

static void the_limits_hold_exactly(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	autostrv struct strv words = STRV_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	for (int i = 0; i < WORDS_MAX; i++)
		strbuf_addstr(&s, "x ");
	assert_int_equal(words_split(s.buf, s.len, &words, &err), 0);
	assert_int_equal(words.n, WORDS_MAX);
	strbuf_addstr(&s, "x");
	assert_refused(s.buf, s.len, "the command has more than 256 words");

	strbuf_reset(&s);
	while (s.len < WORDS_MAX_BYTES)
		strbuf_addch(&s, 'x');
	strv_free_p(&words);
	assert_int_equal(words_split(s.buf, s.len, &words, &err), 0);
	strbuf_addch(&s, 'x');
	assert_refused(s.buf, s.len, "the command is longer than 32768 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_git_sends_becomes_two_words),
		cmocka_unit_test(quotes_join_and_vanish),
		cmocka_unit_test(double_quotes_keep_a_backslash_that_quotes_nothing),
		cmocka_unit_test(nothing_is_expanded),
		cmocka_unit_test(a_line_break_is_data_inside_quotes_only),
		cmocka_unit_test(a_command_may_have_no_word),
		cmocka_unit_test(bytes_above_ascii_pass),
		cmocka_unit_test(unbalanced_quotes_are_refused),
		cmocka_unit_test(control_characters_are_refused),
		cmocka_unit_test(the_limits_hold_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
