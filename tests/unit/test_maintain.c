/* maintain: packs become few, what a ref leads to stays, and nothing goes before its new pack is on
 * disk. About 8 s. */
#include "tests/unit/store.h"
#include "buildless/maintain.h"

#define PACKS "apps/blog/repo.git/objects/pack"

static int fsyncs_left = -1; /* then they fail; -1: never */
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	if (fsyncs_left == 0) {
		errno = EIO;
		return -1;
	}
	if (fsyncs_left > 0)
		fsyncs_left--;
	return __real_fsync(fd);
}

static size_t count(const struct store *s, const char *ending)
{
	autoclose int fd = openat(s->tmp->fd, PACKS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;
	size_t n = 0;

	assert_ok(fs_list(fd, &names, &err), err);
	for (size_t i = 0; i < names.n; i++)
		n += str_ends(names.v[i], ending);
	return n;
}

static void push_packs(struct store *s, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		autofree char *text = xasprintf("%u of %u", s->n, n);

		work_file(s, "file", text);
		work_commit(s);
	}
}

/* One pack a push, as on a node. */
static void as_a_node(struct store *s)
{
	GIT(s, "apps/blog/repo.git", "config", "receive.unpackLimit", "1");
	GIT(s, "apps/blog/repo.git", "config", "gc.auto", "0");
}

static void assert_all_there(struct store *s)
{
	GIT(s, "apps/blog/repo.git", "fsck", "--full", "--strict");
	for (unsigned i = 0; i < s->n; i++)
		GIT(s, "apps/blog/repo.git", "cat-file", "-e", s->oid[i]);
}

static void keep_packs(struct store *s)
{
	struct error err = ERROR_INIT;

	assert_ok(maintain(&s->app, &err), err);
}

static void few_packs_are_left_alone(void **state)
{
	struct store *s = *state;

	as_a_node(s);
	push_packs(s, MAINTAIN_PACKS);
	keep_packs(s);
	assert_int_equal(count(s, ".pack"), MAINTAIN_PACKS);
}

static void many_become_one(void **state)
{
	struct store *s = *state;

	as_a_node(s);
	push_packs(s, MAINTAIN_PACKS + 1);
	keep_packs(s);
	assert_int_equal(count(s, ".pack"), 1);
	assert_int_equal(count(s, ".idx"), 1);
	assert_all_there(s);
}

static void a_large_pack_is_not_written_again(void **state)
{
	struct store *s = *state;
	autofree char *large = xcalloc(1, 400001);
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = openat(s->tmp->fd, PACKS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;
	unsigned x = 1;

	as_a_node(s);
	for (size_t i = 0; i < 400000; i++) /* that does not compress */
		large[i] = (char)('0' + (x = x * 1103515245 + 12345) / 65536 % 64);
	work_file(s, "large", large);
	work_commit(s);
	assert_ok(fs_list(fd, &names, &err), err);
	push_packs(s, MAINTAIN_PACKS);
	keep_packs(s);
	assert_int_equal(count(s, ".pack"), 2);
	for (size_t i = 0; i < names.n; i++)
		assert_true(fs_exists(fd, names.v[i]));
	assert_all_there(s);
}

/* A commit that nothing leads to any more, and all packs that are to become one. */
static void forget_first(struct store *s)
{
	as_a_node(s);
	push_packs(s, 1);
	GIT(s, "work", "checkout", "-q", "--orphan", "other");
	push_packs(s, MAINTAIN_PACKS);
	GIT(s, "apps/blog/repo.git", "update-ref", "-d", "refs/keep/0");
}

static bool has_object(const struct store *s, const char *oid)
{
	autofree char *batch = git_in(
		s, "apps/blog/repo.git",
		(const char *const[]){"cat-file", "--batch-all-objects", "--batch-check", NULL});

	return strstr(batch, oid);
}

static void what_no_ref_leads_to_goes(void **state)
{
	struct store *s = *state;

	forget_first(s);
	keep_packs(s);
	assert_int_equal(count(s, ".pack"), 1);
	assert_false(has_object(s, s->oid[0]));
	assert_true(has_object(s, s->oid[1]));
	GIT(s, "apps/blog/repo.git", "fsck", "--full", "--strict");
}

static void nothing_goes_while_a_push_receives(void **state)
{
	struct store *s = *state;

	forget_first(s);
	assert_int_equal(
		mkdirat(s->tmp->fd, "apps/blog/repo.git/objects/tmp_objdir-incoming-x", 0700), 0);
	keep_packs(s);
	assert_int_equal(count(s, ".pack"), 1);
	assert_true(has_object(s, s->oid[0]));
}

/* git's own syncs are another program's; ours is the directory's, before the first removal. */
static void no_pack_goes_before_the_new_one_is_on_disk(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	as_a_node(s);
	push_packs(s, MAINTAIN_PACKS + 1);
	fsyncs_left = 0;
	assert_int_equal(maintain(&s->app, &err), -1);
	fsyncs_left = -1;
	assert_int_equal(count(s, ".pack"), MAINTAIN_PACKS + 2);
	assert_all_there(s);
	keep_packs(s); /* and it is done the next time */
	assert_int_equal(count(s, ".pack"), 1);
	assert_all_there(s);
}

static void what_killed_gits_left_goes(void **state)
{
	struct store *s = *state;
	autoclose int fd = openat(s->tmp->fd, PACKS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	as_a_node(s);
	push_packs(s, 1);
	put_file(fd, "tmp_pack_abc", "half");
	put_file(fd, ".tmp-12-pack-x.pack", "half");
	put_file(fd, "tmp_gone-pack-1.idx", "old");
	put_file(fd, "pack-1.pack", "old");
	put_file(fd, "pack-1.rev", "old");
	put_file(fd, "pack-2.keep", "receive-pack 12 on host\n");
	put_file(fd, "pack-1.keep", ""); /* by a power cut */
	put_file(fd, "pack-3.keep", "mine");
	put_file(fd, "pack-3.pack", "mine");
	put_file(fd, "pack-3.idx", "mine");
	keep_packs(s);
	assert_int_equal(count(s, ".pack"), 2);
	assert_int_equal(count(s, ".rev"), 0);
	assert_int_equal(count(s, ".idx"), 2);
	assert_int_equal(count(s, ".keep"), 1);
	assert_false(there(fd, "tmp_pack_abc"));
	assert_false(there(fd, ".tmp-12-pack-x.pack"));
}

/* Trees that a stopped spare slot left, and what a ref names, loose too. */
static void old_loose_objects_that_no_ref_leads_to_go(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	autofree char *kept = NULL, *young = NULL;

	work_file(s, "file", "loose");
	kept = xstrdup(work_commit(s)); /* three objects, by git's own unpackLimit */
	for (unsigned i = 0; i < MAINTAIN_LOOSE + 10; i++) {
		autofree char *text = xasprintf("%u\n", i), *object = NULL, *path = NULL;
		const struct timespec old[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};

		put_file(s->tmp->fd, "stray", text);
		object = git_in(s, "apps/blog/repo.git",
				(const char *const[]){"hash-object", "-w", "../../../stray", NULL});
		path = xasprintf("apps/blog/repo.git/objects/%.2s/%s", object, object + 2);
		if (i > 0)
			assert_int_equal(utimensat(s->tmp->fd, path, old, 0), 0);
		else
			young = xstrdup(object);
	}
	assert_ok(maintain(&s->app, &err), err);
	autofree char *left =
		git_in(s, "apps/blog/repo.git", (const char *const[]){"count-objects", NULL});
	assert_int_equal(strncmp(left, "4 objects", 9), 0);
	GIT(s, "apps/blog/repo.git", "cat-file", "-e", young);
	GIT(s, "apps/blog/repo.git", "cat-file", "-e", kept);
	assert_all_there(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(few_packs_are_left_alone),
		STORE_TEST(many_become_one),
		STORE_TEST(a_large_pack_is_not_written_again),
		STORE_TEST(what_no_ref_leads_to_goes),
		STORE_TEST(nothing_goes_while_a_push_receives),
		STORE_TEST(no_pack_goes_before_the_new_one_is_on_disk),
		STORE_TEST(what_killed_gits_left_goes),
		STORE_TEST(old_loose_objects_that_no_ref_leads_to_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
