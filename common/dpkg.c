#include "common/dpkg.h"

#include <errno.h>
#include <fcntl.h>
#include "common/fs.h"
#include "common/names.h"

#define STATUS_MAX (256 << 20)
#define STANZA     "\n\nPackage: "

int dpkg_stamp(const char *dir, char **out, struct error *err)
{
	autoclose int dir_fd = -1;
	struct stat st;

	*out = NULL;
	if (fs_open_dir(AT_FDCWD, dir, &dir_fd, err) == -1)
		return error_prefix(err, "dpkg's database");
	if (fstatat(dir_fd, "status", &st, 0) == -1)
		return error_sys(err, errno, "cannot look at '%s/status'", dir);
	*out = xasprintf("%lld.%lld.%09ld", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
			 st.st_mtim.tv_nsec);
	return 0;
}

/* The value of a field in one line of a stanza, or NULL; *len is its length. */
static const char *value_of(const char *line, const char *end, const char *field, size_t *len)
{
	size_t n = strlen(field);

	if ((size_t)(end - line) < n || memcmp(line, field, n) != 0)
		return NULL;
	line += n;
	while (line < end && *line == ' ')
		line++;
	*len = (size_t)(end - line);
	return line;
}

/* "install ok installed": the third word. A package whose triggers have not run yet is there. */
static bool is_installed(const char *status, size_t len)
{
	static const char *const states[] = {"installed", "triggers-awaited", "triggers-pending"};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		size_t n = strlen(states[i]);

		if (len > n && status[len - n - 1] == ' ' &&
		    memcmp(status + len - n, states[i], n) == 0)
			return true;
	}
	return false;
}

static bool is_asked(const char *asked, const char *name, size_t name_len, const char *arch,
		     size_t arch_len)
{
	const char *colon = strchr(asked, ':');
	size_t len = colon ? (size_t)(colon - asked) : strlen(asked);

	if (len != name_len || memcmp(asked, name, len) != 0)
		return false;
	if (!colon || (arch_len == strlen("all") && memcmp(arch, "all", arch_len) == 0))
		return true;
	return strlen(colon + 1) == arch_len && memcmp(arch, colon + 1, arch_len) == 0;
}

struct stanza {
	const char *name, *status, *arch, *version;
	size_t name_len, status_len, arch_len, version_len;
};

static void read_stanza(const char *at, const char *end, struct stanza *s)
{
	const struct {
		const char *field;
		const char **value;
		size_t *len;
	} fields[] = {{"Package:", &s->name, &s->name_len},
		      {"Status:", &s->status, &s->status_len},
		      {"Architecture:", &s->arch, &s->arch_len},
		      {"Version:", &s->version, &s->version_len}};

	*s = (struct stanza){.name = "", .status = "", .arch = "", .version = ""};
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *line_end = newline ? newline : end;

		for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
			size_t len;
			const char *value = value_of(at, line_end, fields[i].field, &len);

			if (value) {
				*fields[i].value = value;
				*fields[i].len = len;
			}
		}
		at = line_end + 1;
	}
}

static void note_version(const struct stanza *s, const struct strv *names, char **found)
{
	if (!is_installed(s->status, s->status_len) || s->version_len == 0)
		return;
	for (size_t i = 0; i < names->n; i++)
		if (!found[i] && is_asked(names->v[i], s->name, s->name_len, s->arch, s->arch_len))
			found[i] = xstrndup(s->version, s->version_len);
}

/* Is it worth a look? Its first line is "Package: NAME", as dpkg writes it. */
static bool is_wanted(const char *at, const char *end, const struct strv *names)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));
	size_t len;
	const char *name = value_of(at, newline ? newline : end, "Package:", &len);

	if (!name)
		return true; /* not as dpkg writes it: all its lines are read */
	for (size_t i = 0; i < names->n; i++)
		if (strcspn(names->v[i], ":") == len && memcmp(names->v[i], name, len) == 0)
			return true;
	return false;
}

void dpkg_find_versions(const char *text, size_t len, const struct strv *names,
			struct strv *versions)
{
	char **found = xcalloc(names->n + 1, sizeof(*found));
	const char *at = text, *end = text + len;

	while (at < end) {
		const char *next = memmem(at, (size_t)(end - at), STANZA, strlen(STANZA));
		const char *stanza_end = next ? next : end;
		struct stanza s;

		if (is_wanted(at, stanza_end, names)) {
			read_stanza(at, stanza_end, &s);
			note_version(&s, names, found);
		}
		at = next ? next + 2 : end;
	}
	for (size_t i = 0; i < names->n; i++) {
		autofree char *version = found[i] ? name_printable(found[i]) : xstrdup("");

		strv_add(versions, version);
		free(found[i]);
	}
	free(found);
}

static int read_status(int dir_fd, const char *dir, struct strbuf *text, struct error *err)
{
	if (fs_read_file(dir_fd, "status", STATUS_MAX, text, err) == -1)
		return error_prefix(err, "'%s'", dir);
	return 0;
}

int dpkg_versions(const char *dir, const struct strv *names, struct strv *versions,
		  struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	autoclose int dir_fd = -1;

	if (fs_open_dir(AT_FDCWD, dir, &dir_fd, err) == -1)
		return error_prefix(err, "dpkg's database");
	if (read_status(dir_fd, dir, &text, err) == -1)
		return -1;
	dpkg_find_versions(strbuf_str(&text), text.len, names, versions);
	return 0;
}

/* dpkg's journal: what it did and has not put into the status file. */
static int has_journal(int dir_fd, bool *out, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;
	struct error none = ERROR_INIT;

	*out = false;
	if (fs_open_dir(dir_fd, "updates", &fd, &none) == -1)
		return 0;
	if (fs_list(fd, &names, err) == -1)
		return -1;
	*out = names.n > 0;
	return 0;
}

int dpkg_interrupted(const char *dir, bool *out, struct error *err)
{
	static const char *const states[] = {" unpacked\n", " half-configured\n",
					     " half-installed\n"};
	autostrbuf struct strbuf text = STRBUF_INIT;
	autoclose int dir_fd = -1;

	if (fs_open_dir(AT_FDCWD, dir, &dir_fd, err) == -1)
		return error_prefix(err, "dpkg's database");
	if (has_journal(dir_fd, out, err) == -1 || read_status(dir_fd, dir, &text, err) == -1)
		return -1;
	for (const char *at = strbuf_str(&text); !*out && (at = strstr(at, "\nStatus: ")); at++) {
		size_t len = strcspn(at + 1, "\n") + 2;

		for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
			size_t n = strlen(states[i]);

			*out |= len > n && memcmp(at + len - n, states[i], n) == 0;
		}
	}
	return 0;
}
