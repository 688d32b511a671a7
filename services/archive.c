#include "services/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/ini.h"
#include "common/names.h"
#include "common/sha256.h"

#define MANIFEST    "manifest.ini"
#define END         "end.ini"
#define FORMAT      "1"
#define SMALL_MAX   65536
#define CHUNK       (256 << 10)
#define SECTION     "service."
#define TREE_BLOCK  10240
#define PERMISSIONS 0777

static void free_writer(struct archive **a)
{
	archive_write_free(*a);
}
static void free_reader(struct archive **a)
{
	archive_read_free(*a);
}
static void free_entry(struct archive_entry **e)
{
	archive_entry_free(*e);
}
#define autowriter __attribute__((cleanup(free_writer)))
#define autoreader __attribute__((cleanup(free_reader)))
#define autoentry  __attribute__((cleanup(free_entry)))

void backup_release(struct backup *b)
{
	free(b->app);
	free(b->node);
	free(b->time);
	free(b->commit);
	for (size_t i = 0; i < b->n; i++) {
		free(b->part[i].value);
		free(b->part[i].server);
	}
	*b = (struct backup){0};
}

static int cannot_write(struct archive *a, struct error *err)
{
	const char *why = archive_error_string(a);

	return error_set(err, E_SYSTEM, "cannot write the archive: %s",
			 why ? why : "for no reason that it tells");
}

static int is_damaged(struct archive *a, struct error *err)
{
	const char *why = archive_error_string(a);

	return error_set(err, E_REFUSED, "the archive is cut or damaged: %s",
			 why ? why : "it ends too early");
}

/* The name of a service's file in the archive; the caller frees. */
static char *file_of(const struct service *service)
{
	return xasprintf("%s.dump", service->record);
}

/* Writing */

static int put_header(struct archive *a, const char *name, uint64_t bytes, struct error *err)
{
	autoentry struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, name);
	archive_entry_set_size(e, (int64_t)bytes);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0600);
	return archive_write_header(a, e) == ARCHIVE_OK ? 0 : cannot_write(a, err);
}

static int put_bytes(struct archive *a, const void *bytes, size_t len, struct error *err)
{
	return archive_write_data(a, bytes, len) == (la_ssize_t)len ? 0 : cannot_write(a, err);
}

static int put_text(struct archive *a, const char *name, const struct strbuf *text,
		    struct error *err)
{
	if (put_header(a, name, text->len, err) == -1)
		return -1;
	return put_bytes(a, text->buf, text->len, err);
}

static int put_part(struct archive *a, const struct backup_part *part, struct strbuf *end,
		    struct error *err)
{
	autofree char *name = file_of(part->service), *buf = xmalloc(CHUNK);
	char digest[SHA256_HEX + 1];
	uint64_t left = part->bytes;
	struct sha256 sum;

	sha256_init(&sum);
	if (put_header(a, name, part->bytes, err) == -1)
		return -1;
	while (left) {
		ssize_t n = read(part->fd, buf, left < CHUNK ? (size_t)left : CHUNK);

		if (n <= 0)
			return error_sys(err, n ? errno : EIO, "cannot read the dump '%s'", name);
		sha256_add(&sum, buf, (size_t)n);
		if (put_bytes(a, buf, (size_t)n, err) == -1)
			return -1;
		left -= (uint64_t)n;
	}
	sha256_hex(&sum, digest);
	ini_add(end, name, digest);
	return 0;
}

static int measure(struct backup_part *part, struct error *err)
{
	struct stat st;

	if (fstat(part->fd, &st) == -1 || lseek(part->fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read a dump");
	part->bytes = (uint64_t)st.st_size;
	return 0;
}

static void write_manifest(const struct backup *b, struct strbuf *out)
{
	strbuf_addstr(out, "[backup]\n");
	ini_add(out, "format", FORMAT);
	ini_add(out, "app", b->app);
	ini_add(out, "time", b->time);
	ini_add(out, "node", b->node);
	ini_addf(out, "release", "%u", b->release);
	ini_add(out, "commit", b->commit);
	for (size_t i = 0; i < b->n; i++) {
		const struct backup_part *part = &b->part[i];
		autofree char *file = file_of(part->service);

		strbuf_addf(out, "[" SECTION "%s]\n", part->service->record);
		ini_add(out, "value", part->value);
		ini_add(out, "server", part->server);
		ini_add(out, "file", file);
		ini_addf(out, "bytes", "%llu", (unsigned long long)part->bytes);
	}
}

static int write_all(struct archive *a, struct backup *b, struct error *err)
{
	autostrbuf struct strbuf manifest = STRBUF_INIT, end = STRBUF_INIT;
	char digest[SHA256_HEX + 1];
	struct sha256 sum;

	for (size_t i = 0; i < b->n; i++)
		if (measure(&b->part[i], err) == -1)
			return -1;
	write_manifest(b, &manifest);
	sha256_init(&sum);
	sha256_add(&sum, manifest.buf, manifest.len);
	sha256_hex(&sum, digest);
	strbuf_addstr(&end, "[sha256]\n");
	ini_add(&end, MANIFEST, digest);
	if (put_text(a, MANIFEST, &manifest, err) == -1)
		return -1;
	for (size_t i = 0; i < b->n; i++)
		if (put_part(a, &b->part[i], &end, err) == -1)
			return -1;
	return put_text(a, END, &end, err);
}

int backup_write(struct backup *b, int fd, struct error *err)
{
	autowriter struct archive *a = archive_write_new();

	if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
	    archive_write_add_filter_zstd(a) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
	    archive_write_open_fd(a, fd) != ARCHIVE_OK)
		return cannot_write(a, err);
	if (write_all(a, b, err) == -1) {
		archive_write_fail(a); /* else its end would look like one that is meant */
		return -1;
	}
	return archive_write_close(a) == ARCHIVE_OK ? 0 : cannot_write(a, err);
}

/* Reading */

struct reading {
	struct archive *a;
	struct backup *b;
	bool bad;
	struct strbuf digests; /* as end.ini should be */
};

static int wrong(struct error *err, const char *what)
{
	return error_set(err, E_REFUSED, "this is no backup of silver: %s", what);
}

static void on_problem(void *ctx, unsigned line, const char *text)
{
	struct reading *r = ctx;

	(void)line;
	(void)text;
	r->bad = true;
}

static void replace(char **at, const char *value)
{
	free(*at);
	*at = xstrdup(value);
}

static void on_backup_key(struct reading *r, const char *key, const char *value)
{
	uint64_t number;

	if (strcmp(key, "format") == 0 && strcmp(value, FORMAT) != 0)
		r->bad = true;
	else if (strcmp(key, "app") == 0)
		replace(&r->b->app, value);
	else if (strcmp(key, "node") == 0)
		replace(&r->b->node, value);
	else if (strcmp(key, "time") == 0)
		replace(&r->b->time, value);
	else if (strcmp(key, "commit") == 0)
		replace(&r->b->commit, value);
	else if (strcmp(key, "release") == 0 && str_to_uint(value, INT32_MAX, &number))
		r->b->release = (unsigned)number;
}

/* The part that the section is about; NULL: it is wrong. */
static struct backup_part *part_of(struct reading *r, const char *section)
{
	const struct service *service =
		str_starts(section, SECTION) ? service_named(section + strlen(SECTION)) : NULL;
	struct backup_part *last = r->b->n ? &r->b->part[r->b->n - 1] : NULL;

	if (!service || strcmp(service->name, service->record) != 0)
		return NULL;
	if (last && last->service == service)
		return last;
	for (size_t i = 0; i < r->b->n; i++)
		if (r->b->part[i].service == service)
			return NULL;
	if (r->b->n == BACKUP_SERVICES)
		return NULL;
	last = &r->b->part[r->b->n++];
	*last = (struct backup_part){service, xstrdup(""), xstrdup(""), 0, -1};
	return last;
}

static void on_key(void *ctx, unsigned line, const char *section, const char *key,
		   const char *value)
{
	struct reading *r = ctx;
	struct backup_part *part;

	(void)line;
	if (strcmp(section, "backup") == 0) {
		on_backup_key(r, key, value);
		return;
	}
	part = part_of(r, section);
	if (part && strcmp(key, "value") == 0)
		replace(&part->value, value);
	else if (part && strcmp(key, "server") == 0)
		replace(&part->server, value);
	else if (!part ||
		 (strcmp(key, "bytes") == 0 && !str_to_uint(value, INT64_MAX, &part->bytes)))
		r->bad = true;
}

/* The next entry, which has to have this name. */
static int next(struct archive *a, const char *name, uint64_t *bytes, struct error *err)
{
	struct archive_entry *e;
	int r = archive_read_next_header(a, &e);
	const char *is;

	if (r != ARCHIVE_OK)
		return is_damaged(a, err);
	is = archive_entry_pathname(e);
	if (!is || strcmp(is, name) != 0 || archive_entry_filetype(e) != AE_IFREG)
		return error_set(err, E_REFUSED,
				 "this is no backup of silver: '%s' is not where it belongs", name);
	*bytes = (uint64_t)archive_entry_size(e);
	return 0;
}

static int take_text(struct archive *a, const char *name, struct strbuf *out, struct error *err)
{
	autofree char *buf = NULL;
	uint64_t bytes = 0;
	la_ssize_t n;

	if (next(a, name, &bytes, err) == -1)
		return -1;
	if (bytes > SMALL_MAX)
		return wrong(err, "its manifest is too long");
	buf = xmalloc(SMALL_MAX);
	while ((n = archive_read_data(a, buf, SMALL_MAX)) > 0)
		strbuf_add(out, buf, (size_t)n);
	return n == 0 && out->len == bytes ? 0 : is_damaged(a, err);
}

static int take_part(struct reading *r, const struct backup_part *part, int out_fd,
		     struct error *err)
{
	autofree char *name = file_of(part->service), *buf = xmalloc(CHUNK);
	char digest[SHA256_HEX + 1];
	uint64_t bytes = 0, got = 0;
	struct sha256 sum;
	la_ssize_t n;

	sha256_init(&sum);
	if (next(r->a, name, &bytes, err) == -1)
		return -1;
	while ((n = archive_read_data(r->a, buf, CHUNK)) > 0) {
		sha256_add(&sum, buf, (size_t)n);
		got += (uint64_t)n;
		if (out_fd != -1 && fs_write_all(out_fd, buf, (size_t)n, err) == -1)
			return -1;
	}
	if (n < 0 || got != bytes || got != part->bytes)
		return is_damaged(r->a, err);
	sha256_hex(&sum, digest);
	ini_add(&r->digests, name, digest);
	return 0;
}

static int take_manifest(struct reading *r, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	char digest[SHA256_HEX + 1];
	struct sha256 sum;

	if (take_text(r->a, MANIFEST, &text, err) == -1)
		return -1;
	sha256_init(&sum);
	sha256_add(&sum, strbuf_str(&text), text.len);
	sha256_hex(&sum, digest);
	strbuf_addstr(&r->digests, "[sha256]\n");
	ini_add(&r->digests, MANIFEST, digest);
	if (ini_parse_text(strbuf_str(&text), text.len, on_key, on_problem, r) || r->bad ||
	    !r->b->app)
		return wrong(err, "its manifest is not understood; it may be of a later version");
	return 0;
}

static int read_all(struct reading *r, const char *take, int take_fd, struct error *err)
{
	autostrbuf struct strbuf end = STRBUF_INIT;
	struct archive_entry *more;

	if (take_manifest(r, err) == -1)
		return -1;
	for (size_t i = 0; i < r->b->n; i++) {
		bool wanted = take && strcmp(r->b->part[i].service->record, take) == 0;

		if (take_part(r, &r->b->part[i], wanted ? take_fd : -1, err) == -1)
			return -1;
	}
	if (take_text(r->a, END, &end, err) == -1)
		return -1;
	if (end.len != r->digests.len ||
	    memcmp(strbuf_str(&end), strbuf_str(&r->digests), end.len) != 0)
		return error_set(err, E_REFUSED,
				 "the archive is damaged: a digest in it is another");
	if (archive_read_next_header(r->a, &more) != ARCHIVE_EOF)
		return wrong(err, "there is something behind its end");
	return 0;
}

int backup_read(int fd, const char *take, int take_fd, struct backup *out, struct error *err)
{
	autoreader struct archive *a = archive_read_new();
	struct reading r = {.a = a, .b = out, .digests = STRBUF_INIT};
	int result;

	*out = (struct backup){0};
	if (lseek(fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read the archive");
	if (archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
	    archive_read_support_format_tar(a) != ARCHIVE_OK)
		return error_set(err, E_SYSTEM, "libarchive cannot read tar.zst here");
	if (archive_read_open_fd(a, fd, CHUNK) != ARCHIVE_OK)
		return is_damaged(a, err);
	result = read_all(&r, take, take_fd, err);
	strbuf_release(&r.digests);
	if (result == -1)
		backup_release(out);
	return result;
}

/* Trees */

static int copy_data(struct archive *from, struct archive *to, struct error *err)
{
	const void *bytes;
	size_t len;
	la_int64_t at;
	int r;

	while ((r = archive_read_data_block(from, &bytes, &len, &at)) == ARCHIVE_OK)
		if (archive_write_data_block(to, bytes, len, at) < 0)
			return cannot_write(to, err);
	return r == ARCHIVE_EOF ? 0 : is_damaged(from, err);
}

/* A file may grow or shrink meanwhile: what is written is as long as its header says. */
static int copy_file(struct archive *disk, struct archive *to, uint64_t left, struct error *err)
{
	static const char zeros[4096];
	const void *bytes;
	size_t len;
	la_int64_t at;
	uint64_t done = 0;
	int r;

	while ((r = archive_read_data_block(disk, &bytes, &len, &at)) == ARCHIVE_OK) {
		while (done < (uint64_t)at && done < left) { /* a hole */
			uint64_t gap = (uint64_t)at < left ? (uint64_t)at - done : left - done;
			size_t n = gap < sizeof(zeros) ? (size_t)gap : sizeof(zeros);

			if (put_bytes(to, zeros, n, err) == -1)
				return -1;
			done += n;
		}
		if (len > left - done)
			len = (size_t)(left - done);
		if (len && put_bytes(to, bytes, len, err) == -1)
			return -1;
		done += len;
	}
	if (r == ARCHIVE_EOF)
		return 0; /* the writer fills up with zeros */
	return error_set(err, E_SYSTEM, "cannot read a file: %s", archive_error_string(disk));
}

static bool is_kept(struct archive_entry *e, mode_t type)
{
	const char *path = archive_entry_pathname(e);

	return (type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK) && strcmp(path, ".") != 0;
}

static int add_entry(struct archive *disk, struct archive *to, struct archive_entry *e,
		     struct error *err)
{
	mode_t type = archive_entry_filetype(e);
	uint64_t bytes = type == AE_IFREG ? (uint64_t)archive_entry_size(e) : 0;

	if (type == AE_IFDIR && archive_read_disk_can_descend(disk))
		archive_read_disk_descend(disk);
	if (!is_kept(e, type))
		return 0;
	if (archive_write_header(to, e) < ARCHIVE_WARN)
		return cannot_write(to, err);
	return bytes ? copy_file(disk, to, bytes, err) : 0;
}

static int add_tree(struct archive *disk, struct archive *to, struct error *err)
{
	autoentry struct archive_entry *e = archive_entry_new();
	int r;

	while ((r = archive_read_next_header2(disk, e)) != ARCHIVE_EOF) {
		if (r < ARCHIVE_WARN && archive_errno(disk) == ENOENT)
			continue; /* gone since its directory was read */
		if (r < ARCHIVE_WARN)
			return error_set(err, E_SYSTEM, "cannot read a file: %s",
					 archive_error_string(disk));
		if (add_entry(disk, to, e, err) == -1)
			return -1;
	}
	return 0;
}

int tree_write(int dir_fd, int fd, struct error *err)
{
	autoreader struct archive *disk = archive_read_disk_new();
	autowriter struct archive *to = archive_write_new();

	if (fchdir(dir_fd) == -1)
		return error_sys(err, errno, "cannot enter the directory");
	if (archive_write_set_format_pax_restricted(to) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(to, 1) != ARCHIVE_OK ||
	    archive_write_open_fd(to, fd) != ARCHIVE_OK)
		return cannot_write(to, err);
	archive_read_disk_set_symlink_physical(disk);
	archive_read_disk_set_behavior(
		disk, ARCHIVE_READDISK_NO_TRAVERSE_MOUNTS | ARCHIVE_READDISK_NO_XATTR |
			      ARCHIVE_READDISK_NO_ACL | ARCHIVE_READDISK_NO_FFLAGS);
	if (archive_read_disk_open(disk, ".") != ARCHIVE_OK)
		return error_set(err, E_SYSTEM, "cannot read the directory: %s",
				 archive_error_string(disk));
	if (add_tree(disk, to, err) == -1) {
		archive_write_fail(to);
		return -1;
	}
	return archive_write_close(to) == ARCHIVE_OK ? 0 : cannot_write(to, err);
}

static int extract(struct archive *from, struct archive *disk, struct archive_entry *e,
		   struct error *err)
{
	mode_t type = archive_entry_filetype(e);

	if (!is_kept(e, type) || archive_entry_hardlink(e))
		return error_set(err, E_REFUSED, "the tree holds what is no file");
	archive_entry_set_perm(e, archive_entry_perm(e) & PERMISSIONS);
	if (archive_write_header(disk, e) != ARCHIVE_OK)
		return error_set(err, E_REFUSED, "cannot lay out '%.200s': %s",
				 archive_entry_pathname(e), archive_error_string(disk));
	return archive_entry_size(e) > 0 ? copy_data(from, disk, err) : 0;
}

int tree_read(int dir_fd, int fd, struct error *err)
{
	autoreader struct archive *from = archive_read_new();
	autowriter struct archive *disk = archive_write_disk_new();
	struct archive_entry *e;
	int r;

	if (fchdir(dir_fd) == -1)
		return error_sys(err, errno, "cannot enter the directory");
	archive_write_disk_set_options(disk, ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
						     ARCHIVE_EXTRACT_SECURE_SYMLINKS |
						     ARCHIVE_EXTRACT_SECURE_NODOTDOT |
						     ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
	if (archive_read_support_format_tar(from) != ARCHIVE_OK ||
	    archive_read_open_fd(from, fd, TREE_BLOCK) != ARCHIVE_OK)
		return is_damaged(from, err);
	while ((r = archive_read_next_header(from, &e)) == ARCHIVE_OK)
		if (extract(from, disk, e, err) == -1)
			return -1;
	if (r != ARCHIVE_EOF)
		return is_damaged(from, err);
	return archive_write_close(disk) == ARCHIVE_OK ? 0 : cannot_write(disk, err);
}
