/* aside.c - a release is set aside: what proc-receive does for `git push -o stage`. Nothing here
 * needs libgit2. */
#include "buildless/steps.h"

#include "buildless/checkpoint.h"
#include "common/proc.h"
#include "runtime/ask.h"

#define KEPT_SECONDS (7L * 24 * 3600)

int transaction_rest(struct app *app, const struct release_info *release, struct error *err)
{
	if (has_processes(release) && ask_stop(release->number, err) == -1)
		return -1;
	return checkpoint_keep(app, err);
}

unsigned kept_staged(const struct app *app)
{
	int64_t now = clock_utc_ms() / 1000;
	autofree unsigned *release = NULL;
	struct error none = ERROR_INIT;
	size_t n;

	if (release_list(app, &release, &n, &none) == -1)
		return 0;
	while (n--) {
		autorelease struct release_info r = RELEASE_INFO_INIT;

		if (!release_is_staged(app, release[n]) ||
		    release_read(app, release[n], &r, &none) == -1 || !r.staged)
			continue;
		return now - r.when <= KEPT_SECONDS ? r.number : 0;
	}
	return 0;
}

/* What pre-receive staged for this push: the newest release that nothing marks. */
static int find_unmarked(const struct app *app, const char *commit, struct release_info *out,
			 struct error *err)
{
	autofree unsigned *release = NULL;
	size_t n;

	if (release_list(app, &release, &n, err) == -1)
		return -1;
	while (n--) {
		if (release_is_live(app, release[n]) || release_is_staged(app, release[n]))
			continue;
		if (release_read(app, release[n], out, err) == -1)
			return -1;
		if (strcmp(out->commit, commit) == 0)
			return 0;
		release_info_release(out);
	}
	return error_set(err, E_NOTFOUND, "no release of %.7s is staged", commit);
}

int transaction_set_aside(struct app *app, const char *commit, const char *base,
			  struct release_info *out, struct error *err)
{
	if (find_unmarked(app, commit, out, err) == -1)
		return -1;
	/* the objects, what names them, and then the file that makes it count */
	if (sync_dir(app, "repo.git/objects/pack", err) == 0 &&
	    publish_staged_ref(app, out->number, commit, err) == 0 &&
	    release_mark_staged(app, out->number, base, err) == 0)
		return 0;
	transaction_abandon(app, out->number);
	release_info_release(out);
	return -1;
}
