/* How a release runs, through a record and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"
#include "runtime/runspec.h"

static int read_back(const char *text, struct runspec *out, struct error *err)
{
	autoini struct ini ini = INI_INIT;
	char dir[] = "/tmp/silver-runspec.XXXXXX";
	autoclose int fd = -1;
	int result;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fs_replace_file(fd, "r.ini", text, strlen(text), 0600, err), 0);
	result = ini_read(fd, "r.ini", &ini, err);
	assert_int_equal(fs_unlink(fd, "r.ini", err), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(result, 0);
	return runspec_read(&ini, out, err);
}

static void a_record_gives_back_what_was_written(void **state)
{
	struct process_spec process[] = {
		{.name = (char[]){"mail"},
		 .command = (char[]){"bin/x 'a b'; \"#\" = 1"},
		 .count = 3},
		{.name = (char[]){"off"}, .command = (char[]){"bin/y"}, .count = 0}};
	struct cron_spec cron[] = {{.name = (char[]){"n"},
				    .schedule = (char[]){"*/5 * * * *"},
				    .command = (char[]){"bin/z"}}};
	struct runspec spec = {.platform = (char[]){"python"},
			       .runner = (char[]){"src/a.py#b"},
			       .health = (char[]){"/up?a=1"},
			       .process = process,
			       .n_processes = 2,
			       .cron = cron,
			       .n_crons = 1,
			       .limits = {.memory_bytes = 1 << 29, .timeout_s = 30}};
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct runspec back, copy;

	(void)state;
	runspec_format(&spec, &text);
	assert_int_equal(read_back(text.buf, &back, &err), 0);
	assert_true(runspec_equal(&spec, &back));
	runspec_copy(&copy, &back);
	assert_true(runspec_equal(&copy, &spec));
	copy.limits.tasks = 1;
	assert_false(runspec_equal(&copy, &spec));
	runspec_release(&copy);
	runspec_copy(&copy, &back);
	copy.process[1].count = 1;
	assert_false(runspec_equal(&copy, &spec));
	runspec_release(&copy);
	runspec_release(&back);
}

static void a_bad_record_is_told(void **state)
{
	static const char *const wrong[] = {
		"[run]\nrunner = a\n",
		"[run]\nplatform = python\n[process:x]\ncount = 1\n",
		"[run]\nplatform = python\n[process:x]\ncommand = a\ncount = 65\n",
		"[run]\nplatform = python\n[process:../x]\ncommand = a\ncount = 1\n",
		"[run]\nplatform = python\n[cron:x]\ncommand = a\n",
		"[run]\nplatform = python\n[limits]\nmemory = 1G\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct error err = ERROR_INIT;
		struct runspec back;

		assert_int_equal(read_back(wrong[i], &back, &err), -1);
		assert_int_equal(err.code, E_SYSTEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_gives_back_what_was_written),
		cmocka_unit_test(a_bad_record_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
