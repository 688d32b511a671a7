#include "buildless/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "common/proc.h"
#include "runtime/ask.h"
#include "runtime/schedule.h"
#include "runtime/s6name.h"

#define SERVICES "run/service"

unsigned processes_workers(const struct runspec *run)
{
	unsigned n = 0;

	for (size_t i = 0; i < run->n_processes; i++)
		n += run->process[i].count;
	return n;
}

bool processes_any(const struct runspec *run)
{
	return strcmp(run->platform, "static") != 0 || processes_workers(run) || run->n_crons;
}

static void add_words(const struct runspec *run, struct strv *words)
{
	for (size_t i = 0; i < run->n_processes; i++)
		if (run->process[i].count)
			strv_addf(words, "%s.%u", run->process[i].name, run->process[i].count);
	for (size_t i = 0; i < run->n_crons; i++)
		strv_addf(words, "cron-%s", run->cron[i].name);
}

/* Is there a service of the app with one of these kinds? release 0: of any release. */
static bool any_service(const struct app *app, unsigned kinds, unsigned release)
{
	autostrv struct strv names = STRV_INIT;
	struct error none = ERROR_INIT;
	autoclose int fd = -1;
	struct s6name s;

	if (fs_open_dir(app->node.fd, SERVICES, &fd, &none) == -1 ||
	    fs_list(fd, &names, &none) == -1)
		return false;
	for (size_t i = 0; i < names.n; i++)
		if (s6name_parse_entry(names.v[i], &s) && strcmp(s.app, app->name) == 0 &&
		    (kinds & S6_BIT(s.kind)) && (!release || s.release == release))
			return true;
	return false;
}

bool processes_run(const struct app *app, unsigned release)
{
	return any_service(app, S6_ALL, release);
}

int processes_ask(const struct app *app, bool *asked, struct error *err)
{
	autorelease struct release_info live = {0};
	autostrv struct strv words = STRV_INIT;
	unsigned current = release_current(app);

	*asked = false;
	if (!current)
		return 0;
	if (release_read(app, current, &live, err) == -1)
		return -1;
	add_words(&live.run, &words);
	if (words.n == 0 && !any_service(app, S6_BEHIND, 0))
		return 0;
	if (ask_workers(current, &words, err) == -1)
		return -1;
	*asked = true;
	return 0;
}

/* What is seen of one service. */
struct seen {
	bool up;
	bool waits;              /* a clock that has not struck */
	int64_t since;           /* of what runs, or of the last end; 0: unknown */
	unsigned ends;           /* how often it has ended */
	unsigned status, signal; /* of the last time; 256: by the signal */
	pid_t pid;
};

/* Is it snooze that has this pid? The command that it becomes has another name. */
static bool is_snooze(pid_t pid)
{
	autofree char *path = xasprintf("/proc/%d/comm", (int)pid);
	autostrbuf struct strbuf name = STRBUF_INIT;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct error none = ERROR_INIT;

	return fd != -1 && strbuf_read_fd(&name, fd, 64, &none) == 0 &&
	       strcmp(strbuf_str(&name), "snooze\n") == 0;
}

static void read_session(int dir_fd, struct seen *out)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;
	struct stat st;

	if (fs_read_file(dir_fd, "session", 64, &text, &none) == -1 ||
	    fstatat(dir_fd, "session", &st, AT_SYMLINK_NOFOLLOW) == -1)
		return;
	out->pid = (pid_t)strtol(strbuf_str(&text), NULL, 10);
	out->up = out->pid > 0 && (kill(out->pid, 0) == 0 || errno == EPERM);
	out->waits = out->up && is_snooze(out->pid);
	out->since = st.st_mtim.tv_sec;
}

static void read_ends(int dir_fd, struct seen *out)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;
	struct stat st;
	char *at;

	if (fs_read_file(dir_fd, "ends", 64, &text, &none) == -1 ||
	    fstatat(dir_fd, "ends", &st, AT_SYMLINK_NOFOLLOW) == -1)
		return;
	out->ends = (unsigned)strtoul(strbuf_str(&text), &at, 10);
	out->status = (unsigned)strtoul(at, &at, 10);
	out->signal = (unsigned)strtoul(at, &at, 10);
	if (!out->up)
		out->since = st.st_mtim.tv_sec;
}

static struct seen look_at(const struct app *app, const struct s6name *s)
{
	autofree char *name = s6name_format(s), *path = xasprintf(SERVICES "/%s", name);
	struct seen seen = {.up = false};
	struct error none = ERROR_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(app->node.fd, path, &fd, &none) == -1)
		return seen;
	read_session(fd, &seen);
	read_ends(fd, &seen);
	return seen;
}

static time_t next_run(const struct release_info *live, const char *name)
{
	struct error none = ERROR_INIT;
	struct schedule schedule;

	for (size_t i = 0; i < live->run.n_crons; i++)
		if (strcmp(live->run.cron[i].name, name) == 0 &&
		    schedule_parse(live->run.cron[i].schedule, &schedule, &none) == 0)
			return schedule_next(&schedule, clock_utc_ms() / 1000);
	return 0;
}

typedef void (*tell_fn)(const struct release_info *live, const struct s6name *s,
			const struct seen *seen, void *ctx);

static void tell(const struct app *app, const struct release_info *live, const struct s6name *s,
		 tell_fn fn, void *ctx)
{
	struct seen seen = look_at(app, s);

	fn(live, s, &seen, ctx);
}

static struct s6name make_service(const struct app *app, const struct release_info *live,
				  enum s6_kind kind, const char *name, unsigned index)
{
	struct s6name s = {.release = live->number, .kind = kind, .index = index};

	snprintf(s.app, sizeof(s.app), "%s", app->name);
	snprintf(s.name, sizeof(s.name), "%s", name);
	return s;
}

/* Each that should run, whether it does or not. */
static void tell_all(const struct app *app, const struct release_info *live, tell_fn fn, void *ctx)
{
	const struct runspec *run = &live->run;
	struct s6name s = make_service(app, live, S6_WEB, "", 0);

	if (strcmp(run->platform, "static") != 0)
		tell(app, live, &s, fn, ctx);
	for (size_t i = 0; i < run->n_processes; i++)
		for (unsigned index = 1; index <= run->process[i].count; index++) {
			s = make_service(app, live, S6_WORKER, run->process[i].name, index);
			tell(app, live, &s, fn, ctx);
		}
	for (size_t i = 0; i < run->n_crons; i++) {
		s = make_service(app, live, S6_CRON, run->cron[i].name, 0);
		tell(app, live, &s, fn, ctx);
	}
}

static void add_time(struct strbuf *s, int64_t when)
{
	time_t t = (time_t)when;
	struct tm tm;
	char text[32];

	if (gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		strbuf_addf(s, "%s UTC", text);
}

static const char *state_of(const struct s6name *s, const struct seen *seen)
{
	if (!seen->up)
		return "down";
	return s->kind != S6_CRON ? "up" : seen->waits ? "waits" : "runs";
}

static void add_line(const struct release_info *live, const struct s6name *s,
		     const struct seen *seen, void *ctx)
{
	autofree char *label = s6name_label(s);
	struct strbuf *out = ctx;
	time_t next = s->kind == S6_CRON ? next_run(live, s->name) : 0;

	strbuf_addf(out, "  process   %-16s %s", label, state_of(s, seen));
	if (next && seen->waits) {
		strbuf_addstr(out, " for ");
		add_time(out, next);
	} else if (seen->since) {
		strbuf_addstr(out, " since ");
		add_time(out, seen->since);
	}
	if (seen->ends && s->kind == S6_CRON)
		strbuf_addf(out, ", ran %u time%s", seen->ends, seen->ends == 1 ? "" : "s");
	else if (seen->ends)
		strbuf_addf(out, ", started again %u time%s", seen->ends,
			    seen->ends == 1 ? "" : "s");
	if (seen->ends && seen->status == 256)
		strbuf_addf(out, ", last ended by signal %u", seen->signal);
	else if (seen->ends)
		strbuf_addf(out, ", last ended with status %u", seen->status);
	strbuf_addch(out, '\n');
}

void processes_text(const struct app *app, const struct release_info *live, struct strbuf *s)
{
	tell_all(app, live, add_line, s);
}

static void add_object(const struct release_info *live, const struct s6name *s,
		       const struct seen *seen, void *ctx)
{
	autofree char *label = s6name_label(s);
	struct json *j = ctx;

	json_open(j, NULL, '{');
	json_str(j, "process", label);
	json_str(j, "state", state_of(s, seen));
	if (seen->up)
		json_int(j, "pid", seen->pid);
	json_int(j, "since", seen->since);
	json_int(j, "ended", seen->ends);
	if (seen->ends && seen->status == 256)
		json_int(j, "last_signal", seen->signal);
	else if (seen->ends)
		json_int(j, "last_status", seen->status);
	if (s->kind == S6_CRON)
		json_int(j, "next", next_run(live, s->name));
	json_close(j, '}');
}

void processes_json(const struct app *app, const struct release_info *live, struct json *j)
{
	json_open(j, "processes", '[');
	tell_all(app, live, add_object, j);
	json_close(j, ']');
}
