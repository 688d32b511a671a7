#include "cli/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/git.h"
#include "cli/tool.h"

#define DEEPEST 64
#define EVENTS                                                                                     \
	(IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |        \
	 IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_ONLYDIR)

struct watch {
	char *top;
	int fd;
};

int watch_new(struct watch **out, const char *top, struct error *err)
{
	struct watch *w;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd == -1)
		return error_sys(err, errno, "cannot watch '%s'", top);
	w = xcalloc(1, sizeof(*w));
	w->top = xstrdup(top);
	w->fd = fd;
	*out = w;
	return 0;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	fd_close(&w->fd);
	free(w->top);
	free(w);
}

int watch_fd(const struct watch *w)
{
	return w->fd;
}

static int watch_one(struct watch *w, const char *path, struct error *err)
{
	autofree char *full = *path ? xasprintf("%s/%s", w->top, path) : xstrdup(w->top);

	if (inotify_add_watch(w->fd, full, EVENTS) != -1 || errno == ENOENT || errno == ENOTDIR)
		return 0; /* gone meanwhile: the one above says so */
	if (errno == ENOSPC)
		return error_set(err, E_SYSTEM,
				 "there are more directories than may be watched; `sudo sysctl "
				 "fs.inotify.max_user_watches=524288` allows more");
	return error_sys(err, errno, "cannot watch '%s'", full);
}

/* The directories right below these, but git's own. */
static void list_below(const struct watch *w, const struct strv *dirs, struct strv *out)
{
	for (size_t i = 0; i < dirs->n; i++) {
		autofree char *full = xasprintf("%s/%s", w->top, dirs->v[i]);
		autodir DIR *dir = opendir(full);
		const struct dirent *e;

		while (dir && (e = readdir(dir))) {
			struct stat st;

			if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
			    !strcmp(e->d_name, ".git") ||
			    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
			    !S_ISDIR(st.st_mode))
				continue;
			strv_addf(out, "%s%s%s", dirs->v[i], *dirs->v[i] ? "/" : "", e->d_name);
		}
	}
}

/* Takes away what git ignores; a checkout below has rules of its own, and is watched whole. */
static int drop_ignored(const struct watch *w, struct strv *dirs, struct error *err)
{
	autostrbuf struct strbuf input = STRBUF_INIT, ignored = STRBUF_INIT;
	autostrv struct strv names = STRV_INIT, kept = STRV_INIT;
	struct tool git = {.dir = w->top};
	char check[] = "check-ignore", program[] = "git", stdin_flag[] = "--stdin", z[] = "-z";
	char *argv[] = {program, check, z, stdin_flag, NULL};
	int status;

	for (size_t i = 0; i < dirs->n; i++)
		strbuf_add(&input, dirs->v[i], strlen(dirs->v[i]) + 1);
	git.argv = argv;
	if (input.len && tool_capture(&git, &input, &ignored, NULL, &status, err) == -1)
		return -1;
	for (size_t at = 0; at < ignored.len; at += strlen(ignored.buf + at) + 1)
		strv_add(&names, ignored.buf + at);
	for (size_t i = 0; i < dirs->n; i++)
		if (!strv_has(&names, dirs->v[i]))
			strv_add(&kept, dirs->v[i]);
	strv_free_p(dirs);
	*dirs = kept;
	kept = (struct strv)STRV_INIT;
	return 0;
}

int watch_again(struct watch *w, struct error *err)
{
	autostrv struct strv level = STRV_INIT;

	strv_add(&level, "");
	for (unsigned depth = 0; level.n && depth < DEEPEST; depth++) {
		struct strv below = STRV_INIT;

		for (size_t i = 0; i < level.n; i++)
			if (watch_one(w, level.v[i], err) == -1)
				return -1;
		list_below(w, &level, &below);
		strv_free_p(&level);
		level = below;
		if (drop_ignored(w, &level, err) == -1)
			return -1;
	}
	return 0;
}

bool watch_take(struct watch *w)
{
	char bytes[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool counts = false;
	ssize_t n;

	while ((n = read(w->fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t at = 0; at < n;) {
			struct inotify_event e;

			memcpy(&e, bytes + at, sizeof(e));
			/* what git does with its own index is not the tree's */
			if (!e.len || strcmp(bytes + at + sizeof(e), ".git") != 0)
				counts = true;
			at += (ssize_t)(sizeof(e) + e.len);
		}
	return counts;
}
