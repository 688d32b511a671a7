/* Objects and refs: what the hooks and the slots read out of a real repository. */
#include "tests/unit/store.h"

static int note(void *ctx, const char *path, const struct repo_entry *was,
		const struct repo_entry *now, struct error *err)
{
	static const char letters[] = "dfxlgb"; /* by enum repo_entry_kind */
	struct strbuf *s = ctx;

	(void)err;
	strbuf_addf(s, "%c%c %s\n", was ? letters[was->kind] : '-', now ? letters[now->kind] : '-',
		    path);
	return 0;
}

static void assert_diff(const struct store *s, const char *old, const char *new, const char *want)
{
	autofree char *a = old ? tree_of(s, old) : xstrdup(""),
		      *b = new ? tree_of(s, new) : xstrdup("");
	autostrbuf struct strbuf got = STRBUF_INIT;
	struct error err = ERROR_INIT;

	assert_ok(repo_diff(s->repo, a, b, note, &got, &err), err);
	assert_string_equal(strbuf_str(&got), want);
}

static void diff_reports_each_path_once_with_both_kinds(void **state)
{
	struct store *s = *state;

	work_file(s, "a", "file");
	work_file(s, "a.b", "x");
	work_file(s, "d/one", "1");
	work_file(s, "d/two", "2");
	work_file(s, "e", "e");
	work_commit(s);
	unlinkat(s->work_fd, "a", 0);
	work_file(s, "a/inside", "dir now"); /* sorts behind a.b */
	unlinkat(s->work_fd, "d/one", 0);
	unlinkat(s->work_fd, "d/two", 0);
	unlinkat(s->work_fd, "d", AT_REMOVEDIR);
	work_file(s, "d", "file now");
	assert_int_equal(fchmodat(s->work_fd, "e", 0755, 0), 0);
	work_link(s, "link", "e");
	work_commit(s);

	assert_diff(s, s->oid[0], s->oid[0], "");
	assert_diff(s, s->oid[0], s->oid[1],
		    "fd a\n-f a/inside\ndf d\nf- d/one\nf- d/two\nfx e\n-l link\n");
	assert_diff(s, s->oid[1], s->oid[0],
		    "df a\nf- a/inside\nfd d\n-f d/one\n-f d/two\nxf e\nl- link\n");
	assert_diff(s, NULL, s->oid[0], "-f a\n-f a.b\n-d d\n-f d/one\n-f d/two\n-f e\n");
	assert_diff(s, s->oid[0], NULL, "f- a\nf- a.b\nd- d\nf- d/one\nf- d/two\nf- e\n");
}

static void a_directory_that_only_differs_inside_is_not_reported(void **state)
{
	struct store *s = *state;

	work_file(s, "d/e/f", "1");
	work_file(s, "d/same/g", "1");
	work_commit(s);
	work_file(s, "d/e/f", "2");
	work_commit(s);
	assert_diff(s, s->oid[0], s->oid[1], "ff d/e/f\n");
}

static int stop(void *ctx, const char *path, const struct repo_entry *was,
		const struct repo_entry *now, struct error *err)
{
	(void)was;
	(void)now;
	++*(int *)ctx;
	return error_set(err, E_REFUSED, "stopped at %s", path);
}

static void diff_stops_where_the_callback_says_so(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	int calls = 0;

	work_file(s, "d/a", "1");
	work_file(s, "d/b", "1");
	work_commit(s);
	autofree char *tree = tree_of(s, s->oid[0]);
	assert_int_equal(repo_diff(s->repo, "", tree, stop, &calls, &err), -1);
	assert_int_equal(calls, 1);
	assert_string_equal(err.text, "stopped at d");
}

static void read_path(struct store *s, const char *path, const char *content, const char *found)
{
	autofree char *tree = tree_of(s, s->oid[s->n - 1]), *where = NULL;
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	assert_ok(repo_read_path(s->repo, tree, path, 1000, &text, &where, &err), err);
	assert_string_equal(strbuf_str(&text), content);
	assert_string_equal(where, found);
}

static void refuse_path(struct store *s, const char *path, enum error_code code)
{
	autofree char *tree = tree_of(s, s->oid[s->n - 1]);
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(repo_read_path(s->repo, tree, path, 1000, &text, NULL, &err), -1);
	assert_int_equal(err.code, code);
}

static void paths_follow_links_inside_the_tree(void **state)
{
	struct store *s = *state;

	work_file(s, "src/app/app.ini", "here");
	mkdirat(s->work_fd, "x", 0755);
	work_link(s, "app.ini", "src/app/app.ini");
	work_link(s, "x/src", "../src");
	work_link(s, "short", "x/src/app");
	work_link(s, "absolute", "/etc/passwd");
	work_link(s, "outside", "../outside");
	work_link(s, "behind", "x/src/../../etc");
	work_link(s, "loop", "loop");
	work_link(s, "dangling", "nowhere");
	work_commit(s);

	read_path(s, "app.ini", "here", "src/app/app.ini");
	read_path(s, "short/app.ini", "here", "src/app/app.ini");
	read_path(s, "./x//src/../src/app/app.ini", "here", "src/app/app.ini");
	refuse_path(s, "absolute", E_REFUSED);
	refuse_path(s, "outside", E_REFUSED);
	refuse_path(s, "behind", E_REFUSED); /* x/src is src, so it is ../etc */
	refuse_path(s, "loop", E_REFUSED);
	refuse_path(s, "/app.ini", E_REFUSED);
	refuse_path(s, "src", E_REFUSED);
	refuse_path(s, "dangling", E_NOTFOUND);
	refuse_path(s, "none", E_NOTFOUND);
	refuse_path(s, "src/app/app.ini/below", E_NOTFOUND);
}

static void refs_are_set_listed_and_deleted(void **state)
{
	struct store *s = *state;
	autostrv struct strv names = STRV_INIT, oids = STRV_INIT;
	struct error err = ERROR_INIT;
	char oid[OID_HEX];

	work_file(s, "a", "1");
	work_commit(s);
	work_file(s, "a", "2");
	work_commit(s);
	assert_int_equal(repo_resolve(s->repo, "HEAD", false, oid, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_ok(repo_set_ref(s->repo, "refs/heads/master", s->oid[0], NULL, "m", &err), err);
	assert_ok(repo_resolve(s->repo, "HEAD", false, oid, &err), err);
	assert_string_equal(oid, s->oid[0]);
	assert_int_equal(
		repo_set_ref(s->repo, "refs/heads/master", s->oid[0], s->oid[1], "m", &err), -1);
	assert_int_equal(err.code, E_BUSY);
	assert_ok(repo_set_ref(s->repo, "refs/heads/master", s->oid[1], s->oid[0], "m", &err), err);
	assert_ok(repo_list_refs(s->repo, "refs/keep/", &names, &oids, &err), err);
	assert_int_equal(names.n, 2);
	assert_string_equal(names.v[1], "refs/keep/1");
	assert_string_equal(oids.v[1], s->oid[1]);
	GIT(s, "apps/blog/repo.git", "pack-refs", "--all");
	assert_ok(repo_delete_ref(s->repo, "refs/keep/1", &err), err);
	assert_ok(repo_delete_ref(s->repo, "refs/keep/1", &err), err); /* absent is no error */
	assert_int_equal(repo_resolve(s->repo, "refs/keep/1", false, oid, &err), -1);
}

static void annotated_tags_are_peeled_where_asked(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	enum repo_type type;
	char oid[OID_HEX];

	work_file(s, "a", "1");
	work_commit(s);
	GIT(s, "work", "tag", "-a", "-m", "t", "v1");
	GIT(s, "work", "push", "-q", "../apps/blog/repo.git", "v1");
	assert_ok(repo_resolve(s->repo, "refs/tags/v1", false, oid, &err), err);
	assert_ok(repo_object_type(s->repo, oid, &type, &err), err);
	assert_int_equal(type, REPO_TAG);
	assert_ok(repo_resolve(s->repo, "refs/tags/v1", true, oid, &err), err);
	assert_string_equal(oid, s->oid[0]);
}

static void a_sha256_repository_is_refused(void **state)
{
	struct store *s = *state;
	autofree char *dir = xasprintf("%s/new.git", s->tmp->path);
	autorepo struct repo *repo = NULL;
	struct error err = ERROR_INIT;

	GIT(s, "work", "init", "-q", "--bare", "--object-format=sha256", "../new.git");
	assert_int_equal(repo_open(&repo, dir, false, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_non_null(strstr(err.text, "sha256"));
}

static void large_blobs_are_streamed_whole(void **state)
{
	struct store *s = *state;
	size_t len = (17 << 20) + 5;
	char *bytes = xmalloc(len), oid[OID_HEX], again[OID_HEX];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i * 7 + i / 4096);
	autoclose int fd = openat(s->work_fd, "big", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_ok(fs_write_all(fd, bytes, len, &err), err);
	work_commit(s);
	repo_hash(bytes, len, oid);
	free(bytes);
	autoclose int out = openat(s->work_fd, "copy", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_ok(repo_write_blob(s->repo, oid, out, &err), err);
	assert_ok(repo_hash_file(out, again, &err), err);
	assert_string_equal(oid, again);
}

static void pushed_objects_are_seen_in_quarantine_only(void **state)
{
	struct store *s = *state;
	autofree char *quarantine = xasprintf("%s/work/.git/objects", s->tmp->path);
	autorepo struct repo *inside = NULL, *outside = NULL;
	struct error err = ERROR_INIT;
	enum repo_type type;

	work_file(s, "a", "1");
	GIT(s, "work", "add", "-A");
	GIT(s, "work", "commit", "-q", "-m", "not pushed");
	autofree char *oid = git_in(s, "work", (const char *const[]){"rev-parse", "HEAD", NULL});
	setenv("GIT_QUARANTINE_PATH", quarantine, 1);
	assert_ok(repo_open(&inside, s->app.repo_path, true, &err), err);
	assert_ok(repo_open(&outside, s->app.repo_path, false, &err), err);
	unsetenv("GIT_QUARANTINE_PATH");
	assert_ok(repo_object_type(inside, oid, &type, &err), err);
	assert_int_equal(type, REPO_COMMIT);
	assert_int_equal(repo_object_type(outside, oid, &type, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(diff_reports_each_path_once_with_both_kinds),
		STORE_TEST(a_directory_that_only_differs_inside_is_not_reported),
		STORE_TEST(diff_stops_where_the_callback_says_so),
		STORE_TEST(paths_follow_links_inside_the_tree),
		STORE_TEST(refs_are_set_listed_and_deleted),
		STORE_TEST(annotated_tags_are_peeled_where_asked),
		STORE_TEST(a_sha256_repository_is_refused),
		STORE_TEST(large_blobs_are_streamed_whole),
		STORE_TEST(pushed_objects_are_seen_in_quarantine_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
