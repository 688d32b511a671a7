#include "buildless/fsck_config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "buildless/config.h"
#include "common/fs.h"

enum rule {
	INDEX,
	FILES,
	MODE,
	UNKNOWN,
	LITTER,
	OLD,
};

static const struct finding_rule rules[] = {
	[INDEX] = {FINDING_DAMAGE, "config is written with the record, which has its digest",
		   "silver config revert APP to that of another release"},
	[FILES] = {FINDING_DAMAGE, "config.d holds the files that config names, as they came",
		   "silver config put APP FILE brings it anew"},
	[MODE] = {FINDING_DAMAGE, "modes are as docs/CONTRACT.md says", "chmod it"},
	[UNKNOWN] = {FINDING_DAMAGE, "nothing but what silver makes is below apps/APP",
		     "look at it, and move it away"},
	[LITTER] = {FINDING_PENDING, "what was not finished does not count",
		    "the next recovery removes it"},
	[OLD] = {FINDING_PENDING, "what waits for the first release goes when that is live",
		 "the next recovery removes it"},
};

static void check_file(const struct app *app, const char *dir, const struct config_file *file,
		       struct findings *f)
{
	autofree char *path = xasprintf("%s/%s", dir, file->name);
	struct error err = ERROR_INIT;
	autoclose int fd = -1;
	struct stat st;
	char oid[OID_HEX];

	if (fs_open(app->fd, path, O_RDONLY, 0, &fd, &err) == -1 ||
	    repo_hash_file(fd, oid, &err) == -1) {
		findings_add(f, &rules[FILES], path, "%s", err.text);
		return;
	}
	if (strcmp(oid, file->oid) != 0)
		findings_add(f, &rules[FILES], path, "its digest is %.10s, config says %.10s", oid,
			     file->oid);
	if (fstat(fd, &st) == 0 && (st.st_mode & 07777 & ~0640u))
		findings_add(f, &rules[MODE], path, "its mode is %04o, not 0640",
			     (unsigned)st.st_mode & 07777);
}

/* place: "releases/7" */
static void check_files(const struct app *app, const char *place, const struct config *c,
			struct findings *f)
{
	autofree char *dir = xasprintf("%s/config.d", place);
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;
	autoclose int fd = -1;

	for (size_t i = 0; i < c->n_files; i++)
		check_file(app, dir, &c->file[i], f);
	if (fs_open_dir(app->fd, dir, &fd, &err) == -1 || fs_list(fd, &names, &err) == -1)
		return; /* one that is missing was told, file by file */
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("%s/%s", dir, names.v[i]);

		if (!config_find_file(c, names.v[i]))
			findings_add(f, &rules[FILES], path, "config does not name it");
	}
}

void fsck_config_release(const struct app *app, const struct release_info *r, struct findings *f)
{
	autofree char *place = xasprintf("releases/%u", r->number),
		      *path = xasprintf("%s/config", place);
	autoconfig struct config c = CONFIG_INIT;
	struct error err = ERROR_INIT;
	char digest[OID_HEX];

	if (config_read(app, r->number, &c, &err) == -1) {
		findings_add(f, &rules[INDEX], path, "%s", err.text);
		return;
	}
	config_digest(&c, digest);
	if (strcmp(digest, r->config_digest) != 0)
		findings_add(f, &rules[INDEX], path, "its digest is %.10s, the record says %.10s",
			     *digest ? digest : "absent",
			     *r->config_digest ? r->config_digest : "absent");
	check_files(app, place, &c, f);
}

static bool is_number(const char *name)
{
	uint64_t value;

	return str_to_uint(name, INT32_MAX, &value) && value > 0;
}

void fsck_config_waiting(const struct app *app, struct findings *f)
{
	autoconfig struct config c = CONFIG_INIT;
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;
	bool live = release_current(app) != 0;
	autoclose int fd = -1;

	if (fs_open_dir(app->fd, "config", &fd, &err) == -1 || fs_list(fd, &names, &err) == -1)
		return; /* told with the other names of the app */
	if (!live && config_read_live(app, &c, &err) == -1)
		findings_add(f, &rules[INDEX], "config", "%s", err.text);
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("config/%s", names.v[i]);

		if (str_ends(path, ".new"))
			findings_add(f, &rules[LITTER], path, "a write that was not finished");
		else if (!is_number(names.v[i]))
			findings_add(f, &rules[UNKNOWN], path, "nothing of this name belongs here");
		else if (!c.place || strcmp(path, c.place) != 0)
			findings_add(f, &rules[OLD], path, "it does not count any more");
		else
			check_files(app, path, &c, f);
	}
}
