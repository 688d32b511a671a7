/* schedule.h - the five fields of crontab(5): minute, hour, day of the month, month, day of the
 * week.
 *
 * Each is `*` or a list of numbers, ranges and steps: 0,30  8-18  * /10 (without the blank). Months
 * and days of the week may be named by their first three letters; Sunday is 0 or 7. When both the
 * day of the month and the day of the week are restricted, either is enough (as cron has it). */
#pragma once
#include <time.h>
#include "common/error.h"
#include "common/mem.h"

struct schedule {
	uint64_t minute, hour, day, month, weekday; /* a bit for each number that is meant */
	bool any_day, any_weekday;                  /* the field was `*` */
};

/* E_USAGE: which field, and the rule. */
MUST_CHECK int schedule_parse(const char *text, struct schedule *out, struct error *err);
/* The arguments that make snooze(1) wait for it are added to argv. True: they name every day, since
 * either of two days is enough, which snooze cannot say; whoever wakes asks schedule_has_day(). */
bool schedule_snooze(const struct schedule *s, struct strv *argv);
bool schedule_has_day(const struct schedule *s, const struct tm *tm);
/* When it comes next after `after`, in seconds since 1970, as the time zone of this process has it;
 * 0: not within 10 years. */
time_t schedule_next(const struct schedule *s, time_t after);
