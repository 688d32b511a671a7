#include "buildless/report.h"

#include <errno.h>
#include <stdarg.h>
#include "buildless/processes.h"
#include "common/proc.h"

#define SLOW_US 1000000

static struct strbuf kept;

/* Of a long text the end counts: from a line's beginning on. */
static void keep(const char *bytes, size_t n)
{
	strbuf_add(&kept, bytes, n);
	if (kept.len > (size_t)2 * REPORT_KEPT) {
		const char *line = strchr(kept.buf + kept.len - REPORT_KEPT, '\n');
		size_t from = line ? (size_t)(line + 1 - kept.buf) : kept.len - REPORT_KEPT;

		memmove(kept.buf, kept.buf + from, kept.len - from + 1);
		kept.len -= from;
	}
}

static ssize_t write_and_keep(void *cookie, const char *bytes, size_t n)
{
	(void)cookie;
	keep(bytes, n);
	for (size_t done = 0; done < n;) {
		ssize_t one = write(STDERR_FILENO, bytes + done, n - done);

		if (one == -1 && errno != EINTR) /* nobody listens any more, and it is kept */
			break;
		done += one > 0 ? (size_t)one : 0;
	}
	return (ssize_t)n;
}

void report_keep(void)
{
	FILE *both = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_and_keep});

	if (!both)
		return;
	setvbuf(both, NULL, _IOLBF, BUFSIZ);
	stderr = both;
}

const char *report_kept(void)
{
	fflush(stderr);
	return strbuf_str(&kept);
}

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
	if (warnings)
		report_list(warnings, "warning: ");
	report_list(errors, "");
}

void report_places(const struct strv *places, const char *doing)
{
	report_list(places, doing);
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

static void add_files(struct strbuf *s, const struct release_info *release, bool reused)
{
	if (reused) {
		strbuf_addstr(s, "no file moved");
		return;
	}
	report_add_count(s, release->changed);
	strbuf_addstr(s, " of ");
	report_add_count(s, release->files);
	strbuf_addstr(s, release->files == 1 ? " file" : " files");
}

void report_slow(int64_t took_us, const char *what)
{
	autostrbuf struct strbuf time = STRBUF_INIT;

	if (took_us < SLOW_US)
		return;
	account_add_time(&time, took_us);
	report_step("%s after %s", what, time.buf);
}

void report_staged(struct app *app, const struct release_info *release)
{
	autostrbuf struct strbuf files = STRBUF_INIT, whole = STRBUF_INIT;
	unsigned live = release_current(app);

	add_files(&files, release, false);
	account_add_time(&whole, clock_us() - app->account.start_us);
	report_step(
		"%s release %u is staged (%s; %s changed): `silver activate %s %u` makes it live",
		app->name, release->number, whole.buf, files.buf, app->name, release->number);
	if (live)
		report_step("release %u is live", live);
	else
		report_step("nothing is live yet");
}

static void add_counted(struct strbuf *s, size_t n, const char *what)
{
	if (n)
		strbuf_addf(s, "%s%zu %s%s", s->len ? ", " : "", n, what, n == 1 ? "" : "s");
}

/* What the flip does not wait for: these change over behind the answer. */
static void report_behind(const struct runspec *run)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	add_counted(&s, processes_workers(run), "worker");
	add_counted(&s, run->n_crons, "command");
	if (s.len)
		report_step("starting behind the flip: %s%s", s.buf,
			    run->n_crons ? " by the clock" : "");
}

void report_live(struct app *app, const struct release_info *release, bool reused)
{
	autofree char *url = app_url(app);
	autostrbuf struct strbuf files = STRBUF_INIT, parts = STRBUF_INIT, whole = STRBUF_INIT;
	struct error err = ERROR_INIT;

	account_close(&app->account, ACCOUNT_LIVE);
	add_files(&files, release, reused);
	account_add_text(&parts, &app->account, files.buf);
	account_add_time(&whole, account_whole_us(&app->account));
	report_behind(&release->run);
	report_step("%s", strbuf_str(&parts));
	report_step("%s release %u is live at %s (%s; %s%s)", app->name, release->number, url,
		    whole.buf, files.buf, reused ? "" : " changed");
	if (app_is_disabled(app))
		report_step("%s is out of service, so nobody sees it yet: `silver enable %s`",
			    app->name, app->name);
	if (release_write_times(app, release->number, &err) == -1)
		report_problem(&err, "the release is live; how long it took could not be recorded");
}

void report_unchanged(const struct app *app)
{
	unsigned live = release_current(app);

	if (live)
		report_step("nothing was changed; release %u is live", live);
	else
		report_step("nothing was changed; nothing is live yet");
}
