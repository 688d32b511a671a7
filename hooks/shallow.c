#include "hooks/shallow.h"

#include <fcntl.h>
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"

#define FILE_MAX     (16u << 20)
#define TOLERANCE_MS 2000 /* between the clock of the files and ours */

/* A file that a killed push left would say for ever what was true of one clone once. */
static bool is_of_this_push(const struct app *app, int dir_fd, const char *name)
{
	int64_t start_ms = clock_utc_ms() - (clock_ms() - app->start_ms);
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (int64_t)st.st_mtim.tv_sec * 1000 + TOLERANCE_MS >= start_ms;
}

static void add_oids(const char *text, struct strv *ends)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		autofree char *oid = xstrndup(text, len);

		if (name_is_oid(oid))
			strv_add(ends, oid);
		text += len + (text[len] == '\n');
	}
}

static int read_ends(int dir_fd, const char *name, struct strv *ends, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (fs_read_file(dir_fd, name, FILE_MAX, &text, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1; /* another push's, which has ended */
	add_oids(strbuf_str(&text), ends);
	return 0;
}

int shallow_read(const struct app *app, struct strv *ends, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(AT_FDCWD, app->repo_path, &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (str_starts(names.v[i], "shallow_") && is_of_this_push(app, fd, names.v[i]) &&
		    read_ends(fd, names.v[i], ends, err) == -1)
			return -1;
	return 0;
}
