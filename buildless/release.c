#include "buildless/release.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "buildless/config.h"
#include "common/fs.h"
#include "common/ini.h"
#include "common/names.h"
#include "common/proc.h"

#define NUMBER_MAX 999999999

/* Reading */

struct record {
	const struct ini *ini;
	const char *wrong; /* the first key that is missing or bad */
};

static const char *text_of(struct record *r, const char *key)
{
	const char *value = ini_get(r->ini, "release", key);

	if (!value && !r->wrong)
		r->wrong = key;
	return value ? value : "";
}

static uint64_t number_of(struct record *r, const char *key)
{
	uint64_t number = 0;

	if (!str_to_uint(text_of(r, key), INT64_MAX, &number) && !r->wrong)
		r->wrong = key;
	return number;
}

static void oid_of(struct record *r, const char *key, char oid[OID_HEX])
{
	const char *value = text_of(r, key);

	if (name_is_oid(value))
		memcpy(oid, value, OID_HEX);
	else if (!r->wrong)
		r->wrong = key;
}

static bool read_time(const struct ini *ini, const char *name, int64_t *us)
{
	autofree char *key = xasprintf("%s_us", name);
	const char *text = ini_get(ini, "times", key);
	uint64_t value;

	if (!text || !str_to_uint(text, INT64_MAX / (ACCOUNT_PARTS + 1), &value))
		return false;
	*us = (int64_t)value;
	return true;
}

static void read_times(const struct app *app, struct release_info *out)
{
	autofree char *path = xasprintf("releases/%u/times.ini", out->number);
	struct error ignored = ERROR_INIT; /* they are not synced, so they may be torn */
	autoini struct ini ini = INI_INIT;
	struct account read = {0};

	if (ini_read(app->fd, path, &ini, &ignored) == -1 ||
	    !read_time(&ini, "start", &read.start_us))
		return;
	for (enum account_part i = 0; i < ACCOUNT_PARTS; i++)
		if (!read_time(&ini, account_name(i), &read.us[i]))
			return;
	out->times = read;
}

/* A release that was accepted is no longer staged, whatever it was before. */
static void read_staged(const struct app *app, struct release_info *out)
{
	autofree char *path = xasprintf("releases/%u/staged", out->number);
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;

	if (out->live || fs_read_file(app->fd, path, OID_HEX, &text, &none) == -1)
		return;
	if (text.len == OID_HEX && text.buf[OID_HEX - 1] == '\n')
		text.buf[OID_HEX - 1] = '\0';
	out->staged = name_is_oid(text.buf);
	if (out->staged)
		memcpy(out->base, text.buf, OID_HEX);
}

int release_read(const struct app *app, unsigned number, struct release_info *out,
		 struct error *err)
{
	autofree char *path = xasprintf("releases/%u/record.ini", number);
	autoini struct ini ini = INI_INIT;
	struct record r = {.ini = &ini};

	*out = (struct release_info){.number = number};
	if (ini_read(app->fd, path, &ini, err) == -1)
		return err->code == E_NOTFOUND
			       ? error_set(err, E_NOTFOUND, "there is no release %u", number)
			       : -1;
	oid_of(&r, "commit", out->commit);
	oid_of(&r, "tree", out->tree);
	oid_of(&r, "env_digest", out->env_digest);
	if (ini_get(&ini, "release", "config_digest"))
		oid_of(&r, "config_digest", out->config_digest);
	out->slot = (unsigned)number_of(&r, "slot");
	out->when = (int64_t)number_of(&r, "when");
	out->files = number_of(&r, "files");
	out->changed = number_of(&r, "changed");
	out->branch = xstrdup(text_of(&r, "branch"));
	out->who = xstrdup(text_of(&r, "who"));
	out->subject = xstrdup(text_of(&r, "subject"));
	packages_read(&ini, &out->packages);
	out->live = release_is_live(app, number);
	read_staged(app, out);
	read_times(app, out);
	if (r.wrong)
		error_set(err, E_SYSTEM, "'%s' has no valid '%s'", path, r.wrong);
	else if (runspec_read(&ini, &out->run, err) == 0)
		return 0;
	else
		error_prefix(err, "'%s'", path);
	release_info_release(out);
	return -1;
}

void release_info_release(struct release_info *r)
{
	free(steal_ptr(&r->branch));
	free(steal_ptr(&r->who));
	free(steal_ptr(&r->subject));
	runspec_release(&r->run);
	packages_release(&r->packages);
}

static bool is_there(const struct app *app, unsigned number)
{
	autofree char *path = xasprintf("releases/%u/record.ini", number);

	return fs_exists(app->fd, path);
}

/* "PREFIXn" -> n. */
static bool target_number(const char *target, const char *prefix, unsigned *number)
{
	uint64_t n;

	if (!str_starts(target, prefix) || !str_to_uint(target + strlen(prefix), NUMBER_MAX, &n))
		return false;
	*number = (unsigned)n;
	return true;
}

int release_link(const struct app *app, const char *link, unsigned *number, struct error *err)
{
	autofree char *target = NULL;

	*number = 0;
	if (fs_read_link(app->fd, link, &target, err) == -1)
		return -1;
	if (target_number(target, "releases/", number) && is_there(app, *number))
		return 0;
	*number = 0;
	return error_set(err, E_NOTFOUND, "'%s' leads to '%s', which is not there", link, target);
}

int release_set_link(const struct app *app, const char *link, unsigned number, struct error *err)
{
	autofree char *target = xasprintf("releases/%u", number);

	return fs_replace_link(app->fd, link, target, err);
}

int release_slot(const struct app *app, unsigned number, unsigned *slot, struct error *err)
{
	autofree char *path = xasprintf("releases/%u/app", number);
	autofree char *target = NULL;

	if (fs_read_link(app->fd, path, &target, err) == -1)
		return -1;
	if (!target_number(target, "../../slots/", slot))
		return error_set(err, E_SYSTEM, "'%s' leads to '%s', which is no slot", path,
				 target);
	return 0;
}

bool release_is_live(const struct app *app, unsigned number)
{
	autofree char *path = xasprintf("releases/%u/live", number);

	return is_there(app, number) && fs_exists(app->fd, path);
}

bool release_is_staged(const struct app *app, unsigned number)
{
	autofree char *path = xasprintf("releases/%u/staged", number);

	return fs_exists(app->fd, path) && is_there(app, number) && !release_is_live(app, number);
}

unsigned release_current(const struct app *app)
{
	struct error none = ERROR_INIT;
	unsigned number;

	return release_link(app, "current", &number, &none) == 0 ? number : 0;
}

static int by_number(const void *a, const void *b)
{
	const unsigned *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int release_list(const struct app *app, unsigned **out, size_t *n, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;
	uint64_t number;

	*out = NULL;
	*n = 0;
	if (fs_open_dir(app->fd, "releases", &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	*out = xcalloc(names.n + 1, sizeof(**out));
	for (size_t i = 0; i < names.n; i++)
		if (str_to_uint(names.v[i], NUMBER_MAX, &number) && is_there(app, (unsigned)number))
			(*out)[(*n)++] = (unsigned)number;
	qsort(*out, *n, sizeof(**out), by_number);
	return 0;
}

/* Is its number taken for good? */
static bool counts(const struct app *app, unsigned number)
{
	return release_is_live(app, number) || release_is_staged(app, number);
}

static int list_next_number(const struct app *app, unsigned *number, struct error *err)
{
	autofree unsigned *release = NULL;
	size_t n;

	if (release_list(app, &release, &n, err) == -1)
		return -1;
	while (n && !counts(app, release[n - 1]))
		n--;
	*number = n ? release[n - 1] + 1 : 1;
	return 0;
}

int release_next_number(const struct app *app, unsigned *number, struct error *err)
{
	struct error none = ERROR_INIT;
	unsigned last;

	if (release_link(app, "last", &last, &none) == -1 || !counts(app, last) ||
	    counts(app, last + 1))
		return list_next_number(app, number, err);
	*number = last + 1;
	return 0;
}

/* What commits/OID names, true or not; 0: nothing. */
static unsigned noted(const struct app *app, const char *commit)
{
	autofree char *path = xasprintf("commits/%s", commit), *target = NULL;
	struct error none = ERROR_INIT;
	unsigned number;

	if (fs_read_link(app->fd, path, &target, &none) == -1 ||
	    !target_number(target, "../releases/", &number))
		return 0;
	return number;
}

static bool is_of_commit(const struct app *app, unsigned number, const char *commit)
{
	autorelease struct release_info r = RELEASE_INFO_INIT;
	struct error none = ERROR_INIT;

	return number && release_read(app, number, &r, &none) == 0 && r.live &&
	       strcmp(r.commit, commit) == 0;
}

int release_of_commit(const struct app *app, const char *commit, unsigned *number,
		      struct error *err)
{
	*number = noted(app, commit);
	if (is_of_commit(app, *number, commit))
		return 0;
	*number = 0;
	return error_set(err, E_NOTFOUND, "no release of commit '%s' is kept", commit);
}

/* Writing */

static int write_file(int dir_fd, const char *name, const struct strbuf *text, mode_t mode,
		      struct error *err)
{
	autoclose int fd = -1;

	if (fs_open(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, mode, &fd, err) == -1 ||
	    fs_write_all(fd, strbuf_str(text), text->len, err) == -1 || fs_sync(fd, err) == -1)
		return error_prefix(err, "'%s'", name);
	return 0;
}

static void format_record(const struct release_info *r, struct strbuf *text)
{
	strbuf_addstr(text, "[release]\n");
	ini_addf(text, "number", "%u", r->number);
	ini_add(text, "commit", r->commit);
	ini_add(text, "tree", r->tree);
	ini_add(text, "branch", r->branch);
	ini_addf(text, "slot", "%u", r->slot);
	ini_add(text, "who", r->who);
	ini_addf(text, "when", "%lld", (long long)r->when);
	ini_add(text, "subject", r->subject);
	ini_addf(text, "files", "%llu", (unsigned long long)r->files);
	ini_addf(text, "changed", "%llu", (unsigned long long)r->changed);
	ini_add(text, "env_digest", r->env_digest);
	if (*r->config_digest)
		ini_add(text, "config_digest", r->config_digest);
	runspec_format(&r->run, text);
	packages_format(&r->packages, text);
}

void release_format_env(const struct strv *env, struct strbuf *out)
{
	for (size_t i = 0; i < env->n; i++)
		strbuf_add(out, env->v[i], strlen(env->v[i]) + 1);
}

/* Processes of the runner bind and write here, and nginx connects: sticky, and to be passed by all.
 */
static int make_run_dir(int release_fd, struct error *err)
{
	autoclose int fd = -1;

	if (fs_ensure_dir(release_fd, "run", 0770, &fd, err) == -1)
		return -1;
	return fchmod(fd, 01771) == -1 ? error_sys(err, errno, "cannot set the mode of 'run'") : 0;
}

static int fill_release(const struct app *app, int release_fd, const struct release_info *r,
			const struct strv *env, const struct config *config, struct error *err)
{
	autostrbuf struct strbuf record = STRBUF_INIT, env_text = STRBUF_INIT;
	autofree char *slot = xasprintf("../../slots/%u", r->slot);

	format_record(r, &record);
	release_format_env(env, &env_text);
	if (write_file(release_fd, "record.ini", &record, 0644, err) == -1 ||
	    write_file(release_fd, "env", &env_text, 0640, err) == -1 ||
	    config_write(app, config, release_fd, err) == -1 ||
	    fs_symlink(slot, release_fd, "app", err) == -1 || make_run_dir(release_fd, err) == -1)
		return -1;
	return fs_sync(release_fd, err);
}

int release_write(const struct app *app, const struct release_info *r, const struct strv *env,
		  const struct config *config, struct error *err)
{
	autofree char *name = xasprintf("%u", r->number), *new = xasprintf("%u.new", r->number);
	autoclose int fd = -1, release_fd = -1;

	if (fs_open_dir(app->fd, "releases", &fd, err) == -1 ||
	    fs_remove_tree(fd, new, err) == -1 ||
	    fs_ensure_dir(fd, new, 0755, &release_fd, err) == -1 ||
	    fill_release(app, release_fd, r, env, config, err) == -1 ||
	    fs_rename_sync(fd, new, fd, name, err) == -1)
		return error_prefix(err, "recording release %u", r->number);
	return 0;
}

int release_write_times(const struct app *app, unsigned number, struct error *err)
{
	autofree char *path = xasprintf("releases/%u/times.ini", number);
	const struct account *a = &app->account;
	autostrbuf struct strbuf text = STRBUF_INIT;
	autoclose int fd = -1;

	strbuf_addstr(&text, "[times]\n");
	ini_addf(&text, "start_us", "%lld", (long long)a->start_us);
	for (enum account_part i = 0; i < ACCOUNT_PARTS; i++) {
		autofree char *key = xasprintf("%s_us", account_name(i));

		ini_addf(&text, key, "%lld", (long long)a->us[i]);
	}
	if (fs_open(app->fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, err) == -1)
		return -1;
	return fs_write_all(fd, text.buf, text.len, err);
}

int release_mark_live(const struct app *app, unsigned number, struct error *err)
{
	autofree char *path = xasprintf("releases/%u", number);
	autoclose int dir_fd = -1, fd = -1;

	if (fs_open_dir(app->fd, path, &dir_fd, err) == -1)
		return -1;
	if (fs_exists(dir_fd, "live"))
		return 0;
	if (fs_open(dir_fd, "live", O_WRONLY | O_CREAT, 0644, &fd, err) == -1)
		return -1;
	return fs_sync(dir_fd, err);
}

static int note_last(const struct app *app, unsigned number, struct error *err)
{
	autofree char *to = xasprintf("releases/%u", number);
	struct error none = ERROR_INIT;
	unsigned last;

	if (release_link(app, "last", &last, &none) == 0 && last >= number)
		return 0;
	return fs_replace_link_nosync(app->fd, "last", to, err);
}

int release_note(const struct app *app, unsigned number, const char *commit, struct error *err)
{
	autofree char *to = xasprintf("../releases/%u", number);
	autoclose int fd = -1;
	unsigned newest = noted(app, commit);

	if (note_last(app, number, err) == -1)
		return -1;
	if (newest == number || (newest > number && is_of_commit(app, newest, commit)))
		return 0;
	if (fs_ensure_dir(app->fd, "commits", 0755, &fd, err) == -1)
		return -1;
	return fs_replace_link_nosync(fd, commit, to, err);
}

int release_forget_gone(const struct app *app, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;

	if (!fs_exists(app->fd, "commits"))
		return 0;
	if (fs_open_dir(app->fd, "commits", &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (!is_of_commit(app, noted(app, names.v[i]), names.v[i]) &&
		    fs_unlink(fd, names.v[i], err) == -1)
			return -1;
	return 0;
}

int release_mark_staged(const struct app *app, unsigned number, const char *base, struct error *err)
{
	autofree char *path = xasprintf("releases/%u", number), *text = xasprintf("%s\n", base);
	autoclose int fd = -1;

	if (note_last(app, number, err) == -1 || fs_open_dir(app->fd, path, &fd, err) == -1)
		return -1;
	return fs_replace_file(fd, "staged", text, strlen(text), 0644, err);
}

int release_remove(const struct app *app, unsigned number, struct error *err)
{
	autofree char *name = xasprintf("%u", number);
	autofree char *gone = xasprintf("%u.%lld.new", number, (long long)clock_utc_ms());
	struct error later =
		ERROR_INIT; /* the app may have left what is not ours; tried again by others */
	autoclose int fd = -1;

	if (fs_open_dir(app->fd, "releases", &fd, err) == -1)
		return -1;
	if (!fs_exists(fd, name))
		return 0;
	if (fs_rename_sync(fd, name, fd, gone, err) == -1)
		return error_prefix(err, "removing release %u", number);
	if (fs_remove_tree(fd, gone, &later) == -1)
		later.code = E_OK;
	return 0;
}

int release_remove_unfinished(const struct app *app, unsigned *n, struct error *err)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;
	int r = 0;

	*n = 0;
	if (fs_open_dir(app->fd, "releases", &fd, err) == -1 || fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		if (!str_ends(names.v[i], ".new"))
			continue;
		if (fs_remove_tree(fd, names.v[i], err) == -1)
			r = -1;
		else
			++*n;
	}
	return r;
}
