#include "receiver/fsck_given.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "receiver/keys.h"
#include "runtime/server.h"

enum rule {
	UNKNOWN,
	MISSING,
	TYPE,
	MODE,
	OWNER,
	UNREADABLE,
	LITTER,
	GRANT,
	COPY,
	STRAY,
	SERVER,
	BACKUP,
};

static const struct finding_rule rules[] = {
	[UNKNOWN] = {FINDING_DAMAGE, "nothing but what silver makes is in the state directory",
		     "look at it, and move it away"},
	[MISSING] = {FINDING_DAMAGE, "it is made before what it belongs to has its name",
		     "put it back from a backup, or remove the whole and make it anew"},
	[TYPE] = {FINDING_DAMAGE, "a name is always of one type (docs/CONTRACT.md)",
		  "look at it, and put back what was there"},
	[MODE] = {FINDING_DAMAGE, "modes are as docs/CONTRACT.md says", "chmod it"},
	[OWNER] = {FINDING_DAMAGE, "owners are as docs/CONTRACT.md says", "chown it"},
	[UNREADABLE] = {FINDING_DAMAGE, "the node's user can read all of it",
			"look at its mode and at the disk"},
	[LITTER] = {FINDING_PENDING, "what was not finished does not count",
		    "the next start of the node, or the next of the same kind, removes it"},
	[GRANT] = {FINDING_PENDING, "a key is granted to apps that are there",
		   "silver key remove KEY, or silver create APP and silver key revoke KEY APP"},
	[COPY] = {FINDING_PENDING, "an app has a copy of each key that it is granted",
		  "silver key grant KEY APP writes it"},
	[STRAY] = {FINDING_DAMAGE, "an app has copies of the keys that it is granted, and no other",
		   "remove it, or silver key grant KEY APP"},
	[SERVER] = {FINDING_PENDING, "a server that has data and a command is whole",
		    "the next push that asks for it makes it"},
	[BACKUP] = {FINDING_PENDING, "a backup that was not finished does not count",
		    "the next silver backup APP removes it"},
};

struct given {
	const struct node *node;
	const struct strv *apps;
	struct findings *f;
	uid_t uid; /* whose the state directory is */
};

/* mode 0: not looked at; owner: is it the node's user's? false: it is told, or not there. */
static bool check(const struct given *g, const char *path, mode_t type, mode_t mode, bool owner)
{
	struct stat st;

	if (fstatat(g->node->fd, path, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		findings_add(g->f, &rules[errno == ENOENT ? MISSING : UNREADABLE], path, "%s",
			     errno == ENOENT ? "it is not there" : strerror(errno));
		return false;
	}
	if ((st.st_mode & S_IFMT) != type) {
		findings_add(g->f, &rules[TYPE], path, "it is not a %s",
			     type == S_IFDIR ? "directory" : "file");
		return false;
	}
	if (mode && (st.st_mode & 07777 & ~mode))
		findings_add(g->f, &rules[MODE], path, "its mode is %04o, not %04o",
			     (unsigned)st.st_mode & 07777, (unsigned)mode);
	if (owner ? st.st_uid != g->uid : g->uid == 0 && st.st_uid == 0)
		findings_add(g->f, &rules[OWNER], path, "it belongs to user %u",
			     (unsigned)st.st_uid);
	return true;
}

static bool list(const struct given *g, const char *path, struct strv *names)
{
	return findings_list(g->f, &rules[UNREADABLE], g->node->fd, path, names);
}

static void unknown(const struct given *g, const char *path)
{
	findings_add(g->f, &rules[UNKNOWN], path, "nothing of this name belongs here");
}

static bool is_unfinished(const char *name)
{
	return name[0] == '.' && str_ends(name, ".new");
}

/* Keys (keys.h) */

static void check_grants(const struct given *g, const char *key)
{
	autofree char *dir = xasprintf("keys/%s/apps", key);
	autostrv struct strv apps = STRV_INIT;

	if (!check(g, dir, S_IFDIR, 0700, true) || !list(g, dir, &apps))
		return;
	for (size_t i = 0; i < apps.n; i++) {
		const char *app = apps.v[i];
		autofree char *grant = xasprintf("%s/%s", dir, app),
			      *copy = xasprintf("data/%s/keys/%s", app, key);

		if (!strv_has(g->apps, app))
			findings_add_of(g->f, app, &rules[GRANT], grant, "there is no such app");
		else if (check(g, grant, S_IFREG, 0600, true) && !fs_exists(g->node->fd, copy))
			findings_add_of(g->f, app, &rules[COPY], copy, "it is not there");
	}
}

static void check_key(const struct given *g, const char *key)
{
	autofree char *dir = xasprintf("keys/%s", key), *value = xasprintf("%s/value", dir);
	autostrv struct strv names = STRV_INIT;

	if (!check(g, dir, S_IFDIR, 0700, true) || !list(g, dir, &names))
		return;
	check(g, value, S_IFREG, 0600, true);
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("%s/%s", dir, names.v[i]);

		if (is_unfinished(names.v[i]))
			findings_add(g->f, &rules[LITTER], path, "a write that was not finished");
		else if (strcmp(names.v[i], "value") != 0 && strcmp(names.v[i], "apps") != 0)
			unknown(g, path);
	}
	check_grants(g, key);
}

static void check_keys(const struct given *g)
{
	autostrv struct strv names = STRV_INIT;
	struct error bad = ERROR_INIT;

	if (!list(g, "keys", &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("keys/%s", names.v[i]);

		if (is_unfinished(names.v[i]))
			findings_add(g->f, &rules[LITTER], path,
				     "a key that was not wholly made or removed");
		else if (keys_check_name(names.v[i], &bad) == -1)
			unknown(g, path);
		else
			check_key(g, names.v[i]);
	}
}

/* Servers of the node's own (own_server.h); what is in their data is theirs. */

static void check_server(const struct given *g, const char *name)
{
	static const struct {
		const char *name;
		mode_t type, mode;
		bool of_node;
	} known[] = {
		{"data", S_IFDIR, 0700, false},
		{"log", S_IFDIR, 0700, false},
		{"port", S_IFREG, 0644, true},
		{"command", S_IFREG, 0644, true},
	};
	autofree char *dir = xasprintf("services/%s", name), *data = xasprintf("%s/data", dir),
		      *command = xasprintf("%s/command", dir);
	autostrv struct strv names = STRV_INIT;

	if (!check(g, dir, S_IFDIR, 0755, true) || !list(g, dir, &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("%s/%s", dir, names.v[i]);
		size_t k = 0;

		while (k < ARRAY_SIZE(known) && strcmp(known[k].name, names.v[i]) != 0)
			k++;
		if (k < ARRAY_SIZE(known))
			check(g, path, known[k].type, known[k].mode, known[k].of_node);
		else if (is_unfinished(names.v[i]) || strcmp(names.v[i], "data.new") == 0)
			findings_add(g->f, &rules[LITTER], path, "what was not wholly made");
		else
			unknown(g, path);
	}
	if (fs_exists(g->node->fd, command))
		check(g, data, S_IFDIR, 0, false);
	else
		findings_add(g->f, &rules[SERVER], dir, "it has no command");
}

static void check_servers(const struct given *g)
{
	autostrv struct strv names = STRV_INIT;

	if (!list(g, "services", &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("services/%s", names.v[i]);

		if (is_unfinished(names.v[i]))
			findings_add(g->f, &rules[LITTER], path, "a write that was not finished");
		else if (strcmp(names.v[i], "id") == 0 || strcmp(names.v[i], "lock") == 0)
			check(g, path, S_IFREG, 0644, true);
		else if (server_is_name(names.v[i]))
			check_server(g, names.v[i]);
		else
			unknown(g, path);
	}
}

/* Below data/APP, where the rest is the app's own. */

/* Whoever writes a backup holds the directory's lock. */
static bool is_locked(const struct given *g, const char *dir)
{
	struct error err = ERROR_INIT;
	autoclose int fd = -1;

	return fs_open_dir(g->node->fd, dir, &fd, &err) == 0 &&
	       flock(fd, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK;
}

static void check_unfinished(const struct given *g, const char *app, const char *dir,
			     const struct finding_rule *rule)
{
	autofree char *path = xasprintf("data/%s/%s", app, dir);
	autostrv struct strv names = STRV_INIT;

	if (!findings_list(g->f, &rules[UNREADABLE], g->node->fd, path, &names) ||
	    is_locked(g, path))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *file = xasprintf("%s/%s", path, names.v[i]);

		if (is_unfinished(names.v[i]))
			findings_add_of(g->f, app, rule, file, "a write that was not finished");
	}
}

/* A name that is like ours; the app may have others there. */
static bool is_copy(const struct given *g, const char *path)
{
	struct stat st;

	return fstatat(g->node->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       st.st_uid == g->uid && (st.st_mode & 07777) == 0640;
}

static void check_copies(const struct given *g, const char *app)
{
	autofree char *dir = xasprintf("data/%s/keys", app);
	autostrv struct strv names = STRV_INIT;

	if (!list(g, dir, &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("%s/%s", dir, names.v[i]),
			      *grant = xasprintf("keys/%s/apps/%s", names.v[i], app);

		if (names.v[i][0] != '.' && is_copy(g, path) && !fs_exists(g->node->fd, grant))
			findings_add_of(g->f, app, &rules[STRAY], path, "it was not granted");
	}
}

void fsck_given(const struct node *node, const struct strv *apps, struct findings *f)
{
	struct given g = {.node = node, .apps = apps, .f = f};
	struct stat st;

	if (fstat(node->fd, &st) == -1)
		return; /* told by who opened it */
	g.uid = st.st_uid;
	check_keys(&g);
	check_servers(&g);
	for (size_t i = 0; i < apps->n; i++) {
		check_copies(&g, apps->v[i]);
		check_unfinished(&g, apps->v[i], "keys", &rules[COPY]);
		check_unfinished(&g, apps->v[i], "backups", &rules[BACKUP]);
	}
}
