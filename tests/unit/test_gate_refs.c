/* The refs of a push: which one is deployed, and what is refused before git would refuse it. */
#include "gitrepo.h"
#include "hooks/gate.h"

#define NONE "0000000000000000000000000000000000000000"

struct gated {
	struct repo *repo;
	struct push push;
	struct strv errors, warnings;
};

static void line(struct gated *r, const char *old_oid, const char *new_oid, const char *name)
{
	struct push *p = &r->push;

	p->ref = xrealloc_array(p->ref, p->n + 1, sizeof(*p->ref));
	memset(&p->ref[p->n], 0, sizeof(*p->ref));
	memcpy(p->ref[p->n].old_oid, old_oid, 40);
	memcpy(p->ref[p->n].new_oid, new_oid, 40);
	p->ref[p->n++].name = xstrdup(name);
}

static void gate(const struct git_tmp *g, struct gated *r)
{
	struct app app = {.name = "blog", .repo_path = g->repo, .start_ms = clock_ms()};
	struct error err = ERROR_INIT;

	if (repo_open(&r->repo, g->repo, false, &err) == -1 ||
	    gate_refs(&r->push, r->repo, &app, &r->errors, &r->warnings, &err) == -1) {
		print_error("%s\n", err.text);
		fail();
	}
}

static void release(struct gated *r)
{
	push_release(&r->push);
	strv_free_p(&r->errors);
	strv_free_p(&r->warnings);
	repo_free(r->repo);
	*r = (struct gated){0};
}

static void assert_has(const struct strv *list, const char *start)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_starts(list->v[i], start))
			return;
	print_error("missing: %s\n", start);
	for (size_t i = 0; i < list->n; i++)
		print_error("   have: %s\n", list->v[i]);
	fail();
}

static void assert_deploys(const struct gated *r, const char *name)
{
	for (size_t i = 0; i < r->errors.n; i++)
		print_error("%s\n", r->errors.v[i]);
	assert_int_equal(r->errors.n, 0);
	if (!name) {
		assert_null(r->push.deploy);
		return;
	}
	assert_non_null(r->push.deploy);
	assert_string_equal(r->push.deploy->name, name);
}

/* One line alone is refused with this one finding. */
static void assert_refused(const struct git_tmp *g, const char *old_oid, const char *new_oid,
			   const char *name, const char *start)
{
	struct gated r = {0};

	line(&r, old_oid, new_oid, name);
	gate(g, &r);
	assert_has(&r.errors, start);
	assert_int_equal(r.errors.n, 1);
	release(&r);
}

static void first_commit(const struct git_tmp *g, char oid[OID_HEX])
{
	git_put(g, "app.py", "x");
	git_commit(g, NULL, "first", oid);
}

static void set_ref(const struct git_tmp *g, const char *ref, const char *oid)
{
	git_quiet(GIT(g, "update-ref", ref, oid));
}

static void the_first_push_of_master_or_main_is_deployed(void **state)
{
	static const char *const names[] = {"refs/heads/master", "refs/heads/main"};
	const struct git_tmp *g = *state;
	struct gated r = {0};
	char oid[OID_HEX];

	first_commit(g, oid);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		line(&r, NONE, oid, "refs/heads/topic");
		line(&r, NONE, oid, names[i]);
		gate(g, &r);
		assert_deploys(&r, names[i]);
		release(&r);
	}
	line(&r, NONE, oid, "refs/heads/topic");
	gate(g, &r);
	assert_deploys(&r, NULL);
	release(&r);
}

static void of_both_at_once_master_is_chosen_and_it_says_so(void **state)
{
	const struct git_tmp *g = *state;
	struct gated r = {0};
	char oid[OID_HEX];

	first_commit(g, oid);
	line(&r, NONE, oid, "refs/heads/main");
	line(&r, NONE, oid, "refs/heads/master");
	gate(g, &r);
	assert_deploys(&r, "refs/heads/master");
	assert_has(&r.warnings,
		   "both master and main are pushed: master is the deploy branch from now on");
	release(&r);
}

static void later_only_the_deploy_branch_is_deployed(void **state)
{
	const struct git_tmp *g = *state;
	struct gated r = {0};
	char a[OID_HEX], b[OID_HEX];

	first_commit(g, a);
	git_put(g, "app.py", "y");
	git_commit(g, a, "second", b);
	set_ref(g, "refs/heads/main", a);
	git_quiet(GIT(g, "symbolic-ref", "HEAD", "refs/heads/main"));
	line(&r, NONE, b, "refs/heads/master");
	gate(g, &r);
	assert_deploys(&r, NULL);
	release(&r);
	line(&r, NONE, b, "refs/heads/master");
	line(&r, a, b, "refs/heads/main");
	line(&r, NONE, b, "refs/tags/v1");
	gate(g, &r);
	assert_deploys(&r, "refs/heads/main");
	assert_int_equal(r.warnings.n, 0);
	release(&r);
}

static void an_older_commit_is_deployed_too(void **state)
{
	const struct git_tmp *g = *state;
	struct gated r = {0};
	char a[OID_HEX], b[OID_HEX];

	first_commit(g, a);
	git_commit(g, a, "second", b);
	set_ref(g, "refs/heads/master", b);
	line(&r, b, a, "refs/heads/master");
	gate(g, &r);
	assert_deploys(&r, "refs/heads/master");
	release(&r);
}

static void annotated_tags_and_other_objects_are_no_branch(void **state)
{
	const struct git_tmp *g = *state;
	char commit[OID_HEX], tag[OID_HEX], blob[OID_HEX], tree[OID_HEX];

	first_commit(g, commit);
	git_quiet(GIT(g, "tag", "-a", "-m", "one", "v1", commit));
	git_oid(GIT(g, "rev-parse", "v1"), tag);
	git_tree(g, tree);
	git_blob(g, "b", blob);
	assert_refused(g, NONE, tag, "refs/heads/master", "refs/heads/master: ");
	struct gated r = {0};
	line(&r, NONE, tag, "refs/heads/master");
	gate(g, &r);
	assert_true(strstr(r.errors.v[0], "is an annotated tag, and a branch holds commits; push "
					  "the commit: `git push silver "
					  "'TAG^{commit}:master'`"));
	release(&r);
	assert_refused(g, NONE, blob, "refs/heads/x", "refs/heads/x: ");
	assert_refused(g, NONE, tree, "refs/heads/x", "refs/heads/x: ");
	line(&r, NONE, tag, "refs/tags/v2");
	line(&r, NONE, commit, "refs/tags/light");
	line(&r, NONE, blob, "refs/tags/blob");
	gate(g, &r);
	assert_deploys(&r, NULL);
	release(&r);
}

static void deletions_are_for_other_branches(void **state)
{
	const struct git_tmp *g = *state;
	struct gated r = {0};
	char oid[OID_HEX];

	first_commit(g, oid);
	set_ref(g, "refs/heads/master", oid);
	set_ref(g, "refs/heads/topic", oid);
	assert_refused(g, oid, NONE, "refs/heads/master",
		       "refs/heads/master: the deploy branch cannot be deleted; `silver destroy "
		       "blog` removes the app");
	assert_refused(g, NONE, NONE, "refs/heads/nosuch",
		       "refs/heads/nosuch: there is no such ref to delete");
	line(&r, oid, NONE, "refs/heads/topic");
	gate(g, &r);
	assert_deploys(&r, NULL);
	release(&r);
}

static void places_that_are_not_pushed_to_name_what_was_meant(void **state)
{
	static const char *const places[][2] = {
		{"HEAD", "HEAD: pushes go to a branch: `git push silver HEAD:master`"},
		{"refs/head/main", "refs/head/main: only branches and tags can be pushed; did you "
				   "mean 'refs/heads/main'?"},
		{"refs/tag/v1", "refs/tag/v1: only branches and tags can be pushed; did you mean "
				"'refs/tags/v1'?"},
		{"refs/main", "refs/main: only branches and tags can be pushed; did you mean "
			      "'refs/heads/main'?"},
		{"refs/for/main", "refs/for/main: only branches and tags can be pushed; did you "
				  "mean 'refs/heads/main'?"},
		{"refs/heads/refs/heads/x",
		 "refs/heads/refs/heads/x: did you mean 'refs/heads/x'?"},
		{"refs/releases/9", "refs/releases/9: the node writes the releases itself; push a "
				    "commit to master, or `silver activate blog N`"},
		{"refs/notes/commits", "refs/notes/commits: only branches and tags can be pushed"},
		{"refs/heads/HEAD", "refs/heads/HEAD: a branch cannot be called 'HEAD'"},
		{"refs/heads/-x", "refs/heads/-x: a branch cannot be called '-x'"},
	};
	const struct git_tmp *g = *state;
	char oid[OID_HEX];

	first_commit(g, oid);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		assert_refused(g, NONE, oid, places[i][0], places[i][1]);
}

static void names_that_git_would_refuse_are_refused_first(void **state)
{
	static const char *const names[] = {
		"refs/heads/a..b",  "refs/heads/.x",  "refs/heads/x.lock", "refs/heads/a.lock/b",
		"refs/heads/a b",   "refs/heads/a~1", "refs/heads/a^",     "refs/heads/a:b",
		"refs/heads/a?",    "refs/heads/a*",  "refs/heads/a[b",    "refs/heads/a\\b",
		"refs/heads/x/",    "refs/heads//x",  "refs/heads/x.",     "refs/heads/a@{1}",
		"refs/heads/a\x7f", "refs/heads/",    "/refs/heads/x",     "refs/heads/a\x01",
	};
	const struct git_tmp *g = *state;
	autofree char *long_name = xmalloc(300);
	char oid[OID_HEX];

	first_commit(g, oid);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct gated r = {0};

		line(&r, NONE, oid, names[i]);
		gate(g, &r);
		assert_int_equal(r.errors.n, 1);
		if (!strstr(r.errors.v[0], "git takes no ref of this name"))
			print_error("%s\n", r.errors.v[0]);
		assert_non_null(strstr(r.errors.v[0], "git takes no ref of this name"));
		release(&r);
	}
	memcpy(long_name, "refs/heads/", 11);
	memset(long_name + 11, 'n', 252);
	long_name[263] = '\0';
	autofree char *text =
		xasprintf("%s: git takes no ref of this name: a part of it is longer", long_name);
	assert_refused(g, NONE, oid, long_name, text);
}

static void a_ref_cannot_be_above_another(void **state)
{
	const struct git_tmp *g = *state;
	struct gated r = {0};
	char oid[OID_HEX];

	first_commit(g, oid);
	set_ref(g, "refs/heads/a/b", oid);
	set_ref(g, "refs/heads/c", oid);
	set_ref(g, "refs/heads/c-d", oid);
	assert_refused(g, NONE, oid, "refs/heads/a",
		       "refs/heads/a: there cannot be both this ref and 'refs/heads/a/b'");
	assert_refused(g, NONE, oid, "refs/heads/a/b/c/d",
		       "refs/heads/a/b/c/d: there cannot be both this ref and 'refs/heads/a/b'");
	assert_refused(g, NONE, oid, "refs/heads/c/x",
		       "refs/heads/c/x: there cannot be both this ref and 'refs/heads/c'");
	line(&r, NONE, oid, "refs/heads/new");
	line(&r, NONE, oid, "refs/heads/new-er");
	line(&r, NONE, oid, "refs/heads/new/er");
	gate(g, &r);
	assert_has(&r.errors, "refs/heads/new: there cannot be both this ref and "
			      "'refs/heads/new/er'");
	assert_has(&r.errors, "refs/heads/new/er: there cannot be both this ref and "
			      "'refs/heads/new'");
	assert_int_equal(r.errors.n, 2);
	release(&r);
	line(&r, NONE, oid, "refs/heads/a/c");
	line(&r, NONE, oid, "refs/heads/c-e");
	gate(g, &r);
	assert_deploys(&r, NULL);
	release(&r);
}

static void a_ref_that_moved_meanwhile_is_told(void **state)
{
	const struct git_tmp *g = *state;
	char a[OID_HEX], b[OID_HEX], c[OID_HEX];
	struct gated r = {0};

	first_commit(g, a);
	git_commit(g, a, "second", b);
	git_commit(g, a, "third", c);
	set_ref(g, "refs/heads/master", b);
	line(&r, a, c, "refs/heads/master");
	gate(g, &r);
	assert_int_equal(r.errors.n, 1);
	assert_has(&r.errors, "refs/heads/master: moved while this push was on its way (it was ");
	assert_non_null(strstr(r.errors.v[0], "`git fetch silver`, then push again"));
	release(&r);
	assert_refused(g, NONE, c, "refs/heads/master", "refs/heads/master: moved while this push");
}

/* As a push from `git clone --depth 1` leaves it: a commit whose parent never came. */
static void history_that_ends_early_names_unshallow(void **state)
{
	static const char missing[] = "1111111111111111111111111111111111111111";
	const struct git_tmp *g = *state;
	char tree[OID_HEX], oid[OID_HEX], next[OID_HEX];
	autofree char *text = NULL;

	git_put(g, "app.py", "x");
	git_tree(g, tree);
	text = xasprintf("tree %s\nparent %s\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n",
			 tree, missing);
	git_oid(git_run(g, text,
			(const char *const[]){"hash-object", "-t", "commit", "-w", "--stdin",
					      NULL}),
		oid);
	git_oid(GIT(g, "commit-tree", tree, "-p", oid, "-m", "next"), next);
	assert_refused(g, NONE, next, "refs/heads/master",
		       "refs/heads/master: pushed from a shallow clone, whose history ends early; "
		       "`git fetch --unshallow`, then push again");
	assert_refused(g, NONE, oid, "refs/tags/v1", "refs/tags/v1: pushed from a shallow clone");
}

/* git refuses the commit at which a clone ends even where the repository has its parent. */
static void the_end_of_a_shallow_clone_is_refused_where_it_is_new(void **state)
{
	const struct git_tmp *g = *state;
	char a[OID_HEX], b[OID_HEX], c[OID_HEX];
	struct gated r = {0};

	first_commit(g, a);
	git_commit(g, a, "where the clone ends", b);
	git_commit(g, b, "new", c);
	set_ref(g, "refs/heads/master", a);
	autofree char *text = xasprintf("%s\n", b);
	put_file(g->tmp->fd, "repo.git/shallow_x1y2z3", text);
	assert_refused(g, a, c, "refs/heads/master",
		       "refs/heads/master: pushed from a shallow clone");
	assert_refused(g, NONE, b, "refs/heads/x", "refs/heads/x: pushed from a shallow clone");
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	assert_int_equal(utimensat(g->tmp->fd, "repo.git/shallow_x1y2z3", old, 0), 0);
	line(&r, a, c, "refs/heads/master"); /* a killed push left the file */
	gate(g, &r);
	assert_deploys(&r, "refs/heads/master");
	release(&r);
	put_file(g->tmp->fd, "repo.git/shallow_x1y2z3", text);
	set_ref(g, "refs/heads/master", b);
	line(&r, b, c, "refs/heads/master");
	gate(g, &r);
	assert_deploys(&r, "refs/heads/master");
	release(&r);
}

static void every_bad_ref_has_its_finding(void **state)
{
	const struct git_tmp *g = *state;
	struct gated r = {0};
	char oid[OID_HEX];

	first_commit(g, oid);
	line(&r, NONE, oid, "refs/heads/master");
	line(&r, NONE, oid, "refs/releases/9");
	line(&r, NONE, oid, "refs/head/x");
	gate(g, &r);
	assert_int_equal(r.errors.n, 2);
	release(&r);
}

static void read_push(struct push *p, const char *input, struct error *err, int expected)
{
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], input, strlen(input)), strlen(input));
	close(pipes[1]);
	assert_int_equal(push_read(p, pipes[0], err), expected);
	close(pipes[0]);
}

static void the_input_of_a_hook_is_read_with_its_options(void **state)
{
	static const char input[] =
		NONE " 1111111111111111111111111111111111111111 refs/heads/a b\n"
		     "1111111111111111111111111111111111111111 " NONE " refs/heads/c\n";
	struct error err = ERROR_INIT;
	struct push p;

	(void)state;
	read_push(&p, input, &err, 0);
	assert_int_equal(p.n, 2);
	assert_string_equal(p.ref[0].name, "refs/heads/a b");
	assert_false(push_ref_deletes(&p.ref[0]));
	assert_true(push_ref_deletes(&p.ref[1]));
	assert_false(p.plan);
	push_release(&p);
	read_push(&p, "nonsense\n", &err, -1);
	push_release(&p);

	setenv("GIT_PUSH_OPTION_COUNT", "1", 1);
	setenv("GIT_PUSH_OPTION_0", "plan", 1);
	read_push(&p, input, &err, 0);
	assert_true(p.plan);
	push_release(&p);
	setenv("GIT_PUSH_OPTION_0", "pan", 1);
	read_push(&p, input, &err, -1);
	assert_int_equal(err.code, E_USAGE);
	assert_string_equal(err.text, "unknown push option 'pan' (did you mean 'plan'?); there are "
				      "`-o plan` and `-o stage`");
	push_release(&p);
	setenv("GIT_PUSH_OPTION_0", "stage", 1);
	read_push(&p, input, &err, 0);
	assert_true(p.stage);
	assert_false(p.plan);
	push_release(&p);
	unsetenv("GIT_PUSH_OPTION_COUNT");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GIT_TEST(the_first_push_of_master_or_main_is_deployed),
		GIT_TEST(of_both_at_once_master_is_chosen_and_it_says_so),
		GIT_TEST(later_only_the_deploy_branch_is_deployed),
		GIT_TEST(an_older_commit_is_deployed_too),
		GIT_TEST(annotated_tags_and_other_objects_are_no_branch),
		GIT_TEST(deletions_are_for_other_branches),
		GIT_TEST(places_that_are_not_pushed_to_name_what_was_meant),
		GIT_TEST(names_that_git_would_refuse_are_refused_first),
		GIT_TEST(a_ref_cannot_be_above_another),
		GIT_TEST(a_ref_that_moved_meanwhile_is_told),
		GIT_TEST(history_that_ends_early_names_unshallow),
		GIT_TEST(the_end_of_a_shallow_clone_is_refused_where_it_is_new),
		GIT_TEST(every_bad_ref_has_its_finding),
		GIT_TEST(the_input_of_a_hook_is_read_with_its_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) ? 1 : 0;
}
