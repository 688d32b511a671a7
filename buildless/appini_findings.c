/* appini_findings.c - how the parser of app.ini tells what is wrong, and where. */
#include "buildless/appini_parse.h"

#include <limits.h>

/* "app.ini:7: ..." is of line 7; one about the whole file comes last. */
static unsigned long line_of(const char *finding)
{
	return finding[strlen("app.ini:")] == ' ' ? ULONG_MAX
						  : strtoul(finding + strlen("app.ini:"), NULL, 10);
}

/* What is known only when all was read takes its place among the lines. */
static void PRINTF_LIKE(4, 0)
	add_finding(struct strv *list, size_t first, unsigned line, const char *fmt, va_list args)
{
	autofree char *text = NULL;

	text = xvasprintf(fmt, args);
	if (line)
		strv_addf(list, "app.ini:%u: %s", line, text);
	else
		strv_addf(list, "app.ini: %s", text);
	for (size_t i = list->n - 1; i > first; i--) {
		char *later = list->v[i - 1];

		if (line_of(later) <= line_of(list->v[i]))
			break;
		list->v[i - 1] = list->v[i];
		list->v[i] = later;
	}
}

void appini_refuse(struct parse *p, unsigned line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_finding(p->errors, p->first_error, line, fmt, args);
	va_end(args);
	p->n_errors++;
}

void appini_warn(struct parse *p, unsigned line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_finding(p->warnings, p->first_warning, line, fmt, args);
	va_end(args);
}

unsigned appini_continuation_line(const struct parse *p, unsigned line, unsigned n)
{
	const char *at = p->text;
	unsigned number = 1;

	for (; at < p->end && number < line; number++) {
		const char *newline = memchr(at, '\n', (size_t)(p->end - at));

		at = newline ? newline + 1 : p->end;
	}
	while (at < p->end) {
		const char *newline = memchr(at, '\n', (size_t)(p->end - at));
		const char *stop = newline ? newline : p->end;
		const char *word = at;

		while (word < stop && strchr(" \t\r\v\f", *word))
			word++;
		if (number == line || (word < stop && *word != '#' && *word != ';')) {
			if (n-- == 0)
				return number;
		}
		at = newline ? newline + 1 : p->end;
		number++;
	}
	return line;
}

unsigned appini_section_line(const struct parse *p, unsigned line)
{
	unsigned number = 1, found = line;

	for (const char *at = p->text; at < p->end && number < line; number++) {
		const char *newline = memchr(at, '\n', (size_t)(p->end - at));

		if (*at == '[')
			found = number;
		at = newline ? newline + 1 : p->end;
	}
	return found;
}

bool appini_looks_like_key(const char *line)
{
	size_t len = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-"
				  "0123456789");
	autofree char *word = xstrndup(line, len);
	const char *rest = line + len + strspn(line + len, " \t");

	return len > 0 &&
	       (*rest == '=' || (*rest == ':' && appini_find_key(&appini_sections[0], word)));
}
