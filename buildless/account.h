/* account.h - how long the steps of a deploy took, from the request to the words that it is live.
 *
 *	account_begin(&a, start_us);		when the request arrived
 *	account_close(&a, ACCOUNT_RECEIVED);	what has passed since was spent receiving
 *	account_close(&a, ACCOUNT_CHECKED);	... since then, checking
 *
 * The parts follow one another without a gap, so together they are the whole; fsync's share of each
 * is counted apart, as ACCOUNT_SYNCED. The second process of a push, post-receive, goes on with
 * what the first has written down (release.h, times.ini). */
#pragma once
#include "common/mem.h"

enum account_part {
	ACCOUNT_RECEIVED, /* git took the objects and checked that they are complete */
	ACCOUNT_WAITED,   /* for another deploy of the app */
	ACCOUNT_CHECKED,
	ACCOUNT_INSTALLED, /* packages */
	ACCOUNT_STAGED,    /* laid out, and recorded */
	ACCOUNT_SYNCED,
	ACCOUNT_UPDATED,  /* update_fetch and test */
	ACCOUNT_HEALTHY,  /* its processes started, and answered */
	ACCOUNT_ACCEPTED, /* the ref moved */
	ACCOUNT_LIVE,     /* the flip, and the release's own ref */
	ACCOUNT_PARTS
};

struct account {
	int64_t start_us;  /* clock_us() of the request: whose account it is */
	int64_t mark_us;   /* where the part that is open began */
	int64_t synced_us; /* fs_synced_us() then */
	int64_t us[ACCOUNT_PARTS];
};

void account_begin(struct account *a, int64_t start_us);
/* The time since the last part ended was this part's; may come again for the same part. Returns how
 * long it was, with what fsync took of it. */
int64_t account_close(struct account *a, enum account_part part);
/* Goes on with the parts that another process of the same request closed; those of another request
 * are ignored. */
void account_resume(struct account *a, const struct account *earlier);
int64_t account_whole_us(const struct account *a);
/* The part's name in files: "received". */
const char *account_name(enum account_part part);

/* "received 12 ms, checked 3.1 ms, FILES 8.0 ms, ..."; parts below 0.05 ms are left out. files is
 * what stands for "staged": "3 of 50 112 files"; NULL: that word. */
void account_add_text(struct strbuf *s, const struct account *a, const char *files);
/* "0.2 ms", "84 ms", "12.3 s". */
void account_add_time(struct strbuf *s, int64_t us);
