/* store.h - what the tests of the release store share: a node with one app 'blog', its real
 * repository, and a developer's work tree beside it.
 *
 *	STORE_TEST(spare_slot_holds_the_live_tree)
 *	struct store *s = *state;
 *	work_file(s, "index.html", "one");
 *	char *oid = work_commit(s);	(objects arrive in the repository; no branch moves) */
#pragma once
#include "tests/unit/unit.h"
#include "buildless/layout.h"
#include "buildless/transaction.h"
#include "common/fs.h"
#include "common/node.h"
#include "common/proc.h"

struct store {
	struct tmp *tmp;
	int work_fd;
	struct app app;
	struct repo *repo;
	char oid[32][OID_HEX]; /* commits so far */
	unsigned n;
};

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)

#define assert_ok(call, err)                                                                       \
	do {                                                                                       \
		if ((call) == -1)                                                                  \
			fail_msg("%s", (err).text);                                                \
	} while (0)

/* Runs git with the arguments in `dir` below the test's directory; its output, trimmed. The caller
 * frees. */
static inline char *git_in(const struct store *s, const char *dir, const char *const *args)
{
	autofree char *cwd = xasprintf("%s/%s", s->tmp->path, dir);
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	autostrbuf struct strbuf out = STRBUF_INIT;
	struct proc_spec spec = {.path = "git", .in = -1, .out = -1, .err = -1, .cwd = cwd};
	struct error err = ERROR_INIT;
	int status;

	strv_add(&argv, "git");
	for (; *args; args++)
		strv_add(&argv, *args);
	strv_add(&env, "HOME=/nonexistent");
	strv_add(&env, "PATH=/usr/bin:/bin");
	strv_add(&env, "GIT_CONFIG_NOSYSTEM=1");
	strv_add(&env, "GIT_AUTHOR_NAME=a");
	strv_add(&env, "GIT_AUTHOR_EMAIL=a@b");
	strv_add(&env, "GIT_COMMITTER_NAME=a");
	strv_add(&env, "GIT_COMMITTER_EMAIL=a@b");
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&env);
	assert_ok(proc_run(&spec, 60000, &status, &out, &err), err);
	if (status != 0)
		fail_msg("git %s: %s", argv.v[1], strbuf_str(&out));
	while (out.len && out.buf[out.len - 1] == '\n')
		out.buf[--out.len] = '\0';
	return strbuf_detach(&out);
}

static inline void git(const struct store *s, const char *dir, const char *const *args)
{
	free(git_in(s, dir, args));
}
#define GIT(s, dir, ...) git(s, dir, (const char *const[]){__VA_ARGS__, NULL})

static inline void work_file(const struct store *s, const char *path, const char *content)
{
	autofree char *dir = xstrdup(path);

	for (char *slash = strchr(dir, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdirat(s->work_fd, dir, 0755);
		*slash = '/';
	}
	unlinkat(s->work_fd, path, 0);
	put_file(s->work_fd, path, content);
}

static inline void work_link(const struct store *s, const char *path, const char *target)
{
	unlinkat(s->work_fd, path, 0);
	assert_int_equal(symlinkat(target, s->work_fd, path), 0);
}

/* Everything in the work tree as a commit, whose objects the app's repository gets. */
static inline const char *work_commit(struct store *s)
{
	autofree char *keep = xasprintf("+HEAD:refs/keep/%u", s->n);
	char *oid;

	GIT(s, "work", "add", "-A");
	GIT(s, "work", "commit", "-q", "--allow-empty", "-m", "a change");
	GIT(s, "work", "push", "-q", "../apps/blog/repo.git", keep);
	oid = git_in(s, "work", (const char *const[]){"rev-parse", "HEAD", NULL});
	memcpy(s->oid[s->n], oid, OID_HEX);
	free(oid);
	return s->oid[s->n++];
}

static inline void store_dirs(const struct store *s)
{
	static const char *const dirs[] = {
		"apps", "apps/blog", "apps/blog/slots", "apps/blog/releases",
		"data", "log",       "hosts",           "work"};
	autofree char *ini = node_default_ini("127.0.0.1:2222", "127.0.0.1:8080");

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdirat(s->tmp->fd, dirs[i], 0755), 0);
	put_file(s->tmp->fd, "node.ini", ini);
	put_file(s->tmp->fd, "apps/blog/lock", "");
}

static inline int store_setup(void **state)
{
	struct store *s = xcalloc(1, sizeof(*s));
	struct error err = ERROR_INIT;
	void *tmp;

	if (tmp_setup(&tmp) == -1)
		return -1;
	s->tmp = tmp;
	*state = s;
	store_dirs(s);
	s->work_fd = openat(s->tmp->fd, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	GIT(s, "apps/blog", "init", "-q", "--bare", "--initial-branch=master", "repo.git");
	GIT(s, "work", "init", "-q", "--initial-branch=master", ".");
	setenv("SILVER_DIR", s->tmp->path, 1);
	setenv("SILVER_APP", "blog", 1);
	setenv("SILVER_USER", "ian", 1);
	unsetenv("SILVER_LOCK_FD");
	assert_ok(app_open_from_environment(&s->app, &err), err);
	assert_ok(repo_open(&s->repo, s->app.repo_path, false, &err), err);
	return 0;
}

static inline int store_teardown(void **state)
{
	struct store *s = *state;
	void *tmp = s->tmp;

	repo_free(s->repo);
	app_release(&s->app);
	close(s->work_fd);
	free(s);
	return tmp_teardown(&tmp);
}

/* The tree that the files below slots/N make, by git itself. The caller frees. */
static inline char *tree_on_disk(const struct store *s, unsigned slot)
{
	autofree char *dir = xasprintf("apps/blog/slots/%u", slot);
	char *tree;

	GIT(s, dir, "init", "-q", ".");
	GIT(s, dir, "add", "-A", "-f");
	tree = git_in(s, dir, (const char *const[]){"write-tree", NULL});
	autoclose int fd = openat(s->tmp->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;
	assert_ok(fs_remove_tree(fd, ".git", &err), err);
	return tree;
}

static inline char *tree_of(const struct store *s, const char *commit)
{
	autofree char *spec = xasprintf("%s^{tree}", commit);

	return git_in(s, "apps/blog/repo.git", (const char *const[]){"rev-parse", spec, NULL});
}
