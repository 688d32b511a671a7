#include "buildless/space.h"

#include "buildless/report.h"
#include "buildless/slot.h"
#include "common/room.h"

#define BLOCK_BYTES 4096

void space_add(struct space_need *need, uint64_t bytes)
{
	need->files++;
	need->bytes += (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
}

void space_add_dir(struct space_need *need)
{
	space_add(need, BLOCK_BYTES);
}

static bool is_held(const struct app *app, const char *tree)
{
	autofree struct slot *slots = NULL;
	struct error ignored = ERROR_INIT;
	size_t n;

	if (slot_list(app, &slots, &n, &ignored) == -1)
		return false;
	for (size_t i = 0; i < n; i++)
		if (slots[i].clean && strcmp(slots[i].tree, tree) == 0)
			return true;
	return false;
}

static char *finding(const struct app *app, const struct space_need *need, const struct room *room)
{
	autofree char *needed = room_text(need->bytes), *free_now = room_text(room->free_bytes),
		      *kept = room_text(room->reserve_bytes);
	autostrbuf struct strbuf wanted = STRBUF_INIT, left = STRBUF_INIT;

	if (need->bytes > room->bytes)
		return xasprintf("the disk: this commit needs %s, %s are free on %s, and %s are "
				 "reserved; free some there, then try again",
				 needed, free_now, app->node.dir, kept);
	report_add_count(&wanted, need->files);
	report_add_count(&left, room->free_files);
	return xasprintf("the disk: this commit needs %s new files and directories, %s can be made "
			 "on %s, and %llu are reserved; remove some there, then try again",
			 strbuf_str(&wanted), strbuf_str(&left), app->node.dir,
			 (unsigned long long)room->reserve_files);
}

/* NULL: it fits. The caller frees. */
static char *problem(const struct app *app, const struct space_need *need)
{
	struct error unknown = ERROR_INIT; /* then the writes will tell */
	struct room room;

	if (room_read(app->fd, &room, &unknown) == -1 ||
	    (need->bytes <= room.bytes && need->files <= room.files))
		return NULL;
	return finding(app, need, &room);
}

char *space_problem(const struct app *app, const char *tree, const struct space_need *need)
{
	autofree char *text = need->files ? problem(app, need) : NULL;

	return text && !is_held(app, tree) ? steal_ptr(&text) : NULL;
}

struct sum {
	struct repo *repo;
	struct space_need need;
};

static int add_entry(void *ctx, const char *path, const struct repo_entry *was,
		     const struct repo_entry *now, struct error *err)
{
	bool is_file = now && (now->kind == REPO_ENTRY_FILE || now->kind == REPO_ENTRY_EXEC);
	struct sum *sum = ctx;
	uint64_t bytes = 0;

	(void)path;
	(void)was;
	if (is_file && repo_blob_size(sum->repo, now->oid, &bytes, err) == -1)
		return -1;
	if (now && now->kind == REPO_ENTRY_TREE)
		space_add_dir(&sum->need);
	else if (now)
		space_add(&sum->need, bytes);
	return 0;
}

int space_check_whole(const struct app *app, struct repo *repo, const char *tree, struct error *err)
{
	struct sum sum = {.repo = repo};
	autofree char *text = NULL;

	if (repo_diff(repo, "", tree, add_entry, &sum, err) == -1)
		return -1;
	text = problem(app, &sum.need);
	return text ? error_set(err, E_REFUSED, "%s", text) : 0;
}
