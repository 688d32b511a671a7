/* gitrepo.h - real repositories made by the real git, in the test's own directory.
 *
 *	git_init(t);			a bare repository TMP/repo.git; TMP/work is its work tree
 *	git_put(t, "app.ini", "[production]...");
 *	git_link(t, "current", "../x");
 *	git_tree(t, oid);		what is in the work tree
 *	git_add_raw(t, oid, "160000 commit", some_oid, "vendor");	what git would not add */
#pragma once
#include "unit.h"
#include "buildless/git.h"
#include "common/proc.h"

struct git_tmp {
	struct tmp *tmp;
	char *repo, *work;
	int work_fd;
};

/* Runs git with the arguments; its output without the last newline is the caller's. */
static inline char *git_run(const struct git_tmp *g, const char *input, const char *const *args)
{
	static const char *const env[] = {
		"PATH=/usr/bin:/bin",       "HOME=/nonexistent",
		"GIT_CONFIG_NOSYSTEM=1",    "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=a",        "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=c",     "GIT_COMMITTER_EMAIL=c@example.com",
		"GIT_CONFIG_COUNT=1",       "GIT_CONFIG_KEY_0=advice.addEmbeddedRepo",
		"GIT_CONFIG_VALUE_0=false", "LC_ALL=C",
	};
	autostrv struct strv argv = STRV_INIT, envp = STRV_INIT;
	struct strbuf out = STRBUF_INIT;
	struct error err = ERROR_INIT;
	autoclose int in = -1;
	int status = -1;

	strv_add(&argv, "git");
	for (; *args; args++)
		strv_add(&argv, *args);
	for (size_t i = 0; i < ARRAY_SIZE(env); i++)
		strv_add(&envp, env[i]);
	strv_addf(&envp, "GIT_DIR=%s", g->repo);
	strv_addf(&envp, "GIT_WORK_TREE=%s", g->work);
	if (input) {
		put_file(g->tmp->fd, "input", input);
		in = openat(g->tmp->fd, "input", O_RDONLY | O_CLOEXEC);
	}
	struct proc_spec spec = {.path = "git",
				 .argv = strv_argv(&argv),
				 .envp = strv_argv(&envp),
				 .in = in,
				 .out = -1,
				 .err = -1,
				 .cwd = g->work};
	if (proc_run(&spec, 20000, &status, &out, &err) == -1 || status != 0) {
		print_error("git %s: %s%s\n", argv.v[1], err.text, strbuf_str(&out));
		fail();
	}
	while (out.len && out.buf[out.len - 1] == '\n')
		out.buf[--out.len] = '\0';
	return strbuf_detach(&out);
}

#define GIT(g, ...) git_run((g), NULL, (const char *const[]){__VA_ARGS__, NULL})

static inline void git_quiet(char *output)
{
	free(output);
}

static inline void git_oid(char *output, char oid[OID_HEX])
{
	assert_int_equal(strlen(output), 40);
	memcpy(oid, output, OID_HEX);
	free(output);
}

static inline int git_setup(void **state)
{
	struct git_tmp *g = xcalloc(1, sizeof(*g));
	void *tmp = NULL;

	if (tmp_setup(&tmp) == -1)
		return -1;
	g->tmp = tmp;
	g->repo = xasprintf("%s/repo.git", g->tmp->path);
	g->work = xasprintf("%s/work", g->tmp->path);
	if (mkdirat(g->tmp->fd, "work", 0755) == -1)
		return -1;
	g->work_fd = openat(g->tmp->fd, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = g;
	git_quiet(GIT(g, "init", "--quiet", "--initial-branch=master"));
	git_quiet(GIT(g, "config", "core.bare", "false"));
	return 0;
}

static inline int git_teardown(void **state)
{
	struct git_tmp *g = *state;
	void *tmp = g->tmp;

	close(g->work_fd);
	free(g->repo);
	free(g->work);
	free(g);
	return tmp_teardown(&tmp);
}

#define GIT_TEST(f) cmocka_unit_test_setup_teardown(f, git_setup, git_teardown)

static inline void git_make_dirs(const struct git_tmp *g, const char *path)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		autofree char *dir = xstrndup(path, (size_t)(slash - path));

		mkdirat(g->work_fd, dir, 0755);
	}
}

static inline void git_put(const struct git_tmp *g, const char *path, const char *content)
{
	git_make_dirs(g, path);
	put_file(g->work_fd, path, content);
}

static inline void git_put_exec(const struct git_tmp *g, const char *path, const char *content)
{
	git_put(g, path, content);
	assert_int_equal(fchmodat(g->work_fd, path, 0755, 0), 0);
}

static inline void git_link(const struct git_tmp *g, const char *path, const char *target)
{
	git_make_dirs(g, path);
	unlinkat(g->work_fd, path, 0);
	assert_int_equal(symlinkat(target, g->work_fd, path), 0);
}

static inline void git_remove(const struct git_tmp *g, const char *path)
{
	int fd = openat(g->work_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd != -1)
		tmp_empty(fd);
	assert_int_equal(unlinkat(g->work_fd, path, fd != -1 ? AT_REMOVEDIR : 0), 0);
}

/* The tree of what is in the work tree. */
static inline void git_tree(const struct git_tmp *g, char oid[OID_HEX])
{
	git_quiet(GIT(g, "add", "--all", "--force", "."));
	git_oid(GIT(g, "write-tree"), oid);
}

static inline void git_blob(const struct git_tmp *g, const char *content, char oid[OID_HEX])
{
	git_oid(git_run(g, content, (const char *const[]){"hash-object", "-w", "--stdin", NULL}),
		oid);
}

/* oid := that tree with one more entry at its top, of any mode and name. */
static inline void git_add_raw(const struct git_tmp *g, char oid[OID_HEX], const char *mode_type,
			       const char *entry_oid, const char *name)
{
	autofree char *listing = GIT(g, "ls-tree", oid);
	autofree char *more = xasprintf("%s%s%s %s\t%s\n", listing, *listing ? "\n" : "", mode_type,
					entry_oid, name);

	git_oid(git_run(g, more, (const char *const[]){"mktree", "--missing", NULL}), oid);
}

/* A commit of what is in the work tree, on no branch; parent may be NULL. */
static inline void git_commit(const struct git_tmp *g, const char *parent, const char *subject,
			      char oid[OID_HEX])
{
	char tree[OID_HEX];

	git_tree(g, tree);
	if (parent)
		git_oid(GIT(g, "commit-tree", tree, "-p", parent, "-m", subject), oid);
	else
		git_oid(GIT(g, "commit-tree", tree, "-m", subject), oid);
}
