/* rollout.h - one commit to every node of a remote: all of them, or none.
 *
 * To one node it is a push. To several it is staged on all at once (`git push -o stage`), which
 * proves it there; a node that refuses, or cannot be reached, ends it, and nobody has flipped. Then
 * `activate` is asked of all at once. A node that dies between is reported; the same again finishes
 * there, since the others have nothing left to do. */
#pragma once
#include "cli/place.h"

struct rollout {
	const char *top; /* of the work tree */
	const struct place *place;
	const char *app;
	const char *commit; /* 40 hex; NULL: what the branch here is that the nodes deploy */
	const char *again;  /* the command that does the same again, for advice */
	char *const *env;   /* for git and ssh, as struct tool; NULL: ours */
	bool force;         /* what the nodes have may be lost */
	bool snapshot;      /* commit is one of a working tree (snapshot.h) */
	bool check;         /* -o plan: nothing is changed */
	bool terse;         /* to one node: what Silver says, without git's words about refs */
};

/* *status where 0 is returned: that of the push. Everything is said. E_REFUSED: nobody flipped. */
MUST_CHECK int rollout_run(const struct rollout *r, int *status, struct error *err);
/* Back on every node, to `commit` (40 hex; NULL: the release before the live one, which must be of
 * the same commit everywhere). E_REFUSED: nobody went back. */
MUST_CHECK int rollout_back(const struct place *place, const char *app, const char *commit,
			    struct error *err);
