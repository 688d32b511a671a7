#include "buildless/report.h"

#include <stdarg.h>
#include "common/proc.h"

static void write_lines(const char *prefix, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		fprintf(stderr, "silver: %s%.*s\n", prefix, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

void report_step(const char *fmt, ...)
{
	autofree char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	write_lines("", text);
}

static void report_list(const struct strv *list, const char *prefix)
{
	for (size_t i = 0; i < list->n && i < REPORT_FINDINGS_MAX; i++)
		write_lines(prefix, list->v[i]);
	if (list->n > REPORT_FINDINGS_MAX)
		report_step("%sand %zu more", prefix, list->n - REPORT_FINDINGS_MAX);
}

void report_findings(const struct strv *errors, const struct strv *warnings)
{
	report_list(warnings, "warning: ");
	report_list(errors, "");
}

void report_problem(const struct error *err, const char *doing)
{
	report_step("%s: %s", doing, err->text);
}

void report_add_count(struct strbuf *s, uint64_t count)
{
	autofree char *digits = xasprintf("%llu", (unsigned long long)count);
	size_t len = strlen(digits);

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			strbuf_addch(s, ' ');
		strbuf_addch(s, digits[i]);
	}
}

void report_live(const struct app *app, const struct release_info *release, bool reused)
{
	autofree char *url = node_url(&app->node, app->host);
	autostrbuf struct strbuf files = STRBUF_INIT;

	if (reused) {
		strbuf_addstr(&files, "no file moved");
	} else {
		report_add_count(&files, release->changed);
		strbuf_addstr(&files, " of ");
		report_add_count(&files, release->files);
		strbuf_addstr(&files, release->files == 1 ? " file changed" : " files changed");
	}
	report_step("%s release %u is live at %s (%lld ms; %s)", app->name, release->number, url,
		    (long long)(clock_ms() - app->start_ms), files.buf);
}

void report_unchanged(const struct app *app)
{
	unsigned live = release_current(app);

	if (live)
		report_step("nothing was changed; release %u is live", live);
	else
		report_step("nothing was changed; nothing is live yet");
}
