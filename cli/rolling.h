/* rolling.h - what pushing to several nodes (rollout.c) and going back on them (rollout_back.c)
 * have in common; nobody else includes it. */
#pragma once
#include "cli/git.h"
#include "cli/parallel.h"
#include "cli/rollout.h"

#define HEADS "refs/heads/"

/* What is known of one node. */
struct target {
	const struct host *host;
	char branch[256]; /* that it deploys; "": none yet */
	char tip[41];     /* of that branch; "": none */
	bool lease;       /* tip may be replaced */
	bool is_live;     /* it has the commit already */
	bool activated;
	unsigned staged; /* release to activate */
};

struct rolling {
	const struct rollout *r; /* NULL: going back */
	const char *app, *top;
	char *const *env;
	struct git git;
	struct target *target;
	struct task *task;
	size_t n;
	char branch[256], commit[41];
};

void rolling_init(struct rolling *ro, const struct place *place);
void rolling_release(struct rolling *ro);

/* One question to each node: new_tasks(), the words of each task, run_tasks(). */
const char *name_of(const struct host *host);
void new_tasks(struct rolling *ro);
void run_tasks(struct rolling *ro, const char *title); /* NULL: nothing is shown */
void add_words(struct strv *argv, const char *const *words);
#define WORDS(argv, ...) add_words((argv), (const char *const[]){__VA_ARGS__, NULL})

/* Several nodes must be nodes. E_USAGE. */
MUST_CHECK int check_nodes(const struct rolling *ro, struct error *err);
/* What the nodes have, the branch and the commit for them, and that nothing is lost by it. */
MUST_CHECK int rolling_prepare(struct rolling *ro, struct error *err);
/* Asks all to activate what is staged there, and says what came of it. */
MUST_CHECK int activate_all(struct rolling *ro, struct error *err);
