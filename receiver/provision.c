#include "receiver/provision.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"
#include "receiver/accounts.h"
#include "receiver/claim.h"
#include "receiver/destroy.h"
#include "receiver/locate.h"
#include "runtime/front.h"

#define SESSION_USER "silver-session"
#define SETFACL_MS   10000

/* Everything git needs to know about these repositories; the rest comes with each push
 * (docs/CONTRACT.md). core.fsync: a ref never names an object that a power cut takes. unpackLimit:
 * a push is one pack, one fsync. autogc and gc.auto: packing is `settle`'s, never the waiting
 * pusher's. packedGit: a blob of a gigabyte is mapped piece by piece, by default all at once. The
 * three fsck messages are about flaws of old histories that harm nothing here. */
static const char repository_config[] = "[core]\n"
					"\trepositoryformatversion = 0\n"
					"\tfilemode = true\n"
					"\tbare = true\n"
					"\tfsync = all\n"
					"\tbigFileThreshold = 1m\n"
					"\tpackedGitWindowSize = 8m\n"
					"\tpackedGitLimit = 32m\n"
					"[gc]\n"
					"\tauto = 0\n"
					"[receive]\n"
					"\tfsckObjects = true\n"
					"\tautogc = false\n"
					"\tunpackLimit = 1\n"
					"\tadvertisePushOptions = true\n"
					"\tdenyNonFastForwards = false\n"
					"\tdenyDeletes = false\n"
					"[receive \"fsck\"]\n"
					"\tzeroPaddedFilemode = ignore\n"
					"\tbadTimezone = ignore\n"
					"\tmissingSpaceBeforeDate = ignore\n";

/* Who owns what of an app. */
struct owners {
	bool set; /* false: we are not root, and all is ours */
	struct accounts who;
};

static int owner_of(const struct node *node, const char *path, struct stat *st, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open_dir(node->fd, path, &fd, err) == -1)
		return -1;
	return fstat(fd, st) == -1 ? error_sys(err, errno, "cannot stat '%s'", path) : 0;
}

/* An app that is there keeps its users, whatever they are called: the directory of the node may
 * have moved. */
static bool read_owners(const struct node *node, const char *app, struct accounts *out)
{
	autofree char *repo = xasprintf("apps/%s/repo.git", app);
	autofree char *data = xasprintf("data/%s", app);
	struct error none = ERROR_INIT;
	struct stat owner, runner;

	if (owner_of(node, repo, &owner, &none) == -1 || owner_of(node, data, &runner, &none) == -1)
		return false;
	*out = (struct accounts){owner.st_uid, runner.st_uid, owner.st_gid};
	return owner.st_uid != 0 && runner.st_uid != 0 && owner.st_uid != runner.st_uid &&
	       runner.st_gid == owner.st_gid;
}

static int find_owners(const struct node *node, const char *app, struct owners *out,
		       struct error *err)
{
	*out = (struct owners){.set = geteuid() == 0};
	if (!out->set || read_owners(node, app, &out->who))
		return 0;
	return accounts_ensure(node, app, &out->who, err);
}

static int give(int fd, const struct owners *o, uid_t uid, struct error *err)
{
	if (o->set && fchown(fd, uid, o->who.group) == -1)
		return error_sys(err, errno, "cannot give a file to user %u", (unsigned)uid);
	return 0;
}

/* A directory of this owner and mode, whatever it was. */
static int ensure_owned_dir(int dir_fd, const char *name, mode_t mode, const struct owners *o,
			    uid_t uid, int *out, struct error *err)
{
	autoclose int fd = -1;

	if (fs_ensure_dir(dir_fd, name, mode, &fd, err) == -1 || give(fd, o, uid, err) == -1)
		return -1;
	if (fchmod(fd, mode) == -1)
		return error_sys(err, errno, "cannot set the mode of '%s'", name);
	if (out)
		*out = steal_fd(&fd);
	return 0;
}

static int write_owned_file(int dir_fd, const char *name, const char *text, mode_t mode,
			    const struct owners *o, struct error *err)
{
	autoclose int fd = -1;

	if (fs_replace_file(dir_fd, name, text, strlen(text), mode, err) == -1 ||
	    fs_open(dir_fd, name, O_RDONLY, 0, &fd, err) == -1)
		return -1;
	return give(fd, o, o->who.owner, err);
}

/* The files that make a bare repository; `git init` would make the same and samples. */
static int make_repository(int app_fd, const struct owners *o, struct error *err)
{
	static const char *const dirs[][2] = {
		{"objects", "info"}, {"objects", "pack"}, {"refs", "heads"}, {"refs", "tags"}};
	autoclose int repo_fd = -1;

	if (ensure_owned_dir(app_fd, "repo.git", 0700, o, o->who.owner, &repo_fd, err) == -1)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		autoclose int fd = -1;

		if (ensure_owned_dir(repo_fd, dirs[i][0], 0755, o, o->who.owner, &fd, err) == -1 ||
		    ensure_owned_dir(fd, dirs[i][1], 0755, o, o->who.owner, NULL, err) == -1 ||
		    fs_sync(fd, err) == -1)
			return -1;
	}
	if (write_owned_file(repo_fd, "config", repository_config, 0644, o, err) == -1 ||
	    write_owned_file(repo_fd, "HEAD", "ref: refs/heads/master\n", 0644, o, err) == -1)
		return -1;
	return fs_sync(repo_fd, err);
}

/* nginx passes through apps/APP, whose mode shuts out all who are not of the app's group. */
static int let_front_pass(const struct node *node, const char *path, struct error *err)
{
	autofree char *copy = xstrdup(path);
	char *const argv[] = {(char[]){"setfacl"}, (char[]){"-m"}, (char[]){"u:" FRONT_USER ":--x"},
			      copy, NULL};
	struct proc_spec spec = {
		.path = "setfacl", .argv = argv, .in = -1, .out = -1, .err = -1, .cwd = node->dir};
	autostrbuf struct strbuf output = STRBUF_INIT;
	int status;

	if (geteuid() != 0)
		return 0;
	if (proc_run(&spec, SETFACL_MS, &status, &output, err) == -1)
		return error_prefix(err, "letting nginx pass '%s'", path);
	if (status != 0)
		return error_set(err, E_SYSTEM, "setfacl failed: %s", strbuf_str(&output));
	return 0;
}

int provision_let_front_in(const struct node *node, const char *app, struct error *err)
{
	autofree char *data = xasprintf("data/%s", app),
		      *root = xasprintf("%s/writable_root", data);
	autoclose int data_fd = -1, root_fd = -1;
	struct error none = ERROR_INIT;

	if (geteuid() != 0 || fs_open_dir(node->fd, root, &root_fd, &none) == -1 ||
	    fs_open_dir(node->fd, data, &data_fd, err) == -1)
		return 0;
	if (fgetxattr(data_fd, "system.posix_acl_access", NULL, 0) > 0)
		return 0;
	return let_front_pass(node, data, err);
}

/* What a call before this one left, which was interrupted. */
static int empty_dir(int fd, struct error *err)
{
	autostrv struct strv names = STRV_INIT;

	if (fs_list(fd, &names, err) == -1)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (fs_remove_tree(fd, names.v[i], err) == -1)
			return -1;
	return 0;
}

/* apps/.APP.new, whole and on disk. Slots and releases are open to who passes apps/APP: the runner
 * by its group, nginx by its ACL entry. */
static int make_app_dir(const struct node *node, int apps_fd, const char *tmp,
			const struct owners *o, struct error *err)
{
	autofree char *path = xasprintf("apps/%s", tmp);
	autoclose int fd = -1;
	uid_t owner = o->who.owner;

	if (ensure_owned_dir(apps_fd, tmp, 0750, o, owner, &fd, err) == -1 ||
	    empty_dir(fd, err) == -1 || let_front_pass(node, path, err) == -1)
		return -1;
	if (make_repository(fd, o, err) == -1 ||
	    ensure_owned_dir(fd, "config", 0750, o, owner, NULL, err) == -1 ||
	    ensure_owned_dir(fd, "slots", 0755, o, owner, NULL, err) == -1 ||
	    ensure_owned_dir(fd, "releases", 0755, o, owner, NULL, err) == -1 ||
	    write_owned_file(fd, "lock", "", 0640, o, err) == -1)
		return -1;
	return fs_sync(fd, err);
}

static int ensure_runner_dir(const struct node *node, const char *parent, const char *app,
			     const struct owners *o, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open_dir(node->fd, parent, &fd, err) == -1 ||
	    ensure_owned_dir(fd, app, 0750, o, o->who.runner, NULL, err) == -1)
		return error_prefix(err, "%s", parent);
	return fs_sync(fd, err);
}

static int ensure_runner_dirs(const struct node *node, const char *app, struct owners *o,
			      struct error *err)
{
	if (find_owners(node, app, o, err) == -1 ||
	    ensure_runner_dir(node, "data", app, o, err) == -1)
		return -1;
	return ensure_runner_dir(node, "log", app, o, err);
}

/* apps/.APP.new comes first: whoever finds it knows that there may be users, data/APP, log/APP and
 * a host of an app that never came to be (destroy.h). What is called apps/APP lacks nothing. */
static int make_app(const struct node *node, int apps_fd, const char *app, const char *host,
		    struct error *err)
{
	autofree char *tmp = xasprintf(".%s.new", app);
	struct owners o;

	if (fs_ensure_dir(apps_fd, tmp, 0700, NULL, err) == -1 || fs_sync(apps_fd, err) == -1 ||
	    ensure_runner_dirs(node, app, &o, err) == -1)
		return -1;
	if (make_app_dir(node, apps_fd, tmp, &o, err) == -1 ||
	    locate_add(node, app, host, &locate_to_live, err) == -1)
		return -1;
	return fs_rename_sync(apps_fd, tmp, apps_fd, app, err);
}

/* Before anything is made. */
static int check_host(const struct node *node, const char *app, const char *host, struct error *err)
{
	autolocation struct location there = {0};
	struct error missing = ERROR_INIT;
	autoclose int hosts_fd = -1;

	if (name_check_host(host, err) == -1 ||
	    fs_open_dir(node->fd, "hosts", &hosts_fd, err) == -1)
		return -1;
	if (location_read(hosts_fd, host, &there, &missing) == 0 && strcmp(there.app, app) != 0)
		return error_set(err, E_REFUSED, "'%s' leads to the app '%s'", host, there.app);
	return 0;
}

/* An app keeps the locations that it was given; without any it gets its first again. */
static int ensure_location(const struct node *node, const char *app, const char *host,
			   struct error *err)
{
	struct locations all;
	bool has;

	if (locations_read(node, &all, err) == -1)
		return -1;
	has = locations_canonical(&all, app) != NULL;
	locations_release(&all);
	return has ? 0 : locate_add(node, app, host, &locate_to_live, err);
}

int provision_create(const struct node *node, const char *app, struct error *err)
{
	autofree char *host = xasprintf("%s.%s", app, node->domain);
	autoclose int apps_fd = -1, claim = -1;
	struct owners o;

	if (name_check_app(app, err) == -1 || check_host(node, app, host, err) == -1 ||
	    claim_app(node, app, &claim, err) == -1 ||
	    fs_open_dir(node->fd, "apps", &apps_fd, err) == -1)
		return -1;
	if (destroy_finish(node, app, err) == -1)
		return error_prefix(err, "finishing an interrupted destroy");
	if (fs_exists(apps_fd, app))
		return ensure_runner_dirs(node, app, &o, err) == -1
			       ? -1
			       : ensure_location(node, app, host, err);
	if (make_app(node, apps_fd, app, host, err) == -1)
		return error_prefix(err, "making 'apps/%s'", app);
	return 0;
}

/* The node. */

/* Programs of other users get their paths whole: every directory above must let them pass. */
static int check_passable(const char *dir, struct error *err)
{
	autofree char *path = xstrdup(dir);
	struct stat st;

	while (*path) {
		if (stat(path, &st) == -1)
			return error_sys(err, errno, "cannot stat '%s'", path);
		if (!(st.st_mode & S_IXOTH))
			return error_set(err, E_REFUSED,
					 "'%s' is shut to other users (mode %04o), and as root "
					 "every app runs as a user of its own; choose a directory "
					 "elsewhere, such as /var/lib/silver",
					 path, (unsigned)st.st_mode & 07777);
		*strrchr(path, '/') = '\0';
	}
	return 0;
}

struct node_dir {
	const char *parent, *name;
	mode_t mode;
	bool of_front;
};

static const struct node_dir node_dirs[] = {
	{".", "apps", 0755, false},    {".", "data", 0755, false},
	{".", "log", 0755, false},     {".", "hosts", 0755, false},
	{".", "pages", 0755, false},   {".", "locations", 0755, false},
	{".", "run", 0755, false},     {"run", "service", 0755, false},
	{"run", "empty", 0555, false}, {"run", "nginx", 0700, true},
	{"log", "nginx", 0750, true},  {".", "tls", 0700, true},
};

static int ensure_node_dirs(const struct node *node, uid_t front_uid, gid_t front_gid,
			    struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(node_dirs); i++) {
		const struct node_dir *d = &node_dirs[i];
		autoclose int parent = -1, fd = -1;

		if (fs_open_dir(node->fd, d->parent, &parent, err) == -1 ||
		    fs_ensure_dir(parent, d->name, d->mode, &fd, err) == -1)
			return -1;
		if (geteuid() == 0 && d->of_front && fchown(fd, front_uid, front_gid) == -1)
			return error_sys(err, errno, "cannot give '%s' to " FRONT_USER, d->name);
	}
	return fs_sync(node->fd, err);
}

int provision_node(const struct node *node, struct error *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (uid == 0 &&
	    (check_passable(node->dir, err) == -1 ||
	     accounts_ensure_system(SESSION_USER, "silver sessions", &uid, &gid, err) == -1 ||
	     accounts_ensure_system(FRONT_USER, "silver web front", &uid, &gid, err) == -1))
		return -1;
	if (ensure_node_dirs(node, uid, gid, err) == -1)
		return -1;
	return destroy_leftovers(node, err) == -1 ? -1 : locate_repair(node, err);
}
