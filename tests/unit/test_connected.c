/* Is everything there that a push needs? git's own answer to the same question is the measure: each
 * object in turn is taken away, and both are asked. */
#include "tests/unit/store.h"
#include "hooks/connected.h"

/* What `git rev-list --objects --stdin --not --all` thinks of a new object. */
static bool git_finds_all(const struct store *s, const char *oid)
{
	autofree char *cwd = xasprintf("%s/apps/blog/repo.git", s->tmp->path);
	char *const argv[] = {(char[]){"git"},
			      (char[]){"rev-list"},
			      (char[]){"--objects"},
			      (char[]){"--quiet"},
			      NULL,
			      (char[]){"--not"},
			      (char[]){"--all"},
			      NULL};
	char *words[ARRAY_SIZE(argv)];
	autofree char *copy = xstrdup(oid);
	struct proc_spec spec = {
		.path = "git", .argv = words, .in = -1, .out = -1, .err = -1, .cwd = cwd};
	char *const env[] = {(char[]){"PATH=/usr/bin:/bin"}, (char[]){"HOME=/nonexistent"}, NULL};
	autostrbuf struct strbuf output = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int status;

	memcpy(words, argv, sizeof(argv));
	words[4] = copy;
	spec.envp = env;
	assert_ok(proc_run(&spec, 60000, &status, &output, &err), err);
	return status == 0;
}

static bool we_find_all(const struct store *s, const char *oid)
{
	autofree char *path = xasprintf("%s/apps/blog/repo.git", s->tmp->path);
	autorepo struct repo *repo = NULL; /* a new one: libgit2 keeps what it has read */
	autostrv struct strv oids = STRV_INIT;
	const struct strv none = STRV_INIT;
	struct error err = ERROR_INIT;
	int r;

	assert_ok(repo_open(&repo, path, false, &err), err);
	strv_add(&oids, oid);
	r = connected_check(repo, &oids, &none, &err);
	if (r == -1 && err.code != E_REFUSED && err.code != E_NOTFOUND)
		fail_msg("%s", err.text);
	return r == 0;
}

/* Every object of the repository, one at a time, is not there. Returns how many were missed. */
static unsigned take_each_away(const struct store *s, const char *oid)
{
	autofree char *path = xasprintf("%s/apps/blog/repo.git/objects", s->tmp->path);
	autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *all = git_in(s, "apps/blog/repo.git",
				    (const char *const[]){"cat-file", "--batch-all-objects",
							  "--batch-check=%(objectname)", NULL});
	unsigned missed = 0;

	assert_true(we_find_all(s, oid) && git_finds_all(s, oid));
	for (char *at = all; *at; at += strcspn(at, "\n") + (at[strcspn(at, "\n")] == '\n')) {
		autofree char *name = xasprintf("%.2s/%.38s", at, at + 2);
		bool we, git_too;

		assert_int_equal(renameat(fd, name, fd, "away"), 0);
		we = we_find_all(s, oid);
		git_too = git_finds_all(s, oid);
		assert_int_equal(renameat(fd, "away", fd, name), 0);
		if (we != git_too)
			fail_msg("without %.40s: git %s, we %s", at,
				 git_too ? "finds all" : "misses it", we ? "find all" : "miss it");
		missed += !we;
	}
	return missed;
}

static void accept_commits_up_to(const struct store *s, unsigned n)
{
	GIT(s, "apps/blog/repo.git", "update-ref", "refs/heads/master", s->oid[n]);
	for (unsigned i = 0; i < s->n; i++) {
		autofree char *keep = xasprintf("refs/keep/%u", i);

		GIT(s, "apps/blog/repo.git", "update-ref", "-d", keep);
	}
}

static void make_history(struct store *s)
{
	work_file(s, "app.ini", "[production]\n");
	work_file(s, "lib/a/one.py", "1");
	work_file(s, "lib/b/two.py", "2");
	work_commit(s);
	work_file(s, "lib/a/one.py", "1 changed");
	work_link(s, "static", "lib/b");
	work_commit(s);
	work_file(s, "lib/c/deep/three.py", "3");
	assert_int_equal(unlinkat(s->work_fd, "lib/b/two.py", 0), 0);
	assert_int_equal(unlinkat(s->work_fd, "static", 0), 0);
	work_commit(s);
}

static void git_and_we_miss_the_same_objects_of_a_push(void **state)
{
	struct store *s = *state;

	make_history(s);
	accept_commits_up_to(s, 0);
	/* two commits and their trees and files; git, too, needs the parent that it walks to */
	assert_true(take_each_away(s, s->oid[2]) >= 8);
}

static void git_and_we_miss_the_same_objects_of_a_first_push(void **state)
{
	struct store *s = *state;

	make_history(s);
	accept_commits_up_to(s, 0);
	GIT(s, "apps/blog/repo.git", "update-ref", "-d", "refs/heads/master");
	assert_true(take_each_away(s, s->oid[2]) >= 15);
}

static void git_and_we_miss_the_same_objects_of_a_merge(void **state)
{
	struct store *s = *state;
	autofree char *merge = NULL;

	make_history(s);
	GIT(s, "work", "checkout", "-q", "-b", "side", "HEAD~2");
	work_file(s, "side/four.py", "4");
	work_commit(s);
	GIT(s, "work", "merge", "-q", "--no-edit", "-s", "ours", "master");
	work_file(s, "side/five.py", "5");
	merge = xstrdup(work_commit(s));
	accept_commits_up_to(s, 1);
	assert_true(take_each_away(s, merge) >= 10);
}

static void a_tag_may_lead_to_a_tree_or_a_file(void **state)
{
	struct store *s = *state;
	const char *const what[] = {"HEAD^{tree}", "HEAD:lib/a/one.py", "HEAD"};

	make_history(s);
	for (size_t i = 0; i < ARRAY_SIZE(what); i++) {
		autofree char *tag = NULL, *ref = xasprintf("v%zu", i);

		GIT(s, "work", "tag", "-a", "-m", "t", ref, what[i]);
		GIT(s, "work", "push", "-q", "../apps/blog/repo.git", ref);
		tag = git_in(s, "work", (const char *const[]){"rev-parse", ref, NULL});
		GIT(s, "apps/blog/repo.git", "tag", "-d", ref);
		accept_commits_up_to(s, 0);
		assert_true(take_each_away(s, tag) >= (i == 1 ? 2U : 5U));
	}
}

static void what_a_submodule_names_is_not_looked_for(void **state)
{
	struct store *s = *state;

	make_history(s);
	GIT(s, "work", "update-index", "--add", "--cacheinfo",
	    "160000,1111111111111111111111111111111111111111,sub");
	GIT(s, "work", "commit", "-q", "-m", "a submodule");
	GIT(s, "work", "push", "-q", "../apps/blog/repo.git", "HEAD:refs/keep/9");
	autofree char *head = git_in(s, "work", (const char *const[]){"rev-parse", "HEAD", NULL});
	GIT(s, "apps/blog/repo.git", "update-ref", "-d", "refs/keep/9");
	accept_commits_up_to(s, 2);
	assert_true(we_find_all(s, head));
}

static void a_shallow_clone_s_history_ends(void **state)
{
	struct store *s = *state;
	autostrv struct strv oids = STRV_INIT, ends = STRV_INIT;
	struct error err = ERROR_INIT;

	make_history(s);
	accept_commits_up_to(s, 0);
	strv_add(&oids, s->oid[2]);
	strv_add(&ends, s->oid[1]);
	assert_int_equal(connected_check(s->repo, &oids, &ends, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_non_null(strstr(err.text, s->oid[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(git_and_we_miss_the_same_objects_of_a_push),
		STORE_TEST(git_and_we_miss_the_same_objects_of_a_first_push),
		STORE_TEST(git_and_we_miss_the_same_objects_of_a_merge),
		STORE_TEST(a_tag_may_lead_to_a_tree_or_a_file),
		STORE_TEST(what_a_submodule_names_is_not_looked_for),
		STORE_TEST(a_shallow_clone_s_history_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
