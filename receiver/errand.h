/* errand.h - one process at work for a channel: silver-root for the few steps that need root, or
 * silver-exec for a command of a release; the loop goes on meanwhile. */
#pragma once
#include "common/node.h"
#include "receiver/loop.h"

/* The PATH of every program that silverd starts. */
#define CHILD_PATH "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

struct errand;
/* status 0, or an exit status with the reason in text (without "silver: "). */
typedef void (*errand_fn)(void *ctx, int status, const char *text);

struct errand_order {
	const char *program; /* called as PROGRAM --dir DIR WORD... */
	const char *const *words;
	size_t n_words;
	int output_fd;   /* its stdout and stderr, not taken; -1: what it says becomes the reason */
	int deadline_ms; /* then it is killed */
};
/* *slot is set, and NULL again before fn is called. */
MUST_CHECK int errand_start(struct loop *loop, const struct node *node, struct errand **slot,
			    const struct errand_order *order, errand_fn fn, void *ctx,
			    struct error *err);
/* Ends it; fn is not called. Every errand can be repeated, so one that is cut short does no harm.
 * Nothing at NULL. */
void errand_end(struct errand **slot);
/* Lets it end by itself; fn is not called. Nothing at NULL. */
void errand_leave(struct errand **slot);
