/* Slots: a tree arrives exactly, by the difference alone, and a stop at any point is known. */
#include "tests/unit/store.h"
#include <signal.h>
#include <sys/time.h>

/* Where it does not matter which: no slot is nearer to it than another. */
static const char any_tree[] = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

static void lay_out(struct store *s, unsigned slot, const char *commit, const struct slot *live,
		    struct slot_work *work)
{
	autofree char *tree = tree_of(s, commit);
	struct error err = ERROR_INIT;

	assert_ok(slot_layout(&s->app, s->repo, slot, tree, live, work, &err), err);
}

/* The slot holds the commit: by git's own hashing of its files, and by its record. */
static void assert_holds(const struct store *s, unsigned number, const char *commit, uint64_t files)
{
	autofree char *want = tree_of(s, commit), *got = tree_on_disk(s, number);
	struct error err = ERROR_INIT;
	struct slot slot;

	assert_string_equal(got, want);
	assert_ok(slot_read(&s->app, number, &slot, &err), err);
	assert_string_equal(slot.tree, want);
	assert_int_equal(slot.files, files);
}

static ino_t inode(const struct store *s, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(s->app.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_ino;
}

static mode_t mode(const struct store *s, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(s->app.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode;
}

static void a_tree_arrives_exactly(void **state)
{
	struct store *s = *state;
	struct slot_work work;

	work_file(s, "index.html", "hello");
	work_file(s, "empty", "");
	work_file(s, "bin/tool", "#!/bin/sh\n");
	assert_int_equal(fchmodat(s->work_fd, "bin/tool", 0755, 0), 0);
	work_file(s, "deep/er/and/deeper/x", "x");
	work_file(s, "name with \xff byte", "y");
	work_link(s, "link", "deep/er");
	work_link(s, "deep/up", "../index.html");
	work_link(s, "bin/python", "/usr/bin/python3.11");
	umask(077); /* modes are ours to say */
	lay_out(s, 0, work_commit(s), NULL, &work);
	umask(022);
	assert_int_equal(work.files, 8);
	assert_int_equal(work.written, 8);
	assert_holds(s, 0, s->oid[0], 8);
	assert_int_equal(mode(s, "slots/0/bin/tool"), S_IFREG | 0755);
	assert_int_equal(mode(s, "slots/0/index.html"), S_IFREG | 0644);
	assert_int_equal(mode(s, "slots/0/deep"), S_IFDIR | 0755);
	assert_int_equal(mode(s, "slots/0"), S_IFDIR | 0755);
}

static void only_the_difference_is_touched(void **state)
{
	struct store *s = *state;
	struct slot_work work;

	work_file(s, "same", "same");
	work_file(s, "d/same", "same");
	work_file(s, "d/changes", "1");
	work_file(s, "goes", "1");
	lay_out(s, 0, work_commit(s), NULL, &work);
	ino_t same = inode(s, "slots/0/d/same");

	work_file(s, "d/changes", "2");
	unlinkat(s->work_fd, "goes", 0);
	work_file(s, "comes", "1");
	lay_out(s, 0, work_commit(s), NULL, &work);
	assert_int_equal(work.written, 2);
	assert_int_equal(work.removed, 2);
	assert_holds(s, 0, s->oid[1], 4);
	assert_int_equal(inode(s, "slots/0/d/same"), same);

	lay_out(s, 0, s->oid[1], NULL, &work); /* it holds that already */
	assert_int_equal(work.written, 0);
	assert_int_equal(work.files, 4);
}

static void files_directories_and_links_change_into_each_other(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work;

	work_file(s, "a", "file");
	work_file(s, "a.b", "between");
	work_file(s, "b/x/1", "1");
	work_file(s, "b/x/2", "2");
	work_link(s, "c", "a");
	work_file(s, "e", "e");
	work_commit(s);
	unlinkat(s->work_fd, "a", 0);
	work_file(s, "a/now/dir", "d");
	assert_ok(fs_remove_tree(s->work_fd, "b", &err), err);
	work_file(s, "b", "file");
	unlinkat(s->work_fd, "c", 0);
	work_file(s, "c/in", "d");
	work_link(s, "e", "b");
	work_commit(s);
	assert_ok(fs_remove_tree(s->work_fd, "a", &err), err);
	work_link(s, "a", "b");
	work_commit(s);

	static const unsigned order[] = {0, 1, 0, 2, 1, 2, 0};
	static const uint64_t files[] = {6, 5, 5};
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		lay_out(s, 0, s->oid[order[i]], NULL, &work);
		assert_holds(s, 0, s->oid[order[i]], files[order[i]]);
	}
}

static void a_link_is_never_written_through(void **state)
{
	struct store *s = *state;
	struct slot_work work;

	mkdirat(s->tmp->fd, "outside", 0755);
	put_file(s->tmp->fd, "outside/file", "untouched");
	work_file(s, "d/file", "1");
	lay_out(s, 0, work_commit(s), NULL, &work);
	/* somebody replaced the directory by a link out of the slot */
	autoclose int slot = openat(s->app.fd, "slots/0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unlinkat(slot, "d/file", 0);
	unlinkat(slot, "d", AT_REMOVEDIR);
	assert_int_equal(symlinkat("../../../../outside", slot, "d"), 0);
	work_file(s, "d/file", "2");
	lay_out(s, 0, work_commit(s), NULL, &work); /* notices, and makes all of it anew */
	assert_holds(s, 0, s->oid[1], 1);
	assert_content(s->tmp->fd, "outside/file", "untouched");
}

static void unchanged_blobs_are_linked_from_the_live_slot(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work;
	struct slot live;

	work_file(s, "same", "same");
	work_file(s, "d/same", "same");
	work_file(s, "d/mode", "m");
	work_file(s, "d/changes", "1");
	lay_out(s, 0, work_commit(s), NULL, &work);
	assert_ok(slot_read(&s->app, 0, &live, &err), err);
	work_file(s, "d/changes", "2");
	assert_int_equal(fchmodat(s->work_fd, "d/mode", 0755, 0), 0);
	lay_out(s, 1, work_commit(s), &live, &work);
	assert_int_equal(work.linked, 2);
	assert_int_equal(work.written, 2);
	assert_int_equal(inode(s, "slots/1/d/same"), inode(s, "slots/0/d/same"));
	assert_int_not_equal(inode(s, "slots/1/d/mode"), inode(s, "slots/0/d/mode"));
	assert_holds(s, 1, s->oid[1], 4);
	/* what changes in one slot leaves the other's shared file alone */
	work_file(s, "same", "other");
	lay_out(s, 1, work_commit(s), &live, &work);
	assert_holds(s, 0, s->oid[0], 4);
	assert_holds(s, 1, s->oid[2], 4);
}

static void a_dirty_slot_is_made_anew_and_its_content_moved_aside(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work;

	work_file(s, "a", "1");
	lay_out(s, 0, work_commit(s), NULL, &work);
	assert_ok(slot_forget(&s->app, 0, &err), err);
	put_file(s->app.fd, "slots/0/half-written", "?");
	lay_out(s, 0, s->oid[0], NULL, &work);
	assert_holds(s, 0, s->oid[0], 1);
	assert_false(there(s->app.fd, "slots/0/half-written"));
	assert_ok(slot_empty_trash(&s->app, &err), err);
	autostrv struct strv names = STRV_INIT;
	autoclose int slots = openat(s->app.fd, "slots", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(fs_list(slots, &names, &err), err);
	assert_int_equal(names.n, 3); /* 0, 0.ini and index */
}

static void a_slot_whose_old_tree_left_the_repository_is_made_anew(void **state)
{
	struct store *s = *state;
	struct slot_work work;

	work_file(s, "d/a", "1");
	lay_out(s, 0, work_commit(s), NULL, &work);
	autofree char *tree = tree_of(s, s->oid[0]);
	work_file(s, "d/a", "2");
	work_commit(s);
	/* one that libgit2 has not seen: its cache would hide the loss */
	autorepo struct repo *fresh = NULL;
	struct error err = ERROR_INIT;
	autofree char *object = xasprintf("repo.git/objects/%.2s/%s", tree, tree + 2);
	assert_int_equal(unlinkat(s->app.fd, object, 0), 0);
	assert_ok(repo_open(&fresh, s->app.repo_path, false, &err), err);
	autofree char *new = tree_of(s, s->oid[1]);
	assert_ok(slot_layout(&s->app, fresh, 0, new, NULL, &work, &err), err);
	assert_holds(s, 0, s->oid[1], 1);
}

static void refuse_tree(struct store *s, const char *tree, const char *text)
{
	struct error err = ERROR_INIT;
	struct slot_work work;

	assert_int_equal(slot_layout(&s->app, s->repo, 0, tree, NULL, &work, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
	assert_false(there(s->app.fd, "slots/0.ini"));
}

/* A tree of one entry that git's own tools would not make: written as an object, byte by byte. */
static char *raw_tree(struct store *s, const char *mode_and_name, const char *oid_hex)
{
	autostrbuf struct strbuf raw = STRBUF_INIT;
	autofree char *name = xasprintf("work/raw");

	strbuf_add(&raw, mode_and_name, strlen(mode_and_name) + 1);
	for (size_t i = 0; i < 20; i++) {
		const char digits[] = {oid_hex[2 * i], oid_hex[2 * i + 1], '\0'};

		strbuf_addch(&raw, (char)strtol(digits, NULL, 16));
	}
	autoclose int fd = openat(s->tmp->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct error err = ERROR_INIT;
	assert_ok(fs_write_all(fd, raw.buf, raw.len, &err), err);
	return git_in(s, "apps/blog/repo.git",
		      (const char *const[]){"hash-object", "-t", "tree", "-w", "--literally",
					    "../../../work/raw", NULL});
}

static void what_no_slot_may_hold_is_refused_by_name(void **state)
{
	struct store *s = *state;
	char blob[OID_HEX], passwd[OID_HEX];

	work_file(s, "blob", "x");
	work_link(s, "passwd", "/etc/passwd");
	autofree char *with_link = tree_of(s, work_commit(s));
	repo_hash("x", 1, blob);
	repo_hash("/etc/passwd", 11, passwd);

	refuse_tree(s, with_link, "'passwd' is a link that leads out of the tree");
	static const char *const bad[][2] = {
		{"100644 ..", "'..' is a name"},     {"100644 .", "'.' is a name"},
		{"100644 .GiT", "'.GiT' is a name"}, {"100644 a/../../x", "is a name"},
		{"100644 /etc/x", "is a name"},      {"104755 setuid", "'setuid' has a mode"},
		{"100664 old", "'old' has a mode"},  {"160000 sub", "'sub' is a submodule"},
		{"120000 up", "'up' is a link"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *oid = i == ARRAY_SIZE(bad) - 1 ? passwd : blob;
		autofree char *tree = raw_tree(s, bad[i][0], oid);

		refuse_tree(s, tree, bad[i][1]);
	}
	assert_false(there(s->tmp->fd, "apps/x"));
}

static void links_stay_in_the_slot(void **state)
{
	static const char *const bad[] = {"..",
					  "../..",
					  "a/../../b",
					  "./../x",
					  "/",
					  "/usr/bin/python3-config",
					  "/usr/bin/python3/../../x",
					  "../../../../etc/passwd"};
	struct store *s = *state;
	struct slot_work work;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		work_link(s, "link", bad[i]);
		autofree char *tree = tree_of(s, work_commit(s));

		refuse_tree(s, tree, "'link' is a link that leads out of the tree");
	}
	unlinkat(s->work_fd, "link", 0);
	work_file(s, "d/e/f", "1");
	work_link(s, "d/e/up", "../../d");
	work_link(s, "d/e/root", "../..");
	work_link(s, "py", "/usr/bin/python3");
	lay_out(s, 0, work_commit(s), NULL, &work);
	assert_int_equal(work.files, 4);
}

static void many_files_are_laid_out_and_synced_at_once(void **state)
{
	struct store *s = *state;
	struct slot_work work;

	for (int i = 0; i < 300; i++) {
		autofree char *path = xasprintf("d%d/f%d", i % 40, i);

		work_file(s, path, path);
	}
	lay_out(s, 0, work_commit(s), NULL, &work);
	assert_int_equal(work.files, 300);
	assert_holds(s, 0, s->oid[0], 300);
}

static void the_chosen_slot_is_free_clean_and_the_last_used(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work;
	unsigned number;
	bool new;

	assert_ok(slot_choose(&s->app, s->repo, any_tree, &number, &new, &err), err);
	assert_true(new);
	assert_int_equal(number, 0);
	work_file(s, "a", "1");
	work_commit(s);
	lay_out(s, 0, s->oid[0], NULL, &work);
	lay_out(s, 3, s->oid[0], NULL, &work);
	mkdirat(s->app.fd, "slots/5", 0755); /* dirty */
	mkdirat(s->app.fd, "slots/foreign", 0755);
	usleep(20000);
	lay_out(s, 4, s->oid[0], NULL, &work);
	assert_ok(slot_choose(&s->app, s->repo, any_tree, &number, &new, &err), err);
	assert_false(new);
	assert_int_equal(number, 4);
	for (unsigned i = 0; i < 6; i++) { /* releases take them, one by one; 1 and 2 are gone */
		autofree char *dir = xasprintf("releases/%u", i + 1),
			      *record = xasprintf("%s/record.ini", dir),
			      *link = xasprintf("%s/app", dir),
			      *to = xasprintf("../../slots/%u", i);

		assert_int_equal(mkdirat(s->app.fd, dir, 0755), 0);
		put_file(s->app.fd, record, "");
		assert_int_equal(symlinkat(to, s->app.fd, link), 0);
		assert_ok(slot_choose(&s->app, s->repo, any_tree, &number, &new, &err), err);
		assert_int_equal(new, i == 5);
		assert_int_equal(number, i < 4 ? 4 : i == 4 ? 5 : 6);
	}
}

static void deep_trees_arrive_and_too_deep_ones_are_refused(void **state)
{
	struct store *s = *state;
	autostrbuf struct strbuf path = STRBUF_INIT;
	struct slot_work work;
	char oid[OID_HEX], *tree, *up;

	for (int i = 0; i < 400; i++)
		strbuf_addstr(&path, "d/");
	strbuf_addstr(&path, "f");
	work_file(s, path.buf, "deep");
	lay_out(s, 0, work_commit(s), NULL, &work);
	assert_holds(s, 0, s->oid[0], 1);
	lay_out(s, 1, s->oid[0], NULL, &work);

	repo_hash("deep", 4, oid);
	tree = raw_tree(s, "100644 f", oid);
	for (int i = 0; i < REPO_DEPTH_MAX + 1; i++) {
		up = raw_tree(s, "40000 d", tree);
		free(tree);
		tree = up;
	}
	refuse_tree(s, tree, "nested too deep");
	free(tree);
}

static time_t modified(const struct store *s, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(s->app.fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mtim.tv_sec;
}

/* Python would run the byte code of the version before. */
static void versions_within_one_second_have_different_times(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work;
	struct slot live;

	work_file(s, "app.py", "version = 1");
	lay_out(s, 0, work_commit(s), NULL, &work);
	time_t first = modified(s, "slots/0/app.py");

	work_file(s, "app.py", "version = 2");
	lay_out(s, 1, work_commit(s), NULL, &work);
	time_t second = modified(s, "slots/1/app.py");

	assert_int_not_equal(first, second);
	assert_ok(slot_read(&s->app, 1, &live, &err), err);
	lay_out(s, 0, s->oid[1], &live, &work);
	assert_int_equal(work.linked, 1);
	assert_int_equal(modified(s, "slots/0/app.py"), second);
	lay_out(s, 1, s->oid[0], NULL, &work);
	assert_int_not_equal(modified(s, "slots/1/app.py"), first);
	assert_int_not_equal(modified(s, "slots/1/app.py"), second);
}

static unsigned chosen(struct store *s, const char *commit)
{
	autofree char *tree = tree_of(s, commit);
	struct error err = ERROR_INIT;
	unsigned number;
	bool new;

	assert_ok(slot_choose(&s->app, s->repo, tree, &number, &new, &err), err);
	assert_false(new);
	return number;
}

static void reindex(struct store *s)
{
	struct error err = ERROR_INIT;

	assert_ok(slot_reindex(&s->app, &err), err);
}

static void the_free_slot_with_the_nearest_tree_is_chosen(void **state)
{
	struct store *s = *state;
	struct slot_work work;

	for (int i = 0; i < 20; i++) {
		autofree char *path = xasprintf("d%d/f", i);

		work_file(s, path, "old");
	}
	work_commit(s);
	for (int i = 0; i < 20; i++) {
		autofree char *path = xasprintf("d%d/f", i);

		work_file(s, path, "new");
	}
	work_commit(s);
	lay_out(s, 0, s->oid[0], NULL, &work);
	lay_out(s, 1, s->oid[1], NULL, &work);
	usleep(20000);
	lay_out(s, 2, s->oid[0], NULL, &work);
	work_file(s, "d3/f", "newer");
	work_commit(s);
	reindex(s);
	assert_int_equal(chosen(s, s->oid[2]), 1); /* though 2 was used last */
	assert_int_equal(chosen(s, s->oid[1]), 1);
	assert_int_equal(chosen(s, s->oid[0]), 2); /* as 0, but used last */
	lay_out(s, 1, s->oid[2], NULL, &work);
	assert_int_equal(work.written, 1);
	assert_holds(s, 1, s->oid[2], 20);
}

static void lead_to_slot(struct store *s, unsigned release, unsigned slot)
{
	autofree char *dir = xasprintf("releases/%u", release),
		      *record = xasprintf("%s/record.ini", dir), *link = xasprintf("%s/app", dir),
		      *to = xasprintf("../../slots/%u", slot);

	assert_int_equal(mkdirat(s->app.fd, dir, 0755), 0);
	put_file(s->app.fd, record, "");
	assert_int_equal(symlinkat(to, s->app.fd, link), 0);
}

/* Whoever chooses next must not be offered what is about to be a release's. */
static void a_slot_that_was_taken_is_not_offered_again(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work;

	work_file(s, "a", "1");
	work_commit(s);
	lay_out(s, 0, s->oid[0], NULL, &work);
	lay_out(s, 1, s->oid[0], NULL, &work);
	reindex(s);
	lay_out(s, 0, s->oid[0], NULL, &work); /* nothing is to be done, and yet it is taken */
	lead_to_slot(s, 1, 0);
	assert_int_equal(chosen(s, s->oid[0]), 1);
	work_file(s, "a", "2");
	work_commit(s);
	lay_out(s, 1, s->oid[1], NULL, &work);
	lead_to_slot(s, 2, 1);
	autofree char *text = NULL;
	assert_ok(fs_read_link(s->app.fd, "slots/index", &text, &err), err);
	assert_null(strchr(text, ' ')); /* none is free */
}

static void an_index_that_is_wrong_or_gone_does_no_harm(void **state)
{
	static const char *const wrong[] = {"",     "x",    "1 2 3x",
					    "5  1", "-1 1", "1 1 1 1 1 1 1 1 1 1"};
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work;

	work_file(s, "a", "1");
	work_commit(s);
	lay_out(s, 0, s->oid[0], NULL, &work);
	lay_out(s, 1, s->oid[0], NULL, &work);
	lead_to_slot(s, 1, 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(unlinkat(s->app.fd, "slots/index", 0), 0);
		if (*wrong[i])
			assert_int_equal(symlinkat(wrong[i], s->app.fd, "slots/index"), 0);
		assert_int_equal(chosen(s, s->oid[0]), 1);
		reindex(s);
	}
	/* a copy of the state directory, made while a push took slot 0 */
	assert_ok(fs_replace_link_nosync(s->app.fd, "current", "releases/1", &err), err);
	autoclose int slots = openat(s->app.fd, "slots", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(fs_replace_link(slots, "index", "1 0 1", &err), err);
	assert_int_equal(chosen(s, s->oid[0]), 1);
}

static void a_directory_that_goes_takes_along_what_somebody_put_there(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work;

	work_file(s, "stays", "1");
	work_file(s, "goes/a/b/c", "1");
	work_file(s, "goes/\xff\xfe \n", "1");
	work_file(s, "goes/x", "1");
	work_link(s, "goes/a/link", "../x");
	lay_out(s, 0, work_commit(s), NULL, &work);
	put_file(s->app.fd, "slots/0/goes/a/b/foreign", "?");
	assert_int_equal(mkdirat(s->app.fd, "slots/0/goes/a/empty", 0755), 0);
	assert_ok(fs_remove_tree(s->work_fd, "goes", &err), err);
	lay_out(s, 0, work_commit(s), NULL, &work);
	assert_int_equal(work.removed, 4);
	assert_false(there(s->app.fd, "slots/0/goes"));
	assert_holds(s, 0, s->oid[1], 1);
	lay_out(s, 0, s->oid[0], NULL, &work); /* and by names alone */
	lay_out(s, 0, s->oid[1], NULL, &work);
	assert_int_equal(work.removed, 4);
	assert_holds(s, 0, s->oid[1], 1);
}

static volatile sig_atomic_t stop;

static void stop_now(int signal_number)
{
	(void)signal_number;
	stop = 1;
}

static void stop_after_us(long us)
{
	const struct itimerval it = {.it_value = {.tv_usec = us}};

	stop = us == 0;
	assert_int_equal(setitimer(ITIMER_REAL, &it, NULL), 0);
}

/* What a stopped slot says it holds is what it holds. */
static void assert_record_is_true(struct store *s, unsigned number)
{
	autofree char *got = tree_on_disk(s, number);
	struct error err = ERROR_INIT;
	uint64_t files;
	struct slot slot;

	assert_ok(slot_read(&s->app, number, &slot, &err), err);
	assert_string_equal(slot.tree, got);
	assert_ok(repo_count_changed(s->repo, "", slot.tree, &files, &err), err);
	assert_int_equal(slot.files, files);
}

static void fill_work(struct store *s, const char *content)
{
	for (int i = 0; i < 900; i++) {
		autofree char *path = xasprintf("a%d/b%d/c%d", i % 9, i % 90, i);

		work_file(s, path, content);
	}
}

static void a_spare_that_was_stopped_says_what_it_holds_and_goes_on(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work = {0};
	unsigned stopped = 0;
	struct slot live;
	int r;

	work_file(s, "other/dir/x", "1");
	work_file(s, "z", "1");
	work_file(s, "a3", "a file, then a directory");
	work_commit(s);
	assert_int_equal(unlinkat(s->work_fd, "a3", 0), 0);
	assert_ok(fs_remove_tree(s->work_fd, "other", &err), err);
	fill_work(s, "same");
	work_commit(s);
	autofree char *tree = tree_of(s, s->oid[1]);
	lay_out(s, 0, s->oid[1], NULL, &work);
	assert_ok(slot_read(&s->app, 0, &live, &err), err);
	assert_ptr_not_equal(signal(SIGALRM, stop_now), SIG_ERR);
	stop_after_us(0); /* before anything is done */
	assert_int_equal(slot_prepare(&s->app, s->repo, 1, tree, &live, &stop, &work, &err), -1);
	assert_int_equal(err.code, E_BUSY);
	lay_out(s, 1, s->oid[0], NULL, &work);
	for (long us = 200; us < 999999; us *= 2) {
		struct slot_work part;

		stop_after_us(us);
		r = slot_prepare(&s->app, s->repo, 1, tree, &live, &stop, &part, &err);
		stop_after_us(999999);
		if (r == 0)
			break;
		assert_int_equal(err.code, E_BUSY);
		assert_record_is_true(s, 1);
		stopped++;
	}
	assert_true(stopped > 0);
	assert_holds(s, 1, s->oid[1], 901);
	/* and one that is far along costs a push only the rest */
	lay_out(s, 1, s->oid[0], NULL, &work);
	stop_after_us(3000);
	r = slot_prepare(&s->app, s->repo, 1, tree, &live, &stop, &work, &err);
	uint64_t before = work.linked;
	if (r == -1)
		lay_out(s, 1, s->oid[1], &live, &work);
	assert_int_equal(r == -1 ? before + work.linked : before, 900);
	assert_holds(s, 1, s->oid[1], 901);
}

/* Both writers end, nobody waits, and the slot is known to be no one's. */
static void a_blob_that_is_missing_among_many_fails_the_layout(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work;
	char oid[OID_HEX];

	for (int i = 0; i < 500; i++) {
		autofree char *path = xasprintf("d%d/f%d", i % 7, i);

		work_file(s, path, path);
	}
	GIT(s, "apps/blog/repo.git", "config", "receive.unpackLimit", "9999"); /* each a file */
	autofree char *tree = tree_of(s, work_commit(s));
	repo_hash("d3/f402", 7, oid);
	autofree char *object = xasprintf("repo.git/objects/%.2s/%s", oid, oid + 2);
	autofree char *away = xasprintf("%s.away", object);
	assert_int_equal(renameat(s->app.fd, object, s->app.fd, away), 0);
	assert_int_equal(slot_layout(&s->app, s->repo, 0, tree, NULL, &work, &err), -1);
	assert_non_null(strstr(err.text, oid));
	assert_false(there(s->app.fd, "slots/0.ini"));
	assert_int_equal(renameat(s->app.fd, away, s->app.fd, object), 0);
	lay_out(s, 0, s->oid[0], NULL, &work);
	assert_holds(s, 0, s->oid[0], 500);
}

static void large_blobs_among_many_arrive(void **state)
{
	struct store *s = *state;
	struct slot_work work;
	autofree char *large = xcalloc(1, (3 << 20) + 1);

	memset(large, 'x', 3 << 20);
	fill_work(s, "small");
	work_file(s, "large", large);
	work_file(s, "bin/large", large);
	assert_int_equal(fchmodat(s->work_fd, "bin/large", 0755, 0), 0);
	lay_out(s, 0, work_commit(s), NULL, &work);
	assert_int_equal(work.written, 902);
	assert_holds(s, 0, s->oid[0], 902);
	assert_int_equal(mode(s, "slots/0/bin/large"), S_IFREG | 0755);
	assert_int_equal(modified(s, "slots/0/large"), modified(s, "slots/0/a1/b1/c1"));
}

/* The text of a file in a slot. */
static void assert_slot_file(const struct store *s, const char *path, const char *text)
{
	autofree char *below = xasprintf("apps/blog/slots/%s", path);

	assert_content(s->tmp->fd, below, text);
}

static void work_app(const struct store *s)
{
	work_file(s, "vendor/x/x.py", "X = 1\n");
	work_file(s, "lib/python/a.pth", "/home/ian/site/vendor/x\n");
	work_file(s, "src/app.py", "1");
}

static void absolute_paths_are_relocated_in_the_slot_and_linked_from_there(void **state)
{
	struct store *s = *state;
	struct relocation relocation;
	struct error err = ERROR_INIT;
	struct slot_work work;
	struct slot live;

	work_app(s);
	lay_out(s, 0, work_commit(s), NULL, &work);
	assert_slot_file(s, "0/lib/python/a.pth", "../../vendor/x\n");
	assert_ok(slot_read(&s->app, 0, &live, &err), err);
	assert_true(slot_read_relocation(&s->app, 0, live.tree, &relocation));
	assert_int_equal(relocation.n, 1);
	assert_string_equal(relocation.root, "/home/ian/site");
	relocation_release(&relocation);
	work_file(s, "src/app.py", "2");
	lay_out(s, 1, work_commit(s), &live, &work);
	assert_int_equal(work.written, 1);
	assert_int_equal(inode(s, "slots/0/lib/python/a.pth"),
			 inode(s, "slots/1/lib/python/a.pth"));
	work_file(s, "src/app.py", "3");
	lay_out(s, 1, work_commit(s), &live, &work);
	assert_slot_file(s, "1/lib/python/a.pth", "../../vendor/x\n");
	work_file(s, "lib/python/a.pth", "/srv/bob/vendor\n");
	lay_out(s, 1, work_commit(s), &live, &work);
	assert_slot_file(s, "1/lib/python/a.pth", "../../vendor\n");
	assert_slot_file(s, "0/lib/python/a.pth", "../../vendor/x\n");
}

/* The same file, at another root: what the slot holds and what the live slot holds is of no use. */
static void a_file_that_comes_out_otherwise_is_written_anew(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work;
	struct slot live;

	work_app(s);
	work_file(s, "x/x.py", "");
	work_file(s, "lib/python/b.pth", "/home/ian/site/src\n");
	lay_out(s, 0, work_commit(s), NULL, &work);
	assert_slot_file(s, "0/lib/python/a.pth", "../../vendor/x\n");
	assert_ok(slot_read(&s->app, 0, &live, &err), err);
	work_file(s, "lib/python/b.pth", "/home/ian/site/vendor/src\n");
	work_commit(s);
	lay_out(s, 1, s->oid[1], &live, &work);
	assert_slot_file(s, "1/lib/python/a.pth", "../../x\n");
	lay_out(s, 0, s->oid[1], NULL, &work);
	assert_slot_file(s, "0/lib/python/a.pth", "../../x\n");
	lay_out(s, 0, s->oid[0], NULL, &work);
	assert_slot_file(s, "0/lib/python/a.pth", "../../vendor/x\n");
}

static void a_path_that_leads_nowhere_is_refused_before_anything_is_touched(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot_work work;
	autofree char *tree = NULL;

	work_app(s);
	lay_out(s, 0, work_commit(s), NULL, &work);
	work_file(s, "lib/python/a.pth", "/home/ian/elsewhere\n");
	tree = tree_of(s, work_commit(s));
	assert_int_equal(slot_layout(&s->app, s->repo, 0, tree, NULL, &work, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_non_null(strstr(err.text, "lib/python/a.pth:1: '/home/ian/elsewhere'"));
	assert_slot_file(s, "0/lib/python/a.pth", "../../vendor/x\n");
	assert_true(there(s->app.fd, "slots/0.ini"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(a_tree_arrives_exactly),
		STORE_TEST(only_the_difference_is_touched),
		STORE_TEST(files_directories_and_links_change_into_each_other),
		STORE_TEST(a_link_is_never_written_through),
		STORE_TEST(unchanged_blobs_are_linked_from_the_live_slot),
		STORE_TEST(a_dirty_slot_is_made_anew_and_its_content_moved_aside),
		STORE_TEST(a_slot_whose_old_tree_left_the_repository_is_made_anew),
		STORE_TEST(what_no_slot_may_hold_is_refused_by_name),
		STORE_TEST(links_stay_in_the_slot),
		STORE_TEST(many_files_are_laid_out_and_synced_at_once),
		STORE_TEST(deep_trees_arrive_and_too_deep_ones_are_refused),
		STORE_TEST(versions_within_one_second_have_different_times),
		STORE_TEST(the_chosen_slot_is_free_clean_and_the_last_used),
		STORE_TEST(the_free_slot_with_the_nearest_tree_is_chosen),
		STORE_TEST(a_slot_that_was_taken_is_not_offered_again),
		STORE_TEST(an_index_that_is_wrong_or_gone_does_no_harm),
		STORE_TEST(a_directory_that_goes_takes_along_what_somebody_put_there),
		STORE_TEST(a_spare_that_was_stopped_says_what_it_holds_and_goes_on),
		STORE_TEST(a_blob_that_is_missing_among_many_fails_the_layout),
		STORE_TEST(large_blobs_among_many_arrive),
		STORE_TEST(absolute_paths_are_relocated_in_the_slot_and_linked_from_there),
		STORE_TEST(a_file_that_comes_out_otherwise_is_written_anew),
		STORE_TEST(a_path_that_leads_nowhere_is_refused_before_anything_is_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
