/* verify: what differs from the commit is named, by kind and path. */
#include "tests/unit/store.h"
#include "buildless/verify.h"

static void note(void *ctx, const char *kind, const char *path)
{
	strv_addf(ctx, "%s %s", kind, path);
}

/* The commit in slot 0, and a release that says so. */
static struct release_info lay_out(struct store *s)
{
	struct release_info r = {.number = 1, .slot = 0};
	struct error err = ERROR_INIT;
	struct slot_work work;

	work_file(s, "a", "content");
	work_file(s, "d/b", "content");
	work_file(s, "d/e/c", "content");
	work_file(s, "d/tool", "content");
	assert_int_equal(fchmodat(s->work_fd, "d/tool", 0755, 0), 0);
	work_link(s, "link", "d/b");
	autofree char *tree = tree_of(s, work_commit(s));
	memcpy(r.tree, tree, OID_HEX);
	assert_ok(slot_layout(&s->app, s->repo, 0, tree, NULL, &work, &err), err);
	return r;
}

static void assert_findings(struct store *s, const struct release_info *r, const char *const *want,
			    size_t n)
{
	autostrv struct strv got = STRV_INIT;
	struct error err = ERROR_INIT;
	uint64_t files;

	assert_ok(verify_release(&s->app, s->repo, r, note, &got, &files, &err), err);
	strv_sort(&got);
	for (size_t i = 0; i < got.n; i++)
		assert_string_equal(got.v[i], i < n ? want[i] : "");
	assert_int_equal(got.n, n);
}

static void an_untouched_slot_is_what_its_commit_says(void **state)
{
	struct store *s = *state;
	struct release_info r = lay_out(s);
	autostrv struct strv got = STRV_INIT;
	struct error err = ERROR_INIT;
	uint64_t files;

	assert_ok(verify_release(&s->app, s->repo, &r, note, &got, &files, &err), err);
	assert_int_equal(got.n, 0);
	assert_int_equal(files, 5);
}

static void every_kind_of_change_is_named(void **state)
{
	static const char *const want[] = {
		"changed d/b",   "extra d/e/new", "extra d/e/newdir", "link link",
		"missing d/e/c", "mode d/tool",   "type a",
	};
	struct store *s = *state;
	struct release_info r = lay_out(s);
	autoclose int slot = openat(s->app.fd, "slots/0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	put_file(slot, "d/b", "conteNt"); /* one flipped bit */
	put_file(slot, "d/e/new", "");
	mkdirat(slot, "d/e/newdir", 0755);
	unlinkat(slot, "link", 0);
	assert_int_equal(symlinkat("d/c", slot, "link"), 0);
	unlinkat(slot, "d/e/c", 0);
	assert_int_equal(fchmodat(slot, "d/tool", 04755, 0), 0);
	unlinkat(slot, "a", 0);
	assert_int_equal(mkfifoat(slot, "a", 0644), 0); /* nobody waits for a writer */
	assert_findings(s, &r, want, ARRAY_SIZE(want));
}

static void a_directory_that_became_a_link_is_not_entered(void **state)
{
	static const char *const want[] = {"type d"};
	struct store *s = *state;
	struct release_info r = lay_out(s);
	struct error err = ERROR_INIT;
	autoclose int slot = openat(s->app.fd, "slots/0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_ok(fs_remove_tree(slot, "d", &err), err);
	assert_int_equal(symlinkat("/", slot, "d"), 0);
	assert_findings(s, &r, want, ARRAY_SIZE(want));
}

static void a_slot_that_is_gone_is_an_error(void **state)
{
	struct store *s = *state;
	struct release_info r = lay_out(s);
	autostrv struct strv got = STRV_INIT;
	struct error err = ERROR_INIT;
	uint64_t files;

	r.slot = 7;
	assert_int_equal(verify_release(&s->app, s->repo, &r, note, &got, &files, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
}

/* More than the threads take at once, and than wait for them. */
static void much_is_compared_and_told_in_order(void **state)
{
	struct store *s = *state;
	struct release_info r = {.number = 1, .slot = 0};
	autostrv struct strv got = STRV_INIT;
	struct error err = ERROR_INIT;
	struct slot_work work;
	uint64_t files;

	for (unsigned i = 0; i < 1600; i++) {
		autofree char *path = xasprintf("d%02u/e/f%04u", i / 20, i);

		work_file(s, path, path);
	}
	autofree char *tree = tree_of(s, work_commit(s));
	memcpy(r.tree, tree, OID_HEX);
	assert_ok(slot_layout(&s->app, s->repo, 0, tree, NULL, &work, &err), err);
	autoclose int slot = openat(s->app.fd, "slots/0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 5; i < 1600; i += 20) {
		autofree char *path = xasprintf("d%02u/e/f%04u", i / 20, i);

		put_file(slot, path, "x");
	}
	assert_ok(verify_release(&s->app, s->repo, &r, note, &got, &files, &err), err);
	assert_int_equal(files, 1600);
	assert_int_equal(got.n, 80);
	for (unsigned i = 0; i < 80; i++) {
		autofree char *want = xasprintf("changed d%02u/e/f%04u", i, i * 20 + 5);

		assert_string_equal(got.v[i], want);
	}
}

static void large_files_are_compared_piece_by_piece(void **state)
{
	static const size_t sizes[] = {(256 << 10) - 1, 256 << 10, (256 << 10) + 1, 3 << 20};
	static const char *const names[] = {"a", "b", "c", "d"};
	struct store *s = *state;
	struct release_info r = {.number = 1, .slot = 0};
	struct error err = ERROR_INIT;
	struct slot_work work;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		autofree char *text = xcalloc(1, sizes[i] + 1);

		memset(text, 'a', sizes[i]);
		work_file(s, names[i], text);
	}
	autofree char *tree = tree_of(s, work_commit(s));
	memcpy(r.tree, tree, OID_HEX);
	assert_ok(slot_layout(&s->app, s->repo, 0, tree, NULL, &work, &err), err);
	assert_findings(s, &r, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		autofree char *path = xasprintf("slots/0/%s", names[i]);
		autoclose int fd = openat(s->app.fd, path, O_WRONLY | O_CLOEXEC);

		assert_int_equal(pwrite(fd, "b", 1, (off_t)sizes[i] - 1), 1);
	}
	assert_findings(s, &r,
			(const char *const[]){"changed a", "changed b", "changed c", "changed d"},
			4);
}

/* The slot has another text than the commit, and only that one. */
static void a_relocated_file_is_compared_with_what_it_became(void **state)
{
	static const char *const want[] = {"changed lib/python/x.pth"};
	struct store *s = *state;
	struct release_info r;
	autoclose int slot = -1;

	work_file(s, "lib/python/x.pth", "/home/ian/site/d\n");
	r = lay_out(s);
	assert_findings(s, &r, NULL, 0);
	slot = openat(s->app.fd, "slots/0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_content(slot, "lib/python/x.pth", "../../d\n");
	put_file(slot, "lib/python/x.pth", "/home/ian/site/d\n");
	assert_findings(s, &r, want, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(an_untouched_slot_is_what_its_commit_says),
		STORE_TEST(every_kind_of_change_is_named),
		STORE_TEST(a_directory_that_became_a_link_is_not_entered),
		STORE_TEST(a_slot_that_is_gone_is_an_error),
		STORE_TEST(much_is_compared_and_told_in_order),
		STORE_TEST(large_files_are_compared_piece_by_piece),
		STORE_TEST(a_relocated_file_is_compared_with_what_it_became),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
