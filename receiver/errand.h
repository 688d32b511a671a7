/* errand.h - one silver-root at work: the few steps that need root, each a short process that
 * nobody waits for. */
#pragma once
#include "common/node.h"
#include "receiver/loop.h"

/* The PATH of every program that silverd starts. */
#define CHILD_PATH "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

struct errand;
/* status 0, or an exit status with the reason in text (without "silver: "). */
typedef void (*errand_fn)(void *ctx, int status, const char *text);

/* `silver-root --dir DIR WORD...`; killed after deadline_ms. *slot is set, and NULL again before fn
 * is called. */
MUST_CHECK int errand_start(struct loop *loop, const struct node *node, struct errand **slot,
			    const char *const *words, size_t n_words, int deadline_ms, errand_fn fn,
			    void *ctx, struct error *err);
/* Ends it; fn is not called. Every errand can be repeated, so one that is cut short does no harm.
 * Nothing at NULL. */
void errand_end(struct errand **slot);
