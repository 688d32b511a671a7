/* slot.h - slots/i: directories that hold one materialised tree each, and are recycled.
 *
 *	slots/3		the tree
 *	slots/3.ini	which one; there only while the slot is clean
 *
 * Invariant: where slots/i.ini is there, slots/i holds exactly the tree that it names, on disk.
 * Laying out removes the record first (on disk), changes the tree, syncs it, then writes the
 * record. Stopped in between, the slot has no record: its content is unknown, and it is laid out
 * anew when it is next used. Files are never written in place, since several slots may share one
 * by hard links. The caller holds the app's lock. */
#pragma once
#include "buildless/app.h"
#include "buildless/git.h"

struct slot {
	unsigned number;
	bool clean; /* else the rest is unknown */
	char tree[OID_HEX];
	uint64_t files;
	int64_t used_ms; /* when it became clean, UTC */
	int64_t stamp;   /* modification time of the files that were written last, UTC seconds */
};

/* What laying out did. */
struct slot_work {
	uint64_t files;   /* in the tree */
	uint64_t written; /* blobs and symlinks created */
	uint64_t linked;  /* blobs linked from the live slot */
	uint64_t removed;
	int64_t apply_ms, sync_ms;
};

/* Slots of the app by number. The caller frees *out. */
MUST_CHECK int slot_list(const struct app *app, struct slot **out, size_t *n, struct error *err);
/* E_NOTFOUND: no such slot, or it is not clean. */
MUST_CHECK int slot_read(const struct app *app, unsigned number, struct slot *out,
			 struct error *err);
/* A slot that no release leads to: clean before dirty, then the most recently used; *new if there
 * is none, then it is the lowest free number. */
MUST_CHECK int slot_choose(const struct app *app, unsigned *number, bool *new, struct error *err);
/* Makes slots/NUMBER hold `tree`: nothing where it does already, else the difference to what it
 * holds, or everything where that is unknown (such content is moved aside as slots/.trash-*). Blobs
 * that the slot `live` (NULL: none) has at the same path are linked from there. On disk on return
 * 0. E_REFUSED: the tree holds what may not be in a slot; the slot is dirty then, as after any
 * error. */
MUST_CHECK int slot_layout(const struct app *app, struct repo *repo, unsigned number,
			   const char *tree, const struct slot *live, struct slot_work *work,
			   struct error *err);
/* Its content counts as unknown from now on. On disk. */
MUST_CHECK int slot_forget(const struct app *app, unsigned number, struct error *err);
/* Deletes what was moved aside. */
MUST_CHECK int slot_empty_trash(const struct app *app, struct error *err);
/* May an entry of this name be in a slot? Not "", ".", "..", ".git" in any case, nor with a slash.
 */
bool slot_name_ok(const char *name);
