/* layout.h - a slot comes to hold a tree: only what differs from the tree that it holds is touched.
 *
 * Equal subtrees are never opened, on the disk or in the repository. What the record of the slot
 * says is carried over with the difference, not counted anew. */
#pragma once
#include <signal.h>
#include "buildless/slot.h"

/* What laying out did. */
struct slot_work {
	uint64_t files;   /* in the tree */
	uint64_t written; /* blobs and symlinks created */
	uint64_t linked;  /* blobs linked from the live slot */
	uint64_t removed;
};

/* Makes slots/NUMBER hold `tree`: nothing where it does already, else the difference to what it
 * holds, or everything where that is unknown (such content is moved aside as slots/.trash-*). Blobs
 * that the slot `live` (NULL: none) has at the same path are linked from there. In any case the
 * slot is taken (slot_take()). On disk on return 0. E_REFUSED: the tree holds what may not be in a
 * slot; the slot is dirty then, as after any error, or was not touched. Absolute paths of
 * the old machine are relocated (relocation.h); the record says so, too. */
MUST_CHECK int slot_layout(const struct app *app, struct repo *repo, unsigned number,
			   const char *tree, const struct slot *live, struct slot_work *work,
			   struct error *err);
/* The same, but ends soon after *stop is set (by a signal), with E_BUSY: the slot is clean then and
 * holds a tree between, which a later layout goes on from. That tree is written to the repository;
 * no ref names it. Never in quarantine. */
MUST_CHECK int slot_prepare(const struct app *app, struct repo *repo, unsigned number,
			    const char *tree, const struct slot *live,
			    const volatile sig_atomic_t *stop, struct slot_work *work,
			    struct error *err);
/* May an entry of this name be in a slot? Not "", ".", "..", ".git" in any case, nor with a slash.
 */
bool slot_name_ok(const char *name);
