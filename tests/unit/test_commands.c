/* The table of commands: who may what, every form of an app's name, what a request is read as. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "receiver/commands.h"

/* Splits at blanks; tests have no words with blanks in them. */
static int parse(struct request *r, const char *line, struct error *err)
{
	autostrv struct strv words = STRV_INIT;

	for (const char *at = line; *at;) {
		size_t len = strcspn(at, " ");

		strv_addf(&words, "%.*s", (int)len, at);
		at += len + (at[len] == ' ');
	}
	return request_parse(r, strv_argv(&words), words.n, err);
}

static int code_of(const char *line, enum role role, const char *only_app)
{
	autorequest struct request r = {0};
	autouser struct user user = {.name = xstrdup("ian"), .role = role};
	struct error err = ERROR_INIT;

	if (only_app)
		strv_add(&user.apps, only_app);
	if (parse(&r, line, &err) == -1 || request_allow(&r, &user, false, &err) == -1)
		return (int)err.code;
	return 0;
}

static const struct {
	const char *line;
	enum role from; /* the least role that may */
} rows[] = {
	{"apps", ROLE_READ},
	{"status", ROLE_READ},
	{"status blog", ROLE_READ},
	{"releases blog --json", ROLE_READ},
	{"logs blog -f -n 20", ROLE_READ},
	{"git-upload-pack /blog", ROLE_READ},
	{"git upload-pack blog.git", ROLE_READ},
	{"git-upload-archive blog", ROLE_READ},
	{"git-receive-pack blog", ROLE_DEPLOY},
	{"git receive-pack /blog.git", ROLE_DEPLOY},
	{"rollback blog", ROLE_DEPLOY},
	{"rollback blog 3", ROLE_DEPLOY},
	{"activate blog 3", ROLE_DEPLOY},
	{"redeploy blog", ROLE_DEPLOY},
	{"why blog", ROLE_READ},
	{"run blog ls -la", ROLE_DEPLOY},
	{"verify blog", ROLE_DEPLOY},
	{"fsck blog", ROLE_ADMIN},
	{"branch blog main", ROLE_DEPLOY},
	{"env blog", ROLE_READ},
	{"env blog --values", ROLE_ADMIN},
	{"rotate blog redis", ROLE_DEPLOY},
	{"config set blog A=1 B=2", ROLE_DEPLOY},
	{"config unset blog A", ROLE_DEPLOY},
	{"config show blog A --json", ROLE_DEPLOY},
	{"config revert blog 3", ROLE_DEPLOY},
	{"config load blog --was 3", ROLE_DEPLOY},
	{"config put blog a.ini", ROLE_DEPLOY},
	{"config remove blog a.ini", ROLE_DEPLOY},
	{"logs blog --access -f", ROLE_READ},
	{"access blog", ROLE_READ},
	{"disable blog", ROLE_DEPLOY},
	{"deactivate blog", ROLE_DEPLOY},
	{"enable blog", ROLE_DEPLOY},
	{"location add blog www.example.com", ROLE_ADMIN},
	{"location remove blog www.example.com", ROLE_ADMIN},
	{"location list blog", ROLE_READ},
	{"location body blog 8M", ROLE_ADMIN},
	{"create blog", ROLE_DEPLOY},
	{"destroy blog", ROLE_ADMIN},
	{"destroy blog --yes", ROLE_ADMIN},
	{"backup blog -", ROLE_DEPLOY},
	{"backup blog --list", ROLE_DEPLOY},
	{"restore blog - --yes", ROLE_ADMIN},
	{"clear blog redis --yes", ROLE_ADMIN},
	{"key set maps", ROLE_ADMIN},
	{"key grant maps blog", ROLE_ADMIN},
	{"key revoke maps blog", ROLE_ADMIN},
	{"key list --json", ROLE_ADMIN},
	{"key remove maps", ROLE_ADMIN},
	{"tls on www.example.com --redirect", ROLE_ADMIN},
	{"tls set www.example.com", ROLE_ADMIN},
	{"tls off www.example.com", ROLE_ADMIN},
	{"tls renew", ROLE_ADMIN},
	{"tls list --json", ROLE_ADMIN},
	{"user list", ROLE_ADMIN},
	{"user add x --role admin", ROLE_ADMIN},
	{"help", ROLE_NONE},
};

static void roles_may_what_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (enum role role = ROLE_NONE; role <= ROLE_ADMIN; role++)
			if (code_of(rows[i].line, role, NULL) !=
			    (role >= rows[i].from ? E_OK : E_DENIED))
				fail_msg("'%s' as %s", rows[i].line, role_name(role));
}

static void every_command_has_a_row_in_the_role_test(void **state)
{
	const struct command *c;

	(void)state;
	for (size_t n = 0; (c = command_at(n)); n++) {
		size_t i = 0, len = strlen(c->name);

		while (i < ARRAY_SIZE(rows) && (strncmp(rows[i].line, c->name, len) != 0 ||
						strchr(" ", rows[i].line[len]) == NULL))
			i++;
		if (i == ARRAY_SIZE(rows))
			fail_msg("'%s' belongs into the table above", c->name);
	}
}

static void an_app_that_one_may_not_see_is_one_that_does_not_exist(void **state)
{
	static const char *const lines[] = {
		"status shop",          "logs shop",
		"git-upload-pack shop", "git-receive-pack /shop.git",
		"run shop ls",          "git receive-pack shop",
		"rollback shop 1",
	};
	autouser struct user user = {.name = xstrdup("ian"), .role = ROLE_DEPLOY};

	(void)state;
	strv_add(&user.apps, "blog");
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		autorequest struct request r = {0};
		struct error err = ERROR_INIT;

		assert_int_equal(parse(&r, lines[i], &err), 0);
		assert_int_equal(request_allow(&r, &user, false, &err), -1);
		assert_int_equal(err.code, E_NOTFOUND);
		assert_string_equal(err.text, "no app 'shop'");
	}
	assert_int_equal(code_of("status blog", ROLE_DEPLOY, "blog"), 0);
	assert_int_equal(code_of("git-receive-pack blog", ROLE_DEPLOY, "blog"), 0);
	assert_int_equal(code_of("status shop", ROLE_ADMIN, "blog"), 0);
}

static void a_reader_learns_nothing_of_an_app_by_pushing(void **state)
{
	(void)state;
	assert_int_equal(code_of("git-receive-pack shop", ROLE_READ, "blog"), E_DENIED);
	assert_int_equal(code_of("git-receive-pack blog", ROLE_READ, "blog"), E_DENIED);
	assert_int_equal(code_of("destroy shop --yes", ROLE_DEPLOY, "blog"), E_DENIED);
}

static void bad_requests_are_usage_errors(void **state)
{
	static const char *const lines[] = {
		"",
		"sh",
		"git",
		"git push blog",
		"git-shell blog",
		"git-receive-pack",
		"git-receive-pack blog shop",
		"git-receive-pack --upload-pack=x blog",
		"git-upload-pack ../blog",
		"git-upload-pack /a/b",
		"git-upload-pack -blog",
		"git-upload-pack blog;id",
		"git-upload-pack Blog",
		"git-upload-pack aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"status blog.git",
		"status /blog",
		"status blog shop",
		"status --yaml",
		"releases",
		"rollback",
		"rollback blog 1 2",
		"rollback blog --force",
		"logs blog -n",
		"logs blog 5",
		"run",
		"run blog",
		"run -x blog",
		"destroy",
		"destroy --yes",
		"apps blog",
		"create",
		"create blog --x",
		"help a b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		autorequest struct request r = {0};
		struct error err = ERROR_INIT;

		if (parse(&r, lines[i], &err) != -1 || err.code != E_USAGE)
			fail_msg("'%s': %d %s", lines[i], err.code, err.text);
	}
}

static void an_unknown_verb_names_the_nearest_and_all(void **state)
{
	autorequest struct request r = {0};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse(&r, "rolback blog", &err), -1);
	assert_non_null(strstr(err.text, "unknown verb 'rolback' (did you mean 'rollback'?)"));
	assert_non_null(strstr(err.text, "apps, status, releases"));
	assert_int_equal(parse(&r, "\x1b[2J", &err), -1);
	assert_null(strchr(err.text, '\x1b'));
}

static void options_may_stand_before_the_app(void **state)
{
	autorequest struct request r = {0};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse(&r, "logs -n 5 --release 3 blog -f", &err), 0);
	assert_string_equal(r.app, "blog");
	assert_int_equal(r.words.n, 5);
	assert_string_equal(r.words.v[0], "-n");
	assert_string_equal(r.words.v[1], "5");
	assert_string_equal(r.words.v[4], "-f");
}

static void words_of_run_are_not_read(void **state)
{
	autorequest struct request r = {0};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse(&r, "run blog --json -- -x --yes", &err), 0);
	assert_string_equal(r.app, "blog");
	assert_int_equal(r.words.n, 4);
	assert_string_equal(r.words.v[0], "--json");
	assert_string_equal(r.words.v[1], "--");
}

static void verbs_may_have_two_words(void **state)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autorequest struct request r = {0};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse(&r, "config set blog A=--json B=", &err), 0);
	assert_string_equal(r.command->name, "config set");
	assert_string_equal(r.app, "blog");
	assert_int_equal(r.words.n, 2);
	request_release(&r);
	assert_int_equal(parse(&r, "config sett blog", &err), -1);
	assert_int_equal(err.code, E_USAGE);
	assert_true(str_starts(err.text, "'config' wants one of:\nconfig set APP NAME=VALUE"));
	assert_int_equal(parse(&r, "config", &err), -1);
	assert_int_equal(command_help(&text, "config", &err), 0);
	assert_non_null(strstr(text.buf, "config revert APP N"));
}

static void status_without_an_app_is_apps(void **state)
{
	autorequest struct request r = {0};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse(&r, "status --json", &err), 0);
	assert_string_equal(r.command->name, "apps");
	assert_true(request_has(&r, "--json"));
}

static void url_forms_name_the_same_app(void **state)
{
	static const char *const paths[] = {"blog", "/blog", "blog.git", "/blog.git", "~/blog"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		autofree char *line = xasprintf("git-receive-pack %s", paths[i]);
		autorequest struct request r = {0};
		struct error err = ERROR_INIT;

		if (parse(&r, line, &err) == -1)
			fail_msg("%s: %s", line, err.text);
		assert_string_equal(r.app, "blog");
		assert_string_equal(r.command->name, "git-receive-pack");
		assert_int_equal(r.words.n, 0);
	}
}

static void help_names_what_the_role_may(void **state)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	commands_help(&text, ROLE_READ, false);
	assert_non_null(strstr(text.buf, "releases APP"));
	assert_null(strstr(text.buf, "rollback"));
	assert_null(strstr(text.buf, "git-receive-pack"));
	strbuf_reset(&text);
	assert_int_equal(command_help(&text, "rollback", &err), 0);
	assert_non_null(strstr(text.buf, "usage: rollback APP [N]"));
	assert_int_equal(command_help(&text, "rolback", &err), -1);
	assert_int_equal(err.code, E_USAGE);
}

static char *read_page(const char *path)
{
	autofile FILE *f = fopen(path, "re");
	struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	if (!f)
		fail_msg("no %s", path);
	assert_int_equal(strbuf_read_fd(&text, fileno(f), 1 << 20, &err), 0);
	return strbuf_detach(&text);
}

/* "create" is not the item of "create-node". */
static const char *find_item(const char *page, const char *name)
{
	autofree char *item = xasprintf("\n.It Cm %s", name);
	const char *at = page;

	while ((at = strstr(at, item)) && !strchr(" \n", at[strlen(item)]))
		at++;
	return at;
}

static void the_manual_has_every_verb_with_its_role(void **state)
{
	autofree char *page = read_page("docs/man/silver.1");
	const struct command *c;

	(void)state;
	for (size_t i = 0; (c = command_at(i)); i++) {
		autofree char *role = xasprintf("\n.Pq %s\n", role_name(c->role));
		const char *at = find_item(page, c->name);

		if (c->flags & HIDDEN)
			continue;
		at = at ? strchr(at + 1, '\n') : NULL;
		if (!at)
			fail_msg("silver.1 has no '%s'", c->name);
		else if (c->role != ROLE_NONE && strncmp(at, role, strlen(role)) != 0)
			fail_msg("silver.1: '%s' needs the role '%s'", c->name, role_name(c->role));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_may_what_the_table_says),
		cmocka_unit_test(every_command_has_a_row_in_the_role_test),
		cmocka_unit_test(an_app_that_one_may_not_see_is_one_that_does_not_exist),
		cmocka_unit_test(a_reader_learns_nothing_of_an_app_by_pushing),
		cmocka_unit_test(bad_requests_are_usage_errors),
		cmocka_unit_test(an_unknown_verb_names_the_nearest_and_all),
		cmocka_unit_test(options_may_stand_before_the_app),
		cmocka_unit_test(words_of_run_are_not_read),
		cmocka_unit_test(verbs_may_have_two_words),
		cmocka_unit_test(status_without_an_app_is_apps),
		cmocka_unit_test(url_forms_name_the_same_app),
		cmocka_unit_test(help_names_what_the_role_may),
		cmocka_unit_test(the_manual_has_every_verb_with_its_role),
	};

	return cmocka_run_group_tests_name("commands", tests, NULL, NULL);
}
