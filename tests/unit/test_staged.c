/* What `-o stage` sets aside: it is not live, it survives everything but its replacement and a
 * week, and it goes live only where it was proven to follow. */
#include "tests/unit/store.h"
#include "buildless/steps.h"
#include "common/ini.h"

#define MASTER  "refs/heads/master"
#define NOTHING "0000000000000000000000000000000000000000"

static const struct appini static_ini; /* platform and all else absent */

static const char *commit_version(struct store *s, const char *version)
{
	work_file(s, "app.ini", "[production]\nplatform = static\n");
	work_file(s, "static/version", version);
	return work_commit(s);
}

static void stage_aside(struct store *s, const char *commit, struct release_info *r)
{
	struct appini ini = static_ini;
	static char platform[] = "static";
	struct error err = ERROR_INIT;

	ini.run.platform = platform;
	assert_ok(transaction_recover_links(&s->app, s->repo, &err), err);
	assert_ok(transaction_stage_aside(&s->app, s->repo, commit, "master", &ini, r, &err), err);
	assert_ok(transaction_prove(&s->app, r, NULL, &err), err);
	assert_ok(transaction_rest(&s->app, r, &err), err);
}

/* All of `git push -o stage`; the release's number. */
static unsigned set_aside(struct store *s, const char *commit, const char *base)
{
	autorelease struct release_info staged = RELEASE_INFO_INIT, done = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;

	stage_aside(s, commit, &staged);
	assert_ok(transaction_set_aside(&s->app, commit, base, &done, &err), err);
	assert_int_equal(done.number, staged.number);
	return done.number;
}

static unsigned deploy(struct store *s, const char *commit)
{
	autorelease struct release_info done = RELEASE_INFO_INIT;
	struct appini ini = static_ini;
	static char platform[] = "static";
	struct error err = ERROR_INIT;
	bool reused;

	ini.run.platform = platform;
	assert_ok(repo_set_ref(s->repo, MASTER, commit, NULL, "push", &err), err);
	assert_ok(transaction_deploy(&s->app, s->repo, commit, "master", &ini, 0, &done, &reused,
				     &err),
		  err);
	return done.number;
}

static void settle(struct store *s)
{
	struct error err = ERROR_INIT;

	assert_ok(transaction_settle(&s->app, s->repo, &err), err);
}

static bool has_ref(struct store *s, const char *ref)
{
	struct error none = ERROR_INIT;
	char oid[OID_HEX];

	return repo_resolve(s->repo, ref, false, oid, &none) == 0;
}

static void assert_head(struct store *s, const char *commit)
{
	struct error err = ERROR_INIT;
	char oid[OID_HEX];

	assert_ok(repo_resolve(s->repo, "HEAD", false, oid, &err), err);
	assert_string_equal(oid, commit);
}

static void a_staged_release_waits_and_then_goes_live(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	deploy(s, commit_version(s, "one"));
	assert_int_equal(set_aside(s, commit_version(s, "two"), s->oid[0]), 2);
	settle(s);
	settle(s);
	assert_int_equal(release_current(&s->app), 1);
	assert_head(s, s->oid[0]);
	assert_int_equal(kept_staged(&s->app), 2);
	assert_true(has_ref(s, "refs/staged/2"));
	assert_false(has_ref(s, "refs/releases/2"));
	assert_ok(transaction_activate_kept(&s->app, s->repo, 2, &err), err);
	assert_int_equal(release_current(&s->app), 2);
	assert_head(s, s->oid[1]);
	assert_content(s->app.fd, "current/app/static/version", "two");
	settle(s);
	assert_int_equal(kept_staged(&s->app), 0);
	assert_false(has_ref(s, "refs/staged/2"));
	assert_true(has_ref(s, "refs/releases/2"));
	assert_false(release_is_staged(&s->app, 2));
}

static void it_goes_live_only_behind_what_it_was_proven_behind(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	deploy(s, commit_version(s, "one"));
	assert_int_equal(set_aside(s, commit_version(s, "two"), s->oid[0]), 2);
	assert_int_equal(deploy(s, commit_version(s, "three")), 3); /* 2 is taken */
	assert_int_equal(transaction_activate_kept(&s->app, s->repo, 2, &err), -1);
	assert_int_equal(err.code, E_REFUSED);
	assert_non_null(strstr(err.text, "was staged when the deploy branch named"));
	assert_int_equal(release_current(&s->app), 3);
	assert_head(s, s->oid[2]);
	settle(s); /* rolled back to where it was, it may */
	assert_ok(transaction_activate_kept(&s->app, s->repo, 1, &err), err);
	assert_ok(transaction_activate_kept(&s->app, s->repo, 2, &err), err);
	assert_int_equal(release_current(&s->app), 2);
	assert_head(s, s->oid[1]);
	assert_int_equal(deploy(s, commit_version(s, "four")), 4);
}

static void the_next_one_replaces_it_and_numbers_are_not_used_twice(void **state)
{
	struct store *s = *state;

	deploy(s, commit_version(s, "one"));
	assert_int_equal(set_aside(s, commit_version(s, "two"), s->oid[0]), 2);
	assert_int_equal(set_aside(s, commit_version(s, "three"), s->oid[0]), 3);
	settle(s);
	assert_false(there(s->app.fd, "releases/2"));
	assert_false(has_ref(s, "refs/staged/2"));
	assert_int_equal(kept_staged(&s->app), 3);
	assert_true(has_ref(s, "refs/staged/3"));
}

static void the_first_release_of_an_app_can_be_staged(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(set_aside(s, commit_version(s, "one"), NOTHING), 1);
	settle(s);
	assert_int_equal(release_current(&s->app), 0);
	assert_false(has_ref(s, MASTER));
	assert_ok(transaction_activate_kept(&s->app, s->repo, 1, &err), err);
	assert_int_equal(release_current(&s->app), 1);
	assert_head(s, s->oid[0]);
}

static void stopped_before_the_mark_it_never_was(void **state)
{
	struct store *s = *state;
	autorelease struct release_info r = RELEASE_INFO_INIT;
	struct error err = ERROR_INIT;

	deploy(s, commit_version(s, "one"));
	stage_aside(s, commit_version(s, "two"), &r);
	assert_ok(publish_staged_ref(&s->app, r.number, r.commit, &err), err);
	settle(s);
	assert_false(there(s->app.fd, "releases/2"));
	assert_false(has_ref(s, "refs/staged/2"));
	assert_int_equal(release_current(&s->app), 1);
	assert_int_equal(set_aside(s, s->oid[1], s->oid[0]), 2);
}

static void a_lost_ref_comes_back_and_activation_is_finished(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	deploy(s, commit_version(s, "one"));
	set_aside(s, commit_version(s, "two"), s->oid[0]);
	assert_ok(repo_delete_ref(s->repo, "refs/staged/2", &err), err);
	settle(s);
	assert_true(has_ref(s, "refs/staged/2"));
	/* intended: the branch has not moved */
	assert_ok(transaction_intend(&s->app, 2, &err), err);
	settle(s);
	assert_int_equal(release_current(&s->app), 1);
	assert_int_equal(kept_staged(&s->app), 2);
	/* intended, and moved */
	assert_ok(transaction_intend(&s->app, 2, &err), err);
	assert_ok(repo_set_ref(s->repo, MASTER, s->oid[1], s->oid[0], "test", &err), err);
	settle(s);
	assert_int_equal(release_current(&s->app), 2);
	assert_false(has_ref(s, "refs/staged/2"));
}

static void after_a_week_it_goes(void **state)
{
	struct store *s = *state;
	autostrbuf struct strbuf text = STRBUF_INIT, old = STRBUF_INIT;
	struct error err = ERROR_INIT;
	const char *when;

	deploy(s, commit_version(s, "one"));
	set_aside(s, commit_version(s, "two"), s->oid[0]);
	assert_ok(fs_read_file(s->app.fd, "releases/2/record.ini", 10000, &text, &err), err);
	when = strstr(text.buf, "when = ");
	assert_non_null(when);
	strbuf_add(&old, text.buf, (size_t)(when - text.buf));
	strbuf_addf(&old, "when = %lld", (long long)(clock_utc_ms() / 1000 - 7L * 24 * 3600 - 10));
	strbuf_addstr(&old, strchr(when, '\n'));
	put_file(s->app.fd, "releases/2/record.ini", old.buf);
	settle(s);
	assert_false(there(s->app.fd, "releases/2"));
	assert_false(has_ref(s, "refs/staged/2"));
}

static void retention_spares_it_and_the_highest_that_was_live(void **state)
{
	struct store *s = *state;
	struct error err = ERROR_INIT;

	s->app.node.keep = 1;
	for (unsigned i = 0; i < 3; i++) {
		char version[2] = {(char)('a' + i), '\0'};

		deploy(s, commit_version(s, version));
	}
	assert_ok(transaction_activate_kept(&s->app, s->repo, 2, &err), err);
	assert_ok(transaction_activate_kept(&s->app, s->repo, 1, &err), err);
	assert_int_equal(set_aside(s, commit_version(s, "d"), s->oid[0]), 4);
	settle(s);
	assert_true(release_is_live(&s->app, 1));
	assert_true(release_is_live(&s->app, 3)); /* else its number would be given again */
	assert_int_equal(kept_staged(&s->app), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(a_staged_release_waits_and_then_goes_live),
		STORE_TEST(it_goes_live_only_behind_what_it_was_proven_behind),
		STORE_TEST(the_next_one_replaces_it_and_numbers_are_not_used_twice),
		STORE_TEST(the_first_release_of_an_app_can_be_staged),
		STORE_TEST(stopped_before_the_mark_it_never_was),
		STORE_TEST(a_lost_ref_comes_back_and_activation_is_finished),
		STORE_TEST(after_a_week_it_goes),
		STORE_TEST(retention_spares_it_and_the_highest_that_was_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
