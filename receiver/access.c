#include "receiver/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"
#include "runtime/front.h"
#include "runtime/runner.h"

#define LOG      "access.log"
#define POLL_US  200000
#define KEPT_MAX 9 /* more than are kept (front.c) */

struct reader {
	int log_fd;
	const char *app;
	FILE *now; /* the log that is written */
};

/* TIME APP ... */
static bool is_of_app(const char *line, const char *app)
{
	const char *word = strchr(line, ' ');
	size_t len = strlen(app);

	return word && strncmp(word + 1, app, len) == 0 && word[1 + len] == ' ';
}

static int open_log(const struct reader *r, const char *name, FILE **out, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open(r->log_fd, name, O_RDONLY, 0, &fd, err) == -1)
		return -1;
	*out = fdopen(fd, "re");
	if (!*out)
		return error_sys(err, errno, "cannot read '%s'", name);
	steal_fd(&fd);
	return 0;
}

/* The last `max` lines of the app in one file, in `lines` from its end. */
static void collect(FILE *file, const char *app, uint64_t max, struct strv *lines)
{
	char **ring = xcalloc(max, sizeof(*ring)), *line = NULL;
	size_t size = 0;
	uint64_t n = 0;

	while (getline(&line, &size, file) > 0) {
		if (!is_of_app(line, app))
			continue;
		free(ring[n % max]);
		ring[n++ % max] = xstrdup(line);
	}
	for (uint64_t i = 0; i < n && i < max; i++) {
		strv_add(lines, ring[(n - 1 - i) % max]);
		free(ring[(n - 1 - i) % max]);
	}
	free(line);
	free(ring);
}

/* From the newest file back to the oldest, until there are enough. */
static void print_last(const struct reader *r, uint64_t max)
{
	autostrv struct strv lines = STRV_INIT;

	if (r->now && max)
		collect(r->now, r->app, max, &lines);
	else if (r->now)
		fseek(r->now, 0, SEEK_END);
	for (int i = 1; i <= KEPT_MAX && lines.n < max; i++) {
		autofree char *name = xasprintf(LOG ".%d", i);
		struct error none = ERROR_INIT;
		FILE *file = NULL;

		if (open_log(r, name, &file, &none) == -1)
			continue;
		collect(file, r->app, max - lines.n, &lines);
		fclose(file);
	}
	for (size_t i = lines.n; i-- > 0;)
		fputs(lines.v[i], stdout);
}

/* Has the log been rotated away, or is it there only now? */
static bool is_another(const struct reader *r)
{
	struct stat there, open;

	if (fstatat(r->log_fd, LOG, &there, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	return !r->now || fstat(fileno(r->now), &open) == -1 || open.st_ino != there.st_ino;
}

static void print_new(struct reader *r)
{
	char *line = NULL;
	size_t size = 0;

	while (r->now && getline(&line, &size, r->now) > 0)
		if (is_of_app(line, r->app))
			fputs(line, stdout);
	if (r->now)
		clearerr(r->now);
	free(line);
}

static int follow_log(struct reader *r, struct error *err)
{
	struct error none = ERROR_INIT;

	while (fflush(stdout) != EOF) {
		bool another = is_another(r);

		print_new(r); /* what was written before it went, too */
		if (another && r->now)
			fclose(r->now);
		if (another && open_log(r, LOG, &r->now, &none) == -1)
			r->now = NULL;
		if (!another)
			usleep(POLL_US);
	}
	return error_sys(err, errno, "cannot write");
}

int access_print(const struct node *node, const char *app, uint64_t lines, bool follow,
		 struct error *err)
{
	struct error none = ERROR_INIT;
	autoclose int log_fd = -1;
	struct reader r = {.app = app};
	struct runner web;
	int rc = 0;

	if (front_identity(&web.uid, &web.gid, err) == -1 || runner_become(&web, err) == -1 ||
	    fs_open_dir(node->fd, "log/nginx", &log_fd, err) == -1)
		return -1;
	r.log_fd = log_fd;
	if (open_log(&r, LOG, &r.now, &none) == -1)
		r.now = NULL; /* no request yet */
	print_last(&r, lines);
	if (follow)
		rc = follow_log(&r, err);
	if (r.now)
		fclose(r.now);
	return rc;
}
