#include "buildless/account.h"

#include "common/fs.h"
#include "common/proc.h"

#define SHOWN_US 50 /* what is less would be shown as 0.0 ms */

static const char *const names[ACCOUNT_PARTS] = {
	[ACCOUNT_RECEIVED] = "received", [ACCOUNT_WAITED] = "waited",
	[ACCOUNT_CHECKED] = "checked",   [ACCOUNT_INSTALLED] = "installed",
	[ACCOUNT_STAGED] = "staged",     [ACCOUNT_SYNCED] = "synced",
	[ACCOUNT_UPDATED] = "updated",   [ACCOUNT_HEALTHY] = "healthy",
	[ACCOUNT_ACCEPTED] = "accepted", [ACCOUNT_LIVE] = "live",
};

const char *account_name(enum account_part part)
{
	return names[part];
}

void account_begin(struct account *a, int64_t start_us)
{
	*a = (struct account){
		.start_us = start_us, .mark_us = start_us, .synced_us = fs_synced_us()};
}

int64_t account_close(struct account *a, enum account_part part)
{
	int64_t now = clock_us(), synced = fs_synced_us();
	int64_t took = now - a->mark_us, in_sync = synced - a->synced_us;

	if (in_sync > took) /* several threads may sync at once */
		in_sync = took;
	a->us[part] += took - in_sync;
	a->us[ACCOUNT_SYNCED] += in_sync;
	a->mark_us = now;
	a->synced_us = synced;
	return took;
}

int64_t account_whole_us(const struct account *a)
{
	int64_t sum = 0;

	for (size_t i = 0; i < ACCOUNT_PARTS; i++)
		sum += a->us[i];
	return sum;
}

void account_resume(struct account *a, const struct account *earlier)
{
	if (earlier->start_us != a->start_us)
		return;
	memcpy(a->us, earlier->us, sizeof(a->us));
	a->mark_us = a->start_us + account_whole_us(a);
}

void account_add_time(struct strbuf *s, int64_t us)
{
	if (us < 9950)
		strbuf_addf(s, "%.1f ms", (double)us / 1e3);
	else if (us < 9999500)
		strbuf_addf(s, "%.0f ms", (double)us / 1e3);
	else
		strbuf_addf(s, "%.1f s", (double)us / 1e6);
}

void account_add_text(struct strbuf *s, const struct account *a, const char *files)
{
	const char *comma = "";

	for (size_t i = 0; i < ACCOUNT_PARTS; i++) {
		if (a->us[i] < SHOWN_US)
			continue;
		strbuf_addf(s, "%s%s ", comma, i == ACCOUNT_STAGED && files ? files : names[i]);
		account_add_time(s, a->us[i]);
		comma = ", ";
	}
}
