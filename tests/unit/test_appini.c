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
	assert_string_equal(r.ini.run.platform, "python");
	assert_string_equal(r.ini.run.runner, "src/app.py#main");
	assert_int_equal(r.ini.runner_line, 5);
	assert_string_equal(r.ini.run.health, "/up?deep=1");
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
	assert_string_equal(r.ini.run.platform, "exec");
	assert_string_equal(r.ini.run.runner, "bin/serve");
	release(&r);
}

static void platform_is_python_when_not_named(void **state)
{
	struct result r;
	autofree char *file = NULL;

	(void)state;
	parse(&r, "[production]\nrunner = app.py\n");
	assert_int_equal(r.n, 0);
	assert_string_equal(r.ini.run.platform, "python");
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
		  "config.required = PATH\n");
	assert_finding(&r.errors, "app.ini:2: app_name is 'shop', but the push goes to 'blog'; "
				  "remove the line, or push to the app it names");
	assert_finding(&r.errors, "app.ini:3: unknown platform 'pyton' (did you mean 'python'?); "
				  "it is one of python, php, static, exec");
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
	assert_finding(
		&r.errors,
		"app.ini:11: config.required: 'PATH' is neither a variable that can be set nor a "
		"file of the configuration");
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

static void unknown_sections_are_refused(void **state)
{
	(void)state;
	assert_refused("runner = app.py\n",
		       "app.ini:1: a key above the first section; put [production] above it");
	assert_refused("# x\n[prodution]\nplatform = python\nrunner = app.py\n",
		       "app.ini:2: unknown section [prodution] (did you mean [production]?)");
	assert_refused("[production]\nrunner = a.py\n[server:main]\nport = 1\nhost = x\n",
		       "app.ini:3: unknown section [server:main]; the sections are [production], "
		       "[process:NAME], [cron:NAME], [limits]");
	assert_refused("[production]\nrunner = a.py\n[proces:x]\ncommand = y\n",
		       "app.ini:3: unknown section [proces:x] (did you mean [process:NAME]?)");
	assert_refused("[production]\nrunner = a.py\n[process]\ncommand = y\n",
		       "app.ini:3: unknown section [process] (did you mean [process:NAME]?)");
	assert_refused("[production]\nrunner = a.py\n[process:Big]\ncommand = y\ncount = 2\n",
		       "app.ini:3: [process:...]: the name has a-z, 0-9 and '-', starts with a "
		       "letter and is at most 31 long");
	assert_refused("[production]\nrunner = a.py\n[process:web]\ncommand = y\n",
		       "app.ini:3: [process:web]: 'web' is what serves requests, which 'runner' "
		       "names; choose another name");
}

static void processes_are_read(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "[production]\nrunner = a.py\n"
		  "[process:mail]\ncommand = bin/mail --queue 'a b'\ncount = 3\n"
		  "[process:clock]\ncommand = python3 -m clock\n");
	assert_int_equal(r.n, 0);
	assert_int_equal(r.ini.run.n_processes, 2);
	assert_string_equal(r.ini.run.process[0].name, "mail");
	assert_string_equal(r.ini.run.process[0].command, "bin/mail --queue 'a b'");
	assert_int_equal(r.ini.run.process[0].count, 3);
	assert_int_equal(r.ini.run.process[0].line, 4);
	assert_string_equal(r.ini.run.process[1].name, "clock");
	assert_int_equal(r.ini.run.process[1].count, 1);
	release(&r);
	assert_refused("[production]\nrunner = a.py\n[process:x]\ncount = 2\n",
		       "app.ini:3: [process:x] has no 'command'; for example: command = bin/x");
	assert_refused("[production]\nrunner = a.py\n[process:x]\ncommand = bin/x\ncount = 65\n",
		       "app.ini:5: count '65' is no number from 0 to 64");
	assert_refused("[production]\nrunner = a.py\n[process:x]\ncommand = bin/x 'a\n",
		       "app.ini:4: command: the command has a single quote without its pair");
	assert_refused("[production]\nrunner = a.py\n[process:x]\ncommand = A=1 bin/x\n",
		       "app.ini:4: command: a command is a program and its arguments, without a "
		       "shell; for variables there is `env NAME=VALUE PROGRAM`");
	assert_refused("[production]\nrunner = a.py\n[process:x]\ncommand = a\n[process:y]\n"
		       "command = b\n[process:x]\nCommand = c\n",
		       "app.ini:8: 'command' is set twice, here and in line 4; keep one");
	assert_refused("[production]\nrunner = a.py\n[process:x]\ncomand = a\n",
		       "app.ini:4: unknown key 'comand' (did you mean 'command'?)");
}

static void crons_are_read(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "[production]\nrunner = a.py\n"
		  "[cron:nightly]\nschedule = 30 4 * * mon-fri\ncommand = bin/tidy\n");
	assert_int_equal(r.n, 0);
	assert_int_equal(r.ini.run.n_crons, 1);
	assert_string_equal(r.ini.run.cron[0].name, "nightly");
	assert_string_equal(r.ini.run.cron[0].schedule, "30 4 * * mon-fri");
	assert_string_equal(r.ini.run.cron[0].command, "bin/tidy");
	release(&r);
	assert_refused("[production]\nrunner = a.py\n[cron:x]\ncommand = bin/x\n",
		       "app.ini:4: [cron:x] has no 'schedule'; for example: schedule = 30 4 * * *");
	assert_refused("[production]\nrunner = a.py\n[cron:x]\nschedule = 61 * * * *\n"
		       "command = bin/x\n",
		       "app.ini:4: '61' is no minute; it is '*', or a list like 0,1-2 or */5 of "
		       "numbers from 0 to 59");
	assert_refused(
		"[production]\nrunner = a.py\n[cron:x]\nschedule = @daily\ncommand = bin/x\n",
		"app.ini:4: a schedule has five fields, minute hour day-of-month month "
		"day-of-week, as in '30 4 * * mon-fri'; this one has 1");
}

static void limits_are_read(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "[production]\nrunner = a.py\n"
		  "[limits]\nmemory = 512M\ncpu = 150%\ntasks = 80\ntimeout = 2m\n");
	assert_int_equal(r.n, 0);
	assert_int_equal(r.ini.run.limits.memory_bytes, 512 << 20);
	assert_int_equal(r.ini.run.limits.cpu_percent, 150);
	assert_int_equal(r.ini.run.limits.tasks, 80);
	assert_int_equal(r.ini.run.limits.timeout_s, 120);
	release(&r);
	assert_refused("[production]\nrunner = a.py\n[limits]\nmemory = 512\n",
		       "app.ini:4: memory '512' is none: a number with its unit, as 512M or 2G, at "
		       "least 1M");
	assert_refused("[production]\nrunner = a.py\n[limits]\nmemory = 99999999999999999G\n",
		       "app.ini:4: memory '99999999999999999G' is none: a number with its unit, as "
		       "512M or 2G, at least 1M");
	assert_refused("[production]\nrunner = a.py\n[limits]\ntasks = 0\n",
		       "app.ini:4: tasks '0' is none: a number of processes and threads, as 100");
}

static void tasks_are_read_in_their_order(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "[production]\nrunner = a.py\n"
		  "update_fetch = /setup?step=1\n"
		  "    # a comment\n"
		  "    script:bin/migrate --all\n"
		  "test =\n"
		  "    /self-test\n");
	assert_int_equal(r.n, 0);
	assert_int_equal(r.ini.update_fetch.n, 2);
	assert_string_equal(r.ini.update_fetch.v[0].text, "/setup?step=1");
	assert_int_equal(r.ini.update_fetch.v[0].line, 3);
	assert_string_equal(r.ini.update_fetch.v[1].text, "script:bin/migrate --all");
	assert_int_equal(r.ini.update_fetch.v[1].line, 5);
	assert_int_equal(r.ini.test.n, 1);
	assert_string_equal(r.ini.test.v[0].text, "/self-test");
	assert_int_equal(r.ini.test.v[0].line, 7);
	release(&r);
	assert_refused("[production]\nrunner = a.py\nupdate_fetch = /a\n  bin/x\n",
		       "app.ini:4: update_fetch: 'bin/x' is neither a URL path like /setup nor "
		       "script:bin/program ARGS");
	assert_refused("[production]\nrunner = a.py\ntest = script:\n",
		       "app.ini:3: test: no program is named");
}

static void php_has_a_root_and_one_way_in(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "[production]\nplatform = php\nphp_root = web/\nrunner = web/index.php\n");
	assert_int_equal(r.n, 0);
	assert_string_equal(r.ini.run.php_root, "web");
	release(&r);
	assert_refused("[production]\nplatform = php\n",
		       "app.ini: 'runner' is missing; platform 'php' needs it, for example: runner "
		       "= index.php");
	assert_refused("[production]\nplatform = php\nrunner = bin/x\n",
		       "app.ini:3: runner 'bin/x' is no PHP file; it is the one that dynamic "
		       "requests enter, for example: runner = index.php");
	assert_refused("[production]\nrunner = a.py\nphp_root = web\n",
		       "app.ini:3: 'php_root' is for platform = php only");
}

static void locations_may_have_a_path(void **state)
{
	(void)state;
	assert_taken("[production]\nrunner = a.py\ndefault_location = example.com/blog/2.0\n");
	assert_refused("[production]\nrunner = a.py\ndefault_location = example.com/../x\n",
		       "app.ini:3: default_location 'example.com/../x': the path is /one/two, of "
		       "letters, digits and '._~-', without a '/' at its end");
	assert_refused("[production]\nrunner = a.py\ndefault_location = example.com/\n",
		       "app.ini:3: default_location 'example.com/': the path is /one/two, of "
		       "letters, digits and '._~-', without a '/' at its end");
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

static void services_are_taken_with_and_without_a_value(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "[production]\nrunner = a.py\nService.PostgreSQL =\nservice.files = yes\n");
	assert_int_equal(r.n, 0);
	assert_int_equal(r.ini.services.n, 2);
	assert_string_equal(r.ini.services.v[0].name, "postgresql");
	assert_string_equal(r.ini.services.v[0].value, "");
	assert_int_equal(r.ini.services.v[0].line, 3);
	assert_string_equal(r.ini.services.v[1].value, "yes");
	release(&r);
	assert_refused("[production]\nrunner = a.py\nservice.../x =\n",
		       "app.ini:3: '../x' is not a service: 1 to 31 characters a-z, 0-9, '_' and "
		       "'-', a letter first");
	assert_refused("[production]\nrunner = a.py\nservice.files =\nservice.FILES =\n",
		       "app.ini:4: 'service.FILES' is set twice, here and in line 3; keep one");
}

static void a_configuration_is_asked_for_by_four_keys(void **state)
{
	struct result r;

	(void)state;
	parse(&r, "[production]\nrunner = a.py\n"
		  "config.required = API_KEY, OTHER\n  settings.ini\n"
		  "config.default = A=one  two\n  B =  x\n  etc/conf/\n"
		  "config.template = etc/template\n"
		  "config.checker = shop.settings:check\n");
	assert_int_equal(r.n, 0);
	assert_false(r.ini.config.anything);
	assert_int_equal(r.ini.config.required.n, 3);
	assert_string_equal(r.ini.config.required.v[2], "settings.ini");
	assert_int_equal(r.ini.config.required_line, 3);
	assert_int_equal(r.ini.config.defaults.n, 2);
	assert_string_equal(r.ini.config.defaults.v[0], "A=one  two");
	assert_string_equal(r.ini.config.defaults.v[1], "B=x");
	assert_string_equal(r.ini.config.default_dir, "etc/conf");
	assert_int_equal(r.ini.config.default_line, 7);
	assert_string_equal(r.ini.config.template_dir, "etc/template");
	assert_string_equal(r.ini.config.checker, "shop.settings:check");
	release(&r);
	parse(&r, "[production]\nrunner = a.py\nconfig.required = Yes\n");
	assert_int_equal(r.n, 0);
	assert_true(r.ini.config.anything);
	release(&r);
}

static void a_configuration_that_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *line, *finding;
	} rows[] = {
		{"config.required = PATH", "app.ini:3: config.required: 'PATH' is neither a "
					   "variable that can be set nor a file of the "
					   "configuration"},
		{"config.required = ../x", "app.ini:3: config.required: '../x' is neither a "
					   "variable that can be set nor a file of the "
					   "configuration"},
		{"config.default = SILVER_X=1",
		 "app.ini:3: config.default: 'SILVER_X' cannot be set: the node tells the app "
		 "about itself by these"},
		{"config.default = a\n b", "app.ini:4: config.default: a second directory; keep "
					   "one"},
		{"config.template = /etc", "app.ini:3: config.template '/etc' is no directory of "
					   "the tree; it is relative to the top, without '.', "
					   "'..' and blanks"},
		{"config.checker = check", "app.ini:3: config.checker 'check' is not of the form "
					   "module:function, such as shop.settings:check"},
		{"config.checker = a:b; rm", "app.ini:3: config.checker 'a:b; rm' is not of the "
					     "form module:function, such as shop.settings:check"},
		{"config.checker = a..b:c", "app.ini:3: config.checker 'a..b:c' is not of the "
					    "form module:function, such as shop.settings:check"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autofree char *text = xasprintf("[production]\nrunner = a.py\n%s\n", rows[i].line);

		assert_refused(text, rows[i].finding);
	}
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
		       "python, php or exec");
}

static void hostile_bytes_are_shown_safely(void **state)
{
	static const char nul[] = "[production]\nrunner = a\0b.py\n";
	autofree char *line = xmalloc(70001), *text = NULL;
	struct result r;

	(void)state;
	parse(&r, "[production]\nrunner = a.py\n\x1b[2Jkey = x\n");
	assert_int_equal(r.n, 1);
	assert_true(str_starts(r.errors.v[0], "app.ini:3: unknown key '\\x1b[2Jkey'; the keys of "
					      "[production] are app_name, platform, "));
	release(&r);
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

/* The page gets its list of keys from the table; what is said of each stands in the page. */
static void the_manual_explains_every_key(void **state)
{
	autostrbuf struct strbuf table = STRBUF_INIT, manual = STRBUF_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	appini_describe(&table);
	assert_int_equal(fs_read_file(AT_FDCWD, "docs/man/app.ini.5", 1 << 20, &manual, &err), 0);
	for (const char *line = table.buf; *line; line += strcspn(line, "\n") + 1) {
		autofree char *item = xasprintf(".It Ic %.*s\n", (int)strcspn(line, "\t"), line);

		if (!strstr(manual.buf, item))
			print_error("app.ini(5) does not explain: %s", item);
		assert_non_null(strstr(manual.buf, item));
	}
}

/* Whatever the bytes, it ends, and what it says can be printed. */
static void rubbish_is_refused_in_printable_words(void **state)
{
	static const char *const pieces[] = {"[production]\n",
					     "[process:",
					     "]\n",
					     "runner",
					     " = ",
					     "a.py#x",
					     "\n ",
					     "\n",
					     "%(",
					     ")s",
					     "command",
					     "\x80",
					     "\x1b",
					     "'",
					     "[limits]\n",
					     "[cron:a]\n",
					     "schedule",
					     "* * * * *",
					     "1-",
					     "/",
					     "*/0",
					     "packages",
					     ",",
					     "update_fetch",
					     "script:",
					     ";",
					     "#"};
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 3000; round++) {
		autostrbuf struct strbuf text = STRBUF_INIT;
		struct result r;

		for (int i = 0; i < 40; i++) {
			seed = seed * 1103515245 + 12345;
			strbuf_addstr(&text, pieces[(seed >> 16) % ARRAY_SIZE(pieces)]);
		}
		parse_bytes(&r, text.buf, text.len);
		for (size_t i = 0; i < r.errors.n; i++)
			for (const char *c = r.errors.v[i]; *c; c++)
				assert_true((unsigned char)*c >= ' ');
		release(&r);
	}
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
		cmocka_unit_test(unknown_sections_are_refused),
		cmocka_unit_test(processes_are_read),
		cmocka_unit_test(crons_are_read),
		cmocka_unit_test(limits_are_read),
		cmocka_unit_test(tasks_are_read_in_their_order),
		cmocka_unit_test(php_has_a_root_and_one_way_in),
		cmocka_unit_test(locations_may_have_a_path),
		cmocka_unit_test(duplicates_name_both_lines),
		cmocka_unit_test(an_indented_key_is_an_accident),
		cmocka_unit_test(services_are_taken_with_and_without_a_value),
		cmocka_unit_test(a_configuration_is_asked_for_by_four_keys),
		cmocka_unit_test(a_configuration_that_cannot_be_is_refused),
		cmocka_unit_test(old_keys_warn_and_name_what_replaced_them),
		cmocka_unit_test(runners_have_three_forms_for_python),
		cmocka_unit_test(exec_takes_a_program_and_static_takes_none),
		cmocka_unit_test(hostile_bytes_are_shown_safely),
		cmocka_unit_test(the_manual_explains_every_key),
		cmocka_unit_test(rubbish_is_refused_in_printable_words),
		cmocka_unit_test(the_example_is_a_good_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
