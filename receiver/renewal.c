#include "receiver/renewal.h"

#include <sys/random.h>
#include "common/log.h"
#include "common/proc.h"
#include "receiver/errand.h"

enum { HOUR_MS = 3600 * 1000, FIRST_MS = 60 * 1000, SPREAD_MS = 15 * 60 * 1000 };

struct renewal {
	struct loop *loop;
	const struct node *node;
	struct timer *timer;
	struct errand *errand;
};

static void look(void *ctx);

static void looked(void *ctx, int status, const char *text)
{
	struct renewal *r = ctx;

	if (*text)
		log_line("%s%s", status ? "certificates: " : "", text);
	loop_timer(r->loop, &r->timer, HOUR_MS, look, r);
}

static void look(void *ctx)
{
	static const char *const words[] = {"tls due"};
	struct renewal *r = ctx;
	const struct errand_order order = {.program = "silver-root",
					   .words = words,
					   .n_words = ARRAY_SIZE(words),
					   .output_fd = -1,
					   .deadline_ms = 2 * HOUR_MS};
	struct error err = ERROR_INIT;

	if (errand_start(r->loop, r->node, &r->errand, &order, looked, r, &err) == -1)
		looked(r, E_SYSTEM, err.text);
}

void renewal_start(struct loop *loop, const struct node *node)
{
	static struct renewal r;
	uint32_t any = 0;

	if (!node->https)
		return;
	if (getrandom(&any, sizeof(any), 0) != sizeof(any))
		any = 0;
	r = (struct renewal){.loop = loop, .node = node};
	loop_timer(loop, &r.timer, FIRST_MS + (int)(any % SPREAD_MS), look, &r);
}
