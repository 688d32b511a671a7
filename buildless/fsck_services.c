#include "buildless/fsck_services.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "services/catalog.h"
#include "services/record.h"

enum rule {
	UNREADABLE,
	UNKNOWN,
	LITTER,
	RECORD,
	MODE,
	ROTATED,
};

static const struct finding_rule rules[] = {
	[UNREADABLE] = {FINDING_DAMAGE, "the app's owner can read what the app was given",
			"look at its mode and at the disk"},
	[UNKNOWN] = {FINDING_DAMAGE, "services/ holds a record of each service, and nothing else",
		     "look at it, and move it away"},
	[LITTER] = {FINDING_PENDING, "what was not finished does not count",
		    "the next push that asks for the service removes it"},
	[RECORD] = {FINDING_DAMAGE, "a record is written whole, and read by each push",
		    "remove it: the next push that asks for the service writes it anew"},
	[MODE] = {FINDING_DAMAGE, "a record holds passwords: 0640, of the node's user",
		  "chmod it to 0640, chown it to the owner of apps/APP/services"},
	[ROTATED] = {FINDING_PENDING, "a password that was rotated ends with the record it is of",
		     "remove it"},
};

/* Of ours, or of a plug-in: its program may be gone, and the data are there. */
static bool is_record(const char *name)
{
	const struct service *service = service_named(name);

	return service && strcmp(service->record, name) == 0;
}

static void check_record(const struct app *app, int dir_fd, const char *name, struct findings *f)
{
	autofree char *path = xasprintf("services/%s", name);
	autorecord struct service_record record = {0};
	struct error err = ERROR_INIT;
	struct stat dir, st;

	if (service_record_read(app->fd, name, &record, &err) == -1)
		findings_add(f, &rules[RECORD], path, "%s", err.text);
	if (fstat(dir_fd, &dir) == -1 || fstatat(app->fd, path, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return;
	if ((st.st_mode & 07777 & ~0640u) || st.st_uid != dir.st_uid)
		findings_add(f, &rules[MODE], path, "its mode is %04o, of user %u",
			     (unsigned)st.st_mode & 07777, (unsigned)st.st_uid);
}

void fsck_services(const struct app *app, struct findings *f)
{
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;
	autoclose int fd = -1;

	if (!findings_list(f, &rules[UNREADABLE], app->fd, "services", &names) ||
	    fs_open_dir(app->fd, "services", &fd, &err) == -1)
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("services/%s", names.v[i]),
			      *stem = xstrdup(names.v[i]);
		bool rotated = str_ends(stem, ".old");

		if (rotated)
			stem[strlen(stem) - strlen(".old")] = '\0';
		if (names.v[i][0] == '.' && str_ends(names.v[i], ".new"))
			findings_add(f, &rules[LITTER], path, "a write that was not finished");
		else if (strcmp(stem, ".undo") == 0) /* services/undo.h; told by fsck_app() */
			continue;
		else if (!is_record(stem))
			findings_add(f, &rules[UNKNOWN], path, "nothing of this name belongs here");
		else if (!rotated)
			check_record(app, fd, stem, f);
		else if (!strv_has(&names, stem))
			findings_add(f, &rules[ROTATED], path, "there is no record '%s'", stem);
	}
}
