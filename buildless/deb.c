#include "buildless/deb.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/names.h"

#define BLOCK      65536
#define SCRIPT_MAX (256 << 10)
#define PATH_DEEP  64

struct unpacking {
	int into_fd;
	char *script;
	bool has_data;
};

static int archive_failed(struct archive *a, const char *what, struct error *err)
{
	const char *why = archive_error_string(a);

	return error_set(err, E_REFUSED, "%s: %s", what, why ? why : "it is damaged");
}

/* Paths */

/* "./usr/bin/x/" is "usr/bin/x"; NULL: it may not be written. "" is the top. The caller frees. */
static char *clean_path(const char *path)
{
	struct strbuf out = STRBUF_INIT;
	unsigned depth = 0;

	if (!path || *path == '/')
		path = NULL;
	while (path && *path) {
		size_t len = strcspn(path, "/");
		bool dot = len == 1 && *path == '.', up = len == 2 && memcmp(path, "..", 2) == 0;

		if (up || len > 255 || ++depth > PATH_DEEP) {
			path = NULL;
			break;
		}
		if (len && !dot)
			strbuf_addf(&out, "%s%.*s", out.len ? "/" : "", (int)len, path);
		path += len + (path[len] == '/');
	}
	if (path)
		return strbuf_detach(&out);
	strbuf_release(&out);
	return NULL;
}

/* Does a link at `path` stay below the top? An absolute one names a place of the machine. */
static bool link_stays(const char *path, const char *target)
{
	int depth = 0;

	if (*target == '/')
		return true;
	for (const char *at = path; (at = strchr(at, '/')); at++)
		depth++;
	while (*target) {
		size_t len = strcspn(target, "/");

		if (len == 2 && memcmp(target, "..", 2) == 0)
			depth--;
		else if (len && !(len == 1 && *target == '.'))
			depth++;
		if (depth < 0)
			return false;
		target += len + (target[len] == '/');
	}
	return true;
}

/* The directory that `path` lies in, made where it is not there; *base is its last part. */
static int open_parent(int top_fd, const char *path, int *out, const char **base, struct error *err)
{
	autoclose int fd = fcntl(top_fd, F_DUPFD_CLOEXEC, 3);
	const char *slash;

	while ((slash = strchr(path, '/'))) {
		autofree char *name = xstrndup(path, (size_t)(slash - path));
		int next = -1;

		if (fs_ensure_dir(fd, name, 0755, &next, err) == -1)
			return -1;
		fd_close(&fd);
		fd = next;
		path = slash + 1;
	}
	*base = path;
	*out = steal_fd(&fd);
	return 0;
}

/* Entries */

static int write_file(struct archive *a, int dir_fd, const char *name, mode_t mode,
		      struct error *err)
{
	autofree char *block = xmalloc(BLOCK);
	autoclose int fd = -1;
	la_ssize_t n;

	/* executable or not; never setuid */
	if (fs_open(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, mode & 0111 ? 0755 : 0644, &fd,
		    err) == -1)
		return -1;
	while ((n = archive_read_data(a, block, BLOCK)) > 0)
		if (fs_write_all(fd, block, (size_t)n, err) == -1)
			return -1;
	return n < 0 ? archive_failed(a, name, err) : 0;
}

static int make_hard_link(int top_fd, const char *target, int dir_fd, const char *name,
			  struct error *err)
{
	autofree char *from = clean_path(target);
	autoclose int from_fd = -1;
	const char *base;

	if (!from || !*from)
		return error_set(err, E_REFUSED, "'%s' is a link out of the package", name);
	if (open_parent(top_fd, from, &from_fd, &base, err) == -1)
		return -1;
	return fs_link(from_fd, base, dir_fd, name, err);
}

static int make_symlink(const char *path, const char *target, int dir_fd, const char *name,
			struct error *err)
{
	if (!target || !*target || !link_stays(path, target))
		return error_set(err, E_REFUSED, "'%s' is a link out of the package", path);
	return fs_symlink(target, dir_fd, name, err);
}

static int write_entry(struct unpacking *u, struct archive *a, struct archive_entry *e,
		       struct error *err)
{
	const char *given = archive_entry_pathname(e), *hard = archive_entry_hardlink(e), *base;
	autofree char *path = clean_path(given);
	autofree char *shown = name_printable(given ? given : "");
	autoclose int dir_fd = -1;
	int r = -1;

	if (!path)
		return error_set(err, E_REFUSED, "'%.200s' leaves the package", shown);
	if (!*path)
		return 0;
	if (open_parent(u->into_fd, path, &dir_fd, &base, err) == -1)
		return -1;
	if (hard)
		r = make_hard_link(u->into_fd, hard, dir_fd, base, err);
	else if (archive_entry_filetype(e) == AE_IFDIR)
		r = fs_ensure_dir(dir_fd, base, 0755, NULL, err);
	else if (archive_entry_filetype(e) == AE_IFREG)
		r = write_file(a, dir_fd, base, archive_entry_perm(e), err);
	else if (archive_entry_filetype(e) == AE_IFLNK)
		r = make_symlink(path, archive_entry_symlink(e), dir_fd, base, err);
	else
		error_set(err, E_REFUSED, "'%.200s' is no file, directory or link", shown);
	return r;
}

static int take_data(struct unpacking *u, struct archive *a, struct error *err)
{
	struct archive_entry *e;
	int r;

	u->has_data = true;
	while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN)
		if (write_entry(u, a, e, err) == -1)
			return -1;
	return r == ARCHIVE_EOF ? 0 : archive_failed(a, "data.tar", err);
}

/* Scripts */

/* What debhelper adds for Python's byte code and the linker's cache has no meaning in a store. */
static bool is_harmless_section(const char *line)
{
	static const char *const tools[] = {"dh_python",     "dh_pypy",        "dh_pycompile",
					    "dh_makeshlibs", "dh_installdocs", "dh_installman"};

	for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
		if (strstr(line, tools[i]))
			return true;
	return false;
}

static bool is_harmless_line(const char *line)
{
	static const char *const lines[] = {"",        "set -e", "exit 0", "set -eu", ":",
					    "exit 0;", "fi",     "esac",   ";;"};

	line += strspn(line, " \t");
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (strcmp(line, lines[i]) == 0)
			return true;
	return *line == '#' || strcmp(line, "ldconfig") == 0;
}

char *deb_script_matters(const char *text)
{
	bool skipping = false;

	while (*text) {
		size_t len = strcspn(text, "\n");
		autofree char *line = xstrndup(text, len);

		text += len + (text[len] == '\n');
		if (str_starts(line, "# Automatically added by"))
			skipping = is_harmless_section(line);
		else if (str_starts(line, "# End automatically added section"))
			skipping = false;
		else if (!skipping && !is_harmless_line(line))
			return name_printable(line + strspn(line, " \t"));
	}
	return NULL;
}

static int take_script(struct unpacking *u, struct archive *a, struct error *err)
{
	autofree char *text = xcalloc(1, SCRIPT_MAX + 1);
	la_ssize_t n = archive_read_data(a, text, SCRIPT_MAX);

	if (n < 0)
		return archive_failed(a, "postinst", err);
	free(u->script);
	u->script = deb_script_matters(text);
	return 0;
}

static int take_control(struct unpacking *u, struct archive *a, struct error *err)
{
	struct archive_entry *e;
	int r;

	while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		autofree char *path = clean_path(archive_entry_pathname(e));

		if (path && strcmp(path, "postinst") == 0 && take_script(u, a, err) == -1)
			return -1;
	}
	return r == ARCHIVE_EOF ? 0 : archive_failed(a, "control.tar", err);
}

/* A package: an ar archive with two tar archives in it */

static la_ssize_t read_member(struct archive *inner, void *outer, const void **block)
{
	la_int64_t offset;
	size_t size = 0;
	int r = archive_read_data_block(outer, block, &size, &offset);

	if (r == ARCHIVE_EOF)
		return 0;
	if (r == ARCHIVE_OK)
		return (la_ssize_t)size;
	archive_set_error(inner, archive_errno(outer), "%s", archive_error_string(outer));
	return -1;
}

static int take_member(struct unpacking *u, struct archive *outer, const char *name,
		       struct error *err)
{
	struct archive *inner = archive_read_new();
	int r;

	archive_read_support_format_tar(inner);
	archive_read_support_filter_gzip(inner);
	archive_read_support_filter_xz(inner);
	archive_read_support_filter_zstd(inner);
	if (archive_read_open(inner, outer, NULL, read_member, NULL) != ARCHIVE_OK)
		r = archive_failed(inner, name, err);
	else
		r = str_starts(name, "data.tar") ? take_data(u, inner, err)
						 : take_control(u, inner, err);
	archive_read_free(inner);
	return r;
}

static int take_members(struct unpacking *u, struct archive *outer, struct error *err)
{
	struct archive_entry *e;
	int r;

	while ((r = archive_read_next_header(outer, &e)) == ARCHIVE_OK) {
		autofree char *name =
			xstrdup(archive_entry_pathname(e) ? archive_entry_pathname(e) : "");

		if ((str_starts(name, "control.tar") || str_starts(name, "data.tar")) &&
		    take_member(u, outer, name, err) == -1)
			return -1;
	}
	if (r != ARCHIVE_EOF)
		return archive_failed(outer, "the package", err);
	return u->has_data ? 0 : error_set(err, E_REFUSED, "it is no Debian package");
}

int deb_unpack(int deb_fd, int into_fd, char **script, struct error *err)
{
	struct unpacking u = {.into_fd = into_fd};
	struct archive *outer = archive_read_new();
	int r;

	archive_read_support_format_ar(outer);
	if (archive_read_open_fd(outer, deb_fd, BLOCK) != ARCHIVE_OK)
		r = archive_failed(outer, "it is no Debian package", err);
	else
		r = take_members(&u, outer, err);
	archive_read_free(outer);
	*script = r == 0 ? u.script : NULL;
	if (r == -1)
		free(u.script);
	return r;
}
