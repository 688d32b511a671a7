/* slot.h - slots/i: directories that hold one materialised tree each, and are recycled.
 *
 *	slots/3		the tree
 *	slots/3.ini	which one; there only while the slot is clean
 *	slots/index	a link whose text is "STAMP FREE...": when the last layout was, and the
 *slots that no release leads to, so that a push need not ask every release
 *
 * Invariant: where slots/i.ini is there, slots/i holds exactly the tree that it names, on disk.
 * Laying out removes the record first (on disk), changes the tree, syncs it, then writes the
 * record. Stopped in between, the slot has no record: its content is unknown, and it is laid out
 * anew when it is next used. Files are never written in place, since several slots may share one
 * by hard links.
 * A slot leaves the index, on disk, before it is changed or a release leads to it; it comes back
 * with slot_reindex(). So the index may lack a free slot, and never names one in use. Without it
 * everything is found by looking at all slots and releases. The caller holds the app's lock. */
#pragma once
#include "buildless/app.h"
#include "buildless/git.h"
#include "buildless/relocation.h"

struct slot {
	unsigned number;
	bool clean; /* else the rest is unknown */
	char tree[OID_HEX];
	uint64_t files;
	int64_t used_ms; /* when it became clean, UTC */
	int64_t stamp;   /* modification time of the files that were written last, UTC seconds */
};

/* Slots of the app by number. The caller frees *out. */
MUST_CHECK int slot_list(const struct app *app, struct slot **out, size_t *n, struct error *err);
/* E_NOTFOUND: no such slot, or it is not clean. */
MUST_CHECK int slot_read(const struct app *app, unsigned number, struct slot *out,
			 struct error *err);
/* How `tree` was relocated in a clean slot; false: it holds another, or is not clean. */
bool slot_read_relocation(const struct app *app, unsigned number, const char *tree,
			  struct relocation *out);
/* A slot that no release leads to, and that holds the tree with the fewest differences from `tree`;
 * among equals the most recently used. *new if there is none, then it is the lowest free number. */
MUST_CHECK int slot_choose(const struct app *app, struct repo *repo, const char *tree,
			   unsigned *number, bool *new, struct error *err);
/* The index offers it no more, and unless `keep` its content counts as unknown. On disk. *stamp
 * is later than that of every layout before. */
MUST_CHECK int slot_take(const struct app *app, unsigned number, bool keep, int64_t *stamp,
			 struct error *err);
/* Writes slots/index anew, from what slots and releases there are. On disk. */
MUST_CHECK int slot_reindex(const struct app *app, struct error *err);
/* Does the index name it as one that no release leads to? */
bool slot_is_offered(const struct app *app, unsigned number);
/* Its content counts as unknown from now on. On disk. */
MUST_CHECK int slot_forget(const struct app *app, unsigned number, struct error *err);
/* Deletes what was moved aside. */
MUST_CHECK int slot_empty_trash(const struct app *app, struct error *err);
