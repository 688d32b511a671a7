/* show.c - the verbs that only look. Text or JSON on stdout; no lock is taken. */
#include "buildless/verbs.h"

#include "buildless/logs.h"
#include "buildless/processes.h"
#include "buildless/refusal.h"
#include "buildless/release.h"
#include "buildless/report.h"
#include "common/json.h"
#include "runtime/limits.h"

#define LOG_LINES     100
#define LOG_LINES_MAX 1000000

static int wants_json(struct verb_call *call, bool *json, struct error *err)
{
	*json = call->argc == 1 && strcmp(call->argv[0], "--json") == 0;
	if (call->argc && !*json)
		return error_set(err, E_USAGE, "unknown argument '%s'", call->argv[0]);
	return 0;
}

static void format_when(int64_t when, char out[32])
{
	time_t t = (time_t)when;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(out, 32, "-");
}

static void json_packages(struct json *j, const struct packages *packages)
{
	json_open(j, "packages", '{');
	for (size_t i = 0; i < packages->installed.n; i++) {
		const char *text = packages->installed.v[i];
		autofree char *name = xstrndup(text, strcspn(text, " "));

		json_str(j, name, text + strlen(name) + (text[strlen(name)] == ' '));
	}
	json_close(j, '}');
}

static void json_release(struct json *j, const char *key, const struct release_info *r)
{
	json_open(j, key, '{');
	json_int(j, "release", r->number);
	json_str(j, "commit", r->commit);
	json_str(j, "tree", r->tree);
	json_str(j, "branch", r->branch);
	json_str(j, "subject", r->subject);
	json_str(j, "who", r->who);
	json_int(j, "when", r->when);
	json_str(j, "platform", r->run.platform);
	json_int(j, "files", (int64_t)r->files);
	json_int(j, "changed", (int64_t)r->changed);
	json_int(j, "slot", r->slot);
	json_packages(j, &r->packages);
	json_bool(j, "staged", r->staged);
	json_open(j, "times", '{');
	for (enum account_part i = 0; i < ACCOUNT_PARTS; i++) {
		autofree char *name = xasprintf("%s_us", account_name(i));

		json_int(j, name, r->times.us[i]);
	}
	json_int(j, "whole_us", account_whole_us(&r->times));
	json_close(j, '}');
	json_close(j, '}');
}

static int print_out(const struct strbuf *s, struct error *err)
{
	if (fputs(strbuf_str(s), stdout) == EOF || fflush(stdout) == EOF)
		return error_set(err, E_SYSTEM, "cannot write to standard output");
	return 0;
}

/* What status and releases show; release_info_release() each, then free the list. */
struct overview {
	struct release_info *release;
	size_t n;
	unsigned current, previous, staged; /* 0: none */
};

static void overview_release(struct overview *o)
{
	for (size_t i = 0; i < o->n; i++)
		release_info_release(&o->release[i]);
	free(steal_ptr(&o->release));
}

static int overview_read(const struct app *app, struct overview *o, struct error *err)
{
	autofree unsigned *number = NULL;
	struct error none = ERROR_INIT;
	size_t n;

	*o = (struct overview){0};
	if (release_list(app, &number, &n, err) == -1)
		return -1;
	o->current = release_current(app);
	if (release_link(app, "previous", &o->previous, &none) == -1)
		o->previous = 0;
	o->release = xcalloc(n + 1, sizeof(*o->release));
	for (size_t i = 0; i < n; i++) { /* one may be pruned meanwhile */
		if (release_read(app, number[i], &o->release[o->n], &none) == -1)
			continue;
		if (o->release[o->n].staged)
			o->staged = number[i];
		if (o->release[o->n].live || o->release[o->n].staged)
			o->n++;
		else
			release_info_release(&o->release[o->n]);
	}
	return 0;
}

static const struct release_info *overview_find(const struct overview *o, unsigned number)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->release[i].number == number)
			return &o->release[i];
	return NULL;
}

static void took_text(const struct release_info *live, struct strbuf *s)
{
	int64_t whole = account_whole_us(&live->times);

	if (!whole) /* the record of it was not synced */
		return;
	strbuf_addstr(s, "  took      ");
	account_add_time(s, whole);
	strbuf_addstr(s, ": ");
	account_add_text(s, &live->times, NULL);
	strbuf_addch(s, '\n');
}

static void status_text(const struct app *app, const struct overview *o, const char *url,
			struct strbuf *s)
{
	const struct release_info *live = overview_find(o, o->current);
	char when[32];

	strbuf_addf(s, "%s\n", app->name);
	if (!live) {
		strbuf_addstr(s, "  live      nothing yet\n");
	} else {
		format_when(live->when, when);
		strbuf_addf(s, "  live      release %u\n", live->number);
		strbuf_addf(s, "  commit    %.10s %s\n", live->commit, live->subject);
		strbuf_addf(s, "  branch    %s\n", live->branch);
		strbuf_addf(s, "  deployed  %s UTC by %s\n", when, live->who);
		strbuf_addstr(s, "  files     ");
		report_add_count(s, live->files);
		strbuf_addf(s, "\n  platform  %s\n", live->run.platform);
		for (size_t i = 0; i < live->packages.installed.n; i++)
			strbuf_addf(s, "%s%s", i ? ", " : "  packages  ",
				    live->packages.installed.v[i]);
		if (live->packages.installed.n)
			strbuf_addch(s, '\n');
		took_text(live, s);
		processes_text(app, live, s);
		strbuf_addstr(s, "  limits    ");
		limits_add_text(&app->node, &live->run, s);
		strbuf_addch(s, '\n');
	}
	strbuf_addf(s, "  address   %s\n", url);
	if (app_is_disabled(app))
		strbuf_addf(s, "  disabled  every request is answered 503: 'silver enable %s'\n",
			    app->name);
	if (o->previous)
		strbuf_addf(s, "  previous  release %u\n", o->previous);
	if (o->staged)
		strbuf_addf(s, "  staged    release %u, not live: 'silver activate %s %u'\n",
			    o->staged, app->name, o->staged);
	strbuf_addstr(s, "  kept     ");
	for (size_t i = 0; i < o->n; i++)
		if (o->release[i].live)
			strbuf_addf(s, " %u", o->release[i].number);
	strbuf_addstr(s, o->n ? "\n" : " none\n");
}

static void status_json(const struct app *app, const struct overview *o, const char *url,
			struct strbuf *s)
{
	const struct release_info *live = overview_find(o, o->current);
	autostrbuf struct strbuf limits = STRBUF_INIT;
	struct json j = {.out = s};

	json_open(&j, NULL, '{');
	json_str(&j, "app", app->name);
	json_str(&j, "url", url);
	json_bool(&j, "disabled", app_is_disabled(app));
	if (live)
		json_release(&j, "live", live);
	else
		json_str(&j, "live", NULL);
	if (live) {
		limits_add_text(&app->node, &live->run, &limits);
		json_str(&j, "limits", strbuf_str(&limits));
		processes_json(app, live, &j);
	}
	if (o->previous)
		json_int(&j, "previous", o->previous);
	else
		json_str(&j, "previous", NULL);
	if (o->staged)
		json_int(&j, "staged", o->staged);
	else
		json_str(&j, "staged", NULL);
	json_open(&j, "kept", '[');
	for (size_t i = 0; i < o->n; i++)
		if (o->release[i].live)
			json_int(&j, NULL, o->release[i].number);
	json_close(&j, ']');
	json_close(&j, '}');
	strbuf_addch(s, '\n');
}

int verb_status(struct verb_call *call, struct error *err)
{
	autofree char *url = app_url(call->app);
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct overview o;
	bool json;

	if (wants_json(call, &json, err) == -1 || overview_read(call->app, &o, err) == -1)
		return -1;
	if (json)
		status_json(call->app, &o, url, &s);
	else
		status_text(call->app, &o, url, &s);
	overview_release(&o);
	return print_out(&s, err);
}

static void releases_text(const struct overview *o, struct strbuf *s)
{
	strbuf_addstr(s, "    RELEASE  COMMIT      DEPLOYED (UTC)       BY          SUBJECT\n");
	for (size_t i = o->n; i-- > 0;) {
		const struct release_info *r = &o->release[i];
		char when[32];

		format_when(r->when, when);
		strbuf_addf(s, "%-3s %7u  %.10s  %s  %-10s  %s\n",
			    r->number == o->current    ? "=>"
			    : r->number == o->previous ? "<-"
			    : r->staged                ? "++"
						       : "",
			    r->number, r->commit, when, r->who, r->subject);
	}
}

static void releases_json(const struct app *app, const struct overview *o, struct strbuf *s)
{
	struct json j = {.out = s};

	json_open(&j, NULL, '{');
	json_str(&j, "app", app->name);
	if (o->current)
		json_int(&j, "live", o->current);
	else
		json_str(&j, "live", NULL);
	json_open(&j, "releases", '[');
	for (size_t i = 0; i < o->n; i++)
		json_release(&j, NULL, &o->release[i]);
	json_close(&j, ']');
	json_close(&j, '}');
	strbuf_addch(s, '\n');
}

int verb_releases(struct verb_call *call, struct error *err)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct overview o;
	bool json;

	if (wants_json(call, &json, err) == -1 || overview_read(call->app, &o, err) == -1)
		return -1;
	if (json)
		releases_json(call->app, &o, &s);
	else if (o.n)
		releases_text(&o, &s);
	else
		report_step("%s has no release yet; 'git push silver master' makes one",
			    call->app->name);
	overview_release(&o);
	return print_out(&s, err);
}

static void why_json(const struct app *app, const struct refusal *r, struct strbuf *s)
{
	struct json j = {.out = s};

	json_open(&j, NULL, '{');
	json_str(&j, "app", app->name);
	json_int(&j, "when", r->when);
	json_str(&j, "who", r->who);
	json_str(&j, "what", r->what);
	json_str(&j, "text", r->text);
	json_close(&j, '}');
	strbuf_addch(s, '\n');
}

/* An old refusal is no reason to look for one: what went live since is told too. */
static void why_text(const struct app *app, const struct refusal *r, struct strbuf *s)
{
	unsigned current = release_current(app);
	char when[32];

	format_when(r->when, when);
	strbuf_addf(s, "%s UTC: %s, by %s\n\n%s", when, r->what, r->who, r->text);
	if (current && current != r->live)
		strbuf_addf(s, "\nsince then release %u went live\n", current);
}

int verb_why(struct verb_call *call, struct error *err)
{
	autorefusal struct refusal refusal = {0};
	autostrbuf struct strbuf s = STRBUF_INIT;
	bool json;

	if (wants_json(call, &json, err) == -1)
		return -1;
	if (refusal_read(call->app, &refusal, err) == -1)
		return err->code == E_NOTFOUND
			       ? error_set(err, E_NOTFOUND, "no push of %s was ever refused",
					   call->app->name)
			       : -1;
	if (json)
		why_json(call->app, &refusal, &s);
	else
		why_text(call->app, &refusal, &s);
	return print_out(&s, err);
}

static bool take_process(const char *text, const char **out)
{
	*out = text;
	return *text != '\0';
}

int verb_logs(struct verb_call *call, struct error *err)
{
	struct logs_query query = {.lines = LOG_LINES};
	uint64_t lines = LOG_LINES, release = 0;

	for (int i = 0; i < call->argc; i++) {
		const char *word = call->argv[i],
			   *value = i + 1 < call->argc ? call->argv[i + 1] : "";

		if (strcmp(word, "-f") == 0) {
			query.follow = true;
			continue;
		}
		if ((strcmp(word, "-n") == 0 && str_to_uint(value, LOG_LINES_MAX, &lines)) ||
		    (strcmp(word, "--release") == 0 && str_to_uint(value, UINT32_MAX, &release)) ||
		    (strcmp(word, "--process") == 0 && take_process(value, &query.process))) {
			i++;
			continue;
		}
		return error_set(err, E_USAGE,
				 "'%s': logs APP [-f] [-n LINES] [--process P] [--release N]",
				 word);
	}
	query.lines = (size_t)lines;
	query.release = (unsigned)release;
	return logs_print(call->app, &query, err);
}
