/* verbs.h - what silver-deploy does, one function per verb (docs/CONTRACT.md). */
#pragma once
#include "buildless/app.h"
#include "buildless/git.h"

struct verb_call {
	struct app *app;
	struct repo *repo; /* NULL where the verb needs none */
	char **argv;       /* what follows the app's name; NULL-terminated */
	int argc;
	struct strbuf input; /* what came on standard input, where the verb reads it */
	struct strv set;     /* NAME=VALUE that it asks for */
};

typedef int (*verb_fn)(struct verb_call *call, struct error *err);

int verb_settle(struct verb_call *call, struct error *err);
int verb_recover(struct verb_call *call, struct error *err);
int verb_rollback(struct verb_call *call, struct error *err);
int verb_activate(struct verb_call *call, struct error *err);
int verb_redeploy(struct verb_call *call, struct error *err);
int verb_disable(struct verb_call *call, struct error *err);
int verb_enable(struct verb_call *call, struct error *err);
int verb_branch(struct verb_call *call, struct error *err);

int verb_status(struct verb_call *call, struct error *err);
int verb_releases(struct verb_call *call, struct error *err);
int verb_logs(struct verb_call *call, struct error *err);
int verb_env(struct verb_call *call, struct error *err);
int verb_rotate(struct verb_call *call, struct error *err);
int verb_verify(struct verb_call *call, struct error *err);
int verb_why(struct verb_call *call, struct error *err);
int verb_fsck(struct verb_call *call, struct error *err);

/* A new release of the live commit, with every file from the repository: nothing shared with
 * another slot. */
int verbs_deploy_fresh(struct verb_call *call, struct error *err);
/* Compares every slot, and lays out anew what is damaged: verify --repair. The lock is held. */
int audit_repair(struct verb_call *call, struct error *err);
