/* Which files of a tree are relocated, and how that is carried from one tree to the next. */
#include "gitrepo.h"
#include "buildless/relocation.h"
#include "common/ini.h"

#define ROOT "/home/ian/site"
#define OID  "1111111111111111111111111111111111111111"

struct planned {
	struct repo *repo;
	struct relocation r;
	struct strv errors, warnings, places;
};

static void plan(const struct git_tmp *g, const struct relocation *base, const char *base_tree,
		 const char *tree, struct planned *p)
{
	struct relocation_report report;
	struct error err = ERROR_INIT;

	*p = (struct planned){0};
	report = (struct relocation_report){&p->errors, &p->warnings, &p->places};
	if (repo_open(&p->repo, g->repo, false, &err) == -1 ||
	    relocation_plan(p->repo, base, base_tree, tree, &p->r, &report, &err) == -1)
		fail_msg("%s", err.text);
}

static void planned_release(struct planned *p)
{
	relocation_release(&p->r);
	strv_free_p(&p->errors);
	strv_free_p(&p->warnings);
	strv_free_p(&p->places);
	repo_free(p->repo);
}

static void assert_list(const struct strv *list, const char *const *expected, size_t n)
{
	for (size_t i = 0; i < list->n; i++)
		if (i >= n || !str_starts(list->v[i], expected[i]))
			print_error("have: %s\n", list->v[i]);
	assert_int_equal(list->n, n);
	for (size_t i = 0; i < n; i++)
		assert_true(str_starts(list->v[i], expected[i]));
}
#define LIST(list, ...)                                                                            \
	assert_list(list, (const char *const[]){__VA_ARGS__},                                      \
		    ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))

static void assert_text(const struct planned *p, const char *path, const char *expected)
{
	const struct relocation_file *file = relocation_find(&p->r, path);
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	assert_non_null(file);
	if (relocation_text(p->repo, &p->r, file, &text, &err) == -1)
		fail_msg("%s", err.text);
	assert_string_equal(strbuf_str(&text), expected);
}

static void assert_same(const struct relocation *a, const struct relocation *b)
{
	assert_string_equal(a->root ? a->root : "none", b->root ? b->root : "none");
	assert_string_equal(a->site, b->site);
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		assert_string_equal(a->v[i].path, b->v[i].path);
		assert_string_equal(a->v[i].in, b->v[i].in);
		assert_string_equal(a->v[i].out, b->v[i].out);
		assert_int_equal(a->v[i].rooted, b->v[i].rooted);
	}
}

static void put_app(const struct git_tmp *g)
{
	git_put(g, "app.ini", "[production]\n");
	git_put(g, "vendor/x/x.py", "");
	git_put(g, "vendor/y/y.py", "");
	git_put(g, "lib/python/a.pth", "# mine\n" ROOT "/vendor/x\n./below\n");
	git_put(g, "lib/python/below/z.py", "");
	git_put(g, "lib/python/b.pth", ROOT "/vendor/y/\n");
	git_put(g, "lib/python/code.pth", "import sys\n");
	git_put(g, "bin/tool", "#!/usr/bin/python3\n");
}

static void a_tree_is_relocated_and_told(void **state)
{
	struct git_tmp *g = *state;
	char tree[OID_HEX];
	struct planned p;

	put_app(g);
	git_tree(g, tree);
	plan(g, NULL, "", tree, &p);
	assert_int_equal(p.errors.n, 0);
	assert_string_equal(p.r.root, ROOT);
	assert_int_equal(p.r.n, 2);
	assert_text(&p, "lib/python/a.pth", "# mine\n../../vendor/x\n./below\n");
	assert_text(&p, "lib/python/b.pth", "../../vendor/y\n");
	assert_null(relocation_find(&p.r, "lib/python/code.pth"));
	LIST(&p.places, "lib/python/a.pth:2", "lib/python/b.pth:1");
	planned_release(&p);
}

static void a_relocated_tree_stays_as_it_is(void **state)
{
	struct git_tmp *g = *state;
	char tree[OID_HEX];
	struct planned p;

	put_app(g);
	git_put(g, "lib/python/a.pth", "# mine\n../../vendor/x\n./below\n");
	git_put(g, "lib/python/b.pth", "../../vendor/y\n");
	git_tree(g, tree);
	plan(g, NULL, "", tree, &p);
	assert_int_equal(p.errors.n + p.places.n, 0);
	assert_null(p.r.root);
	for (size_t i = 0; i < p.r.n; i++)
		assert_string_equal(p.r.v[i].in, p.r.v[i].out);
	planned_release(&p);
}

static void the_record_keeps_all(void **state)
{
	struct git_tmp *g = *state;
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct relocation back;
	struct ini ini = INI_INIT;
	char tree[OID_HEX];
	struct planned p;

	put_app(g);
	git_put(g, "lib/python/ =;#%41\n\xff.pth", ROOT "/vendor/x\n");
	git_tree(g, tree);
	plan(g, NULL, "", tree, &p);
	assert_int_equal(p.r.n, 3);
	relocation_format(&p.r, &text);
	put_file(g->tmp->fd, "record.ini", text.buf);
	assert_int_equal(ini_read(g->tmp->fd, "record.ini", &ini, &err), 0);
	assert_true(relocation_parse(&ini, &back));
	assert_same(&p.r, &back);
	relocation_release(&back);
	ini_release(&ini);
	planned_release(&p);
}

static void a_damaged_record_is_none(void **state)
{
	static const char *const records[] = {
		"",
		"[relocation]\nfiles = 1\n",
		"[relocation]\nfiles = 0\n0 = x\n",
		"[relocation]\nfiles = 1\n0 = x\n",
		"[relocation]\nfiles = 99999999999\n",
		"[relocation]\nfiles = 1\n0 = " OID " " OID " +\n",
	};
	int dir = ((const struct git_tmp *)*state)->tmp->fd;

	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		struct error err = ERROR_INIT;
		struct ini ini = INI_INIT;
		struct relocation r;

		put_file(dir, "record.ini", records[i]);
		assert_int_equal(ini_read(dir, "record.ini", &ini, &err), 0);
		assert_false(relocation_parse(&ini, &r));
		ini_release(&ini);
	}
}

/* From the tree before, and from nothing: the same must come out. */
static void step(const struct git_tmp *g, struct planned *before, char before_tree[OID_HEX],
		 const char *const *places, size_t n)
{
	struct planned now, scratch;
	char tree[OID_HEX];

	git_tree(g, tree);
	plan(g, before->r.site ? &before->r : NULL, before_tree, tree, &now);
	plan(g, NULL, "", tree, &scratch);
	assert_same(&now.r, &scratch.r);
	assert_int_equal(now.errors.n, scratch.errors.n);
	assert_list(&now.places, places, n);
	planned_release(&scratch);
	planned_release(before);
	*before = now;
	memcpy(before_tree, tree, OID_HEX);
}
#define STEP(g, before, tree, ...)                                                                 \
	step(g, before, tree, (const char *const[]){__VA_ARGS__, NULL},                            \
	     ARRAY_SIZE(((const char *const[]){__VA_ARGS__, NULL})) - 1)
#define QUIET_STEP(g, before, tree) step(g, before, tree, NULL, 0)

static void what_did_not_change_is_carried_over(void **state)
{
	struct git_tmp *g = *state;
	struct planned p = {0};
	char tree[OID_HEX] = "";

	put_app(g);
	STEP(g, &p, tree, "lib/python/a.pth:2", "lib/python/b.pth:1");
	git_put(g, "src/app.py", "1");
	QUIET_STEP(g, &p, tree);
	git_put(g, "lib/python/c.pth", ROOT "/vendor\n");
	STEP(g, &p, tree, "lib/python/c.pth:1");
	git_remove(g, "lib/python/b.pth");
	QUIET_STEP(g, &p, tree);
	assert_int_equal(p.r.n, 2);
	git_put(g, "lib/python/a.pth", "./below\n");
	git_put(g, "lib/python/c.pth", "import x\n");
	QUIET_STEP(g, &p, tree);
	assert_null(p.r.root);
	assert_int_equal(p.r.n, 1);
	git_remove(g, "lib");
	QUIET_STEP(g, &p, tree);
	assert_int_equal(p.r.n, 0);
	put_app(g);
	STEP(g, &p, tree, "lib/python/a.pth:2", "lib/python/b.pth:1");
	git_link(g, "lib/elsewhere", "python");
	QUIET_STEP(g, &p, tree);
	planned_release(&p);
}

static void another_root_in_a_changed_file_is_refused_with_both_places(void **state)
{
	struct git_tmp *g = *state;
	char first[OID_HEX], second[OID_HEX];
	struct planned p, q;

	put_app(g);
	git_tree(g, first);
	plan(g, NULL, "", first, &p);
	git_put(g, "lib/python/z.pth", "./below\n/srv/bob/vendor/y\n");
	git_tree(g, second);
	plan(g, &p.r, first, second, &q);
	LIST(&q.errors, "lib/python/z.pth:2: '/srv/bob/vendor/y' is not below '" ROOT
			"', where the tree lay by lib/python/a.pth:2;");
	planned_release(&q);
	planned_release(&p);
}

static void all_lines_may_change_to_another_root(void **state)
{
	struct git_tmp *g = *state;
	struct planned p = {0};
	char tree[OID_HEX] = "";

	put_app(g);
	STEP(g, &p, tree, "lib/python/a.pth:2", "lib/python/b.pth:1");
	git_put(g, "lib/python/a.pth", "/srv/bob/vendor/x\n");
	git_put(g, "lib/python/b.pth", "/srv/bob/vendor/y\n");
	STEP(g, &p, tree, "lib/python/a.pth:1", "lib/python/b.pth:1");
	assert_string_equal(p.r.root, "/srv/bob");
	planned_release(&p);
}

static void a_place_that_goes_is_missed_by_files_that_stay(void **state)
{
	struct git_tmp *g = *state;
	char first[OID_HEX], second[OID_HEX];
	struct planned p, q;

	put_app(g);
	git_tree(g, first);
	plan(g, NULL, "", first, &p);
	git_remove(g, "vendor/y");
	git_remove(g, "lib/python/below");
	git_tree(g, second);
	plan(g, &p.r, first, second, &q);
	LIST(&q.errors, "lib/python/b.pth:1: '" ROOT "/vendor/y' is 'vendor/y' in the tree",
	     "lib/python/a.pth:3: './below' is not in the tree");
	planned_release(&q);
	planned_release(&p);
}

static void the_known_root_decides_where_two_are_possible(void **state)
{
	struct git_tmp *g = *state;
	char first[OID_HEX], second[OID_HEX];
	struct planned p, q, r;

	git_put(g, "x/x.py", "");
	git_put(g, "vendor/x/x.py", "");
	git_put(g, "src/s.py", "");
	git_put(g, "lib/python/a.pth", ROOT "/vendor/x\n");
	git_put(g, "lib/python/b.pth", ROOT "/src\n");
	git_tree(g, first);
	plan(g, NULL, "", first, &p);
	git_remove(g, "lib/python/b.pth");
	git_tree(g, second);
	plan(g, NULL, "", second, &q);
	LIST(&q.errors, "lib/python/a.pth:1: '" ROOT "/vendor/x' may be 'vendor/x' or 'x'");
	plan(g, &p.r, first, second, &r);
	assert_int_equal(r.errors.n, 0);
	assert_text(&r, "lib/python/a.pth", "../../vendor/x\n");
	planned_release(&r);
	planned_release(&q);
	planned_release(&p);
}

static void lib_python_may_be_a_link(void **state)
{
	struct git_tmp *g = *state;
	char first[OID_HEX], second[OID_HEX];
	struct planned p, q;

	git_put(g, "vendor/x/x.py", "");
	git_put(g, "src/pylib/a.pth", ROOT "/vendor/x\n");
	git_tree(g, first);
	plan(g, NULL, "", first, &p);
	assert_int_equal(p.r.n, 0);
	git_link(g, "lib/python", "../src/pylib");
	git_tree(g, second);
	plan(g, &p.r, first, second, &q); /* the file itself did not change */
	assert_string_equal(q.r.site, "src/pylib");
	assert_text(&q, "src/pylib/a.pth", "../../vendor/x\n");
	assert_false(relocation_agrees(&p.r, &q.r));
	planned_release(&q);
	planned_release(&p);
}

static void every_problem_is_told_at_once(void **state)
{
	struct git_tmp *g = *state;
	char tree[OID_HEX];
	struct planned p;

	put_app(g);
	git_put(g, "lib/python/c.pth", "/opt/lib\n./gone\n../../../out\n" ROOT "/missing\n");
	git_put(g, "lib/python/deep/d.pth", "./not/looked/at\n/opt/other\n");
	git_put(g, "venv/pyvenv.cfg", "home = /opt/python/bin\n");
	git_put(g, "bin/tool", "#!/home/ian/.venvs/a/bin/python3\n");
	git_tree(g, tree);
	plan(g, NULL, "", tree, &p);
	LIST(&p.errors, "lib/python/c.pth:1: '/opt/lib' is not below '" ROOT "'",
	     "lib/python/c.pth:4: '" ROOT "/missing' is 'missing'",
	     "lib/python/deep/d.pth:2: '/opt/other' is not in the tree",
	     "lib/python/c.pth:2: './gone' is not in the tree",
	     "lib/python/c.pth:3: '../../../out' leads out of the tree",
	     "venv/pyvenv.cfg:1: '/opt/python/bin' is not what runs it on the node");
	LIST(&p.warnings, "bin/tool:1: '/home/ian/.venvs/a/bin/python3' is not in the tree");
	planned_release(&p);
}

static void a_script_runs_the_interpreter_of_the_tree(void **state)
{
	struct git_tmp *g = *state;
	char tree[OID_HEX];
	struct planned p;

	git_link(g, "venv/bin/python3", "/usr/bin/python3");
	git_link(g, "bin", "venv/bin");
	git_put_exec(g, "venv/bin/tool", "#!" ROOT "/venv/bin/python3\n");
	git_tree(g, tree);
	plan(g, NULL, "", tree, &p);
	assert_int_equal(p.errors.n, 0);
	assert_string_equal(p.r.root, ROOT);
	LIST(&p.places, "venv/bin/tool:1");
	planned_release(&p);
}

/* As a slot is whose layout was stopped. */
static void a_tree_between_two_has_files_of_both(void **state)
{
	struct git_tmp *g = *state;
	char held_tree[OID_HEX], wanted_tree[OID_HEX], tree[OID_HEX];
	struct planned held, wanted;
	struct relocation between;
	struct error err = ERROR_INIT;

	put_app(g);
	git_tree(g, held_tree);
	plan(g, NULL, "", held_tree, &held);
	git_put(g, "lib/python/a.pth", ROOT "/vendor/y\n");
	git_put(g, "lib/python/c.pth", ROOT "/vendor\n");
	git_remove(g, "lib/python/b.pth");
	git_tree(g, wanted_tree);
	plan(g, &held.r, held_tree, wanted_tree, &wanted);
	git_remove(g, "lib/python/c.pth");
	git_put(g, "lib/python/b.pth", ROOT "/vendor/y/\n");
	git_tree(g, tree); /* of the differences, only that of a.pth is applied */
	if (relocation_between(held.repo, tree, &held.r, &wanted.r, &between, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(between.n, 2);
	assert_string_equal(relocation_find(&between, "lib/python/a.pth")->out,
			    relocation_find(&wanted.r, "lib/python/a.pth")->out);
	assert_string_equal(relocation_find(&between, "lib/python/b.pth")->out,
			    relocation_find(&held.r, "lib/python/b.pth")->out);
	relocation_release(&between);
	planned_release(&wanted);
	planned_release(&held);
}

static void what_is_large_or_binary_is_left_alone(void **state)
{
	struct git_tmp *g = *state;
	autofree char *large = xmalloc(1048577 + 1);
	char tree[OID_HEX];
	struct planned p;

	memset(large, '/', 1048577);
	large[1048577] = '\0';
	git_put(g, "lib/python/weights.pth", large);
	git_tree(g, tree);
	plan(g, NULL, "", tree, &p);
	assert_int_equal(p.r.n + p.errors.n, 0);
	planned_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GIT_TEST(a_tree_is_relocated_and_told),
		GIT_TEST(a_relocated_tree_stays_as_it_is),
		GIT_TEST(the_record_keeps_all),
		GIT_TEST(a_damaged_record_is_none),
		GIT_TEST(what_did_not_change_is_carried_over),
		GIT_TEST(another_root_in_a_changed_file_is_refused_with_both_places),
		GIT_TEST(all_lines_may_change_to_another_root),
		GIT_TEST(a_place_that_goes_is_missed_by_files_that_stay),
		GIT_TEST(the_known_root_decides_where_two_are_possible),
		GIT_TEST(lib_python_may_be_a_link),
		GIT_TEST(every_problem_is_told_at_once),
		GIT_TEST(a_script_runs_the_interpreter_of_the_tree),
		GIT_TEST(a_tree_between_two_has_files_of_both),
		GIT_TEST(what_is_large_or_binary_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
