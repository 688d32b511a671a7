#include "buildless/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "common/names.h"

#define PART_BYTES (1 << 20) /* of each part, from its end */
#define POLL_MS    200
#define FOLLOW_MAX 4

static int open_log_dir(const struct app *app, unsigned release, int *out, struct error *err)
{
	autofree char *path = xasprintf("log/%s/%u", app->name, release);

	if (fs_open_dir(app->node.fd, path, out, err) == 0)
		return 0;
	return err->code == E_NOTFOUND
		       ? error_set(err, E_NOTFOUND, "release %u has no log", release)
		       : -1;
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
	struct error none = ERROR_INIT;
	autoclose int dir_fd = -1, fd = -1;

	if (open_log_dir(app, release, &dir_fd, &none) == -1 ||
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

struct followed {
	unsigned release;
	int dir_fd, fd; /* fd: -1 until `current` is there */
};

struct follow {
	const struct app *app;
	bool over_flips;
	struct followed log[FOLLOW_MAX];
	size_t n;
};

static int copy_new(int fd, bool *any, struct error *err)
{
	char bytes[65536];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		*any = true;
		if (fs_write_all(STDOUT_FILENO, bytes, (size_t)n, err) == -1)
			return -1;
	}
	return n == -1 ? error_sys(err, errno, "cannot read the log") : 0;
}

/* s6-log renames a full `current` and begins another. */
static bool is_rotated(const struct followed *log)
{
	struct stat now, ours;

	return fstatat(log->dir_fd, "current", &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (log->fd == -1 || (fstat(log->fd, &ours) == 0 && now.st_ino != ours.st_ino));
}

static int follow_one(struct followed *log, struct error *err)
{
	bool any = false,
	     rotated = is_rotated(log); /* asked first: the old part is complete then */

	if (log->fd != -1 && copy_new(log->fd, &any, err) == -1)
		return -1;
	if (!rotated)
		return 0;
	fd_close(&log->fd);
	if (fs_open(log->dir_fd, "current", O_RDONLY, 0, &log->fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	return copy_new(log->fd, &any, err);
}

static void follow_drop_oldest(struct follow *f)
{
	fd_close(&f->log[0].dir_fd);
	fd_close(&f->log[0].fd);
	memmove(&f->log[0], &f->log[1], --f->n * sizeof(f->log[0]));
}

/* A flip: the new release's log from its beginning, beside the old one's, whose requests go on. */
static void follow_flip(struct follow *f)
{
	unsigned current = f->over_flips ? release_current(f->app) : 0;
	struct followed log = {.release = current, .dir_fd = -1, .fd = -1};
	struct error none = ERROR_INIT;

	for (size_t i = 0; i < f->n; i++)
		if (f->log[i].release == current)
			return;
	if (!current || open_log_dir(f->app, current, &log.dir_fd, &none) == -1)
		return;
	if (f->n == FOLLOW_MAX)
		follow_drop_oldest(f);
	f->log[f->n++] = log;
}

static bool stdout_is_gone(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO};

	return poll(&p, 1, POLL_MS) == 1 && (p.revents & (POLLERR | POLLHUP | POLLNVAL));
}

static int follow_logs(struct follow *f, struct error *err)
{
	while (!stdout_is_gone()) {
		follow_flip(f);
		for (size_t i = 0; i < f->n; i++)
			if (follow_one(&f->log[i], err) == -1)
				return -1;
	}
	return 0;
}

int logs_print(const struct app *app, unsigned release, size_t lines, bool follow,
	       struct error *err)
{
	struct follow f = {.app = app, .over_flips = release == 0};
	struct followed log = {.release = release, .dir_fd = -1, .fd = -1};
	autostrbuf struct strbuf text = STRBUF_INIT;
	int r = 0;

	if (!release)
		log.release = release_current(app);
	if (!log.release && !follow)
		return error_set(err, E_NOTFOUND, "nothing of %s is live yet", app->name);
	if (log.release && open_log_dir(app, log.release, &log.dir_fd, err) == -1 && !follow)
		return -1;
	if (log.dir_fd != -1)
		r = read_end(log.dir_fd, lines, &text, &log.fd, err);
	if (r == 0 && lines && text.len) {
		const char *from = last_lines(&text, lines);

		r = fs_write_all(STDOUT_FILENO, from, strlen(from), err);
	}
	if (log.dir_fd != -1)
		f.log[f.n++] = log;
	if (r == 0 && follow)
		r = follow_logs(&f, err);
	while (f.n)
		follow_drop_oldest(&f);
	return r;
}
