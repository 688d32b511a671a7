/* The developer's side: which node and app a git remote means, where a verb gets its app from, the
 * options of our own commands, and that the manual has them. */
#include "unit.h"
#include "cli/command.h"
#include "cli/place.h"
#include "cli/where.h"
#include "common/words.h"
#include "receiver/commands.h"

static void a_url_says_node_and_app(void **state)
{
	static const struct {
		const char *url, *node, *app;
	} rows[] = {
		{"ssh://silver@node:2222/blog", "node:2222", "blog"},
		{"ssh://silver@node/blog.git", "node", "blog"},
		{"ssh://node.example.com/~/blog", "node.example.com", "blog"},
		{"ssh://git@[::1]:22/blog", "git@[::1]:22", "blog"},
		{"git+ssh://silver@node/blog", "node", "blog"},
		{"silver@node:blog", "node", "blog"},
		{"node:blog.git", "node", "blog"},
		{"silver@[::1]:blog", "[::1]", "blog"},
		{"ssh://silver@node/a/b", "node", ""},
		{"ssh://silver@node", "node", ""},
		{"https://node/blog", NULL, ""},
		{"/srv/git/blog", NULL, ""},
		{"./a:b", NULL, ""},
		{"file:///srv/blog", NULL, ""},
		{"", NULL, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct host h;

		place_parse_url(&h, rows[i].url);
		if (!rows[i].node != !h.node || (h.node && strcmp(h.node, rows[i].node) != 0))
			fail_msg("%s: node '%s'", rows[i].url, h.node ? h.node : "(none)");
		assert_string_equal(h.app, rows[i].app);
		host_release(&h);
	}
}

static void a_node_and_an_app_make_a_url(void **state)
{
	static const struct {
		const char *node, *url;
	} rows[] = {
		{"node", "ssh://silver@node/blog"},
		{"node:2222", "ssh://silver@node:2222/blog"},
		{"git@node", "ssh://git@node/blog"},
		{"[::1]:2222", "ssh://silver@[::1]:2222/blog"},
		{"ssh://x@node/shop", "ssh://x@node/shop"},
		{"https://node/blog", NULL},
		{"-x", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autofree char *url = NULL;
		struct error err = ERROR_INIT;
		int r = place_url_of(rows[i].node, "blog", &url, &err);

		assert_int_equal(r, rows[i].url ? 0 : -1);
		if (url)
			assert_string_equal(url, rows[i].url);
	}
}

static void hosts_of_one_remote_have_one_app(void **state)
{
	struct host host[2];
	struct place p = {.remote = xstrdup("silver"), .host = host, .n = 2};
	struct error err = ERROR_INIT;
	const char *app;

	(void)state;
	place_parse_url(&host[0], "ssh://silver@a/blog");
	place_parse_url(&host[1], "ssh://silver@b/blog.git");
	assert_int_equal(place_app(&p, &app, &err), 0);
	assert_string_equal(app, "blog");
	host_release(&host[1]);
	place_parse_url(&host[1], "ssh://silver@b/shop");
	assert_int_equal(place_app(&p, &app, &err), -1);
	assert_non_null(strstr(err.text, "'blog' and 'shop'"));
	host_release(&host[1]);
	place_parse_url(&host[1], "/srv/blog");
	assert_int_equal(place_app(&p, &app, &err), -1);
	assert_int_equal(err.code, E_USAGE);
	host_release(&host[0]);
	host_release(&host[1]);
	free(p.remote);
}

static char *with_app(const char *line, const char *here, bool node_is_said)
{
	autostrv struct strv in = STRV_INIT, out = STRV_INIT;
	struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(words_split(line, strlen(line), &in, &err), 0);
	where_add_app(strv_argv(&in), in.n, here, node_is_said, &out);
	for (size_t i = 0; i < out.n; i++)
		strbuf_addf(&text, "%s%s", i ? " " : "", out.v[i]);
	return strbuf_detach(&text);
}

static void a_verb_gets_the_app_of_the_checkout(void **state)
{
	static const struct {
		const char *said, *asked;
	} rows[] = {
		{"logs -f", "logs blog -f"},
		{"logs -n 5 --release 3", "logs blog -n 5 --release 3"},
		{"logs shop -f", "logs shop -f"},
		{"logs -n 5 shop", "logs -n 5 shop"},
		{"config show", "config show blog"},
		{"config show KEY --json", "config show blog KEY --json"},
		{"config set A=1 B=2", "config set blog A=1 B=2"},
		{"config set shop A=1", "config set shop A=1"},
		{"config put settings.ini", "config put blog settings.ini"},
		{"config revert 3", "config revert blog 3"},
		{"config load --was 3", "config load blog --was 3"},
		{"key grant maps shop", "key grant maps shop"},
		{"rollback", "rollback blog"},
		{"rollback 12", "rollback blog 12"},
		{"rollback shop 12", "rollback shop 12"},
		{"activate 12", "activate blog 12"},
		{"activate . 12", "activate blog 12"},
		{"branch", "branch blog"},
		{"branch main", "branch main"}, /* what is said is the app */
		{"branch . main", "branch blog main"},
		{"status", "status blog"},
		{"status --json", "status blog --json"},
		{"status shop", "status shop"},
		{"apps", "apps"},
		{"run . ls .", "run blog ls ."},
		{"run ls .", "run ls ."},
		{"run", "run"},
		{"destroy --yes", "destroy --yes"}, /* never by where one happens to be */
		{"destroy . --yes", "destroy blog --yes"},
		{"user list", "user list"},
		{"config set A=1 B=2", "config set blog A=1 B=2"},
		{"config set shop A=1", "config set shop A=1"},
		{"config show", "config show blog"},
		{"config show . name", "config show blog name"},
		{"config", "config"},
		{"nonsense .", "nonsense ."},
		{"git-receive-pack", "git-receive-pack"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autofree char *asked = with_app(rows[i].said, "blog", false);
		autofree char *elsewhere = with_app(rows[i].said, NULL, false);

		assert_string_equal(asked, rows[i].asked);
		assert_string_equal(elsewhere, rows[i].said);
	}
}

static void a_node_that_is_named_has_more_than_one_app(void **state)
{
	autofree char *all = with_app("status", "blog", true);
	autofree char *one = with_app("rollback", "blog", true);

	(void)state;
	assert_string_equal(all, "status");
	assert_string_equal(one, "rollback blog");
}

static int parse(struct args *a, const char *line, struct error *err)
{
	autostrv struct strv words = STRV_INIT;

	assert_int_equal(words_split(line, strlen(line), &words, err), 0);
	return args_parse(a, "--check --app= -n=", strv_argv(&words), words.n, err);
}

static void options_are_told_from_words(void **state)
{
	autoargs struct args a = {0};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse(&a, "one --app=x --check two -n 5 --app y -- --check -", &err), 0);
	assert_string_equal(args_value(&a, "--app"), "y");
	assert_string_equal(args_value(&a, "-n"), "5");
	assert_true(args_has(&a, "--check"));
	assert_false(args_has(&a, "--ap"));
	assert_null(args_value(&a, "--other"));
	assert_int_equal(a.words.n, 4);
	assert_string_equal(a.words.v[2], "--check");
	assert_string_equal(a.words.v[3], "-");
}

static void bad_options_are_refused_by_name(void **state)
{
	static const struct {
		const char *line, *said;
	} rows[] = {
		{"--chek", "unknown option '--chek' (did you mean '--check'?)"},
		{"--check=1", "--check takes no value"},
		{"--app", "--app wants a value"},
		{"-x", "unknown option '-x'"},
		{"--ap", "unknown option '--ap'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autoargs struct args a = {0};
		struct error err = ERROR_INIT;

		assert_int_equal(parse(&a, rows[i].line, &err), -1);
		assert_int_equal(err.code, E_USAGE);
		if (!str_starts(err.text, rows[i].said))
			fail_msg("%s: %s", rows[i].line, err.text);
	}
}

static void the_manual_has_every_command_and_option(void **state)
{
	autofile FILE *f = fopen("docs/man/silver.1", "re");
	autostrbuf struct strbuf page = STRBUF_INIT;
	struct error err = ERROR_INIT;
	const struct local_command *c;

	(void)state;
	assert_non_null(f);
	assert_int_equal(strbuf_read_fd(&page, fileno(f), 1 << 20, &err), 0);
	for (size_t i = 0; (c = local_command_at(i)); i++) {
		autofree char *item = xasprintf("\n.It Cm %s", c->name);

		if (!strstr(page.buf, item))
			fail_msg("silver.1 has no '%s'", c->name);
		for (const char *at = c->options ? c->options : ""; *at;) {
			size_t len = strcspn(at, " ");
			autofree char *flag =
				xasprintf("Fl %.*s", (int)(len - (at[len - 1] == '=') - 1), at + 1);

			if (!strstr(page.buf, flag))
				fail_msg("silver.1 has no '%s' of '%s'", flag, c->name);
			at += len + strspn(at + len, " ");
		}
	}
}

static void no_name_is_in_both_tables(void **state)
{
	const struct local_command *c;

	(void)state;
	for (size_t i = 0; (c = local_command_at(i)); i++)
		if (command_named(c->name))
			fail_msg("'%s'", c->name);
}

static void a_slip_is_told_from_both_tables(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(command_unknown("rolback", &err), -1);
	assert_non_null(strstr(err.text, "did you mean 'rollback'?"));
	assert_int_equal(command_unknown("remotes", &err), -1);
	assert_non_null(strstr(err.text, "did you mean 'remote'?"));
	assert_int_equal(command_unknown("\x1b[2J", &err), -1);
	assert_null(strchr(err.text, '\x1b'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_url_says_node_and_app),
		cmocka_unit_test(a_node_and_an_app_make_a_url),
		cmocka_unit_test(hosts_of_one_remote_have_one_app),
		cmocka_unit_test(a_verb_gets_the_app_of_the_checkout),
		cmocka_unit_test(a_node_that_is_named_has_more_than_one_app),
		cmocka_unit_test(options_are_told_from_words),
		cmocka_unit_test(bad_options_are_refused_by_name),
		cmocka_unit_test(the_manual_has_every_command_and_option),
		cmocka_unit_test(no_name_is_in_both_tables),
		cmocka_unit_test(a_slip_is_told_from_both_tables),
	};

	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
