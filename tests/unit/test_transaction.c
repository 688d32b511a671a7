/* The transaction: a commit goes live as a whole, and a stop between any two steps is recovered
 * from. Static releases: they have no processes, so nothing is asked of a monitor. */
#include "tests/unit/store.h"
#include "buildless/steps.h"
#include "buildless/verbs.h"

#define MASTER "refs/heads/master"

static const struct appini static_ini; /* platform and all else absent; see stage() */

static const char *commit_version(struct store *s, const char *version)
{
	work_file(s, "app.ini", "[production]\nplatform = static\n");
	work_file(s, "static/version", version);
	work_file(s, "static/same", "the same");
	return work_commit(s);
}

static void stage(struct store *s, const char *commit, struct release_info *r, bool *reused)
{
	struct appini ini = static_ini;
	static char platform[] = "static";
	struct error err = ERROR_INIT;

	ini.run.platform = platform;
	assert_ok(transaction_stage(&s->app, s->repo, commit, "master", &ini, r, reused, &err),
		  err);
}

static void move_ref(struct store *s, const char *commit)
{
	struct error err = ERROR_INIT;

	assert_ok(repo_set_ref(s->repo, MASTER, commit, NULL, "push", &err), err);
}

/* All steps of a push, as the hooks take them; the release's number. */
static unsigned push(struct store *s, const char *commit)
{
	autorelease struct release_info r = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;
	bool reused;

	assert_ok(transaction_recover_links(&s->app, s->repo, &err), err);
	stage(s, commit, &r, &reused);
	assert_ok(transaction_prove(&s->app, &r, NULL, &err), err);
	assert_ok(transaction_intend(&s->app, r.number, &err), err);
	move_ref(s, commit);
	assert_ok(transaction_activate(&s->app, r.number, commit, &err), err);
	return r.number;
}

static void settle(struct store *s)
{
	struct error err = ERROR_INIT;

	assert_ok(transaction_settle(&s->app, s->repo, &err), err);
}

static void recover(struct store *s)
{
	struct error err = ERROR_INIT;

	assert_ok(transaction_recover(&s->app, s->repo, false, &err), err);
}

static void assert_no_leftovers(const struct store *s)
{
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;
	autoclose int fd = openat(s->app.fd, "releases", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_ok(fs_list(fd, &names, &err), err);
	for (size_t i = 0; i < names.n; i++) {
		uint64_t number;

		assert_true(str_to_uint(names.v[i], 1000, &number));
		assert_true(release_is_live(&s->app, (unsigned)number));
	}
	assert_false(there(s->app.fd, "next"));
}

static void assert_refs_list_the_releases(struct store *s)
{
	autostrv struct strv names = STRV_INIT, oids = STRV_INIT;
	autofree unsigned *release = NULL;
	struct error err = ERROR_INIT;
	size_t n;

	GIT(s, "apps/blog/repo.git", "fsck", "--strict");
	assert_ok(repo_list_refs(s->repo, "refs/releases/", &names, &oids, &err), err);
	assert_ok(release_list(&s->app, &release, &n, &err), err);
	assert_int_equal(names.n, n);
	for (size_t i = 0; i < n; i++) {
		autorelease struct release_info r = RELEASE_INFO_INIT;
		autofree char *ref = xasprintf("refs/releases/%u", release[i]);
		char oid[OID_HEX];

		assert_ok(release_read(&s->app, release[i], &r, &err), err);
		assert_ok(repo_resolve(s->repo, ref, false, oid, &err), err);
		assert_string_equal(oid, r.commit);
	}
}

/* The invariant: the deploy ref and the live release agree, and the files are the commit's. */
static void assert_live(struct store *s, unsigned number, const char *commit)
{
	autorelease struct release_info r = RELEASE_INFO_INIT;
	autofree char *want = tree_of(s, commit);
	struct error err = ERROR_INIT;
	char oid[OID_HEX];

	assert_int_equal(release_current(&s->app), number);
	assert_ok(release_read(&s->app, number, &r, &err), err);
	assert_string_equal(r.commit, commit);
	assert_ok(repo_resolve(s->repo, "HEAD", false, oid, &err), err);
	assert_string_equal(oid, commit);
	autofree char *got = tree_on_disk(s, r.slot);
	assert_string_equal(got, want);
	assert_content(s->app.fd, "current/app/static/same", "the same");
}

static unsigned linked(const struct store *s, const char *link)
{
	struct error err = ERROR_INIT;
	unsigned number;

	return release_link(&s->app, link, &number, &err) == 0 ? number : 0;
}

static void pushes_go_live_one_after_the_other(void **state)
{
	struct store *s = *state;

	assert_int_equal(push(s, commit_version(s, "one")), 1);
	assert_live(s, 1, s->oid[0]);
	assert_int_equal(linked(s, "previous"), 0);
	assert_refs_list_the_releases(s);
	assert_int_equal(push(s, commit_version(s, "two")), 2);
	assert_live(s, 2, s->oid[1]);
	assert_int_equal(linked(s, "previous"), 1);
	assert_content(s->app.fd, "previous/app/static/version", "one");
	assert_refs_list_the_releases(s);
	assert_no_leftovers(s);
}

static void a_release_tells_what_it_is(void **state)
{
	struct store *s = *state;
	autorelease struct release_info r = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;

	push(s, commit_version(s, "one"));
	push(s, commit_version(s, "two"));
	assert_ok(release_read(&s->app, 2, &r, &err), err);
	assert_int_equal(r.files, 3);
	assert_int_equal(r.changed, 1);
	assert_string_equal(r.branch, "master");
	assert_string_equal(r.who, "ian");
	assert_string_equal(r.subject, "a change");
	assert_string_equal(r.run.platform, "static");
}

/* What a push has done when it ends, by each step; the last ones are parts of the flip. */
enum step {
	NOTHING,
	HALF_SLOT,
	HALF_RECORD,
	STAGED,
	INTENDED,
	REF_MOVED,
	MARKED,
	PREVIOUS,
	FLIPPED,
	ALL
};

static void push_until(struct store *s, const char *commit, enum step last)
{
	autorelease struct release_info r = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;
	bool reused;

	if (last == NOTHING)
		return;
	stage(s, commit, &r, &reused);
	if (last <=
	    HALF_RECORD) { /* what it looks like before the rename, and before the slot is clean */
		autofree char *to = xasprintf("releases/%u.new", r.number),
			      *from = xasprintf("releases/%u", r.number),
			      *file = xasprintf("slots/%u/static/version", r.slot);

		assert_int_equal(renameat(s->app.fd, from, s->app.fd, to), 0);
		if (last == HALF_SLOT) {
			assert_ok(slot_forget(&s->app, r.slot, &err), err);
			unlinkat(s->app.fd, file, 0);
		}
		return;
	}
	if (last >= INTENDED)
		assert_ok(transaction_intend(&s->app, r.number, &err), err);
	if (last >= REF_MOVED)
		move_ref(s, commit);
	if (last >= MARKED)
		assert_ok(release_mark_live(&s->app, r.number, &err), err);
	if (last >= PREVIOUS && release_current(&s->app))
		assert_ok(release_set_link(&s->app, "previous", release_current(&s->app), &err),
			  err);
	if (last >= FLIPPED)
		assert_ok(flip(&s->app, r.number, &err), err);
	if (last >= ALL)
		assert_ok(publish_ref(&s->app, r.number, commit, &err), err);
}

static void a_push_that_ends_after_any_step_is_old_or_new(void **state)
{
	struct store *s = *state;

	push(s, commit_version(s, "start"));
	for (enum step last = NOTHING; last <= ALL; last++) {
		autofree char *version = xasprintf("version %d", (int)last);
		const char *old = s->oid[s->n - 1], *new = commit_version(s, version);
		const char *live = last >= REF_MOVED ? new : old;

		push_until(s, new, last);
		recover(s);
		assert_live(s, release_current(&s->app), live);
		assert_no_leftovers(s);
		assert_refs_list_the_releases(s);
		recover(s); /* twice is once */
		assert_live(s, release_current(&s->app), live);
		push(s, new); /* the same commit can be pushed again */
		assert_live(s, release_current(&s->app), new);
		settle(s);
	}
}

static void end_first_push_after(enum step last)
{
	struct error err = ERROR_INIT;
	void *state = NULL;

	if (store_setup(&state) != 0 || !state) {
		fail();
		return;
	}
	struct store *s = state;
	push_until(s, commit_version(s, "first"), last);
	assert_ok(transaction_recover_links(&s->app, s->repo, &err), err);
	if (last >= REF_MOVED)
		assert_live(s, 1, s->oid[0]);
	else
		assert_int_equal(release_current(&s->app), 0);
	unsigned number = push(s, commit_version(s, "next"));
	assert_int_equal(number, last >= REF_MOVED ? 2 : 1);
	assert_live(s, number, s->oid[1]);
	store_teardown(&state);
}

static void a_first_push_that_ends_after_any_step_is_repaired_by_the_next(void **state)
{
	(void)state;
	for (enum step last = NOTHING; last <= ALL; last++)
		end_first_push_after(last);
}

static void recovery_at_a_push_writes_no_ref(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	push(s, commit_version(s, "one"));
	push_until(s, commit_version(s, "two"), REF_MOVED);
	autorepo struct repo *in_quarantine = NULL;
	assert_ok(repo_open(&in_quarantine, s->app.repo_path, true, &err), err);
	assert_ok(transaction_recover_links(&s->app, in_quarantine, &err), err);
	assert_live(s, 2, s->oid[1]);
	assert_int_equal(linked(s, "previous"), 1);
	settle(s);
	assert_refs_list_the_releases(s);
}

static void a_refused_push_leaves_nothing_and_its_number_is_used_again(void **state)
{
	struct store *s = *state;
	autorelease struct release_info r = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;
	bool reused;

	push(s, commit_version(s, "one"));
	stage(s, commit_version(s, "bad"), &r, &reused);
	assert_int_equal(r.number, 2);
	assert_ok(transaction_intend(&s->app, 2, &err), err);
	transaction_abandon(&s->app, 2);
	assert_live(s, 1, s->oid[0]);
	assert_no_leftovers(s);
	assert_int_equal(push(s, s->oid[1]), 2); /* the same commit can be pushed again */
	assert_live(s, 2, s->oid[1]);
}

static void abandoning_never_harms_what_was_accepted(void **state)
{
	struct store *s = *state;

	push(s, commit_version(s, "one"));
	push(s, commit_version(s, "two"));
	transaction_abandon(&s->app, 2);
	transaction_abandon(&s->app, 1);
	transaction_abandon(&s->app, 7);
	assert_live(s, 2, s->oid[1]);
	assert_int_equal(linked(s, "previous"), 1);
}

static void an_older_commit_comes_back_without_a_file_moved(void **state)
{
	struct store *s = *state;
	autorelease struct release_info r = RELEASE_INFO_INIT;
	bool reused;

	push(s, commit_version(s, "one"));
	push(s, commit_version(s, "two"));
	stage(s, s->oid[0], &r, &reused);
	assert_true(reused);
	assert_int_equal(r.number, 1);
	assert_int_equal(push(s, s->oid[0]), 1);
	assert_live(s, 1, s->oid[0]);
	assert_int_equal(linked(s, "previous"), 2);
	assert_int_equal(push(s, s->oid[1]), 2);
	assert_live(s, 2, s->oid[1]);
	assert_int_equal(push(s, commit_version(s, "three")), 3);
	assert_refs_list_the_releases(s);
}

/* Nothing below slots/ has changed, not even a name: that would show at its directory. */
static void assert_untouched_since(int dir_fd, const struct timespec *since)
{
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;
	struct stat st;

	assert_int_equal(fstat(dir_fd, &st), 0);
	assert_true(st.st_ctim.tv_sec < since->tv_sec ||
		    (st.st_ctim.tv_sec == since->tv_sec && st.st_ctim.tv_nsec < since->tv_nsec));
	if (!S_ISDIR(st.st_mode))
		return;
	assert_ok(fs_list(dir_fd, &names, &err), err);
	for (size_t i = 0; i < names.n; i++) {
		autoclose int fd = openat(dir_fd, names.v[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		if (fd != -1)
			assert_untouched_since(fd, since);
	}
}

static void rolling_back_moves_no_file(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct timespec now;

	push(s, commit_version(s, "one"));
	push(s, commit_version(s, "two"));
	settle(s);
	usleep(20000); /* times of files are as coarse as the kernel's tick */
	clock_gettime(CLOCK_REALTIME, &now);
	usleep(20000);
	assert_ok(transaction_activate_kept(&s->app, s->repo, 1, &err), err);
	autoclose int slots = openat(s->app.fd, "slots", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_untouched_since(slots, &now);
	assert_live(s, 1, s->oid[0]);
}

/* The same once more, as after a redeploy. */
static void copy_release(struct store *s, unsigned from, unsigned to)
{
	autorelease struct release_info r = RELEASE_INFO_INIT;
	autostrv struct strv env = STRV_INIT;
	struct error err = ERROR_INIT;

	assert_ok(release_read(&s->app, from, &r, &err), err);
	r.number = to;
	assert_ok(release_write(&s->app, &r, &env, NULL, &err), err);
	assert_ok(release_mark_live(&s->app, to, &err), err);
	assert_ok(release_note(&s->app, to, r.commit, &err), err);
}

/* How often this process has read from a file so far. */
static unsigned long reads(void)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;
	const char *found;

	autoclose int fd = open("/proc/self/io", O_RDONLY | O_CLOEXEC);
	assert_ok(strbuf_read_fd(&text, fd, 4096, &err), err);
	found = strstr(text.buf, "syscr: ");
	assert_non_null(found);
	return strtoul(found + strlen("syscr: "), NULL, 10);
}

static unsigned long reads_of_push(struct store *s, const char *version)
{
	const char *commit = commit_version(s, version);
	autorelease struct release_info r = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;
	unsigned long before = reads(), done;
	bool reused;

	assert_ok(transaction_recover_links(&s->app, s->repo, &err), err);
	stage(s, commit, &r, &reused);
	assert_ok(transaction_intend(&s->app, r.number, &err), err);
	done = reads() - before;
	move_ref(s, commit);
	assert_ok(transaction_activate(&s->app, r.number, commit, &err), err);
	return done;
}

static void a_push_reads_as_little_with_many_releases_as_with_few(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	unsigned long few, many;

	s->app.node.keep = 1000;
	push(s, commit_version(s, "1"));
	push(s, commit_version(s, "2"));
	settle(s);
	few = reads_of_push(s, "3");
	for (unsigned i = 4; i < 400; i++)
		copy_release(s, 3, i);
	settle(s);
	assert_refs_list_the_releases(s);
	autoclose int fd =
		openat(s->app.fd, "repo.git/refs/releases", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autostrv struct strv names = STRV_INIT;
	if (fd != -1)
		assert_ok(fs_list(fd, &names, &err), err);
	assert_int_equal(names.n, 0); /* in one file */
	many = reads_of_push(s, "4");
	assert_int_equal(release_current(&s->app), 400);
	if (many > few + 5)
		fail_msg("%lu reads with 399 releases, %lu with 2", many, few);
	unsigned number;
	assert_ok(release_of_commit(&s->app, s->oid[2], &number, &err), err);
	assert_int_equal(number, 399);
}

/* What `last` and commits/ say is only a hint. */
static void notes_that_are_wrong_or_gone_do_no_harm(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	unsigned number;

	push(s, commit_version(s, "one"));
	push(s, commit_version(s, "two"));
	push(s, commit_version(s, "three"));
	settle(s);
	assert_ok(fs_replace_link_nosync(s->app.fd, "last", "releases/1", &err), err);
	assert_ok(release_next_number(&s->app, &number, &err), err);
	assert_int_equal(number, 4);
	assert_int_equal(unlinkat(s->app.fd, "last", 0), 0);
	assert_ok(release_next_number(&s->app, &number, &err), err);
	assert_int_equal(number, 4);
	autoclose int commits = openat(s->app.fd, "commits", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(unlinkat(commits, s->oid[0], 0), 0);
	assert_ok(fs_replace_link(commits, s->oid[1], "../releases/3", &err), err);
	assert_int_equal(symlinkat("../releases/77", commits, s->oid[2] + 1), 0);
	assert_int_equal(release_of_commit(&s->app, s->oid[0], &number, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_int_equal(release_of_commit(&s->app, s->oid[1], &number, &err), -1);
	recover(s);
	assert_int_equal(linked(s, "last"), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_ok(release_of_commit(&s->app, s->oid[i], &number, &err), err);
		assert_int_equal(number, i + 1);
	}
	assert_false(there(commits, s->oid[2] + 1));
}

static void activating_a_kept_release_moves_the_branch_and_twice_returns(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	push(s, commit_version(s, "one"));
	push(s, commit_version(s, "two"));
	assert_ok(transaction_activate_kept(&s->app, s->repo, linked(s, "previous"), &err), err);
	assert_live(s, 1, s->oid[0]);
	assert_ok(transaction_activate_kept(&s->app, s->repo, linked(s, "previous"), &err), err);
	assert_live(s, 2, s->oid[1]);
	assert_int_equal(transaction_activate_kept(&s->app, s->repo, 2, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_int_equal(transaction_activate_kept(&s->app, s->repo, 9, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	assert_string_equal(err.text, "blog has no release 9; it has 1, 2");
	assert_live(s, 2, s->oid[1]);
}

static void a_kept_release_whose_slot_is_gone_is_laid_out_again(void **state)
{
	struct store *s = *state;
	autorelease struct release_info r = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;

	push(s, commit_version(s, "one"));
	push(s, commit_version(s, "two"));
	assert_ok(release_read(&s->app, 1, &r, &err), err);
	autofree char *slot = xasprintf("%u", r.slot);
	autoclose int slots = openat(s->app.fd, "slots", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(fs_remove_tree(slots, slot, &err), err);
	assert_ok(transaction_activate_kept(&s->app, s->repo, 1, &err), err);
	assert_live(s, 1, s->oid[0]);
}

static unsigned redeploy(struct store *s, unsigned flags)
{
	autorelease struct release_info r = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;
	struct appini ini;
	char commit[OID_HEX];
	bool reused;

	assert_ok(repo_resolve(s->repo, MASTER, false, commit, &err), err);
	assert_ok(transaction_check(&s->app, s->repo, commit, &ini, &err), err);
	assert_ok(transaction_deploy(&s->app, s->repo, commit, "master", &ini, flags, &r, &reused,
				     &err),
		  err);
	assert_false(reused);
	appini_release(&ini);
	return r.number;
}

static ino_t live_inode(const struct store *s)
{
	struct stat st;

	assert_int_equal(fstatat(s->app.fd, "current/app/static/same", &st, 0), 0);
	return st.st_ino;
}

static void redeploying_shares_the_slot_and_fresh_shares_nothing(void **state)
{
	struct store *s = *state;

	push(s, commit_version(s, "one"));
	ino_t before = live_inode(s);

	assert_int_equal(redeploy(s, TRANSACTION_NEW), 2);
	assert_live(s, 2, s->oid[0]);
	assert_int_equal(live_inode(s), before);
	assert_int_equal(linked(s, "previous"), 1);
	settle(s); /* a spare slot with links to the same files */
	assert_int_equal(redeploy(s, TRANSACTION_NEW | TRANSACTION_FRESH), 3);
	assert_live(s, 3, s->oid[0]);
	assert_int_not_equal(live_inode(s), before);
	assert_refs_list_the_releases(s);
}

static size_t count_slots(const struct store *s)
{
	autofree struct slot *slots = NULL;
	struct error err = ERROR_INIT;
	size_t n;

	assert_ok(slot_list(&s->app, &slots, &n, &err), err);
	return n;
}

static void retention_keeps_the_newest_and_what_is_in_use(void **state)
{
	struct store *s = *state;
	autofree unsigned *release = NULL;
	struct error err = ERROR_INIT;
	size_t n;

	for (int i = 0; i < 9; i++) {
		autofree char *version = xasprintf("%d", i);

		push(s, commit_version(s, version));
		settle(s);
		assert_true(count_slots(s) <= s->app.node.keep + 1);
	}
	assert_ok(release_list(&s->app, &release, &n, &err), err);
	assert_int_equal(n, 5);
	assert_int_equal(release[0], 5);
	assert_refs_list_the_releases(s);
	assert_ok(transaction_activate_kept(&s->app, s->repo, 5, &err), err);
	for (int i = 9; i < 13; i++) {
		autofree char *version = xasprintf("%d", i);

		push(s, commit_version(s, version));
		if (i == 9) /* 5 is the one before the live one */
			assert_int_equal(linked(s, "previous"), 5);
		settle(s);
	}
	free(steal_ptr(&release));
	assert_ok(release_list(&s->app, &release, &n, &err), err);
	assert_int_equal(n, 5);
	assert_int_equal(release[n - 1], 13);
	assert_live(s, 13, s->oid[12]);
	assert_refs_list_the_releases(s);
	assert_int_equal(count_slots(s), s->app.node.keep + 1);
}

static void without_settling_slots_do_not_pile_up(void **state)
{
	struct store *s = *state;

	for (int i = 0; i < 12; i++) {
		autofree char *version = xasprintf("%d", i);

		push(s, commit_version(s, version));
	}
	assert_true(count_slots(s) <= s->app.node.keep + 1);
	assert_live(s, 12, s->oid[11]);
	settle(s);
	assert_refs_list_the_releases(s);
	assert_no_leftovers(s);
}

static void the_spare_slot_makes_the_next_push_its_own_difference(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	struct slot spare;
	unsigned number;
	bool new;

	push(s, commit_version(s, "one"));
	push(s, commit_version(s, "two"));
	settle(s);
	autofree char *tree = tree_of(s, s->oid[1]);
	assert_ok(slot_choose(&s->app, s->repo, tree, &number, &new, &err), err);
	assert_false(new);
	assert_ok(slot_read(&s->app, number, &spare, &err), err);
	assert_string_equal(spare.tree, tree);
	push(s, commit_version(s, "three"));
	assert_live(s, 3, s->oid[2]);
}

static void a_ref_moved_by_hand_is_deployed(void **state)
{
	struct store *s = *state;

	push(s, commit_version(s, "one"));
	move_ref(s, commit_version(s, "two"));
	recover(s);
	assert_live(s, 2, s->oid[1]);
	move_ref(s, s->oid[0]); /* a kept release */
	recover(s);
	assert_live(s, 1, s->oid[0]);
	assert_no_leftovers(s);
	assert_refs_list_the_releases(s);
}

/* Commits that no gate has seen: each breaks one rule. */
static const char *commit_bad_appini(struct store *s)
{
	work_file(s, "app.ini", "[production]\nplatform = cobol\n");
	return work_commit(s);
}

static const char *commit_escaping_link(struct store *s)
{
	commit_version(s, "two");
	work_link(s, "static/out", "../../../../../etc");
	return work_commit(s);
}

static const char *commit_gitlink(struct store *s)
{
	commit_version(s, "two");
	unlinkat(s->work_fd, "static/out", 0);
	mkdirat(s->work_fd, "vendor", 0755);
	GIT(s, "work", "update-index", "--add", "--cacheinfo",
	    "160000,1111111111111111111111111111111111111111,vendor");
	return work_commit(s);
}

static const char *(*const bad_commits[])(struct store *s) = {
	commit_bad_appini,
	commit_escaping_link,
	commit_gitlink,
};

static int call_verb(struct store *s, verb_fn verb, char *argument, struct error *err)
{
	char *argv[] = {argument, NULL};
	struct verb_call call = {
		.app = &s->app, .repo = s->repo, .argv = argv, .argc = argument ? 1 : 0};

	return verb(&call, err);
}

static void a_ref_moved_by_hand_to_what_cannot_go_live_goes_back(void **state)
{
	struct store *s = *state;

	push(s, commit_version(s, "one"));
	for (size_t i = 0; i < ARRAY_SIZE(bad_commits); i++) {
		move_ref(s, bad_commits[i](s));
		recover(s);
		assert_live(s, 1, s->oid[0]);
		assert_no_leftovers(s);
		assert_int_equal(count_slots(s), 1); /* refused before anything was laid out */
	}
}

static void a_branch_with_what_cannot_go_live_is_not_deployed(void **state)
{
	static char other[] = "other";
	struct store *s = *state;
	autofree char *head = NULL;
	struct error err = ERROR_INIT;

	push(s, commit_version(s, "one"));
	for (size_t i = 0; i < ARRAY_SIZE(bad_commits); i++) {
		const char *bad = bad_commits[i](s);
		autofree char *text = xasprintf("commit %.7s cannot be deployed: 1 problem", bad);

		assert_ok(repo_set_ref(s->repo, "refs/heads/other", bad, NULL, "push", &err), err);
		assert_int_equal(call_verb(s, verb_branch, other, &err), -1);
		assert_int_equal(err.code, E_REFUSED);
		assert_string_equal(err.text, text);
		assert_live(s, 1, s->oid[0]);
		assert_no_leftovers(s);
		assert_int_equal(count_slots(s), 1);
	}
	assert_ok(repo_head_name(s->repo, &head, &err), err);
	assert_string_equal(head, MASTER);
	unlinkat(s->work_fd, "vendor", AT_REMOVEDIR);
	const char *good = commit_version(s, "three"); /* without any of it */
	assert_ok(repo_set_ref(s->repo, "refs/heads/other", good, NULL, "push", &err), err);
	assert_ok(call_verb(s, verb_branch, other, &err), err);
	assert_live(s, 2, good);
}

static void what_cannot_go_live_does_not_where_nothing_is(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(bad_commits); i++) {
		move_ref(s, bad_commits[i](s));
		assert_int_equal(call_verb(s, verb_redeploy, NULL, &err), -1);
		assert_int_equal(err.code, E_REFUSED);
		assert_int_equal(release_current(&s->app), 0);
		assert_no_leftovers(s);
		assert_int_equal(count_slots(s), 0);
	}
}

static void redeploying_asks_app_ini_again(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	commit_version(s, "one");
	s->app.node.packages.install = false;
	work_file(s, "app.ini", "[production]\nplatform = static\npackages = no-such-thing\n");
	push(s, work_commit(s)); /* it was installed then */
	assert_int_equal(call_verb(s, verb_redeploy, NULL, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_live(s, 1, s->oid[1]);
	assert_no_leftovers(s);
}

static void a_live_release_that_is_gone_falls_back_and_comes_again(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	push(s, commit_version(s, "one"));
	push(s, commit_version(s, "two"));
	autoclose int releases = openat(s->app.fd, "releases", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(fs_remove_tree(releases, "2", &err), err);
	assert_ok(transaction_recover_links(&s->app, s->repo, &err), err);
	assert_int_equal(release_current(&s->app), 1);
	assert_content(s->app.fd, "current/app/static/version", "one");
	recover(s);
	assert_live(s, 2, s->oid[1]); /* the ref's commit, as a new release of that number */
	assert_refs_list_the_releases(s);
}

static void what_killed_programs_left_is_no_obstacle(void **state)
{
	static const char *const litter[] = {
		"repo.git/refs/heads/master.lock",
		"repo.git/HEAD.lock",
		"repo.git/packed-refs.lock",
		"repo.git/.release.new",
		"repo.git/.HEAD.new",
		".next.new",
		".previous.new",
		"slots/.0.ini.new",
	};
	struct store *s = *state;

	push(s, commit_version(s, "one"));
	for (size_t i = 0; i < ARRAY_SIZE(litter); i++)
		put_file(s->app.fd, litter[i], "half");
	put_file(s->app.fd, "repo.git/refs/releases/.9.new", "half");
	recover(s);
	for (size_t i = 0; i < ARRAY_SIZE(litter); i++)
		assert_false(there(s->app.fd, litter[i]));
	push(s, commit_version(s, "two"));
	assert_live(s, 2, s->oid[1]);
}

#define HOUR 3600L

static void put_quarantine(const struct store *s, const char *name, time_t age_s)
{
	autofree char *dir = xasprintf("repo.git/objects/%s", name),
		      *pack = xasprintf("%s/pack", dir), *file = xasprintf("%s/tmp_pack_x", pack);
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - age_s}};

	assert_int_equal(mkdirat(s->app.fd, dir, 0700), 0);
	assert_int_equal(mkdirat(s->app.fd, pack, 0700), 0);
	put_file(s->app.fd, file, "PACK");
	assert_int_equal(utimensat(s->app.fd, dir, times, 0), 0);
}

static void what_killed_pushes_received_is_removed_after_a_day(void **state)
{
	struct store *s = *state;

	put_quarantine(s, "tmp_objdir-incoming-first", 25 * HOUR);
	settle(s); /* nothing is live */
	assert_false(there(s->app.fd, "repo.git/objects/tmp_objdir-incoming-first"));
	push(s, commit_version(s, "one"));
	put_quarantine(s, "tmp_objdir-incoming-old", 25 * HOUR);
	put_quarantine(s, "tmp_objdir-incoming-new", 23 * HOUR);
	put_quarantine(s, "tmp_objdir-incoming-future", -HOUR);
	put_quarantine(s, "mine", 25 * HOUR);
	assert_int_equal(symlinkat("mine", s->app.fd, "repo.git/objects/tmp_objdir-incoming-link"),
			 0);
	settle(s);
	assert_false(there(s->app.fd, "repo.git/objects/tmp_objdir-incoming-old"));
	assert_true(there(s->app.fd, "repo.git/objects/tmp_objdir-incoming-new/pack/tmp_pack_x"));
	assert_true(there(s->app.fd, "repo.git/objects/tmp_objdir-incoming-future"));
	assert_true(there(s->app.fd, "repo.git/objects/mine/pack/tmp_pack_x"));
	assert_live(s, 1, s->oid[0]);
}

static void release_refs_are_what_releases_there_are(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	push(s, commit_version(s, "one"));
	push(s, commit_version(s, "two"));
	assert_ok(repo_set_ref(s->repo, "refs/releases/99", s->oid[0], NULL, "x", &err), err);
	assert_ok(repo_set_ref(s->repo, "refs/releases/1", s->oid[1], NULL, "x", &err), err);
	assert_ok(repo_delete_ref(s->repo, "refs/releases/2", &err), err);
	recover(s);
	assert_refs_list_the_releases(s);
}

static void the_deploy_ref_is_heads_else_master_or_main(void **state)
{
	struct store *s = *state;
	autofree char *ref = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(transaction_deploy_ref(s->repo, &ref, &err), -1);
	assert_int_equal(err.code, E_NOTFOUND);
	const char *commit = commit_version(s, "one");
	assert_ok(repo_set_ref(s->repo, "refs/heads/other", commit, NULL, "x", &err), err);
	assert_int_equal(transaction_deploy_ref(s->repo, &ref, &err), -1);
	assert_ok(repo_set_ref(s->repo, "refs/heads/main", commit, NULL, "x", &err), err);
	assert_ok(transaction_deploy_ref(s->repo, &ref, &err), err);
	assert_string_equal(ref, "refs/heads/main");
	free(steal_ptr(&ref));
	assert_ok(transaction_set_head(&s->app, "refs/heads/main", &err), err);
	assert_ok(repo_set_ref(s->repo, MASTER, commit, NULL, "x", &err), err);
	assert_ok(transaction_deploy_ref(s->repo, &ref, &err), err);
	assert_string_equal(ref, "refs/heads/main");
	free(steal_ptr(&ref));
	assert_ok(transaction_set_head(&s->app, "refs/heads/other", &err), err);
	assert_ok(transaction_deploy_ref(s->repo, &ref, &err), err);
	assert_string_equal(ref, "refs/heads/other");
}

static void recovery_of_a_first_push_to_main_sets_head(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;
	autofree char *head = NULL;

	push_until(s, commit_version(s, "one"), INTENDED);
	assert_ok(repo_set_ref(s->repo, "refs/heads/main", s->oid[0], NULL, "push", &err), err);
	recover(s);
	assert_live(s, 1, s->oid[0]);
	assert_ok(repo_head_name(s->repo, &head, &err), err);
	assert_string_equal(head, "refs/heads/main");
}

static void a_revert_shares_the_slot_that_holds_its_tree(void **state)
{
	struct store *s = *state;
	autorelease struct release_info one = RELEASE_INFO_INIT, three = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;

	push(s, commit_version(s, "one"));
	push(s, commit_version(s, "two"));
	push(s, commit_version(s, "one")); /* another commit, the same tree */
	assert_ok(release_read(&s->app, 1, &one, &err), err);
	assert_ok(release_read(&s->app, 3, &three, &err), err);
	assert_int_equal(one.slot, three.slot);
	assert_int_equal(three.changed, 1);
	assert_live(s, 3, s->oid[2]);
	settle(s);
	assert_live(s, 3, s->oid[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(pushes_go_live_one_after_the_other),
		STORE_TEST(a_release_tells_what_it_is),
		STORE_TEST(a_push_that_ends_after_any_step_is_old_or_new),
		cmocka_unit_test(a_first_push_that_ends_after_any_step_is_repaired_by_the_next),
		STORE_TEST(recovery_at_a_push_writes_no_ref),
		STORE_TEST(a_refused_push_leaves_nothing_and_its_number_is_used_again),
		STORE_TEST(abandoning_never_harms_what_was_accepted),
		STORE_TEST(an_older_commit_comes_back_without_a_file_moved),
		STORE_TEST(activating_a_kept_release_moves_the_branch_and_twice_returns),
		STORE_TEST(rolling_back_moves_no_file),
		STORE_TEST(a_push_reads_as_little_with_many_releases_as_with_few),
		STORE_TEST(notes_that_are_wrong_or_gone_do_no_harm),
		STORE_TEST(a_kept_release_whose_slot_is_gone_is_laid_out_again),
		STORE_TEST(redeploying_shares_the_slot_and_fresh_shares_nothing),
		STORE_TEST(retention_keeps_the_newest_and_what_is_in_use),
		STORE_TEST(without_settling_slots_do_not_pile_up),
		STORE_TEST(the_spare_slot_makes_the_next_push_its_own_difference),
		STORE_TEST(a_ref_moved_by_hand_is_deployed),
		STORE_TEST(a_ref_moved_by_hand_to_what_cannot_go_live_goes_back),
		STORE_TEST(a_branch_with_what_cannot_go_live_is_not_deployed),
		STORE_TEST(what_cannot_go_live_does_not_where_nothing_is),
		STORE_TEST(redeploying_asks_app_ini_again),
		STORE_TEST(a_live_release_that_is_gone_falls_back_and_comes_again),
		STORE_TEST(what_killed_programs_left_is_no_obstacle),
		STORE_TEST(what_killed_pushes_received_is_removed_after_a_day),
		STORE_TEST(release_refs_are_what_releases_there_are),
		STORE_TEST(the_deploy_ref_is_heads_else_master_or_main),
		STORE_TEST(recovery_of_a_first_push_to_main_sets_head),
		STORE_TEST(a_revert_shares_the_slot_that_holds_its_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
