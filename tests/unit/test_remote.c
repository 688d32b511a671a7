/* silver --node: the ssh command line, and that words arrive byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "cli/ask.h"
#include "common/words.h"

static int make(struct strv *argv, const char *node, bool terminal, struct strv *words,
		struct error *err)
{
	return ask_remote_argv(node, terminal, strv_argv(words), words->n, argv, err);
}

static void the_node_splits_what_we_quote_into_the_same_words(void **state)
{
	static const char *const words[] = {
		"run",      "blog",        "sh",  "-c",          "echo \"$HOME\" 'x' `id`; ls *",
		"",         "'",           "\\",  "a\\'b\"c",    "tab\there",
		"--x=y",    "caf\xc3\xa9", "~",   "#no comment", "two\nlines",
		"!history", "{a,b}",       "a=b",
	};
	autostrv struct strv in = STRV_INIT, argv = STRV_INIT, out = STRV_INIT;
	struct error err = ERROR_INIT;
	const char *command;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		strv_add(&in, words[i]);
	assert_int_equal(make(&argv, "node:2222", false, &in, &err), 0);
	command = argv.v[argv.n - 1];
	if (words_split(command, strlen(command), &out, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(out.n, in.n);
	for (size_t i = 0; i < in.n; i++)
		assert_string_equal(out.v[i], in.v[i]);
}

static void the_command_line_names_port_host_and_terminal(void **state)
{
	static const struct {
		const char *node;
		bool terminal;
		const char *line;
	} rows[] = {
		{"node:2222", false, "ssh -p 2222 silver@node -- apps"},
		{"node.example.com:22", true, "ssh -p 22 -t silver@node.example.com -- apps"},
		{"node", false, "ssh silver@node -- apps"},
		{"[::1]:2222", false, "ssh -p 2222 silver@::1 -- apps"},
		{"[::1]", false, "ssh silver@::1 -- apps"},
		{"127.0.0.1:1", false, "ssh -p 1 silver@127.0.0.1 -- apps"},
		{"git@node:22", false, "ssh -p 22 git@node -- apps"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autostrv struct strv in = STRV_INIT, argv = STRV_INIT;
		autostrbuf struct strbuf line = STRBUF_INIT;
		struct error err = ERROR_INIT;

		strv_add(&in, "apps");
		if (make(&argv, rows[i].node, rows[i].terminal, &in, &err) == -1)
			fail_msg("%s", err.text);
		for (size_t k = 0; k < argv.n; k++)
			strbuf_addf(&line, "%s%s", k ? " " : "", argv.v[k]);
		assert_string_equal(strbuf_str(&line), rows[i].line);
	}
}

static void what_is_no_node_is_refused(void **state)
{
	static const char *const nodes[] = {
		"",         ":22",      "node:",      "node:0",   "node:65536",  "node:x",
		"-oProxy",  "@node:22", "[::1",       "[]:22",    "[::1]22",     "::1",
		"node:22:", "-x:22",    "-a@node:22", "a b@node", "a@b@node:22", "node/app",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		autostrv struct strv in = STRV_INIT, argv = STRV_INIT;
		struct error err = ERROR_INIT;

		strv_add(&in, "apps");
		if (make(&argv, nodes[i], false, &in, &err) != -1 || err.code != E_USAGE)
			fail_msg("'%s'", nodes[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_node_splits_what_we_quote_into_the_same_words),
		cmocka_unit_test(the_command_line_names_port_host_and_terminal),
		cmocka_unit_test(what_is_no_node_is_refused),
	};

	return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
