/* dpkg's status file, and what apt-get says. */
#include "unit.h"
#include "common/apt.h"
#include "common/dpkg.h"
#include "common/names.h"

static const char status[] = "Package: libpq5\n"
			     "Status: install ok installed\n"
			     "Architecture: amd64\n"
			     "Multi-Arch: same\n"
			     "Version: 15.3-0+deb12u1\n"
			     "Description: a\n Version: 9.9\n"
			     "\n"
			     "Package: gone\n"
			     "Status: deinstall ok config-files\n"
			     "Version: 1.0\n"
			     "\n"
			     "Package: half\n"
			     "Status: install ok half-configured\n"
			     "Version: 2.0\n"
			     "\n"
			     "Package: waiting\n"
			     "Status: install ok triggers-awaited\n"
			     "Version: 1:3.0~rc1-2\n"
			     "\n"
			     "Package: python3-lxml\n"
			     "Essential: no\n"
			     "Status: hold ok installed\n"
			     "Version: 4.9.2\n"
			     "Architecture: all";

static void find(const char *text, size_t len, const char *name, const char *expected)
{
	autostrv struct strv names = STRV_INIT, versions = STRV_INIT;

	strv_add(&names, "other");
	strv_add(&names, name);
	dpkg_find_versions(text, len, &names, &versions);
	assert_int_equal(versions.n, 2);
	assert_string_equal(versions.v[0], "");
	assert_string_equal(versions.v[1], expected);
}

static void versions_of_what_is_installed_are_found(void **state)
{
	static const char *const rows[][2] = {
		{"libpq5", "15.3-0+deb12u1"},
		{"libpq5:amd64", "15.3-0+deb12u1"},
		{"libpq5:i386", ""},
		{"libpq", ""},
		{"libpq55", ""},
		{"gone", ""},
		{"half", ""},
		{"waiting", "1:3.0~rc1-2"},
		{"python3-lxml", "4.9.2"},
		{"python3-lxml:amd64", "4.9.2"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		find(status, strlen(status), rows[i][0], rows[i][1]);
	find("", 0, "libpq5", "");
	find("\n\n\n", 3, "libpq5", "");
}

/* Whatever is in the file: no byte behind it is read, and nothing but printable text comes out. */
static void any_pieces_can_be_read(void **state)
{
	static const char *const pieces[] = {"Package: libpq5",
					     "Package:",
					     "Status: install ok installed",
					     "Status:",
					     "installed",
					     "Version: 1",
					     "Version:",
					     "Architecture: amd64",
					     "\n",
					     "\n\n",
					     " ",
					     ":",
					     "\t",
					     "\x1b[0m",
					     "\xff",
					     "Package: ",
					     "x"};
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		autostrbuf struct strbuf text = STRBUF_INIT;
		autostrv struct strv names = STRV_INIT, versions = STRV_INIT;
		autofree char *exact = NULL;

		for (int i = rand_r(&seed) % 24; i >= 0; i--)
			strbuf_addstr(&text, pieces[(size_t)rand_r(&seed) % ARRAY_SIZE(pieces)]);
		exact = xmalloc(text.len ? text.len : 1); /* so that a sanitizer sees its end */
		memcpy(exact, strbuf_str(&text), text.len);
		strv_add(&names, "libpq5");
		strv_add(&names, "x:amd64");
		dpkg_find_versions(exact, text.len, &names, &versions);
		assert_int_equal(versions.n, 2);
		for (size_t i = 0; i < versions.n; i++)
			for (const char *c = versions.v[i]; *c; c++)
				assert_true((unsigned char)*c >= ' ');
	}
}

static void the_stamp_is_another_one_when_the_file_is(void **state)
{
	const struct tmp *t = *state;
	autofree char *first = NULL, *same = NULL, *second = NULL, *none = NULL;
	struct error err = ERROR_INIT;

	put_file(t->fd, "status", status);
	assert_int_equal(dpkg_stamp(t->path, &first, &err), 0);
	assert_int_equal(dpkg_stamp(t->path, &same, &err), 0);
	assert_string_equal(first, same);
	put_file(t->fd, "status", "Package: a\n");
	assert_int_equal(dpkg_stamp(t->path, &second, &err), 0);
	assert_string_not_equal(first, second);
	assert_int_equal(dpkg_stamp("/nonexistent/dpkg", &none, &err), -1);
}

static void a_run_that_was_cut_short_is_noticed(void **state)
{
	const struct tmp *t = *state;
	struct error err = ERROR_INIT;
	bool interrupted;

	put_file(t->fd, "status",
		 "Package: a\nStatus: install ok installed\nDescription: is\n unpacked\n");
	assert_int_equal(dpkg_interrupted(t->path, &interrupted, &err), 0);
	assert_false(interrupted);
	put_file(t->fd, "status", "Package: a\nStatus: install ok unpacked\nVersion: 1\n");
	assert_int_equal(dpkg_interrupted(t->path, &interrupted, &err), 0);
	assert_true(interrupted);
	put_file(t->fd, "status", "Package: a\nStatus: install ok installed\n");
	assert_int_equal(mkdirat(t->fd, "updates", 0755), 0);
	assert_int_equal(dpkg_interrupted(t->path, &interrupted, &err), 0);
	assert_false(interrupted);
	put_file(t->fd, "updates/0001", "Package: a\n");
	assert_int_equal(dpkg_interrupted(t->path, &interrupted, &err), 0);
	assert_true(interrupted);
}

static void a_plan_of_apt_is_read(void **state)
{
	static const char text[] =
		"Reading package lists...\n"
		"The following packages will be REMOVED:\n"
		"  foe\n"
		"The following packages will be DOWNGRADED:\n"
		"  older oldest\n"
		"0 upgraded, 2 newly installed, 1 to remove and 0 not upgraded.\n"
		"Remv foe [3.0]\n"
		"Inst libxslt1.1 [1.1.34-1] (1:1.1.35-1+b1 Debian:12.15/oldstable, x:y/z [amd64])\n"
		"Inst libc6:i386 (2.36-9 Debian:12.15 [i386]) []\n"
		"Inst ../../etc (1.0 x [all])\n"
		"Inst good (../1.0 x [all])\n"
		"Inst good (1.0 x [../all])\n"
		"Inst good\n"
		"Conf libxslt1.1 (1.1.35-1 Debian:12.15/oldstable [amd64])\n"
		"The following packages have unmet dependencies:\n"
		" st-broken : Depends: st-nowhere but it is not installable\n"
		"E: Unable to locate package nosuch\n"
		"E: Package 'virtual' has no installation candidate\n"
		"E: Unable to correct problems, you have held broken packages.\n";
	struct apt_plan plan = {0};

	(void)state;
	apt_parse(text, &plan);
	assert_int_equal(plan.n, 2);
	assert_string_equal(plan.entry[0].name, "libxslt1.1");
	assert_string_equal(plan.entry[0].version, "1:1.1.35-1+b1");
	assert_string_equal(plan.entry[0].arch, "amd64");
	assert_string_equal(plan.entry[1].name, "libc6");
	assert_string_equal(plan.entry[1].arch, "i386");
	assert_true(apt_plan_has(&plan, "libc6:i386"));
	assert_false(apt_plan_has(&plan, "libc6:amd64"));
	assert_false(apt_plan_has(&plan, "libc"));
	assert_int_equal(plan.removed.n, 1);
	assert_string_equal(plan.removed.v[0], "foe");
	assert_int_equal(plan.downgraded.n, 2);
	assert_int_equal(plan.unknown.n, 2);
	assert_string_equal(plan.unknown.v[1], "virtual");
	assert_int_equal(plan.unmet.n, 1);
	assert_int_equal(plan.errors.n, 1);
	apt_plan_release(&plan);
}

static void any_words_of_apt_can_be_read(void **state)
{
	static const char *const pieces[] = {"Inst ",
					     "Remv ",
					     "E: ",
					     "a ",
					     "[",
					     "]",
					     "(",
					     ")",
					     "1.0 ",
					     "\n",
					     " ",
					     "libpq5",
					     "E: Package '",
					     "' has no installation candidate",
					     "E: Unable to locate package ",
					     ":",
					     "The following packages will be DOWNGRADED:",
					     "The following packages have unmet dependencies:",
					     "../"};
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		autostrbuf struct strbuf text = STRBUF_INIT;
		struct apt_plan plan = {0};

		for (int i = rand_r(&seed) % 24; i >= 0; i--)
			strbuf_addstr(&text, pieces[(size_t)rand_r(&seed) % ARRAY_SIZE(pieces)]);
		apt_parse(strbuf_str(&text), &plan);
		for (size_t i = 0; i < plan.n; i++) {
			assert_true(name_is_package(plan.entry[i].name));
			assert_null(strchr(plan.entry[i].version, '/'));
			assert_null(strchr(plan.entry[i].arch, '/'));
		}
		apt_plan_release(&plan);
	}
}

static void names_and_patterns(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} rows[] = {{"libpq5", true},   {"g++", true},      {"libpq5:amd64", true},
		    {"a", false},       {"-x", false},      {"--yes", false},
		    {"foo-", false},    {"Foo", false},     {"a b", false},
		    {"../x", false},    {"x:", false},      {"x1:amd64:", false},
		    {"foo=1.0", false}, {"foo/sid", false}, {"", false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (name_is_package(rows[i].name) != rows[i].good)
			fail_msg("'%s'", rows[i].name);
	assert_true(name_is_listed("libpq5", "*"));
	assert_true(name_is_listed("libpq5", "x lib*"));
	assert_true(name_is_listed("libpq5", "lib*5  y"));
	assert_true(name_is_listed("python3-lxml", "*-lxml"));
	assert_false(name_is_listed("libpq5", "libpq"));
	assert_false(name_is_listed("libpq5", "lib*6 python*"));
	assert_false(name_is_listed("libpq5", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_of_what_is_installed_are_found),
		cmocka_unit_test(any_pieces_can_be_read),
		TMP_TEST(the_stamp_is_another_one_when_the_file_is),
		TMP_TEST(a_run_that_was_cut_short_is_noticed),
		cmocka_unit_test(a_plan_of_apt_is_read),
		cmocka_unit_test(any_words_of_apt_can_be_read),
		cmocka_unit_test(names_and_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
