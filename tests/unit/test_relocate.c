/* Absolute paths in text become relative, and the old root is found; no repository, no disk. */
#include "unit.h"
#include "buildless/relocate.h"
#include "buildless/relocate_root.h"

#define ROOT "/home/ian/site"

/* The text as it comes out, relocated once more: it must stay. The caller frees. */
static char *relocated(const char *path, const char *text)
{
	enum relocate_kind kind = relocate_kind(path, "lib/python");
	struct strbuf once = STRBUF_INIT, twice = STRBUF_INIT;
	autospans struct relocate_spans spans = {NULL, 0, 0}, again = {NULL, 0, 0};

	assert_int_not_equal(kind, RELOCATE_NONE);
	relocate_scan(kind, text, strlen(text), &spans);
	relocate_rewrite(kind, path, text, strlen(text), &spans, ROOT, &once);
	relocate_scan(kind, strbuf_str(&once), once.len, &again);
	relocate_rewrite(kind, path, strbuf_str(&once), once.len, &again, ROOT, &twice);
	assert_string_equal(strbuf_str(&once), strbuf_str(&twice));
	strbuf_release(&twice);
	return strbuf_detach(&once);
}

static void assert_relocated(const char *path, const char *text, const char *expected)
{
	autofree char *got = relocated(path, text);

	assert_string_equal(got, expected);
}

static void files_are_known_by_their_path(void **state)
{
	static const struct {
		const char *path;
		enum relocate_kind kind;
	} cases[] = {
		{"lib/python/x.pth", RELOCATE_PTH},
		{"lib/python/deep/below/x.pth", RELOCATE_PTH},
		{"venv/lib/python3.11/site-packages/__editable__.x-1.0.pth", RELOCATE_PTH},
		{"usr/lib/python3/dist-packages/x.pth", RELOCATE_PTH},
		{"models/weights.pth", RELOCATE_NONE},
		{"lib/python3/x.pth", RELOCATE_NONE},
		{"site-packages.pth", RELOCATE_NONE},
		{"lib/python/x.egg-link", RELOCATE_EGG_LINK},
		{"lib/python/__editable___x_1_0_finder.py", RELOCATE_FINDER},
		{"src/__editable___x_1_0_finder.py", RELOCATE_NONE},
		{"lib/python/x-1.0.dist-info/direct_url.json", RELOCATE_DIRECT_URL},
		{"static/direct_url.json", RELOCATE_NONE},
		{"pyvenv.cfg", RELOCATE_PYVENV},
		{"venv/pyvenv.cfg", RELOCATE_PYVENV},
		{"bin/manage", RELOCATE_SCRIPT},
		{"venv/bin/pip", RELOCATE_SCRIPT},
		{"bin/deep/manage", RELOCATE_NONE},
		{"cabin/x", RELOCATE_NONE},
		{"app.ini", RELOCATE_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (relocate_kind(cases[i].path, "lib/python") != cases[i].kind)
			fail_msg("%s", cases[i].path);
	assert_int_equal(relocate_kind("src/pylib/x.pth", "src/pylib"), RELOCATE_PTH);
	assert_int_equal(relocate_kind("lib/python/x.pth", ""), RELOCATE_NONE);
}

static void only_what_lies_in_a_site_directory_is_read_at_start(void **state)
{
	(void)state;
	assert_true(relocate_in_site("lib/python/x.pth", "lib/python"));
	assert_true(relocate_in_site("v/site-packages/x.pth", "lib/python"));
	assert_false(relocate_in_site("lib/python/sub/x.pth", "lib/python"));
	assert_false(relocate_in_site("x.pth", ""));
}

static void paths_are_normalised(void **state)
{
	static const char *const cases[][2] = {
		{"/a/b", "/a/b"},   {"/a/b/", "/a/b"},     {"//a///b//", "/a/b"},
		{"/a/./b", "/a/b"}, {"/a/x/../b", "/a/b"}, {"/../a", "/a"},
		{"/", "/"},         {"/a/..", "/"},        {"/a/b/../..//c/.", "/c"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *got = relocate_normalise(cases[i][0], strlen(cases[i][0]));

		assert_string_equal(got, cases[i][1]);
	}
	assert_string_equal(relocate_below("/a/b/c", "/a"), "b/c");
	assert_string_equal(relocate_below("/a", "/a"), "");
	assert_null(relocate_below("/ab", "/a"));
}

static void relative_paths_lead_back(void **state)
{
	static const char *const cases[][3] = {
		{"lib/python/x.pth", "vendor/y", "../../vendor/y"},
		{"lib/python/x.pth", "lib/python/y", "y"},
		{"lib/python/x.pth", "lib", ".."},
		{"lib/python/x.pth", "lib/python", "."},
		{"lib/python/x.pth", "", "../.."},
		{"x", "a/b", "a/b"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *relative = relocate_relative(cases[i][0], cases[i][1]);
		autofree char *back = relocate_resolve(cases[i][0], relative);

		assert_string_equal(relative, cases[i][2]);
		assert_string_equal(back, cases[i][1]);
	}
	assert_null(relocate_resolve("lib/python/x.pth", "../../../out"));
}

static void pth_lines_become_relative(void **state)
{
	(void)state;
	assert_relocated("lib/python/x.pth", ROOT "/vendor/y\n", "../../vendor/y\n");
	assert_relocated("lib/python/x.pth", ROOT "/vendor/y", "../../vendor/y");
	assert_relocated("lib/python/x.pth", ROOT "\n", "../..\n");
	assert_relocated("lib/python/x.pth", "/home//ian/./site/lib/../vendor//y/ \r\n",
			 "../../vendor/y \r\n");
	assert_relocated("lib/python/x.pth", ROOT "/a b/\xff\n", "../../a b/\xff\n");
	/* comments, code, relative lines and other places stay */
	assert_relocated("lib/python/x.pth",
			 "# " ROOT "\nimport sys; sys.path.append('" ROOT "')\nimport\tx\n./y\n\n"
			 "  \n/home/ian/sites/y\n" ROOT "/z\n../w",
			 "# " ROOT "\nimport sys; sys.path.append('" ROOT "')\nimport\tx\n./y\n\n"
			 "  \n/home/ian/sites/y\n../../z\n../w");
}

static void a_text_with_a_nul_is_something_else(void **state)
{
	autospans struct relocate_spans spans = {NULL, 0, 0};
	static const char text[] = ROOT "/x\n\0weights of a model";

	(void)state;
	relocate_scan(RELOCATE_PTH, text, sizeof(text) - 1, &spans);
	assert_int_equal(spans.n, 0);
}

static void egg_links_keep_their_second_line(void **state)
{
	(void)state;
	assert_relocated("lib/python/x.egg-link", ROOT "/vendor/x\n.", "../../vendor/x\n.");
	assert_relocated("lib/python/x.egg-link", ROOT "/vendor/x/src\n../",
			 "../../vendor/x/src\n../");
	assert_relocated("lib/python/x.egg-link", "../../x\n/", "../../x\n/");
}

static void finders_find_from_their_own_place(void **state)
{
	static const char path[] = "v/lib/python3.11/site-packages/__editable___x_1_finder.py";
#define JOINED(to)                                                                                 \
	"__import__('os').path.normpath(__import__('os').path.join(__file__, '../" to "'))"

	(void)state;
	assert_relocated(path, "MAPPING = {'x': '" ROOT "/x/src/x', \"y\": \"" ROOT "/it's\"}\n",
			 "MAPPING = {'x': " JOINED("../../../../x/src/x") ", \"y\": " JOINED(
				 "../../../../it\\'s") "}\n");
	assert_relocated(path,
			 "import sys\nMAPPING: dict[str, str] = {}\n"
			 "NAMESPACES: dict[str, list[str]] = {'n': ['" ROOT "/n', '/elsewhere']}\n"
			 "PATH_PLACEHOLDER = '" ROOT "'\n",
			 "import sys\nMAPPING: dict[str, str] = {}\n"
			 "NAMESPACES: dict[str, list[str]] = {'n': [" JOINED(
				 "../../../../n") ", '/elsewhere']}\nPATH_PLACEHOLDER = '" ROOT
						  "'\n");
	assert_relocated(path, "MAPPING = {'x': '/home/ian/s\\x69te/a\\\\b'}\n",
			 "MAPPING = {'x': " JOINED("../../../../a\\\\b") "}\n");
	assert_relocated(path, "MAPPING = {'x': '" ROOT, "MAPPING = {'x': " JOINED("../../../.."));
}

static void direct_urls_are_of_files_only(void **state)
{
	static const char path[] = "lib/python/x-1.0.dist-info/direct_url.json";

	(void)state;
	assert_relocated(path,
			 "{\"dir_info\": {\"editable\": true}, \"url\": \"file://" ROOT
			 "/a%20b%C3%A9\"}",
			 "{\"dir_info\": {\"editable\": true}, \"url\": "
			 "\"file:../../../a%20b%C3%A9\"}");
	assert_relocated(path, "{\"url\": \"https://example.com" ROOT "\"}",
			 "{\"url\": \"https://example.com" ROOT "\"}");
	assert_relocated(path, "{\"url\": \"file://" ROOT, "{\"url\": \"file://" ROOT);
	assert_relocated(path, "{\"url\"", "{\"url\"");
	assert_relocated(path, "{\"url\":", "{\"url\":");
}

static enum relocate_role role_of(const char *path, const char *text)
{
	autospans struct relocate_spans spans = {NULL, 0, 0};

	relocate_scan(relocate_kind(path, "lib/python"), text, strlen(text), &spans);
	return spans.n ? spans.v[0].role : RELOCATE_RELATIVE;
}

static void an_editable_url_must_be_in_the_tree(void **state)
{
	static const char path[] = "lib/python/x-1.0.dist-info/direct_url.json";

	(void)state;
	assert_int_equal(role_of(path, "{\"dir_info\": {\"editable\": true}, "
				       "\"url\": \"file:///x\"}"),
			 RELOCATE_MUST);
	assert_int_equal(role_of(path, "{\"dir_info\": {}, \"url\": \"file:///x\"}"), RELOCATE_MAY);
}

static void pyvenv_names_its_own_directory(void **state)
{
	(void)state;
	assert_relocated("venv/pyvenv.cfg",
			 "home = /usr/bin\ncommand = /usr/bin/python3 -m venv "
			 "--system-site-packages /anywhere/my site/venv\nversion = 3.11.2\n",
			 "home = /usr/bin\ncommand = /usr/bin/python3 -m venv "
			 "--system-site-packages .\nversion = 3.11.2\n");
	assert_int_equal(role_of("v/pyvenv.cfg", "home=/opt/python/bin\n"), RELOCATE_FOREIGN);
	assert_int_equal(role_of("v/pyvenv.cfg", "home = /usr//bin/\n"), RELOCATE_RELATIVE);
}

static void scripts_find_the_interpreter_from_their_own_place(void **state)
{
#define WORD(to) "\"$(dirname -- \"$(realpath -- \"$0\")\")\"/'" to "'"

	(void)state;
	assert_relocated("venv/bin/pip", "#!" ROOT "/venv/bin/python3\nimport sys\n",
			 "#!/bin/sh\n'''exec' " WORD("python3") " \"$0\" \"$@\"\n' '''\nimport "
								"sys\n");
	assert_relocated("bin/x", "#! " ROOT "/venv/bin/python3.11 -E -s\n# coding: latin-1\nx\n",
			 "#!/bin/sh\n# coding: latin-1\n'''exec' " WORD(
				 "../venv/bin/python3.11") " -E -s \"$0\" \"$@\"\n' '''\nx\n");
	assert_relocated(
		"bin/x", "#!/bin/sh\n'''exec' \"" ROOT "/a b/bin/python\" \"$0\" \"$@\"\n' '''\n",
		"#!/bin/sh\n'''exec' " WORD("../a b/bin/python") " \"$0\" \"$@\"\n' '''\n");
	assert_relocated("bin/x",
			 "#!/bin/sh\n'''exec' " ROOT "/v/bin/python \"$0\" \"$@\"\n' '''\n",
			 "#!/bin/sh\n'''exec' " WORD("../v/bin/python") " \"$0\" \"$@\"\n' '''\n");
	assert_relocated("bin/x", "#!" ROOT "/v/bin/python3",
			 "#!/bin/sh\n'''exec' " WORD("../v/bin/python3") " \"$0\" \"$@\"\n' '''");
}

static void other_first_lines_stay(void **state)
{
	static const char *const lines[] = {
		"#!/usr/bin/python3\n",
		"#!/usr/bin/env python3\n",
		"#!/bin/sh\necho\n",
		"#!\n",
		"#!/bin/sh",
		"#!/bin/sh\n'''exec' \"\n",
		"python\n",
		"",
		"#!/home/ian/site/bin/tool\n",
		"#!/usr/local/bin/python3.12\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_relocated("bin/x", lines[i], lines[i]);
	assert_int_equal(role_of("bin/x", "#!" ROOT "/it's/bin/python3\n"), RELOCATE_FOREIGN);
}

/* The old root */

struct fake {
	const char *const *paths; /* NULL-terminated */
	const char *linked;       /* there only where links are followed */
};

static int fake_has(void *ctx, const char *path, bool follow, struct error *err)
{
	const struct fake *fake = ctx;

	(void)err;
	for (const char *const *p = fake->paths; *p; p++)
		if (strcmp(*p, path) == 0)
			return 1;
	return follow && fake->linked && strcmp(fake->linked, path) == 0;
}

struct found {
	char *root;
	struct strv errors, warnings;
};

static void found_release(struct found *f)
{
	free(f->root);
	strv_free_p(&f->errors);
	strv_free_p(&f->warnings);
}

static const char *const usual[] = {"vendor/x", "vendor/y", "src", "venv/bin/python3", NULL};

static void find(const struct fake *fake, const struct relocate_claim *claims, size_t n,
		 const char *hint, struct found *f)
{
	const struct relocate_tree tree = {.has = fake_has,
					   .ctx = &(struct fake){fake->paths, fake->linked}};
	struct error err = ERROR_INIT;

	*f = (struct found){0};
	assert_int_equal(relocate_find_root(&tree, claims, n, hint, &f->root, &f->errors,
					    &f->warnings, &err),
			 0);
}

#define CLAIM(p, l)                                                                                \
	{                                                                                          \
		.path = (p), .file = "lib/python/x.pth", .line = (l), .must = true                 \
	}

static void the_prefix_whose_remainder_exists_is_the_root(void **state)
{
	const struct relocate_claim claims[] = {CLAIM(ROOT, 1), CLAIM(ROOT "/vendor/x", 2),
						CLAIM(ROOT "/vendor/y", 3)};
	struct found f;

	(void)state;
	find(&(struct fake){usual, NULL}, claims, 3, NULL, &f);
	assert_string_equal(f.root, ROOT);
	assert_int_equal(f.errors.n + f.warnings.n, 0);
	found_release(&f);
}

static void a_path_outside_is_named_with_its_line(void **state)
{
	const struct relocate_claim claims[] = {CLAIM(ROOT "/vendor/x", 1), CLAIM("/opt/lib", 2),
						CLAIM(ROOT "/gone", 3), CLAIM("/usr/share", 4)};
	struct found f;

	(void)state;
	find(&(struct fake){usual, NULL}, claims, 4, NULL, &f);
	assert_int_equal(f.errors.n, 3);
	assert_true(str_starts(f.errors.v[0], "lib/python/x.pth:2: '/opt/lib' is not in the tree"));
	assert_true(str_starts(f.errors.v[1],
			       "lib/python/x.pth:3: '" ROOT "/gone' is 'gone' in the tree that lay "
			       "at '" ROOT "', and the tree has none"));
	assert_true(str_starts(f.errors.v[2], "lib/python/x.pth:4: '/usr/share'"));
	found_release(&f);
}

static void a_path_alone_that_is_nowhere_is_no_root(void **state)
{
	const struct relocate_claim claim = CLAIM("/opt/lib", 7);
	struct found f;

	(void)state;
	find(&(struct fake){usual, NULL}, &claim, 1, NULL, &f);
	assert_null(f.root);
	assert_int_equal(f.errors.n, 1);
	found_release(&f);
}

static void two_roots_are_refused_with_both_places(void **state)
{
	const struct relocate_claim claims[] = {
		CLAIM(ROOT "/vendor/x", 1),
		CLAIM(ROOT "/vendor/y", 2),
		{.path = "/srv/bob/src", .file = "lib/python/b.pth", .line = 9, .must = true}};
	struct found f;

	(void)state;
	find(&(struct fake){usual, NULL}, claims, 3, NULL, &f);
	assert_int_equal(f.errors.n, 1);
	assert_true(str_starts(f.errors.v[0],
			       "lib/python/b.pth:9: '/srv/bob/src' is not below "
			       "'" ROOT "', where the tree lay by lib/python/x.pth:1;"));
	found_release(&f);
}

static void two_candidates_are_refused_unless_one_is_known(void **state)
{
	static const char *const tree[] = {"vendor/x", "x", NULL};
	const struct relocate_claim claim = CLAIM("/s/vendor/x", 4);
	struct found f;

	(void)state;
	find(&(struct fake){tree, NULL}, &claim, 1, NULL, &f);
	assert_int_equal(f.errors.n, 1);
	assert_string_equal(f.errors.v[0],
			    "lib/python/x.pth:4: '/s/vendor/x' may be 'vendor/x' or 'x' of the "
			    "tree, and nothing says which; name it relative to this file "
			    "('../../vendor/x')");
	found_release(&f);
	find(&(struct fake){tree, NULL}, &claim, 1, "/s/vendor", &f);
	assert_string_equal(f.root, "/s/vendor");
	assert_int_equal(f.errors.n, 0);
	found_release(&f);
}

static void a_second_line_decides_between_candidates(void **state)
{
	static const char *const tree[] = {"vendor/x", "x", "src", NULL};
	const struct relocate_claim claims[] = {CLAIM("/s/vendor/x", 1), CLAIM("/s/src", 2)};
	struct found f;

	(void)state;
	find(&(struct fake){tree, NULL}, claims, 2, NULL, &f);
	assert_string_equal(f.root, "/s");
	assert_int_equal(f.errors.n, 0);
	found_release(&f);
}

static void links_count_only_where_nothing_else_is_found(void **state)
{
	const struct relocate_claim claim = CLAIM(ROOT "/venv/bin/python3", 1);
	static const char *const none[] = {NULL};
	struct found f;

	(void)state;
	find(&(struct fake){usual, "bin/python3"}, &claim, 1, NULL, &f);
	assert_string_equal(f.root, ROOT);
	assert_int_equal(f.errors.n, 0);
	found_release(&f);
	find(&(struct fake){none, "bin/python3"}, &claim, 1, NULL, &f);
	assert_string_equal(f.root, ROOT "/venv");
	found_release(&f);
}

static void what_nothing_needs_is_only_a_warning(void **state)
{
	struct relocate_claim claims[] = {
		CLAIM(ROOT "/vendor/x", 1),
		{.path = "/home/ian/.venvs/a/bin/python3", .file = "bin/x", .line = 1}};
	struct found f;

	(void)state;
	find(&(struct fake){usual, NULL}, claims, 2, NULL, &f);
	assert_int_equal(f.errors.n, 0);
	assert_int_equal(f.warnings.n, 1);
	assert_true(str_starts(f.warnings.v[0], "bin/x:1: '/home/ian/.venvs/a/bin/python3'"));
	found_release(&f);
	claims[1].known = true;
	find(&(struct fake){usual, NULL}, claims, 2, NULL, &f);
	assert_int_equal(f.warnings.n, 0);
	found_release(&f);
}

static void the_top_alone_needs_a_proof(void **state)
{
	static const char *const tree[] = {"x.egg-info", NULL};
	struct relocate_claim claims[] = {CLAIM(ROOT, 1), CLAIM(ROOT, 1)};
	struct found f;

	(void)state;
	find(&(struct fake){tree, NULL}, claims, 2, NULL, &f);
	assert_int_equal(f.errors.n, 2);
	found_release(&f);
	claims[1].proof = "x.egg-info";
	find(&(struct fake){tree, NULL}, claims, 2, NULL, &f);
	assert_string_equal(f.root, ROOT);
	assert_int_equal(f.errors.n, 0);
	found_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_known_by_their_path),
		cmocka_unit_test(only_what_lies_in_a_site_directory_is_read_at_start),
		cmocka_unit_test(paths_are_normalised),
		cmocka_unit_test(relative_paths_lead_back),
		cmocka_unit_test(pth_lines_become_relative),
		cmocka_unit_test(a_text_with_a_nul_is_something_else),
		cmocka_unit_test(egg_links_keep_their_second_line),
		cmocka_unit_test(finders_find_from_their_own_place),
		cmocka_unit_test(direct_urls_are_of_files_only),
		cmocka_unit_test(an_editable_url_must_be_in_the_tree),
		cmocka_unit_test(pyvenv_names_its_own_directory),
		cmocka_unit_test(scripts_find_the_interpreter_from_their_own_place),
		cmocka_unit_test(other_first_lines_stay),
		cmocka_unit_test(the_prefix_whose_remainder_exists_is_the_root),
		cmocka_unit_test(a_path_outside_is_named_with_its_line),
		cmocka_unit_test(a_path_alone_that_is_nowhere_is_no_root),
		cmocka_unit_test(two_roots_are_refused_with_both_places),
		cmocka_unit_test(two_candidates_are_refused_unless_one_is_known),
		cmocka_unit_test(a_second_line_decides_between_candidates),
		cmocka_unit_test(links_count_only_where_nothing_else_is_found),
		cmocka_unit_test(what_nothing_needs_is_only_a_warning),
		cmocka_unit_test(the_top_alone_needs_a_proof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
