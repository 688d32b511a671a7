/* maintain.h - an app's repository stays small: few packs, and no object that nothing needs.
 *
 * Every push leaves a pack (receive.unpackLimit = 1). When there are many, the small ones become
 * one, chosen so that each pack is at least twice as large as all smaller ones together: a pack is
 * rewritten as often as the logarithm of the repository's size says, not at each push. Where that
 * takes in all packs, what no ref leads to is left out.
 *
 * On disk: a new pack and its index, then their directory, then the old ones go. git's own `repack
 * -d` syncs no directory between the two. The caller holds the app's lock, which the git that packs
 * inherits: no push goes on beside one that outlives us. */
#pragma once
#include "buildless/app.h"

/* More packs than this are worth the work; so many more that a burst of pushes must not go on
 * without it. */
#define MAINTAIN_PACKS       16
#define MAINTAIN_PACKS_BURST 64
/* More loose objects than this are looked through for those that nothing needs. */
#define MAINTAIN_LOOSE 256

/* Removes what killed gits left among the packs, packs if there is reason to, and drops old loose
 * objects that no ref leads to. May be ended at any point. */
MUST_CHECK int maintain(const struct app *app, struct error *err);
/* In a burst of pushes each ends the settle behind the one before it. This packs the small packs
 * only, where they have become too many, and where that is quick. */
MUST_CHECK int maintain_burst(const struct app *app, struct error *err);
