/* settle.c - what waits until the pusher has been answered: draining, retention, a spare slot.
 *
 * The next push of the app ends it with SIGTERM at any point, so each step leaves what recovery
 * and the next push can use. */
#include "buildless/steps.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include "buildless/equip.h"
#include "buildless/maintain.h"
#include "buildless/processes.h"
#include "buildless/report.h"
#include "buildless/store.h"
#include "common/fs.h"
#include "common/proc.h"
#include "runtime/ask.h"

/* nginx may have opened `current` just before the flip, and be about to connect. */
#define GRACE_MS 1000
/* What a push that ends us grants to write down how far a slot is: far below its patience for the
 * lock. */
#define FINISH_SECONDS 2

#define LOOSE_REFS_MAX 32

#define INCOMING "tmp_objdir-incoming-"
/* A push holds no lock while it receives, so the age of its quarantine is the only safe sign that
 * it is over: this is far longer than any push takes. */
#define INCOMING_SECONDS (24 * 3600L)

/* Never removed: live, previous, next, what is set aside, and the highest that was accepted, which
 * the next number is counted from. */
static bool is_protected(const struct app *app, unsigned number, unsigned highest)
{
	static const char *const links[] = {"current", "previous", "next"};
	struct error none = ERROR_INIT;
	unsigned named;

	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (release_link(app, links[i], &named, &none) == 0 && named == number)
			return true;
	return number == highest || release_is_staged(app, number);
}

static unsigned highest_accepted(const struct app *app, const unsigned *release, size_t n)
{
	while (n && !release_is_live(app, release[n - 1]))
		n--;
	return n ? release[n - 1] : 0;
}

static int prune_one(struct app *app, struct repo *repo, unsigned number, struct error *err)
{
	autofree char *ref = xasprintf("refs/releases/%u", number);

	if (release_remove(app, number, err) == -1)
		return -1;
	return repo ? repo_delete_ref(repo, ref, err) : 0;
}

int prune(struct app *app, struct repo *repo, struct error *err)
{
	autofree unsigned *release = NULL;
	size_t n, spared = 0, room;
	unsigned highest;

	if (release_list(app, &release, &n, err) == -1)
		return -1;
	highest = highest_accepted(app, release, n);
	for (size_t i = 0; i < n; i++)
		spared += is_protected(app, release[i], highest);
	room = app->node.keep > spared ? app->node.keep - spared : 0;
	for (size_t i = n; i-- > 0;) { /* the newest first */
		if (is_protected(app, release[i], highest))
			continue;
		if (room)
			room--;
		else if (!processes_run(app, release[i]) && /* it finishes its requests */
			 prune_one(app, repo, release[i], err) == -1)
			return -1;
	}
	return 0;
}

/* Every push has git open each loose ref several times. */
static int pack_refs(struct app *app, struct repo *repo, struct error *err)
{
	autostrv struct strv loose = STRV_INIT;
	struct error none = ERROR_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(app->fd, "repo.git/refs/releases", &fd, &none) == -1)
		return 0;
	if (fs_list(fd, &loose, err) == -1)
		return -1;
	return loose.n > LOOSE_REFS_MAX ? repo_pack_refs(repo, err) : 0;
}

static volatile sig_atomic_t ending;

static void finish_soon(int signal_number)
{
	(void)signal_number;
	ending = 1;
	alarm(FINISH_SECONDS); /* SIGALRM's default action */
}

/* A slot that already holds the live tree: the next push applies only its own difference. A push
 * that ends us takes the slot as far as it is, and goes on from there. */
static int lay_out_spare(struct app *app, struct repo *repo, const struct slot *live,
			 struct error *err)
{
	struct slot_work work;
	unsigned number;
	bool new;

	if (slot_choose(app, repo, live->tree, &number, &new, err) == -1)
		return -1;
	if (slot_prepare(app, repo, number, live->tree, live, &ending, &work, err) == -1 && !ending)
		return -1;
	return slot_reindex(app, err);
}

static int prepare_spare(struct app *app, struct repo *repo, struct error *err)
{
	void (*usual)(int);
	struct slot live;
	int r;

	if (!live_slot(app, &live))
		return 0;
	usual = signal(SIGTERM, finish_soon);
	r = lay_out_spare(app, repo, &live, err);
	signal(SIGTERM, usual);
	if (ending) {
		alarm(0);
		raise(SIGTERM);
	}
	return r;
}

static int drain(struct app *app, int64_t since_ms, struct error *err)
{
	int64_t left = GRACE_MS - (clock_ms() - since_ms);
	autofree unsigned *release = NULL;
	bool any = false;
	size_t n;

	if (release_list(app, &release, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n && !any; i++) {
		autorelease struct release_info r = {0};

		any = release_read(app, release[i], &r, err) == -1 || processes_any(&r.run);
	}
	if (!any)
		return 0;
	if (left > 0)
		usleep((useconds_t)left * 1000);
	return ask_only(release_current(app), err);
}

static bool is_abandoned(int objects_fd, const char *name)
{
	struct stat st;

	return str_starts(name, INCOMING) &&
	       fstatat(objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       llabs(clock_utc_ms() / 1000 - st.st_mtim.tv_sec) > INCOMING_SECONDS;
}

/* git removes the quarantine of a push itself, unless it is killed: then all that was received
 * stays, which may be gigabytes. */
static int remove_incoming(struct app *app, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(app->fd, "repo.git/objects", &fd, err) == -1 ||
	    fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (is_abandoned(fd, names.v[i]) && fs_remove_tree(fd, names.v[i], err) == -1)
			return -1;
	return 0;
}

/* Deletions come last: on ext4 they make what is laid out soon after many times slower. */
static int clean(struct app *app, struct error *err)
{
	if (store_prune(&app->node, err) == -1)
		return -1;
	if (remove_incoming(app, err) == -1)
		return error_prefix(err, "removing what killed pushes left");
	if (slot_empty_trash(app, err) == -1)
		return -1;
	return maintain(app, err);
}

/* On a full disk what takes room fails, and the rest, which frees some, goes on. */
static void try_to(int result, const char *what, struct error *why)
{
	if (result == 0)
		return;
	report_problem(why, what);
	*why = (struct error)ERROR_INIT;
}

/* Workers change over while the spare slot is laid out: the old ones may take their time to end. */
static int settle_beside_workers(struct app *app, struct repo *repo, struct error *err)
{
	struct error no_room = ERROR_INIT, no_workers = ERROR_INIT;
	bool asked;
	int r;

	try_to(processes_ask(app, &asked, &no_workers), "starting the workers", &no_workers);
	try_to(maintain_burst(app, &no_room), "packing the repository", &no_room);
	r = prune(app, repo, err);
	if (r == 0)
		try_to(prepare_spare(app, repo, &no_room), "preparing the next slot", &no_room);
	if (asked)
		try_to(ask_workers_answer(&no_workers), "starting the workers", &no_workers);
	return r;
}

int transaction_settle(struct app *app, struct repo *repo, struct error *err)
{
	struct error unreached = ERROR_INIT;
	int64_t start = clock_ms();

	if (transaction_recover(app, repo, false, err) == -1)
		return -1;
	if (!release_current(app))
		return clean(app, err);
	if (settle_beside_workers(app, repo, err) == -1 || drain(app, start, err) == -1)
		return -1;
	try_to(equip_retire(app, &unreached), "services", &unreached);
	if (prune(app, repo, err) == -1 || pack_refs(app, repo, err) == -1)
		return -1;
	return clean(app, err);
}
