#include "receiver/intake.h"

#include "common/fs.h"
#include "common/room.h"

/* "nothing was changed; release 7 is live". The caller frees. */
static char *unchanged(const struct node *node, const char *app)
{
	autofree char *path = xasprintf("apps/%s/current", app), *target = NULL;
	struct error none = ERROR_INIT;

	if (fs_read_link(node->fd, path, &target, &none) == -1 || !str_starts(target, "releases/"))
		return xstrdup("nothing was changed; nothing is live yet");
	return xasprintf("nothing was changed; release %s is live", target + strlen("releases/"));
}

int intake_check(const struct node *node, const char *app, struct error *err)
{
	autofree char *left = NULL, *reserve = NULL, *live = NULL;
	struct error unknown = ERROR_INIT; /* then whoever writes will tell */
	struct room room;

	if (room_read(node->fd, &room, &unknown) == -1 || (room.bytes && room.files))
		return 0;
	live = unchanged(node, app);
	if (!room.files)
		return error_set(err, E_REFUSED,
				 "the disk is full: no more than %llu files can be made on %s; "
				 "remove some there, then push again\n%s",
				 (unsigned long long)room.free_files, node->dir, live);
	left = room_text(room.free_bytes);
	reserve = room_text(room.reserve_bytes);
	return error_set(err, E_REFUSED,
			 "the disk is full: %s are free on %s, and %s are reserved; free some "
			 "there, then push again\n%s",
			 left, node->dir, reserve, live);
}

uint64_t intake_limit_bytes(const struct node *node)
{
	struct error unknown = ERROR_INIT;
	struct room room;

	if (room_read(node->fd, &room, &unknown) == -1 || room.bytes >= node->max_push_bytes)
		return node->max_push_bytes;
	return room.bytes ? room.bytes : 1; /* 0 would be no limit */
}
