/* activate.c - the flip: what happens once the ref has moved. Nothing here needs libgit2. */
#include "buildless/steps.h"

#include <fcntl.h>
#include "buildless/checkpoint.h"
#include "buildless/report.h"
#include "common/fs.h"
#include "runtime/ask.h"

#define HEAD_MAX 4096
#define NEW_REF  ".release.new"

int transaction_intend(struct app *app, unsigned release, struct error *err)
{
	return release_set_link(app, "next", release, err);
}

int drop_next(const struct app *app, struct error *err)
{
	if (!fs_exists(app->fd, "next"))
		return 0;
	if (fs_unlink(app->fd, "next", err) == -1)
		return -1;
	return fs_sync(app->fd, err);
}

/* `previous` and `current` are renamed in one directory and synced once; whatever of it survives a
 * power cut, `next` or `current` leads to the release, and running this again completes it. */
static int flip_links(const struct app *app, unsigned live, unsigned release, struct error *err)
{
	autofree char *old = xasprintf("releases/%u", live),
		      *new = xasprintf("releases/%u", release);
	struct error none = ERROR_INIT;
	unsigned next;

	if (live && fs_replace_link_nosync(app->fd, "previous", old, err) == -1)
		return -1;
	if ((release_link(app, "next", &next, &none) == -1 || next != release) &&
	    fs_replace_link_nosync(app->fd, "next", new, err) == -1)
		return -1;
	return fs_rename_sync(app->fd, "next", app->fd, "current", err);
}

int sync_dir(const struct app *app, const char *path, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open_dir(app->fd, path, &fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1; /* a packed ref has no directory */
	return fs_sync(fd, err) == -1 ? error_prefix(err, "directory '%s'", path) : 0;
}

/* git syncs the pack and the ref's file (core.fsync=all), but no directory: without this the disk
 * may hold the flip and still the old ref. From refs/heads down, since a new branch may have
 * brought its directories. */
static int sync_what_git_renamed(const struct app *app, const char *branch, struct error *err)
{
	autofree char *path = xasprintf("repo.git/refs/heads/%s", branch);

	if (sync_dir(app, "repo.git/objects/pack", err) == -1)
		return -1;
	for (char *slash = path + strlen("repo.git/refs/heads"); slash;
	     slash = strchr(slash + 1, '/')) {
		int r;

		*slash = '\0';
		r = sync_dir(app, path, err);
		*slash = '/';
		if (r == -1)
			return -1;
	}
	return 0;
}

int flip(const struct app *app, unsigned release, struct error *err)
{
	autorelease struct release_info r = {0};
	unsigned live = release_current(app);

	if (release_read(app, release, &r, err) == -1 ||
	    sync_what_git_renamed(app, r.branch, err) == -1 ||
	    release_mark_live(app, release, err) == -1 ||
	    release_note(app, release, r.commit, err) == -1)
		return -1;
	return live == release ? drop_next(app, err) : flip_links(app, live, release, err);
}

/* repo.git/refs/KIND, made where it is not there. */
static int open_refs(int repo_fd, const char *kind, int *out, struct error *err)
{
	autoclose int refs_fd = -1;
	bool new;

	if (fs_open_dir(repo_fd, "refs", &refs_fd, err) == -1)
		return -1;
	new = !fs_exists(refs_fd, kind);
	if (fs_ensure_dir(refs_fd, kind, 0755, out, err) == -1)
		return -1;
	return new ? fs_sync(refs_fd, err) : 0;
}

static int write_ref_file(int repo_fd, const char *commit, struct error *err)
{
	autofree char *text = xasprintf("%s\n", commit);
	autoclose int fd = -1;

	if (fs_unlink(repo_fd, NEW_REF, err) == -1 || /* left by a crash */
	    fs_open(repo_fd, NEW_REF, O_WRONLY | O_CREAT | O_EXCL, 0644, &fd, err) == -1 ||
	    fs_write_all(fd, text, strlen(text), err) == -1)
		return -1;
	return fs_sync(fd, err);
}

/* A loose ref of gitrepository-layout(5): the oid and a newline in a file of its name, made beside
 * refs/, where a half one would be taken for a ref. No .lock: nobody else writes there, since the
 * gate takes no such ref, and the app's lock is held. */
static int publish(const struct app *app, const char *kind, unsigned release, const char *commit,
		   struct error *err)
{
	autofree char *name = xasprintf("%u", release);
	autoclose int repo_fd = -1, fd = -1;

	if (fs_open_dir(app->fd, "repo.git", &repo_fd, err) == -1 ||
	    open_refs(repo_fd, kind, &fd, err) == -1 ||
	    write_ref_file(repo_fd, commit, err) == -1 ||
	    fs_rename(repo_fd, NEW_REF, fd, name, err) == -1 || fs_sync(fd, err) == -1)
		return error_prefix(err, "publishing refs/%s/%u", kind, release);
	return 0;
}

int publish_ref(const struct app *app, unsigned release, const char *commit, struct error *err)
{
	return publish(app, "releases", release, commit, err);
}

int publish_staged_ref(const struct app *app, unsigned release, const char *commit,
		       struct error *err)
{
	return publish(app, "staged", release, commit, err);
}

int transaction_activate(struct app *app, unsigned release, const char *commit, struct error *err)
{
	struct error later = ERROR_INIT;

	if (flip(app, release, err) == -1)
		return error_prefix(err, "activating release %u", release);
	if (publish_ref(app, release, commit, &later) == -1) /* settling does it again */
		report_problem(&later, "the release is live, but git does not list it yet");
	if (checkpoint_resolve(app, &later) == -1) /* the same */
		report_problem(&later, "the mark of the checkpoint is still there");
	return 0;
}

int transaction_set_head(const struct app *app, const char *ref, struct error *err)
{
	autofree char *wanted = xasprintf("ref: %s\n", ref);
	autostrbuf struct strbuf now = STRBUF_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(app->fd, "repo.git", &fd, err) == -1 ||
	    fs_read_file(fd, "HEAD", HEAD_MAX, &now, err) == -1)
		return -1;
	if (strcmp(strbuf_str(&now), wanted) == 0)
		return 0;
	return fs_replace_file(fd, "HEAD", wanted, strlen(wanted), 0644, err);
}

static void abandon(struct app *app, unsigned release)
{
	autorelease struct release_info r = {0};
	struct error err = ERROR_INIT;
	unsigned next;

	if (release_link(app, "next", &next, &err) == 0 && next == release &&
	    drop_next(app, &err) == -1)
		report_problem(&err, "taking back what was staged");
	if (release == release_current(app) || release_read(app, release, &r, &err) == -1)
		return;
	if (has_processes(&r) && ask_stop(release, &err) == -1) {
		/* Recovery stops what has a record; without one it would run on, in the way of
		 * the next release of this number. */
		report_problem(&err, "stopping what was started");
		return;
	}
	if (!r.live && !r.staged && release_remove(app, release, &err) == -1)
		report_problem(&err, "taking back what was staged");
}

/* Its processes end before the data go back. */
void transaction_abandon(struct app *app, unsigned release)
{
	struct error err = ERROR_INIT;

	abandon(app, release);
	if (checkpoint_resolve(app, &err) == -1)
		report_problem(&err, "putting back the data");
}
