/* recover.c - the deploy ref and the live release agree again, from names and records alone. */
#include "buildless/steps.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "buildless/checkpoint.h"
#include "buildless/config.h"
#include "buildless/report.h"
#include "common/fs.h"
#include "common/names.h"
#include "runtime/ask.h"

#define REF_DEPTH_MAX 32 /* directories below refs/ that are looked through for left-overs */

/* The commit that the deploy branch names; "" while there is none. ref (may be NULL) is the
 * caller's. */
static int deploy_commit(struct repo *repo, char commit[OID_HEX], char **ref, struct error *err)
{
	autofree char *name = NULL;

	*commit = '\0';
	if (ref)
		*ref = NULL;
	if (transaction_deploy_ref(repo, &name, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (repo_resolve(repo, name, false, commit, err) == -1)
		return -1;
	if (ref)
		*ref = steal_ptr(&name);
	return 0;
}

/* What `next` announces was accepted if, and only if, the ref names its commit. */
static int recover_next(struct app *app, const char *commit, struct error *err)
{
	autorelease struct release_info r = {0};
	struct error none = ERROR_INIT;
	unsigned next;

	if (!fs_exists(app->fd, "next"))
		return 0;
	if (release_link(app, "next", &next, &none) == -1 ||
	    release_read(app, next, &r, &none) == -1 || strcmp(r.commit, commit) != 0)
		return drop_next(app, err);
	if (flip(app, next, err) == -1)
		return error_prefix(err, "finishing release %u", next);
	report_step("%s release %u, accepted earlier, is live now", app->name, next);
	return 0;
}

/* Staged, and neither accepted nor announced nor set aside: its push is over. */
static int remove_staged(struct app *app, unsigned number, struct error *err)
{
	autorelease struct release_info r = {0};
	struct error none = ERROR_INIT;

	if (release_is_live(app, number) ||
	    (release_is_staged(app, number) && number == kept_staged(app)))
		return 0;
	if (release_read(app, number, &r, &none) == 0 && has_processes(&r) &&
	    ask_stop(number, err) == -1)
		return error_prefix(err, "stopping release %u, which did not go live", number);
	return release_remove(app, number, err);
}

static int remove_all_staged(struct app *app, struct error *err)
{
	autofree unsigned *release = NULL;
	size_t n;

	if (release_list(app, &release, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (remove_staged(app, release[i], err) == -1)
			return -1;
	return 0;
}

/* The one that is in the way of a push. */
static int remove_last_staged(struct app *app, struct error *err)
{
	unsigned number;

	if (release_next_number(app, &number, err) == -1)
		return -1;
	return remove_staged(app, number, err);
}

/* The highest accepted release that is still there; 0: none. */
static unsigned fallback(const struct app *app)
{
	autofree unsigned *release = NULL;
	struct error none = ERROR_INIT;
	unsigned previous;
	size_t n;

	if (release_link(app, "previous", &previous, &none) == 0 && release_is_live(app, previous))
		return previous;
	if (release_list(app, &release, &n, &none) == -1)
		return 0;
	while (n && !release_is_live(app, release[n - 1]))
		n--;
	return n ? release[n - 1] : 0;
}

/* Something serves at once; what the ref names comes again with agree(). */
static int recover_current(struct app *app, struct error *err)
{
	unsigned number;

	if (!fs_exists(app->fd, "current") || release_current(app))
		return 0;
	number = fallback(app);
	if (!number) {
		report_step("%s: the live release is gone, and no other is left", app->name);
		if (fs_unlink(app->fd, "current", err) == -1)
			return -1;
		return fs_sync(app->fd, err);
	}
	report_step("%s: the live release is gone; release %u is live again", app->name, number);
	return release_set_link(app, "current", number, err);
}

static bool is_dir(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Everything below a directory of refs that is no ref: git's locks, temporary files of ours. */
static int remove_stale_below(int dir_fd, unsigned depth, bool releases, struct error *err)
{
	autostrv struct strv names = STRV_INIT;

	if (fs_list(dir_fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		const char *name = names.v[i];
		autoclose int below = -1;

		if (is_dir(dir_fd, name)) {
			if (depth == 0 || (!releases && strcmp(name, "releases") == 0))
				continue;
			if (fs_open_dir(dir_fd, name, &below, err) == -1 ||
			    remove_stale_below(below, depth - 1, true, err) == -1)
				return -1;
		} else if (*name == '.' || str_ends(name, ".lock")) {
			if (fs_unlink(dir_fd, name, err) == -1)
				return -1;
		}
	}
	return 0;
}

/* git drops its ref locks when it ends, but not when it is killed, and would refuse that ref for
 * ever. Every writer of refs holds the app's lock, which is ours now: whatever lock is there is
 * nobody's. `releases`: also below
 * refs/releases, where no push writes. */
static int remove_stale_locks(struct app *app, bool releases, struct error *err)
{
	static const char *const locks[] = {"HEAD.lock", "packed-refs.lock", "config.lock"};
	autoclose int repo_fd = -1, refs_fd = -1;

	if (fs_open_dir(app->fd, "repo.git", &repo_fd, err) == -1 ||
	    fs_open_dir(repo_fd, "refs", &refs_fd, err) == -1)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(locks); i++)
		if (fs_unlink(repo_fd, locks[i], err) == -1)
			return -1;
	return remove_stale_below(refs_fd, REF_DEPTH_MAX, releases, err);
}

/* What fs_replace_file() and the like had not renamed yet; a directory of root's is one, too. */
static int remove_stale(int dir_fd, const char *path, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(dir_fd, path, &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (names.v[i][0] == '.' && str_ends(names.v[i], ".new") &&
		    fs_remove_tree(fd, names.v[i], err) == -1)
			return -1;
	return 0;
}

/* What it cannot remove it only reports: the steps that it is in the way of say so themselves. */
static void remove_litter(struct app *app)
{
	static const char *const places[] = {".", "slots", "repo.git"};
	struct error litter = ERROR_INIT;
	unsigned n;

	if (release_remove_unfinished(app, &n, &litter) == -1)
		report_problem(&litter, "removing what was not finished");
	if (config_tidy(app, &litter) == -1)
		report_problem(&litter, "removing what was not finished");
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (remove_stale(app->fd, places[i], &litter) == -1)
			report_problem(&litter, "removing what was not finished");
}

static void remove_locks(struct app *app, bool releases)
{
	struct error litter = ERROR_INIT;

	if (remove_stale_locks(app, releases, &litter) == -1)
		report_problem(&litter, "removing what was not finished");
}

static int recover_links(struct app *app, struct repo *repo, struct error *err)
{
	char commit[OID_HEX];

	if (deploy_commit(repo, commit, NULL, err) == -1 || recover_next(app, commit, err) == -1)
		return -1;
	return recover_current(app, err);
}

int transaction_recover_links(struct app *app, struct repo *repo, struct error *err)
{
	remove_locks(app, false);
	if (recover_links(app, repo, err) == -1 || checkpoint_resolve(app, err) == -1 ||
	    remove_last_staged(app, err) == -1)
		return error_prefix(err, "recovering %s", app->name);
	return 0;
}

/* refs/releases/N for every accepted release, and for no other. */
static int delete_stray_refs(struct app *app, struct repo *repo, const struct strv *names,
			     struct error *err)
{
	for (size_t i = 0; i < names->n; i++) {
		uint64_t number;

		if (str_to_uint(names->v[i] + strlen("refs/releases/"), UINT32_MAX, &number) &&
		    release_is_live(app, (unsigned)number))
			continue;
		if (repo_delete_ref(repo, names->v[i], err) == -1)
			return -1;
	}
	return 0;
}

static bool is_published(const struct strv *names, const struct strv *oids,
			 const struct release_info *r)
{
	autofree char *ref = xasprintf("refs/releases/%u", r->number);

	for (size_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i], ref) == 0)
			return strcmp(oids->v[i], r->commit) == 0;
	return false;
}

static int recover_refs(struct app *app, struct repo *repo, struct error *err)
{
	autostrv struct strv names = STRV_INIT, oids = STRV_INIT;
	autofree unsigned *release = NULL;
	size_t n;

	if (repo_list_refs(repo, "refs/releases/", &names, &oids, err) == -1 ||
	    delete_stray_refs(app, repo, &names, err) == -1 ||
	    release_list(app, &release, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++) {
		autorelease struct release_info r = {0};
		struct error unreadable = ERROR_INIT;

		if (release_read(app, release[i], &r, &unreadable) == -1) {
			report_problem(&unreadable, "reading a release");
			continue;
		}
		if (r.live && ((!is_published(&names, &oids, &r) &&
				publish_ref(app, r.number, r.commit, err) == -1) ||
			       release_note(app, r.number, r.commit, err) == -1))
			return -1;
	}
	return release_forget_gone(app, err);
}

/* The ref was moved by hand, or the live release is gone: what the ref names goes live. */
static int deploy_what_ref_names(struct app *app, struct repo *repo, const char *ref,
				 const char *commit, struct error *err)
{
	autorelease struct release_info done = {0};
	struct appini ini;
	bool reused;
	int r;

	if (transaction_check(app, repo, commit, &ini, err) == -1)
		return -1;
	r = transaction_deploy(app, repo, commit, name_branch(ref), &ini, 0, &done, &reused, err);
	appini_release(&ini);
	if (r == 0)
		report_step("%s: %s names %.7s; release %u is live now", app->name, ref, commit,
			    done.number);
	return r;
}

static int ref_goes_back(struct app *app, struct repo *repo, const char *ref, const char *commit,
			 const struct release_info *live, struct error *err)
{
	report_step("%s: %s goes back from %.7s to %.7s, which is live", app->name, ref, commit,
		    live->commit);
	return repo_set_ref(repo, ref, live->commit, commit, "silver: back to what is live", err);
}

/* Only a commit that breaks a rule, or that does not run, is taken back: a machine in trouble must
 * not cost anybody a push. */
static int agree(struct app *app, struct repo *repo, struct error *err)
{
	autorelease struct release_info live = {0};
	struct error why = ERROR_INIT;
	autofree char *ref = NULL;
	unsigned current = release_current(app);
	char commit[OID_HEX];

	if (deploy_commit(repo, commit, &ref, err) == -1)
		return -1;
	if (!*commit)
		return 0;
	if (transaction_set_head(app, ref, err) == -1)
		return -1;
	if (current && release_read(app, current, &live, err) == -1)
		return -1;
	if (current && strcmp(live.commit, commit) == 0)
		return 0;
	if (deploy_what_ref_names(app, repo, ref, commit, &why) == 0)
		return 0;
	report_problem(&why, "deploying what the deploy branch names");
	if (why.code != E_REFUSED || !current)
		return 0;
	return ref_goes_back(app, repo, ref, commit, &live, err);
}

int transaction_recover(struct app *app, struct repo *repo, bool start_processes, struct error *err)
{
	remove_litter(app);
	remove_locks(app, true);
	if (recover_links(app, repo, err) == -1 || checkpoint_resolve(app, err) == -1 ||
	    remove_all_staged(app, err) == -1 || slot_reindex(app, err) == -1 ||
	    agree(app, repo, err) == -1 || recover_refs(app, repo, err) == -1 ||
	    recover_staged_refs(app, repo, err) == -1 ||
	    (start_processes && start_live(app, err) == -1))
		return error_prefix(err, "recovering %s", app->name);
	return 0;
}
