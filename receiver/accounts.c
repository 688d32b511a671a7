#include "receiver/accounts.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>
#include "common/proc.h"
#include "runtime/runner.h"

#define TOOL_MS 60000 /* shadow waits up to 15 s for its lock, of each of five files */
/* Room for thousands of apps, where 100-999 would end at 450; inside the 65 536 numbers that a
 * container has, and below those of systemd. Given out from 60000 down: with the last number of the
 * range for people taken first, useradd goes on giving people the lowest free one. */
#define UID_RANGE "-KSYS_UID_MIN=30000", "-KSYS_UID_MAX=60000"
#define GID_RANGE "-KSYS_GID_MIN=30000", "-KSYS_GID_MAX=60000"

enum { LABEL_MAX = 32, TRIES = 5, PAUSE_MS = 200 }; /* LABEL_MAX: what Linux allows for a name */

static uint32_t hash(const char *dir, const char *app)
{
	uint32_t h = 2166136261U;

	for (; *dir; dir++)
		h = (h ^ (unsigned char)*dir) * 16777619U;
	h *= 16777619U; /* a NUL between the two */
	for (; *app; app++)
		h = (h ^ (unsigned char)*app) * 16777619U;
	return h;
}

/* A long name is cut; its hash is over all of it. */
static char *label(const struct node *node, const char *kind, const char *app)
{
	autofree char *full = xasprintf("%s-%08x-%s", kind, hash(node->dir, app), app);

	return xstrndup(full, LABEL_MAX);
}

static int run_tool(char *const *argv, struct error *err)
{
	autostrbuf struct strbuf output = STRBUF_INIT;
	struct proc_spec spec = {.path = argv[0], .argv = argv, .in = -1, .out = -1, .err = -1};
	int status;

	if (proc_run(&spec, TOOL_MS, &status, &output, err) == -1)
		return -1;
	if (status != 0)
		return error_set(err, E_SYSTEM, "%s failed (status %d): %s", argv[0], status,
				 strbuf_str(&output));
	return 0;
}

static int run_words(const char *const *words, struct error *err)
{
	autostrv struct strv argv = STRV_INIT;

	for (; *words; words++)
		strv_add(&argv, *words);
	return run_tool(strv_argv(&argv), err);
}

static int ensure_group(const char *name, gid_t *gid, struct error *err)
{
	const char *const words[] = {"groupadd", "--system", GID_RANGE, name, NULL};
	const struct group *group = getgrnam(name);

	if (!group) {
		if (run_words(words, err) == -1)
			return -1;
		group = getgrnam(name);
	}
	if (!group)
		return error_set(err, E_SYSTEM, "the group '%s' was made, but is not found", name);
	*gid = group->gr_gid;
	return 0;
}

static int ensure_user(const char *name, gid_t gid, const char *comment, uid_t *uid,
		       struct error *err)
{
	autofree char *group = xasprintf("--gid=%u", (unsigned)gid);
	autofree char *about = xasprintf("--comment=%s", comment);
	const char *const words[] = {"useradd",
				     "--system",
				     UID_RANGE,
				     group,
				     about,
				     "--no-create-home",
				     "--home-dir=/nonexistent",
				     "--shell=/usr/sbin/nologin",
				     name,
				     NULL};
	const struct passwd *user = getpwnam(name);

	if (!user) {
		if (run_words(words, err) == -1)
			return -1;
		user = getpwnam(name);
	}
	if (!user)
		return error_set(err, E_SYSTEM, "the user '%s' was made, but is not found", name);
	if (user->pw_uid == 0 || user->pw_gid != gid)
		return error_set(err, E_SYSTEM, "the user '%s' is not one that silver made", name);
	*uid = user->pw_uid;
	return 0;
}

static int ensure_system(const char *name, const char *comment, uid_t *uid, gid_t *gid,
			 struct error *err)
{
	const struct passwd *user = getpwnam(name);

	if (user) { /* an operator may have made it, in whatever group */
		*uid = user->pw_uid;
		*gid = user->pw_gid;
		return 0;
	}
	if (ensure_group(name, gid, err) == -1)
		return -1;
	return ensure_user(name, *gid, comment, uid, err);
}

/* Two nodes that start at once on one machine make the same users; one tool may find half of what
 * the other is writing. Everything is looked up anew at each try. */
int accounts_ensure_system(const char *name, const char *comment, uid_t *uid, gid_t *gid,
			   struct error *err)
{
	for (int left = TRIES; ensure_system(name, comment, uid, gid, err) == -1; left--) {
		if (left == 0)
			return -1;
		usleep(PAUSE_MS * 1000);
	}
	return 0;
}

int accounts_ensure(const struct node *node, const char *app, struct accounts *out,
		    struct error *err)
{
	autofree char *group = label(node, "sg", app);
	autofree char *owner = label(node, "so", app);
	autofree char *runner = label(node, "sr", app);
	autofree char *about_owner = xasprintf("owner of the silver app %s", app);
	autofree char *about_runner = xasprintf("processes of the silver app %s", app);

	if (ensure_group(group, &out->group, err) == -1 ||
	    ensure_user(owner, out->group, about_owner, &out->owner, err) == -1)
		return -1;
	return ensure_user(runner, out->group, about_runner, &out->runner, err);
}

static int remove_user(const char *name, struct error *err)
{
	const char *const words[] = {"userdel", name, NULL};
	const struct passwd *user = getpwnam(name);

	if (!user)
		return 0;
	runner_kill_user(user->pw_uid); /* userdel refuses a user with processes */
	return run_words(words, err);
}

int accounts_remove(const struct node *node, const char *app, struct error *err)
{
	autofree char *group = label(node, "sg", app);
	autofree char *owner = label(node, "so", app);
	autofree char *runner = label(node, "sr", app);
	const char *const words[] = {"groupdel", group, NULL};

	if (remove_user(runner, err) == -1 || remove_user(owner, err) == -1)
		return -1;
	return getgrnam(group) ? run_words(words, err) : 0;
}
