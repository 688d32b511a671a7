#include "common/log.h"

#include <stdio.h>
#include <time.h>

void log_line(const char *fmt, ...)
{
	char text[2048];
	char when[32];
	struct tm tm;
	time_t now = time(NULL);
	va_list args;

	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "%s %s\n", when, text);
}
