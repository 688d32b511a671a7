/* gate.h - which refs may be pushed, and which of them is deployed: every finding, not the first.
 *
 * Findings are whole sentences for the pusher, "WHERE: what; the rule; what to do", collected in
 * `errors` (the push is refused if there is one) and `warnings`, as those about the tree are, which
 * buildless/check.h adds. */
#pragma once
#include "buildless/app.h"
#include "buildless/git.h"

struct push_ref { /* one line of a hook's input */
	char old_oid[OID_HEX], new_oid[OID_HEX];
	char *name;
};
struct push {
	struct push_ref *ref;
	size_t n;
	const struct push_ref *deploy; /* the one that will be live; NULL: nothing is deployed */
	bool plan;                     /* -o plan */
	bool stage;                    /* -o stage */
};

/* Reads a hook's standard input and the push options (GIT_PUSH_OPTION_*). E_USAGE: unknown option.
 */
MUST_CHECK int push_read(struct push *out, int fd, struct error *err);
void push_release(struct push *p);
bool push_ref_deletes(const struct push_ref *ref);
/* Sets p->deploy. *deploy_ref is the ref whose pushes are deployed, p->deploy's name or another; on
 * the first push of all what HEAD names, master or main, whichever is pushed. The caller frees. */
MUST_CHECK int push_choose(struct push *p, struct repo *repo, char **deploy_ref,
			   struct strv *warnings, struct error *err);
/* Which ref deploys, and the findings about refs: DESIGN.md's table. */
MUST_CHECK int gate_refs(struct push *p, struct repo *repo, const struct app *app,
			 struct strv *errors, struct strv *warnings, struct error *err);
