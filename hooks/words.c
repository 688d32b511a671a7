#include "hooks/words.h"

#include "common/names.h"

static void write_lines(const char *prefix, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		fprintf(stderr, "silver: %s%.*s\n", prefix, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

void words_say(const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) == -1)
		abort();
	va_end(args);
	write_lines("", text);
}

static void say_list(const struct strv *list, const char *prefix)
{
	for (size_t i = 0; i < list->n && i < WORDS_FINDINGS_MAX; i++)
		write_lines(prefix, list->v[i]);
	if (list->n > WORDS_FINDINGS_MAX)
		words_say("%sand %zu more", prefix, list->n - WORDS_FINDINGS_MAX);
}

void words_findings(const struct strv *errors, const struct strv *warnings)
{
	say_list(warnings, "warning: ");
	say_list(errors, "");
}

char *words_name(const char *name)
{
	struct strbuf s = STRBUF_INIT;

	name_add_printable(&s, name, strlen(name));
	return strbuf_detach(&s);
}

char *words_argument(const char *name)
{
	autofree char *shown = words_name(name);
	struct strbuf s = STRBUF_INIT;

	if (*shown && *shown != '-' &&
	    strspn(shown, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			  "_-./+,:@%=") == strlen(shown))
		return steal_ptr(&shown);
	strbuf_addstr(&s, *shown == '-' ? "./'" : "'");
	for (const char *c = shown; *c; c++) {
		if (*c == '\'')
			strbuf_addstr(&s, "'\\''");
		else
			strbuf_addch(&s, *c);
	}
	strbuf_addch(&s, '\'');
	return strbuf_detach(&s);
}

const char *words_branch(const char *ref)
{
	return str_starts(ref, "refs/heads/") ? ref + strlen("refs/heads/") : ref;
}
