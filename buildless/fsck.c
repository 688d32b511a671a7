#include "buildless/fsck.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "buildless/fsck_config.h"
#include "buildless/fsck_repo.h"
#include "buildless/fsck_services.h"
#include "buildless/steps.h"
#include "common/fs.h"
#include "common/ini.h"

#define ENV_MAX (1 << 20)

enum rule {
	UNKNOWN,
	MISSING,
	TYPE,
	MODE,
	OWNER,
	LITTER,
	UNREADABLE,
	LINK_FORM,
	LINK_DANGLES,
	LINK_NOT_ACCEPTED,
	NEXT_ACCEPTED,
	NEXT_REFUSED,
	NO_CURRENT,
	RECORD,
	RECORD_NUMBER,
	ENV,
	SLOT_LINK,
	SLOT_DIRTY,
	SLOT_LATER,
	SLOT_TREE,
	SLOT_RECORD,
	SLOT_ORPHAN,
	SLOT_OFFERED,
	STAGED,
	UNDO,
};

static const struct finding_rule rules[] = {
	[UNKNOWN] = {FINDING_DAMAGE, "nothing but what silver makes is below apps/APP",
		     "look at it, and move it away"},
	[MISSING] = {FINDING_DAMAGE, "it is made with the app or the release",
		     "silver redeploy APP, or put it back from a backup"},
	[TYPE] = {FINDING_DAMAGE, "a name is always of one type (docs/CONTRACT.md)",
		  "look at it, and put back what was there"},
	[MODE] = {FINDING_DAMAGE, "modes are as docs/CONTRACT.md says", "chmod it"},
	[OWNER] = {FINDING_DAMAGE, "all below apps/APP belongs to the app's owner and group",
		   "chown it to the owner of apps/APP/repo.git"},
	[LITTER] = {FINDING_PENDING, "what was not finished does not count",
		    "the next recovery removes it"},
	[UNREADABLE] = {FINDING_DAMAGE, "the app's owner can read all of the app",
			"look at its mode and at the disk"},
	[LINK_FORM] = {FINDING_DAMAGE, "it is a symlink to releases/N", "silver redeploy APP"},
	[LINK_DANGLES] = {FINDING_DAMAGE, "current and previous lead to releases that are there",
			  "the next recovery serves another release, and deploys the branch"},
	[LINK_NOT_ACCEPTED] = {FINDING_DAMAGE, "what current or previous leads to was accepted",
			       "silver redeploy APP"},
	[NEXT_ACCEPTED] = {FINDING_PENDING, "next is gone when its release is live",
			   "the next recovery makes that release live"},
	[NEXT_REFUSED] = {FINDING_PENDING, "next is gone when its commit was not accepted",
			  "the next recovery removes it"},
	[NO_CURRENT] = {FINDING_DAMAGE, "where releases were accepted one is live",
			"the next recovery deploys what the branch names"},
	[RECORD] = {FINDING_DAMAGE, "a release without .new has a whole record",
		    "silver redeploy APP, and move this release away"},
	[RECORD_NUMBER] = {FINDING_DAMAGE, "a record has the number of its release",
			   "silver redeploy APP, and move this release away"},
	[ENV] = {FINDING_DAMAGE, "env is written with the record, which has its digest",
		 "silver redeploy APP"},
	[SLOT_LINK] = {FINDING_DAMAGE, "app leads to ../../slots/N, the slot of the record",
		       "silver redeploy APP"},
	[SLOT_DIRTY] = {FINDING_DAMAGE, "the slot that a release leads to is there, and clean",
			"silver verify APP --repair"},
	[SLOT_LATER] = {FINDING_PENDING, "the slot that a release leads to is there, and clean",
			"activating the release, or silver verify APP --repair, lays it out"},
	[SLOT_TREE] = {FINDING_DAMAGE, "a release's slot holds the release's tree",
		       "silver verify APP --repair"},
	[SLOT_RECORD] = {FINDING_DAMAGE, "slots/N.ini says which tree the slot holds",
			 "remove it: the slot is laid out anew when it is used next"},
	[SLOT_ORPHAN] = {FINDING_DAMAGE, "slots/N.ini is there only while slots/N is", "remove it"},
	[SLOT_OFFERED] = {FINDING_DAMAGE, "slots/index names only slots that no release leads to",
			  "the next recovery writes it anew"},
	[UNDO] = {FINDING_PENDING, "services/.undo is there while the data are being changed",
		  "the next recovery puts the data back, or keeps those of a live release"},
	[STAGED] = {FINDING_PENDING, "a release that was not accepted goes",
		    "the next recovery removes it"},
};

struct fsck {
	const struct app *app;
	struct repo *repo;
	struct findings *f;
	struct stat owner; /* of repo.git: the app's */
	uid_t node_uid;    /* whose the state directory is */
	char head[OID_HEX];
	unsigned current, next;
};

/* Names */

struct known {
	const char *name;
	mode_t type, mode;
	bool needed;
	bool of_node; /* the node's user made it, for the app's group */
};

static const struct known app_names[] = {
	{"repo.git", S_IFDIR, 0700, true, false},  {"lock", S_IFREG, 0640, true, false},
	{"config", S_IFDIR, 0750, true, false},    {"slots", S_IFDIR, 0755, true, false},
	{"releases", S_IFDIR, 0755, true, false},  {"current", S_IFLNK, 0777, false, false},
	{"previous", S_IFLNK, 0777, false, false}, {"next", S_IFLNK, 0777, false, false},
	{"last", S_IFLNK, 0777, false, false},     {"commits", S_IFDIR, 0755, false, false},
	{"services", S_IFDIR, 02750, false, true}, {"disabled", S_IFREG, 0644, false, false},
	{"refused", S_IFREG, 0644, false, false},
};

static const struct known release_names[] = {
	{"record.ini", S_IFREG, 0644, true, false}, {"env", S_IFREG, 0640, true, false},
	{"app", S_IFLNK, 0777, true, false},        {"run", S_IFDIR, 01771, true, false},
	{"live", S_IFREG, 0644, false, false},      {"staged", S_IFREG, 0644, false, false},
	{"times.ini", S_IFREG, 0644, false, false}, {"config", S_IFREG, 0640, false, false},
	{"config.d", S_IFDIR, 0750, false, false},
};

static const struct known a_release = {"", S_IFDIR, 0755, true, false};
static const struct known a_slot = {"", S_IFDIR, 0755, true, false};
static const struct known slot_index = {"", S_IFLNK, 0777, false, false};
static const struct known a_slot_record = {"", S_IFREG, 0644, true, false};

/* Type, owner and mode; false: it is not what it should be, or not there. A file may be shut more
 * than it has to be: the umask of who made it. */
static bool check_one(const struct fsck *s, const char *path, const struct known *k)
{
	mode_t mode;
	struct stat st;
	uid_t uid;

	if (fstatat(s->app->fd, path, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (k->needed || errno != ENOENT)
			findings_add(s->f, &rules[errno == ENOENT ? MISSING : UNREADABLE], path,
				     "%s", errno == ENOENT ? "it is not there" : strerror(errno));
		return false;
	}
	mode = st.st_mode & 07777;
	if ((st.st_mode & S_IFMT) != k->type) {
		findings_add(s->f, &rules[TYPE], path, "it is not a %s",
			     k->type == S_IFDIR   ? "directory"
			     : k->type == S_IFLNK ? "symlink"
						  : "file");
		return false;
	}
	uid = k->of_node ? s->node_uid : s->owner.st_uid;
	if (st.st_uid != uid || st.st_gid != s->owner.st_gid)
		findings_add(s->f, &rules[OWNER], path, "it belongs to %u:%u, not %u:%u",
			     (unsigned)st.st_uid, (unsigned)st.st_gid, (unsigned)uid,
			     (unsigned)s->owner.st_gid);
	if (k->type == S_IFDIR ? mode != k->mode : (mode & ~k->mode) != 0)
		findings_add(s->f, &rules[MODE], path, "its mode is %04o, not %04o", (unsigned)mode,
			     (unsigned)k->mode);
	return true;
}

static bool is_litter(const char *name)
{
	return name[0] == '.' && str_ends(name, ".new");
}

static bool is_known(const struct known *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(table[i].name, name) == 0)
			return true;
	return false;
}

/* What is in a directory ("": apps/APP itself), beside a table of what may be. */
static void check_names(const struct fsck *s, const char *dir, const struct known *table, size_t n)
{
	autostrv struct strv names = STRV_INIT;
	const char *slash = *dir ? "/" : "";

	if (!findings_list(s->f, &rules[UNREADABLE], s->app->fd, *dir ? dir : ".", &names))
		return;
	for (size_t i = 0; i < n; i++) {
		autofree char *path = xasprintf("%s%s%s", dir, slash, table[i].name);

		check_one(s, path, &table[i]);
	}
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("%s%s%s", dir, slash, names.v[i]);

		if (is_litter(names.v[i]))
			findings_add(s->f, &rules[LITTER], path, "a write that was not finished");
		else if (!is_known(table, n, names.v[i]))
			findings_add(s->f, &rules[UNKNOWN], path,
				     "nothing of this name belongs here");
	}
}

/* Links */

static bool has_record(const struct fsck *s, unsigned number)
{
	autofree char *path = xasprintf("releases/%u/record.ini", number);

	return fs_exists(s->app->fd, path);
}

/* The number in the link's text; 0: there is no such link, or it is told. */
static unsigned link_number(const struct fsck *s, const char *link)
{
	autofree char *target = NULL, *right = NULL;
	struct error err = ERROR_INIT;
	uint64_t number = 0;

	if (fs_read_link(s->app->fd, link, &target, &err) == -1)
		return 0;
	if (str_starts(target, "releases/"))
		str_to_uint(target + strlen("releases/"), UINT32_MAX, &number);
	right = xasprintf("releases/%llu", (unsigned long long)number);
	if (number > 0 && strcmp(right, target) == 0)
		return (unsigned)number;
	findings_add(s->f, &rules[LINK_FORM], link, "it leads to '%s'", target);
	return 0;
}

static unsigned check_link(const struct fsck *s, const char *link)
{
	unsigned number = link_number(s, link);

	if (!number)
		return 0;
	if (!has_record(s, number)) {
		findings_add(s->f, &rules[LINK_DANGLES], link, "release %u is not there", number);
		return 0;
	}
	if (!release_is_live(s->app, number))
		findings_add(s->f, &rules[LINK_NOT_ACCEPTED], link, "release %u has no 'live'",
			     number);
	return number;
}

static unsigned check_next(const struct fsck *s)
{
	autorelease struct release_info r = {0};
	unsigned number = link_number(s, "next");
	struct error err = ERROR_INIT;

	if (!number)
		return 0;
	if (release_read(s->app, number, &r, &err) == 0 && strcmp(r.commit, s->head) == 0)
		findings_add(s->f, &rules[NEXT_ACCEPTED], "next", "release %u was accepted",
			     number);
	else
		findings_add(s->f, &rules[NEXT_REFUSED], "next", "release %u was not accepted",
			     number);
	return number;
}

/* Releases */

static void check_env(const struct fsck *s, const struct release_info *r)
{
	autofree char *path = xasprintf("releases/%u/env", r->number);
	autostrbuf struct strbuf env = STRBUF_INIT;
	struct error err = ERROR_INIT;
	char digest[OID_HEX];

	if (fs_read_file(s->app->fd, path, ENV_MAX, &env, &err) == -1) {
		if (err.code != E_NOTFOUND)
			findings_add(s->f, &rules[UNREADABLE], path, "%s", err.text);
		return;
	}
	repo_hash(strbuf_str(&env), env.len, digest);
	if (strcmp(digest, r->env_digest) != 0)
		findings_add(s->f, &rules[ENV], path, "its digest is %.10s, the record says %.10s",
			     digest, r->env_digest);
}

static void check_slot_of(const struct fsck *s, const struct release_info *r)
{
	autofree char *path = xasprintf("releases/%u/app", r->number);
	struct error err = ERROR_INIT;
	struct slot held;
	unsigned slot;

	if (!fs_exists(s->app->fd, path))
		return;
	if (release_slot(s->app, r->number, &slot, &err) == -1)
		findings_add(s->f, &rules[SLOT_LINK], path, "%s", err.text);
	else if (slot != r->slot)
		findings_add(s->f, &rules[SLOT_LINK], path,
			     "it leads to slot %u, the record says %u", slot, r->slot);
	else if (slot_read(s->app, slot, &held, &err) == -1)
		findings_add(s->f, &rules[r->number == s->current ? SLOT_DIRTY : SLOT_LATER], path,
			     "slot %u: %s", slot, err.text);
	else if (strcmp(held.tree, r->tree) != 0)
		findings_add(s->f, &rules[SLOT_TREE], path,
			     "slot %u holds tree %.10s, the release is %.10s", slot, held.tree,
			     r->tree);
	if (err.code == E_OK && slot_is_offered(s->app, slot))
		findings_add(s->f, &rules[SLOT_OFFERED], path, "slot %u is named as free", slot);
}

static void check_number(const struct fsck *s, const char *path, unsigned number)
{
	autoini struct ini ini = INI_INIT;
	struct error err = ERROR_INIT;
	const char *text = NULL;
	uint64_t said = 0;

	if (ini_read(s->app->fd, path, &ini, &err) == 0)
		text = ini_get(&ini, "release", "number");
	if (!text || !str_to_uint(text, UINT32_MAX, &said) || said != number)
		findings_add(s->f, &rules[RECORD_NUMBER], path, "it says %s",
			     text ? text : "no number");
}

static void check_release(const struct fsck *s, unsigned number)
{
	autofree char *dir = xasprintf("releases/%u", number),
		      *record = xasprintf("%s/record.ini", dir);
	autorelease struct release_info r = {0};
	struct error err = ERROR_INIT;

	if (!check_one(s, dir, &a_release))
		return;
	check_names(s, dir, release_names, ARRAY_SIZE(release_names));
	if (!has_record(s, number))
		return;
	if (release_read(s->app, number, &r, &err) == -1) {
		findings_add(s->f, &rules[RECORD], record, "%s", err.text);
		return;
	}
	if (!r.live && number != s->next && number != s->current && number != kept_staged(s->app))
		findings_add(s->f, &rules[STAGED], dir, "it was not accepted");
	check_number(s, record, number);
	check_env(s, &r);
	fsck_config_release(s->app, &r, s->f);
	check_slot_of(s, &r);
	/* what was not accepted went with the quarantine of its push */
	if (s->repo && (r.live || strcmp(r.commit, s->head) == 0))
		fsck_repo_commit(s->repo, &r, s->f);
}

/* A number as we write them: "7", not "07". */
static bool canonical(const char *name, unsigned *number)
{
	autofree char *right = NULL;
	uint64_t value;

	if (!str_to_uint(name, UINT32_MAX, &value))
		return false;
	right = xasprintf("%llu", (unsigned long long)value);
	*number = (unsigned)value;
	return strcmp(right, name) == 0;
}

static void check_releases(const struct fsck *s)
{
	autostrv struct strv names = STRV_INIT;
	bool accepted = false;
	unsigned number;

	if (!findings_list(s->f, &rules[UNREADABLE], s->app->fd, "releases", &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("releases/%s", names.v[i]);

		if (str_ends(names.v[i], ".new")) {
			findings_add(s->f, &rules[LITTER], path,
				     "a release that was not finished, or not removed");
		} else if (canonical(names.v[i], &number) && number > 0) {
			check_release(s, number);
			accepted = accepted || release_is_live(s->app, number);
		} else {
			findings_add(s->f, &rules[UNKNOWN], path,
				     "nothing of this name belongs here");
		}
	}
	if (accepted && !s->next && !fs_exists(s->app->fd, "current"))
		findings_add(s->f, &rules[NO_CURRENT], "current", "it is not there");
}

/* Slots. One without a record, which no release leads to, is as it should be: its content is
 * unknown, and it is laid out when it is used next. */

static void check_slot_record(const struct fsck *s, const char *path, unsigned number)
{
	autofree char *dir = xasprintf("slots/%u", number);
	struct error err = ERROR_INIT;
	struct slot slot;

	if (!check_one(s, path, &a_slot_record))
		return;
	if (!fs_exists(s->app->fd, dir))
		findings_add(s->f, &rules[SLOT_ORPHAN], path, "there is no slot %u", number);
	else if (slot_read(s->app, number, &slot, &err) == -1)
		findings_add(s->f, &rules[SLOT_RECORD], path, "%s", err.text);
}

static void check_slots(const struct fsck *s)
{
	autostrv struct strv names = STRV_INIT;
	unsigned number;

	if (!findings_list(s->f, &rules[UNREADABLE], s->app->fd, "slots", &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("slots/%s", names.v[i]),
			      *stem = xstrdup(names.v[i]);

		if (str_ends(stem, ".ini"))
			stem[strlen(stem) - strlen(".ini")] = '\0';
		if (is_litter(names.v[i]))
			findings_add(s->f, &rules[LITTER], path, "a write that was not finished");
		else if (str_starts(names.v[i], ".trash-"))
			findings_add(s->f, &rules[LITTER], path, "a slot that was moved aside");
		else if (strcmp(names.v[i], "index") == 0)
			check_one(s, path, &slot_index);
		else if (!canonical(stem, &number))
			findings_add(s->f, &rules[UNKNOWN], path,
				     "nothing of this name belongs here");
		else if (str_ends(names.v[i], ".ini"))
			check_slot_record(s, path, number);
		else
			check_one(s, path, &a_slot);
	}
}

int fsck_app(const struct app *app, struct repo *repo, struct findings *f, struct error *err)
{
	struct fsck s = {.app = app, .repo = repo, .f = f};
	struct stat node;

	if (fstatat(app->fd, "repo.git", &s.owner, AT_SYMLINK_NOFOLLOW) == -1 ||
	    fstat(app->node.fd, &node) == -1)
		return error_sys(err, errno, "cannot see whose '%s' is", app->name);
	s.node_uid = node.st_uid;
	check_names(&s, "", app_names, ARRAY_SIZE(app_names));
	if (repo)
		fsck_repo_head(repo, s.head, f);
	if (fs_exists(app->fd, "services/.undo"))
		findings_add(f, &rules[UNDO], "services/.undo",
			     "a push or a restore was interrupted");
	s.next = check_next(&s);
	s.current = check_link(&s, "current");
	check_link(&s, "previous");
	check_releases(&s);
	check_slots(&s);
	fsck_config_waiting(app, f);
	fsck_services(app, f);
	fsck_repo_names(app, f);
	if (repo) {
		fsck_repo_live(app, s.current, s.next, s.head, f);
		fsck_repo_refs(app, repo, f);
	}
	return 0;
}
