/* app.ini: what is taken, what is refused, and the words for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include "buildless/appini.h"
#include "common/fs.h"

struct result {
	struct appini ini;
	struct strv errors, warnings;
	unsigned n;
};

static void parse_bytes(struct result *r, const char *text, size_t len)
{
	*r = (struct result){0};
	r->n = appini_parse(&r->ini, "blog", text, len, &r->errors, &r->warnings);
	assert_int_equal(r->n, r->errors.n);
}

static void parse(struct result *r, const char *text)
{
	parse_bytes(r, text, strlen(text));
}

static void release(struct result *r)
{
	appini_release(&r->ini);
	strv_free_p(&r->errors);
	strv_free_p(&r->warnings);
}

static void assert_finding(const struct strv *list, const char *text)
{
	if (strv_has(list, text))
		return;
	print_error("missing: %s\n", text);
	for (size_t i = 0; i < list->n; i++)
		print_error("   have: %s\n", list->v[i]);
	fail();
}

/* One refusal, and it is this one. */
static void assert_refused(const char *text, const char *finding)
{
	struct result r;

	parse(&r, text);
	assert_finding(&r.errors, finding);
	assert_int_equal(r.errors.n, 1);
	release(&r);
}

static void assert_taken(const char *text)
{
	struct result r;

	parse(&r, text);
	if (r.n)
		print_error("%s\n", r.errors.v[0]);
	assert_int_equal(r.n, 0);
	release(&r);
}

static void every_key_is_taken(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "# a comment\n"
		  "[production]\n"
		  "app_name = blog\n"
		  "platform = python\n"
		  "runner = src/app.py#main ; why\n"
		  "health = /up?deep=1\n"
		  "default_location = blog.example.com\n"
		  "packages = python3-markdown, libpq5\n"
		  "  # a comment between\n"
		  "\n"
		  "  python3-lxml python3-markdown\n");
	assert_int_equal(r.n, 0);
	assert_int_equal(r.warnings.n, 0);
	assert_string_equal(r.ini.app_name, "blog");
	assert_string_equal(r.ini.platform, "python");
	assert_string_equal(r.ini.runner, "src/app.py#main");
	assert_int_equal(r.ini.runner_line, 5);
	assert_string_equal(r.ini.health, "/up?deep=1");
	assert_string_equal(r.ini.default_location, "blog.example.com");
	assert_int_equal(r.ini.packages.n, 3);
	assert_string_equal(r.ini.packages.v[0], "libpq5");
	assert_string_equal(r.ini.packages.v[1], "python3-lxml");
	assert_string_equal(r.ini.packages.v[2], "python3-markdown");
	assert_int_equal(r.ini.packages_line, 8);
	release(&r);
}

static void crlf_bom_and_capitals_are_no_obstacle(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "\xef\xbb\xbf[production]\r\nPlatform = exec\r\nRUNNER = bin/serve\r\n");
	assert_int_equal(r.n, 0);
	assert_string_equal(r.ini.platform, "exec");
	assert_string_equal(r.ini.runner, "bin/serve");
	release(&r);
}

static void platform_is_python_when_not_named(void **state)
{
	struct result r;
	autofree char *file = NULL;

	(void)state;
	parse(&r, "[production]\nrunner = app.py\n");
	assert_int_equal(r.n, 0);
	assert_string_equal(r.ini.platform, "python");
	file = appini_runner_file(&r.ini);
	assert_string_equal(file, "app.py");
	release(&r);
}

static void all_findings_come_at_once_with_their_lines(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "[production]\n"
		  "app_name = shop\n"
		  "platform = pyton\n"
		  "runer = app.py\n"
		  "health = status\n"
		  "packages = Bad_Name ok\n"
		  "    libpq5\n"
		  "    x\n"
		  "default_location = http://example.com/\n"
		  "nonsense\n"
		  "service.postgresql =\n");
	assert_finding(&r.errors, "app.ini:2: app_name is 'shop', but the push goes to 'blog'; "
				  "remove the line, or push to the app it names");
	assert_finding(&r.errors, "app.ini:3: unknown platform 'pyton' (did you mean 'python'?); "
				  "it is one of python, static, exec");
	assert_finding(&r.errors, "app.ini:4: unknown key 'runer' (did you mean 'runner'?)");
	assert_finding(&r.errors,
		       "app.ini:5: health 'status' is no URL path; it starts with '/', without "
		       "blanks or '#', and what is not ASCII is written %XX");
	assert_finding(&r.errors,
		       "app.ini:6: 'Bad_Name' is no name of a Debian package: a-z, 0-9, '+', '-' "
		       "and '.', at least two characters, no version");
	assert_finding(&r.errors, "app.ini:8: 'x' is no name of a Debian package: a-z, 0-9, '+', "
				  "'-' and '.', at least two characters, no version");
	assert_finding(&r.errors, "app.ini:9: default_location 'http://example.com/' is a host "
				  "name, without 'http://'");
	assert_finding(&r.errors,
		       "app.ini:10: neither a [section], nor 'key = value', nor a comment");
	assert_finding(&r.errors,
		       "app.ini:11: 'service.postgresql' is not available in this version of "
		       "Silver: no services are provided; remove it");
	assert_int_equal(r.n, 9);
	release(&r);
}

static void findings_are_in_the_order_of_lines(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "[production]\nrunner = ../x.py\nnosuch = 1\nhealth = x\n");
	assert_int_equal(r.n, 3);
	assert_true(str_starts(r.errors.v[0], "app.ini:2: "));
	assert_true(str_starts(r.errors.v[1], "app.ini:3: "));
	assert_true(str_starts(r.errors.v[2], "app.ini:4: "));
	release(&r);
}

static void a_missing_runner_is_told_once(void **state)
{
	(void)state;
	assert_refused("[production]\n",
		       "app.ini: 'runner' is missing; platform 'python' needs it, for example: "
		       "runner = src/app.py#application");
	assert_refused("[production]\nplatform = exec\n",
		       "app.ini: 'runner' is missing; platform 'exec' needs it, for example: "
		       "runner = bin/serve");
	assert_refused("", "app.ini: 'runner' is missing; platform 'python' needs it, for example: "
			   "runner = src/app.py#application");
	assert_refused("[production]\nruner = app.py\n",
		       "app.ini:2: unknown key 'runer' (did you mean 'runner'?)");
	assert_refused("[production]\nrunner =\n",
		       "app.ini:2: 'runner' has no value; remove the line, or set it");
}

static void sections_other_than_production_are_refused(void **state)
{
	(void)state;
	assert_refused("runner = app.py\n",
		       "app.ini:1: a key above the first section; put [production] above it");
	assert_refused("# x\n[prodution]\nplatform = python\nrunner = app.py\n",
		       "app.ini:2: unknown section [prodution] (did you mean [production]?)");
	assert_refused("[production]\nrunner = a.py\n[server:main]\nport = 1\nhost = x\n",
		       "app.ini:3: unknown section [server:main]; app.ini has one, [production]");
	assert_refused("[production]\nrunner = a.py\n[process:worker]\ncommand = x\n",
		       "app.ini:3: section [process:worker] is not available in this version of "
		       "Silver; remove it");
	assert_refused("[production]\nrunner = a.py\n[limits]\nmemory = 1\n",
		       "app.ini:3: section [limits] is not available in this version of Silver; "
		       "remove it");
}

static void duplicates_name_both_lines(void **state)
{
	(void)state;
	assert_refused("[production]\nrunner = a.py\nRunner = b.py\n",
		       "app.ini:3: 'runner' is set twice, here and in line 2; keep one");
}

static void an_indented_key_is_an_accident(void **state)
{
	(void)state;
	assert_refused("[production]\n"
		       "packages = libpq5\n"
		       "\n"
		       "  # indented by mistake:\n"
		       "  runner = app.py\n",
		       "app.ini:5: 'runner = app.py' is indented, so it is read as part of "
		       "'packages' in line 2; remove the blanks before it");
	struct result r;

	parse(&r, "[production]\npackages = Bad\n  ok-one\n  runner = b.py\n  Worse\n");
	assert_int_equal(r.errors.n, 3);
	assert_true(str_starts(r.errors.v[0], "app.ini:2: 'Bad' is no name"));
	assert_true(str_starts(r.errors.v[1], "app.ini:4: 'runner = b.py' is indented"));
	assert_true(str_starts(r.errors.v[2], "app.ini:5: 'Worse' is no name"));
	release(&r);
	assert_refused("[production]\nrunner = app.py\n health: /x\n",
		       "app.ini:3: 'health: /x' is indented, so it is read as part of 'runner' in "
		       "line 2; remove the blanks before it");
	assert_refused("[production]\nrunner = app.py\n more\n",
		       "app.ini:3: 'runner' has a second line, 'more'; it takes one");
}

static void what_is_for_later_is_refused_never_ignored(void **state)
{
	static const char *const later[] = {"update_fetch", "test", "service.redis",
					    "config.required", "php_root"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		autofree char *text = xasprintf("[production]\nrunner = a.py\n%s = x\n", later[i]);
		autofree char *start = xasprintf("app.ini:3: '%s' is not available in this version "
						 "of Silver",
						 later[i]);
		struct result r;

		parse(&r, text);
		assert_int_equal(r.n, 1);
		assert_true(str_starts(r.errors.v[0], start));
		release(&r);
	}
	assert_refused("[production]\nplatform = php\nrunner = index.php\n",
		       "app.ini:2: platform 'php' is not available in this version of Silver; it "
		       "runs python, static and exec");
	assert_refused("[production]\nrunner = deploy.ini#main\n",
		       "app.ini:2: runner 'deploy.ini#main': Paste Deploy files are not available "
		       "in this version of Silver; name a Python file");
	assert_refused("[production]\nrunner = a.py\ndefault_location = example.com/blog\n",
		       "app.ini:3: default_location 'example.com/blog': a path behind the host is "
		       "not available in this version of Silver; give the host alone");
}

static void old_keys_warn_and_name_what_replaced_them(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "[production]\n"
		  "version = 1\n"
		  "default_host = a\n"
		  "default_hostname = b\n"
		  "default_node = c\n"
		  "service.php =\n"
		  "runner = app.py\n"
		  "default_location = blog.example.com\n");
	assert_int_equal(r.n, 0);
	assert_int_equal(r.warnings.n, 5);
	assert_finding(&r.warnings,
		       "app.ini:4: 'default_hostname' has no effect: 'default_location' replaces "
		       "it");
	release(&r);
	parse(&r, "[production]\nrunner = %(here)s/app.py\n");
	assert_finding(&r.warnings, "app.ini:2: '%(...)s' in 'runner' is taken as it stands: write "
				    "the value out");
	release(&r);
	parse(&r, "[production]\nrunner = a.py\nafter_install_script = x.sh\n"
		  "package_install_script = y.sh\n");
	assert_int_equal(r.n, 2);
	assert_true(str_starts(r.errors.v[0],
			       "app.ini:3: 'after_install_script' is not accepted: root never runs "
			       "a file of the app"));
	release(&r);
}

static void runners_have_three_forms_for_python(void **state)
{
	(void)state;
	assert_taken("[production]\nrunner = src/a-b/app.py\n");
	assert_taken("[production]\nrunner = src/app.py#site.application\n");
	assert_taken("[production]\nrunner = shop.wsgi:application\n");
	assert_refused("[production]\nrunner = src/app.py:main\n",
		       "app.ini:2: runner 'src/app.py:main': the object of a file stands behind "
		       "'#': src/app.py#main");
	assert_refused("[production]\nrunner = app.py#\n",
		       "app.ini:2: runner 'app.py#': '#' is followed by the name of a Python "
		       "object");
	assert_refused("[production]\nrunner = application\n",
		       "app.ini:2: runner 'application' is none of path/file.py, "
		       "path/file.py#object, module:object");
	assert_refused("[production]\nrunner = ../app.py\n",
		       "app.ini:2: runner '../app.py' is no path in the tree; it is relative to "
		       "the top, without '.', '..' and blanks");
	assert_refused("[production]\nrunner = /srv/app.py\n",
		       "app.ini:2: runner '/srv/app.py' is no path in the tree; it is relative to "
		       "the top, without '.', '..' and blanks");
	assert_refused("[production]\nrunner = app.py#f('x')\n",
		       "app.ini:2: runner 'app.py#f('x')': '#' is followed by the name of a Python "
		       "object");
}

static void exec_takes_a_program_and_static_takes_none(void **state)
{
	static const char rule[] =
		"app.ini:3: runner is the path of a program in the tree: relative to the top, "
		"without arguments, blanks, '.' and '..'";

	(void)state;
	assert_taken("[production]\nplatform = exec\nrunner = bin/serve\n");
	assert_taken("[production]\nplatform = static\n");
	assert_refused("[production]\nplatform = exec\nrunner = bin/serve --port\n", rule);
	assert_refused("[production]\nplatform = exec\nrunner = /usr/bin/python3\n", rule);
	assert_refused("[production]\nplatform = exec\nrunner = bin/../serve\n", rule);
	assert_refused("[production]\nrunner = app.py\nplatform = static\n",
		       "app.ini:2: platform 'static' has no runner: remove it, or set platform = "
		       "python or exec");
}

static void hostile_bytes_are_shown_safely(void **state)
{
	static const char nul[] = "[production]\nrunner = a\0b.py\n";
	autofree char *line = xmalloc(70001), *text = NULL;
	struct result r;

	(void)state;
	assert_refused("[production]\nrunner = a.py\n\x1b[2Jkey = x\n",
		       "app.ini:3: unknown key '\\x1b[2Jkey'; the keys are app_name, platform, "
		       "runner, health, default_location, packages");
	parse_bytes(&r, nul, sizeof(nul) - 1);
	assert_finding(&r.errors, "app.ini:2: a NUL byte");
	release(&r);
	memset(line, 'x', 70000);
	line[70000] = '\0';
	text = xasprintf("[production]\nrunner = %s\n", line);
	parse(&r, text);
	assert_finding(&r.errors, "app.ini:2: a line of more than 65536 bytes");
	release(&r);
}

/* The list of keys in docs/man/app.ini.5, ".It Ic KEY" and the line below it, as describe prints
 * it. */
static void read_manual_keys(struct strbuf *out)
{
	autofile FILE *f = fopen("docs/man/app.ini.5", "re");
	char line[512];
	bool in_keys = false, at_meaning = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (str_starts(line, ".Sh "))
			in_keys = strcmp(line, ".Sh KEYS\n") == 0;
		if (in_keys && at_meaning)
			strbuf_addstr(out, line);
		at_meaning = in_keys && str_starts(line, ".It Ic ");
		if (at_meaning)
			strbuf_addf(out, "%.*s\t", (int)strcspn(line + 7, " \n"), line + 7);
	}
}

static void the_manual_lists_the_keys_of_the_table(void **state)
{
	autostrbuf struct strbuf table = STRBUF_INIT, manual = STRBUF_INIT;

	(void)state;
	appini_describe(&table);
	read_manual_keys(&manual);
	assert_string_equal(strbuf_str(&manual), strbuf_str(&table));
}

static void the_example_is_a_good_one(void **state)
{
	(void)state;
	assert_taken(appini_example());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_taken),
		cmocka_unit_test(crlf_bom_and_capitals_are_no_obstacle),
		cmocka_unit_test(platform_is_python_when_not_named),
		cmocka_unit_test(all_findings_come_at_once_with_their_lines),
		cmocka_unit_test(findings_are_in_the_order_of_lines),
		cmocka_unit_test(a_missing_runner_is_told_once),
		cmocka_unit_test(sections_other_than_production_are_refused),
		cmocka_unit_test(duplicates_name_both_lines),
		cmocka_unit_test(an_indented_key_is_an_accident),
		cmocka_unit_test(what_is_for_later_is_refused_never_ignored),
		cmocka_unit_test(old_keys_warn_and_name_what_replaced_them),
		cmocka_unit_test(runners_have_three_forms_for_python),
		cmocka_unit_test(exec_takes_a_program_and_static_takes_none),
		cmocka_unit_test(hostile_bytes_are_shown_safely),
		cmocka_unit_test(the_manual_lists_the_keys_of_the_table),
		cmocka_unit_test(the_example_is_a_good_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
