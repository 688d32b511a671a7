#include "runtime/schedule.h"

#include <strings.h>

struct field {
	const char *name;
	unsigned min, max;
	const char *const *names; /* of min, min + 1 ...; NULL: numbers only */
	char option;              /* of snooze */
};

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun",
				     "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, N_FIELDS };

static const struct field fields[N_FIELDS] = {
	[MINUTE] = {"minute", 0, 59, NULL, 'M'},
	[HOUR] = {"hour", 0, 23, NULL, 'H'},
	[DAY] = {"day of the month", 1, 31, NULL, 'd'},
	[MONTH] = {"month", 1, 12, months, 'm'},
	[WEEKDAY] = {"day of the week", 0, 7, weekdays, 'w'},
};

static uint64_t range_bits(unsigned from, unsigned to, unsigned step)
{
	uint64_t bits = 0;

	for (unsigned i = from; i <= to; i += step)
		bits |= UINT64_C(1) << i;
	return bits;
}

/* A number or a name at *at, which moves behind it. */
static bool take_value(const struct field *f, const char **at, unsigned *out)
{
	size_t digits = strspn(*at, "0123456789"), zeros = strspn(*at, "0");
	size_t skip = zeros && zeros == digits ? zeros - 1 : zeros; /* "05", "00" */
	autofree char *text = xstrndup(*at + skip, digits - skip < 4 ? digits - skip : 4);
	uint64_t value;

	for (unsigned i = 0; f->names && digits == 0 && i <= f->max - f->min; i++) {
		if (strncasecmp(*at, f->names[i], 3) != 0)
			continue;
		*out = f->min + i;
		*at += 3;
		return true;
	}
	if (!str_to_uint(text, f->max, &value) || value < f->min)
		return false;
	*out = (unsigned)value;
	*at += digits;
	return true;
}

/* One item of the list at *at: `*`, a value or a range, and a step. */
static bool take_item(const struct field *f, const char **at, uint64_t *bits)
{
	unsigned from = f->min, to = f->max, step = 1;
	bool single = false;

	if (**at == '*') {
		++*at;
	} else {
		if (!take_value(f, at, &from))
			return false;
		single = **at != '-';
		to = from;
		if (!single) {
			++*at;
			if (!take_value(f, at, &to) || to < from)
				return false;
		}
	}
	if (**at == '/') {
		const struct field any = {.min = 1, .max = 59};

		++*at;
		if (single || !take_value(&any, at, &step))
			return false;
	}
	*bits |= range_bits(from, to, step);
	return true;
}

static bool parse_field(const struct field *f, const char *text, uint64_t *bits)
{
	*bits = 0;
	for (;;) {
		if (!take_item(f, &text, bits))
			return false;
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
}

static int split_fields(const char *text, struct strv *out, struct error *err)
{
	for (const char *at = text + strspn(text, " \t"); *at;) {
		size_t len = strcspn(at, " \t");
		autofree char *word = xstrndup(at, len);

		strv_add(out, word);
		at += len + strspn(at + len, " \t");
	}
	if (out->n == N_FIELDS)
		return 0;
	return error_set(
		err, E_USAGE,
		"a schedule has five fields, minute hour day-of-month month day-of-week, as "
		"in '30 4 * * mon-fri'; this one has %zu",
		out->n);
}

/* 31 February never comes, and nobody means it. */
static bool ever_comes(const struct schedule *s)
{
	const uint64_t month_30 = 1U << 4 | 1U << 6 | 1U << 9 | 1U << 11;

	if (!s->any_weekday || s->day & range_bits(1, 29, 1))
		return true;
	if (s->month & ~(month_30 | 1U << 2))
		return true;
	return (s->day & (1U << 30)) && (s->month & month_30);
}

int schedule_parse(const char *text, struct schedule *out, struct error *err)
{
	uint64_t *const bits[N_FIELDS] = {[MINUTE] = &out->minute,
					  [HOUR] = &out->hour,
					  [DAY] = &out->day,
					  [MONTH] = &out->month,
					  [WEEKDAY] = &out->weekday};
	autostrv struct strv words = STRV_INIT;

	*out = (struct schedule){0};
	if (split_fields(text, &words, err) == -1)
		return -1;
	for (size_t i = 0; i < N_FIELDS; i++) {
		const struct field *f = &fields[i];

		if (!parse_field(f, words.v[i], bits[i]))
			return error_set(err, E_USAGE,
					 "'%s' is no %s; it is '*', or a list like %u,%u-%u or "
					 "*/5 of numbers from %u to %u",
					 words.v[i], f->name, f->min, f->min + 1, f->min + 2,
					 f->min, f->max);
	}
	if (out->weekday & (1U << 7)) /* Sunday, too */
		out->weekday = (out->weekday | 1U) & ~(UINT64_C(1) << 7);
	out->any_day = words.v[DAY][0] == '*';
	out->any_weekday = words.v[WEEKDAY][0] == '*';
	if (!ever_comes(out))
		return error_set(err, E_USAGE, "there is no such day: '%s' of the months '%s'",
				 words.v[DAY], words.v[MONTH]);
	return 0;
}

static void add_option(struct strv *argv, const struct field *f, uint64_t bits)
{
	autostrbuf struct strbuf list = STRBUF_INIT;

	for (unsigned i = f->min; i <= f->max; i++)
		if (bits & (UINT64_C(1) << i))
			strbuf_addf(&list, "%s%u", list.len ? "," : "", i);
	strv_addf(argv, "-%c%s", f->option, strbuf_str(&list));
}

static bool is_either(const struct schedule *s)
{
	return !s->any_day && !s->any_weekday;
}

bool schedule_snooze(const struct schedule *s, struct strv *argv)
{
	bool either = is_either(s);

	add_option(argv, &fields[MINUTE], s->minute);
	add_option(argv, &fields[HOUR], s->hour);
	add_option(argv, &fields[DAY], either ? range_bits(1, 31, 1) : s->day);
	add_option(argv, &fields[MONTH], s->month);
	add_option(argv, &fields[WEEKDAY], either ? range_bits(0, 6, 1) : s->weekday);
	return either;
}

static bool has(uint64_t bits, int number)
{
	return bits & (UINT64_C(1) << number);
}

bool schedule_has_day(const struct schedule *s, const struct tm *tm)
{
	bool day = has(s->day, tm->tm_mday), weekday = has(s->weekday, tm->tm_wday);

	return has(s->month, tm->tm_mon + 1) && (is_either(s) ? day || weekday : day && weekday);
}

/* The first time of this day at or behind *tm; an hour that the clock skips has none. */
static time_t next_of_day(const struct schedule *s, const struct tm *from)
{
	for (int hour = from->tm_hour; hour < 24; hour++) {
		int minute = hour == from->tm_hour ? from->tm_min : 0;

		for (; has(s->hour, hour) && minute < 60; minute++) {
			struct tm tm = *from;
			time_t t;

			if (!has(s->minute, minute))
				continue;
			tm.tm_hour = hour;
			tm.tm_min = minute;
			tm.tm_isdst = -1;
			t = mktime(&tm);
			if (tm.tm_hour == hour && tm.tm_min == minute)
				return t;
		}
	}
	return 0;
}

time_t schedule_next(const struct schedule *s, time_t after)
{
	time_t from = after - after % 60 + 60;
	struct tm tm;

	if (!localtime_r(&from, &tm))
		return 0;
	for (int days = 0; days < 3660; days++) {
		time_t t = schedule_has_day(s, &tm) ? next_of_day(s, &tm) : 0;

		if (t)
			return t;
		tm.tm_mday++;
		tm.tm_hour = tm.tm_min = 0;
		tm.tm_isdst = -1;
		if (mktime(&tm) == -1) /* the next day's date */
			return 0;
		tm.tm_hour = tm.tm_min = 0; /* where midnight is skipped */
	}
	return 0;
}
