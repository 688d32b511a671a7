#include "buildless/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "common/names.h"
#include "runtime/s6name.h"

#define PART_BYTES   (1 << 20) /* of each part, from its end */
#define POLL_MS      200
#define FOLLOWED_MAX 256 /* logs at once: then the oldest go */

static int open_log_dir(const struct app *app, const char *part, int *out, struct error *err)
{
	autofree char *path = xasprintf("log/%s/%s", app->name, part);

	return fs_open_dir(app->node.fd, path, out, err);
}

static size_t count_lines(const struct strbuf *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->len; i++)
		n += s->buf[i] == '\n';
	return n;
}

/* Puts the end of an open part in front of what is there. */
static int prepend_part(int fd, struct strbuf *text, struct error *err)
{
	struct strbuf part = STRBUF_INIT;
	struct stat st;
	int r = fstat(fd, &st);

	if (r == -1 || (st.st_size > PART_BYTES && lseek(fd, -PART_BYTES, SEEK_END) == -1))
		return error_sys(err, errno, "cannot read the log");
	/* It may grow while it is read. */
	r = strbuf_read_fd(&part, fd, 16 * (size_t)PART_BYTES, err);
	if (r == 0) {
		strbuf_add(&part, strbuf_str(text), text->len);
		strbuf_release(text);
		*text = part;
	} else {
		strbuf_release(&part);
	}
	return r;
}

/* The parts of a log from the newest back, until there are lines enough. *fd (current) is left at
 * its end for who follows. */
static int read_end(int dir_fd, size_t lines, struct strbuf *text, int *fd, struct error *err)
{
	autostrv struct strv names = STRV_INIT;

	if (fs_list(dir_fd, &names, err) == -1)
		return -1;
	if (fs_open(dir_fd, "current", O_RDONLY, 0, fd, err) == 0) {
		if (prepend_part(*fd, text, err) == -1)
			return -1;
	} else if (err->code != E_NOTFOUND) {
		return -1;
	}
	for (size_t i = names.n; i-- > 0 && count_lines(text) < lines;) {
		autoclose int part = -1;

		if (names.v[i][0] != '@')
			continue;
		if (fs_open(dir_fd, names.v[i], O_RDONLY, 0, &part, err) == -1) {
			if (err->code == E_NOTFOUND) /* s6-log has just removed it */
				continue;
			return -1;
		}
		if (prepend_part(part, text, err) == -1)
			return -1;
	}
	return 0;
}

static const char *last_lines(const struct strbuf *text, size_t lines)
{
	const char *start = strbuf_str(text), *at = start + text->len;

	if (at > start && at[-1] == '\n')
		at--;
	for (; at > start; at--)
		if (at[-1] == '\n' && --lines == 0)
			break;
	return lines ? start : at;
}

/* Behind the time that s6-log wrote: "2026-11-23 11:30:31.214673315  ". */
static const char *without_time(const char *line, size_t len)
{
	static const char form[] = "0000-00-00 00:00:00.000000000  ";
	size_t form_len = strlen(form);

	if (len < form_len)
		return line;
	for (size_t i = 0; i < form_len; i++)
		if (form[i] == '0' ? line[i] < '0' || line[i] > '9' : line[i] != form[i])
			return line;
	return line + form_len;
}

void logs_show_end(const struct app *app, unsigned release, size_t lines, FILE *to)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autofree char *web = xasprintf("%u", release);
	struct error none = ERROR_INIT;
	autoclose int dir_fd = -1, fd = -1;

	if (open_log_dir(app, web, &dir_fd, &none) == -1 ||
	    read_end(dir_fd, lines, &text, &fd, &none) == -1)
		return;
	for (const char *at = last_lines(&text, lines); *at;) {
		autostrbuf struct strbuf line = STRBUF_INIT;
		size_t len = strcspn(at, "\n");
		const char *text_at = without_time(at, len);

		name_add_printable(&line, text_at, len - (size_t)(text_at - at));
		fprintf(to, "silver: | %s\n", strbuf_str(&line));
		at += len + (at[len] == '\n');
	}
}

/* One process's log, and how far it has been read. */
struct source {
	struct s6name of;
	int dir_fd, fd;      /* fd: `current`; -1 until it is there */
	struct strbuf begun; /* a line without its end */
};

struct sources {
	const struct app *app;
	const struct logs_query *query;
	struct source *v;
	size_t n;
};

static void source_release(struct source *s)
{
	fd_close(&s->dir_fd);
	fd_close(&s->fd);
	strbuf_release(&s->begun);
}

static void sources_release(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		source_release(&s->v[i]);
	free(steal_ptr(&s->v));
	s->n = 0;
}

/* "web"; "mail" for all mail.I, "mail.2" for one of them; "cron-tidy". */
static bool is_wanted(const struct logs_query *query, const struct s6name *of)
{
	autofree char *label = s6name_label(of);

	return !query->process || strcmp(query->process, label) == 0 ||
	       (of->kind == S6_WORKER && strcmp(query->process, of->name) == 0);
}

static bool sources_have(const struct sources *s, const struct s6name *of)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct s6name *has = &s->v[i].of;

		if (has->release == of->release && has->kind == of->kind &&
		    has->index == of->index && strcmp(has->name, of->name) == 0)
			return true;
	}
	return false;
}

static void sources_add(struct sources *s, const struct s6name *of, const char *part)
{
	struct source source = {.of = *of, .dir_fd = -1, .fd = -1};
	struct error gone = ERROR_INIT;

	if (open_log_dir(s->app, part, &source.dir_fd, &gone) == -1)
		return;
	if (s->n == FOLLOWED_MAX) {
		source_release(&s->v[0]);
		memmove(&s->v[0], &s->v[1], --s->n * sizeof(s->v[0]));
	}
	s->v = xrealloc_array(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = source;
}

/* The logs of a release that are not there yet. */
static void sources_find(struct sources *s, unsigned release)
{
	autofree char *path = xasprintf("log/%s", s->app->name);
	autostrv struct strv parts = STRV_INIT;
	struct error none = ERROR_INIT;
	autoclose int fd = -1;
	struct s6name of;

	if (fs_open_dir(s->app->node.fd, path, &fd, &none) == -1 ||
	    fs_list(fd, &parts, &none) == -1)
		return;
	for (size_t i = 0; i < parts.n; i++)
		if (s6name_parse_part(s->app->name, parts.v[i], &of) && of.release == release &&
		    is_wanted(s->query, &of) && !sources_have(s, &of))
			sources_add(s, &of, parts.v[i]);
}

/* "TIME  [12 mail.1] text": whose a line is, where more than one writes. */
static void add_line(struct strbuf *out, const struct source *s, const char *line, size_t len)
{
	autofree char *label = s6name_label(&s->of);
	size_t time_len = (size_t)(without_time(line, len) - line);

	strbuf_add(out, line, time_len);
	strbuf_addf(out, "[%u %s] ", s->of.release, label);
	strbuf_add(out, line + time_len, len - time_len);
	strbuf_addch(out, '\n');
}

struct line {
	const struct source *source;
	const char *text, *time; /* one without a time has that of the line before */
	size_t len, number;
};

static int compare_lines(const void *one, const void *other)
{
	const struct line *a = one, *b = other;
	int order = strncmp(a->time, b->time, strlen("0000-00-00 00:00:00.000000000"));

	return order ? order : (a->number > b->number) - (a->number < b->number);
}

static void take_lines(const struct source *source, const char *text, struct line **line, size_t *n)
{
	const char *time = "";

	for (const char *at = text; *at;) {
		size_t len = strcspn(at, "\n");

		if (without_time(at, len) != at)
			time = at;
		*line = xrealloc_array(*line, *n + 1, sizeof(**line));
		(*line)[*n] = (struct line){source, at, time, len, *n};
		++*n;
		at += len + (at[len] == '\n');
	}
}

/* The end of several logs, in the order of time. */
static int print_merged(struct sources *s, struct strbuf *text, struct error *err)
{
	size_t lines = s->query->lines, n = 0;
	autofree struct line *line = NULL;
	autostrbuf struct strbuf out = STRBUF_INIT;

	for (size_t i = 0; i < s->n; i++)
		take_lines(&s->v[i], last_lines(&text[i], lines), &line, &n);
	if (n)
		qsort(line, n, sizeof(*line), compare_lines);
	for (size_t i = n > lines ? n - lines : 0; i < n; i++)
		add_line(&out, line[i].source, line[i].text, line[i].len);
	return fs_write_all(STDOUT_FILENO, strbuf_str(&out), out.len, err);
}

static int print_end(struct sources *s, struct error *err)
{
	struct strbuf *text = xcalloc(s->n + 1, sizeof(*text));
	size_t lines = s->query->lines;
	int r = 0;

	for (size_t i = 0; i < s->n && r == 0; i++)
		r = read_end(s->v[i].dir_fd, lines, &text[i], &s->v[i].fd, err);
	if (r == 0 && lines && s->n > 1) {
		r = print_merged(s, text, err);
	} else if (r == 0 && lines && s->n) {
		const char *from = last_lines(&text[0], lines);

		r = fs_write_all(STDOUT_FILENO, from, strlen(from), err);
	}
	for (size_t i = 0; i < s->n; i++)
		strbuf_release(&text[i]);
	free(text);
	return r;
}

/* Whole lines are written with their source; what is no line yet waits. */
static int write_lines(struct source *s, const char *bytes, size_t len, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT;
	const char *at, *end;

	strbuf_add(&s->begun, bytes, len);
	at = strbuf_str(&s->begun);
	end = at + s->begun.len;
	for (const char *newline; (newline = memchr(at, '\n', (size_t)(end - at)));
	     at = newline + 1)
		add_line(&out, s, at, (size_t)(newline - at));
	if (at != s->begun.buf) {
		struct strbuf rest = STRBUF_INIT;

		strbuf_add(&rest, at, (size_t)(end - at));
		strbuf_release(&s->begun);
		s->begun = rest;
	}
	return fs_write_all(STDOUT_FILENO, strbuf_str(&out), out.len, err);
}

static int copy_new(struct source *s, bool alone, struct error *err)
{
	char bytes[65536];
	ssize_t n;

	while ((n = read(s->fd, bytes, sizeof(bytes))) > 0)
		if ((alone ? fs_write_all(STDOUT_FILENO, bytes, (size_t)n, err)
			   : write_lines(s, bytes, (size_t)n, err)) == -1)
			return -1;
	return n == -1 ? error_sys(err, errno, "cannot read the log") : 0;
}

/* s6-log renames a full `current` and begins another. */
static bool is_rotated(const struct source *s)
{
	struct stat now, ours;

	return fstatat(s->dir_fd, "current", &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (s->fd == -1 || (fstat(s->fd, &ours) == 0 && now.st_ino != ours.st_ino));
}

static int follow_one(struct source *s, bool alone, struct error *err)
{
	bool rotated = is_rotated(s); /* asked first: the old part is complete then */

	if (s->fd != -1 && copy_new(s, alone, err) == -1)
		return -1;
	if (!rotated)
		return 0;
	fd_close(&s->fd);
	if (fs_open(s->dir_fd, "current", O_RDONLY, 0, &s->fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	return copy_new(s, alone, err);
}

static bool stdout_is_gone(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO};

	return poll(&p, 1, POLL_MS) == 1 && (p.revents & (POLLERR | POLLHUP | POLLNVAL));
}

/* Over flips, where no release was named: the new one's logs from their beginning, beside the old
 * one's, whose requests go on. */
static int follow_logs(struct sources *s, struct error *err)
{
	while (!stdout_is_gone()) {
		sources_find(s, s->query->release ? s->query->release : release_current(s->app));
		for (size_t i = 0; i < s->n; i++)
			if (follow_one(&s->v[i], s->n == 1, err) == -1)
				return -1;
	}
	return 0;
}

static int no_log(const struct logs_query *query, unsigned release, struct error *err)
{
	if (query->process)
		return error_set(err, E_NOTFOUND,
				 "release %u has no log of a process '%s'; 'status' lists them",
				 release, query->process);
	return error_set(err, E_NOTFOUND,
			 "release %u has no log: nothing ran that wrote one; --access has the "
			 "requests",
			 release);
}

int logs_print(const struct app *app, const struct logs_query *query, struct error *err)
{
	struct sources s = {.app = app, .query = query};
	unsigned release = query->release ? query->release : release_current(app);
	int r;

	if (!release && !query->follow)
		return error_set(err, E_NOTFOUND, "nothing of %s is live yet", app->name);
	if (release)
		sources_find(&s, release);
	if (s.n == 0 && !query->follow)
		return no_log(query, release, err);
	r = print_end(&s, err);
	if (r == 0 && query->follow)
		r = follow_logs(&s, err);
	sources_release(&s);
	return r;
}
