#include "common/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static PRINTF_LIKE(3, 0) void set_text(struct error *err, enum error_code code, const char *fmt,
				       va_list args)
{
	err->code = code;
	vsnprintf(err->text, sizeof(err->text), fmt, args);
}

int error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	set_text(err, code, fmt, args);
	va_end(args);
	return -1;
}

int error_sys(struct error *err, int saved_errno, const char *fmt, ...)
{
	va_list args;
	size_t len;

	va_start(args, fmt);
	set_text(err, E_SYSTEM, fmt, args);
	va_end(args);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(saved_errno));
	return -1;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
	char was[sizeof(err->text)];
	va_list args;
	size_t len;

	memcpy(was, err->text, sizeof(was));
	va_start(args, fmt);
	set_text(err, err->code, fmt, args);
	va_end(args);
	len = strlen(err->text);
	snprintf(err->text + len, sizeof(err->text) - len, ": %s", was);
	return -1;
}

enum error_code error_code_from(int number)
{
	return number >= E_OK && number <= E_SYSTEM ? (enum error_code)number : E_SYSTEM;
}

int error_report(const struct error *err)
{
	const char *line = err->text;

	while (*line) {
		size_t len = strcspn(line, "\n");

		fprintf(stderr, "silver: %.*s\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
	return (int)err->code;
}
