/* What a tree may hold, and what its app.ini may ask for. */
#include "gitrepo.h"
#include "buildless/check.h"
#include "common/names.h"

struct checked {
	struct repo *repo;
	struct check_report report;
	struct appini ini;
};

static void check_from(const struct git_tmp *g, const char *old_tree, const char *tree,
		       struct checked *out)
{
	struct app app = {.name = "blog"};
	struct error err = ERROR_INIT;

	*out = (struct checked){0};
	if (repo_open(&out->repo, g->repo, false, &err) == -1 ||
	    check_tree(out->repo, &app, old_tree, NULL, tree, &out->ini, &out->report, &err) ==
		    -1) {
		print_error("%s\n", err.text);
		fail();
	}
}

static void checked_release(struct checked *r)
{
	appini_release(&r->ini);
	check_report_release(&r->report);
	repo_free(r->repo);
}

static bool has(const struct strv *list, const char *start)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_starts(list->v[i], start))
			return true;
	return false;
}

static void assert_has(const struct strv *list, const char *start)
{
	if (has(list, start))
		return;
	print_error("missing: %s\n", start);
	for (size_t i = 0; i < list->n; i++)
		print_error("   have: %s\n", list->v[i]);
	fail();
}

/* The tree is refused with as many findings as there are texts, which start them. */
static void assert_refused(const struct git_tmp *g, const char *old_tree, const char *tree,
			   const char *const *texts, size_t n)
{
	struct checked r;

	check_from(g, old_tree, tree, &r);
	for (size_t i = 0; i < n; i++)
		assert_has(&r.report.errors, texts[i]);
	for (size_t i = n; i < r.report.errors.n; i++)
		print_error("  %s\n", r.report.errors.v[i]);
	assert_int_equal(r.report.errors.n, n);
	checked_release(&r);
}

#define REFUSED(g, old, tree, ...)                                                                 \
	assert_refused((g), (old), (tree), (const char *const[]){__VA_ARGS__},                     \
		       ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))

static void assert_taken(const struct git_tmp *g, const char *old_tree, const char *tree)
{
	struct checked r;

	check_from(g, old_tree, tree, &r);
	for (size_t i = 0; i < r.report.errors.n; i++)
		print_error("%s\n", r.report.errors.v[i]);
	assert_int_equal(r.report.errors.n, 0);
	checked_release(&r);
}

static void put_app(const struct git_tmp *g)
{
	git_put(g, "app.ini", "[production]\nrunner = app.py\n");
	git_put(g, "app.py", "def application(environ, start_response): ...\n");
}

/* A tree with what put_app() puts and one link. */
static void link_tree(const struct git_tmp *g, const char *path, const char *target, char *tree)
{
	put_app(g);
	git_link(g, path, target);
	git_tree(g, tree);
}

static void an_ordinary_tree_is_taken(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	put_app(g);
	git_put_exec(g, "bin/tool", "#!/bin/sh\n");
	git_put(g, "static/empty", "");
	git_put(g, "static/caf\xe9 \xf0\x9f\x8d\xb0", "not UTF-8");
	git_put(g, "a;b/$(id)/-x", "odd but fine");
	git_link(g, "static/tool", "../bin/tool");
	git_tree(g, tree);
	assert_taken(g, "", tree);
}

static void without_app_ini_there_is_an_example_to_paste(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	git_put(g, "app.py", "x");
	git_tree(g, tree);
	REFUSED(g, "", tree,
		"app.ini: there is none at the top of the tree; a small one is\n"
		"[production]\nplatform = python\nrunner = app.py#application\n");
}

static void app_ini_may_be_a_link_in_the_tree(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];
	struct checked r;

	git_put(g, "src/blog/app.ini", "[production]\nrunner = src/blog/app.py\n");
	git_put(g, "src/blog/app.py", "x");
	git_link(g, "app.ini", "src/blog/app.ini");
	git_tree(g, tree);
	check_from(g, "", tree, &r);
	assert_int_equal(r.report.errors.n, 0);
	assert_string_equal(r.ini.run.runner, "src/blog/app.py");
	checked_release(&r);
	git_link(g, "app.ini", "src/app.ini");
	git_tree(g, tree);
	REFUSED(g, "", tree, "app.ini: it cannot be read: 'app.ini': there is no 'src/app.ini' in");
	git_remove(g, "app.ini");
	git_put(g, "app.ini/x", "a directory");
	git_tree(g, tree);
	REFUSED(g, "", tree, "app.ini: it cannot be read: 'app.ini' is no file");
}

static void findings_of_app_ini_and_of_the_tree_come_together(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	git_put(g, "app.ini", "[production]\nrunner = app.py\nnosuch = 1\nplatform = ruby\n");
	git_link(g, "etc", "/etc");
	git_link(g, "up", "../up");
	git_tree(g, tree);
	REFUSED(g, "", tree, "app.ini:3: unknown key 'nosuch'",
		"app.ini:4: unknown platform 'ruby'; it is one of python, php, static, exec",
		"etc: a link to the absolute path '/etc'", "up: a link that leaves the tree");
}

static void paths_of_php_stand_in_configurations(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	git_put(g, "app.ini",
		"[production]\nplatform = php\nrunner = web/$x.php\nphp_root = web\n");
	git_put(g, "web/$x.php", "<?php");
	git_tree(g, tree);
	REFUSED(g, "", tree,
		"app.ini:3: runner and php_root of platform 'php' are paths of letters, digits, "
		"'.', '_', '-' and '/'");
}

static void the_runner_has_to_be_there(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	git_put(g, "app.ini", "[production]\n\nrunner = src/app.py#main\n");
	git_tree(g, tree);
	REFUSED(g, "", tree, "app.ini:3: runner 'src/app.py' is not in the tree; is it committed?");
	git_put(g, "app.ini", "[production]\nplatform = exec\nrunner = bin/serve\n");
	git_put(g, "bin/serve", "#!/usr/bin/python3\n");
	git_tree(g, tree);
	REFUSED(g, "", tree,
		"app.ini:3: runner 'bin/serve' is not executable: `git update-index --chmod=+x "
		"bin/serve`, then commit");
	git_put_exec(g, "bin/serve", "#!/usr/bin/python3\n");
	git_tree(g, tree);
	assert_taken(g, "", tree);
	git_put(g, "app.ini", "[production]\nplatform = exec\nrunner = bin\n");
	git_tree(g, tree);
	REFUSED(g, "", tree, "app.ini:3: runner 'bin' is a directory");
}

static void a_runner_may_be_reached_through_links(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	git_put(g, "app.ini", "[production]\nplatform = exec\nrunner = bin/serve\n");
	git_put_exec(g, "src/blog/bin/serve", "#!/usr/bin/python3\n");
	git_link(g, "bin", "src/blog/bin");
	git_tree(g, tree);
	assert_taken(g, "", tree);
}

static void a_module_that_is_not_found_is_only_a_warning(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];
	struct checked r;

	git_put(g, "app.ini", "[production]\nrunner = shop.wsgi:application\n");
	git_tree(g, tree);
	check_from(g, "", tree, &r);
	assert_int_equal(r.report.errors.n, 0);
	assert_has(&r.report.warnings, "app.ini:2: no module 'shop.wsgi' at the top of the tree");
	checked_release(&r);
	git_put(g, "src/shop/wsgi/__init__.py", "x");
	git_tree(g, tree);
	check_from(g, "", tree, &r);
	assert_int_equal(r.report.warnings.n, 0);
	checked_release(&r);
}

static void a_static_app_has_a_static_directory(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	git_put(g, "app.ini", "[production]\nplatform = static\n");
	git_tree(g, tree);
	REFUSED(g, "", tree, "app.ini: platform 'static' serves the files below static/");
	git_put(g, "www/index.html", "hello");
	git_link(g, "static", "www");
	git_tree(g, tree);
	assert_taken(g, "", tree);
}

static void packages_that_are_not_installed_are_named(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	put_app(g);
	git_put(g, "app.ini",
		"[production]\nrunner = app.py\npackages = dpkg no-such-thing\n  coreutils "
		"also-not\n");
	git_tree(g, tree);
	REFUSED(g, "", tree,
		"app.ini:3: not installed on this node: also-not no-such-thing; its operator "
		"installs them: `apt install also-not no-such-thing`");
	git_put(g, "app.ini", "[production]\nrunner = app.py\npackages = dpkg, coreutils\n");
	git_tree(g, tree);
	assert_taken(g, "", tree);
}

static void packages_in_the_tree_are_refused_by_name(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	put_app(g);
	git_put(g, "debs/mine_1.0_all.deb", "!<arch>");
	git_put(g, "debs/README", "of debs");
	git_put(g, "vendor/debs/other.deb", "!<arch>");
	git_tree(g, tree);
	REFUSED(g, "", tree, "debs/mine_1.0_all.deb: a package in the tree is not installed");
}

static void links_that_stay_in_the_tree_are_taken(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	put_app(g);
	git_put(g, "src/blog/static/x", "x");
	git_link(g, "static", "src/blog/static/");
	git_link(g, "src/blog/static/up", "../../../app.py");
	git_link(g, "src/dot", "./blog/./static");
	git_link(g, "src/top", "..");
	git_link(g, "src/round", "blog/../blog/static/x");
	git_link(g, "dangling", "not/there");
	git_link(g, "self", "self");
	git_tree(g, tree);
	assert_taken(g, "", tree);
}

static void links_that_leave_the_tree_are_refused_by_name(void **state)
{
	static const char *const leaving[][2] = {
		{"a", ".."},
		{"a", "../"},
		{"d/a", "../.."},
		{"d/a", "../../x"},
		{"d/e/a", "../../../etc/passwd"},
		{"a", "x/../../y"},
		{"a", "./.././x"},
		{"a", "//.."},
	};
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	for (size_t i = 0; i < ARRAY_SIZE(leaving) - 1; i++) {
		autofree char *text = xasprintf("%s: a link that leaves the tree, to '%s'",
						leaving[i][0], leaving[i][1]);

		link_tree(g, leaving[i][0], leaving[i][1], tree);
		REFUSED(g, "", tree, text);
		git_remove(g, leaving[i][0]);
	}
	link_tree(g, "a", "//..", tree);
	REFUSED(g, "", tree, "a: a link to the absolute path '//..'");
}

static void only_a_python_may_be_linked_absolutely(void **state)
{
	static const char *const taken[][2] = {
		{"bin/python", "/usr/bin/python3"},
		{"env/bin/python3", "/usr/bin/python3.11"},
	};
	static const char *const refused[][2] = {
		{"bin/python", "/usr/bin/perl"},
		{"bin/python", "/usr/bin/python3/../../../etc"},
		{"bin/ruby", "/usr/bin/python3"},
		{"python", "/usr/bin/python3"},
		{"sbin/python", "/usr/bin/python3"},
		{"bin/python", "/usr/bin/python3-config"},
	};
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		link_tree(g, taken[i][0], taken[i][1], tree);
		assert_taken(g, "", tree);
		git_remove(g, taken[i][0]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		autofree char *text = xasprintf("%s: a link to the absolute path '%s'",
						refused[i][0], refused[i][1]);

		link_tree(g, refused[i][0], refused[i][1], tree);
		REFUSED(g, "", tree, text);
		git_remove(g, refused[i][0]);
	}
}

static void up_behind_a_link_is_refused(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	put_app(g);
	git_put(g, "r/file", "x");
	git_link(g, "x/l", "../r");
	git_link(g, "x/y/out", "../l/../../z"); /* by its text in the tree, in truth not */
	git_tree(g, tree);
	REFUSED(g, "", tree,
		"x/y/out: a link to '../l/../../z', where '..' stands behind the link 'x/l' and "
		"may lead anywhere");
}

static void a_later_link_does_not_make_an_old_one_escape(void **state)
{
	const struct git_tmp *g = *state;
	char before[OID_HEX], after[OID_HEX];

	put_app(g);
	git_put(g, "x/l/file", "x");
	git_link(g, "x/y/out", "../l/../../z");
	git_tree(g, before);
	assert_taken(g, "", before);
	git_remove(g, "x/l");
	git_link(g, "x/l", "../r");
	git_tree(g, after);
	REFUSED(g, before, after, "x/y/out: a link to '../l/../../z', where '..' stands behind");
}

static void link_targets_that_are_no_paths_are_refused(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX], blob[OID_HEX];
	char *big = xmalloc(5001);

	put_app(g);
	git_tree(g, tree);
	git_blob(g, "", blob);
	git_add_raw(g, tree, "120000 blob", blob, "empty");
	memset(big, 'x', 5000);
	big[5000] = '\0';
	git_blob(g, big, blob);
	git_add_raw(g, tree, "120000 blob", blob, "big");
	free(big);
	REFUSED(g, "", tree, "empty: a link to nothing", "big: a link whose target is no path");
}

static void submodules_and_lfs_pointers_are_named_with_the_way_out(void **state)
{
	static const char pointer[] =
		"version https://git-lfs.github.com/spec/v1\n"
		"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
		"size 12345\n";
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	put_app(g);
	git_put(g, "static/logo.png", pointer);
	git_put(g, "docs/about-lfs.txt", "A pointer starts with version https://git-lfs...\n");
	git_tree(g, tree);
	git_add_raw(g, tree, "160000 commit", "1111111111111111111111111111111111111111", "vendor");
	REFUSED(g, "", tree,
		"static/logo.png: a Git LFS pointer, not the file; files are committed whole: `git "
		"lfs untrack static/logo.png && ",
		"vendor: a submodule, of which a push brings no files; commit its files instead: "
		"`git rm --cached vendor && rm -rf vendor/.git && git add vendor`");
}

static void commands_to_paste_are_quoted(void **state)
{
	static const char oid[] = "1111111111111111111111111111111111111111";
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	put_app(g);
	git_tree(g, tree);
	git_add_raw(g, tree, "160000 commit", oid, "a b'; rm -rf ~; '");
	REFUSED(g, "", tree,
		"a b'; rm -rf ~; ': a submodule, of which a push brings no files; commit its files "
		"instead: `git rm --cached 'a b'\\''; rm -rf ~; '\\''' && rm");
}

static void hostile_names_are_refused(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX], blob[OID_HEX], sub[OID_HEX];
	autofree char *long_name = xmalloc(300), *text = NULL;

	put_app(g);
	git_tree(g, tree);
	git_blob(g, "x", blob);
	memcpy(sub, tree, OID_HEX);
	git_add_raw(g, sub, "100644 blob", blob, "..");
	memset(long_name, 'n', 256);
	long_name[256] = '\0';
	git_add_raw(g, tree, "100644 blob", blob, ".git");
	git_add_raw(g, tree, "100644 blob", blob, ".GIT");
	git_add_raw(g, tree, "100644 blob", blob, ".");
	git_add_raw(g, tree, "040000 tree", sub, "sub");
	git_add_raw(g, tree, "100644 blob", blob, long_name);
	text = xasprintf("%s: a name of more than 255 bytes", long_name);
	REFUSED(g, "", tree, ".git: nothing in a tree may be called .git",
		".GIT: nothing in a tree may be called .git",
		".: an entry that is called '.' or '..'",
		"sub/..: an entry that is called '.' or '..'", text);
}

static void modes_that_git_does_not_write_are_refused(void **state)
{
	static const char *const modes[] = {"104755", "100664", "100777", "060000", "010644"};
	const struct git_tmp *g = *state;
	char plain[OID_HEX], tree[OID_HEX], blob[OID_HEX];

	put_app(g);
	git_tree(g, plain);
	git_blob(g, "x", blob);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		autofree char *mode = xasprintf("%s blob", modes[i]);
		autofree char *text = xasprintf("odd: mode %s;", modes[i]);

		memcpy(tree, plain, OID_HEX);
		git_add_raw(g, tree, mode, blob, "odd");
		REFUSED(g, "", tree, text);
		REFUSED(g, plain, tree, text);
	}
}

static void what_the_live_tree_has_is_not_looked_at_again(void **state)
{
	const struct git_tmp *g = *state;
	char before[OID_HEX], after[OID_HEX], blob[OID_HEX];

	put_app(g);
	git_tree(g, before);
	git_blob(g, "x", blob);
	git_add_raw(g, before, "100644 blob", blob, ".git");
	git_put(g, "new", "x");
	git_tree(g, after);
	git_add_raw(g, after, "100644 blob", blob, ".git");
	assert_taken(g, before, after);
	assert_taken(g, before, before);
}

static void names_are_printed_safely(void **state)
{
	const struct git_tmp *g = *state;
	char tree[OID_HEX];

	link_tree(g, "a\x1b[2J", "/e\nvil", tree);
	REFUSED(g, "", tree, "a\\x1b[2J: a link to the absolute path '/e\\x0avil'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GIT_TEST(an_ordinary_tree_is_taken),
		GIT_TEST(without_app_ini_there_is_an_example_to_paste),
		GIT_TEST(app_ini_may_be_a_link_in_the_tree),
		GIT_TEST(findings_of_app_ini_and_of_the_tree_come_together),
		GIT_TEST(paths_of_php_stand_in_configurations),
		GIT_TEST(the_runner_has_to_be_there),
		GIT_TEST(a_runner_may_be_reached_through_links),
		GIT_TEST(a_module_that_is_not_found_is_only_a_warning),
		GIT_TEST(a_static_app_has_a_static_directory),
		GIT_TEST(packages_that_are_not_installed_are_named),
		GIT_TEST(packages_in_the_tree_are_refused_by_name),
		GIT_TEST(links_that_stay_in_the_tree_are_taken),
		GIT_TEST(links_that_leave_the_tree_are_refused_by_name),
		GIT_TEST(only_a_python_may_be_linked_absolutely),
		GIT_TEST(up_behind_a_link_is_refused),
		GIT_TEST(a_later_link_does_not_make_an_old_one_escape),
		GIT_TEST(link_targets_that_are_no_paths_are_refused),
		GIT_TEST(submodules_and_lfs_pointers_are_named_with_the_way_out),
		GIT_TEST(commands_to_paste_are_quoted),
		GIT_TEST(hostile_names_are_refused),
		GIT_TEST(modes_that_git_does_not_write_are_refused),
		GIT_TEST(what_the_live_tree_has_is_not_looked_at_again),
		GIT_TEST(names_are_printed_safely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
