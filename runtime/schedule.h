/* schedule.h - the five fields of crontab(5): minute, hour, day of the month, month, day of the
 * week.
 *
 * Each is `*` or a list of numbers, ranges and steps: 0,30  8-18  * /10 (without the blank). Months
 * and days of the week may be named by their first three letters; Sunday is 0 or 7. When both the
 * day of the month and the day of the week are restricted, either is enough (as cron has it). */
#pragma once
#include "common/error.h"
#include "common/mem.h"

struct schedule {
	uint64_t minute, hour, day, month, weekday; /* a bit for each number that is meant */
	bool any_day, any_weekday;                  /* the field was `*` */
};

/* E_USAGE: which field, and the rule. */
MUST_CHECK int schedule_parse(const char *text, struct schedule *out, struct error *err);
/* The arguments that make snooze(1) wait for it are added to argv. Where either of two days is
 * enough there is a second variant, for the days that the first leaves out. False: no such variant.
 */
bool schedule_snooze(const struct schedule *s, unsigned variant, struct strv *argv);
