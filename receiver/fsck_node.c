#include "receiver/fsck_node.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "common/findings.h"
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"
#include "receiver/errand.h"
#include "receiver/fsck_given.h"
#include "receiver/users.h"
#include "receiver/tls_call.h"
#include "runtime/front.h"
#include "runtime/location.h"

#define OUTPUT_MAX (64 << 20)
#define RECORD_MAX (1 << 20)

enum { TLS_MAX = 1 << 20 };

enum rule {
	UNKNOWN,
	MISSING,
	TYPE,
	MODE,
	OWNER,
	LITTER,
	UNREADABLE,
	USER,
	REMAINS,
	HOST,
	HOST_LEFT,
	NO_HOST,
	LOCATIONS,
	SHUT,
	TLS,
};

static const struct finding_rule rules[] = {
	[UNKNOWN] = {FINDING_DAMAGE, "nothing but what silver makes is in the state directory",
		     "look at it, and move it away"},
	[MISSING] = {FINDING_DAMAGE, "it is made with the node or the app",
		     "silverd makes the node's at its start, silver create APP the app's"},
	[TYPE] = {FINDING_DAMAGE, "a name is always of one type (docs/CONTRACT.md)",
		  "look at it, and put back what was there"},
	[MODE] = {FINDING_DAMAGE, "modes are as docs/CONTRACT.md says", "chmod it"},
	[OWNER] = {FINDING_DAMAGE, "owners are as docs/CONTRACT.md says", "chown it"},
	[LITTER] = {FINDING_PENDING, "what was not finished does not count",
		    "the next of the same kind removes or finishes it"},
	[UNREADABLE] = {FINDING_DAMAGE, "the node's user can read all of it",
			"look at its mode and at the disk"},
	[USER] = {FINDING_DAMAGE, "users/NAME is a user; one that is wrong gives no right",
		  "silver user add, or mend the file"},
	[REMAINS] = {FINDING_PENDING, "data and logs belong to an app",
		     "silver create APP finishes it; silver destroy APP --yes removes it then"},
	[HOST] = {FINDING_DAMAGE, "hosts/HOST leads to ../apps/APP/current of an app",
		  "remove it, and give the app its location again"},
	[HOST_LEFT] = {FINDING_PENDING,
		       "an app that goes, or comes, has its location last, or first",
		       "the next start of the node removes it, or the next push makes the app"},
	[NO_HOST] = {FINDING_PENDING, "an app has a location from its creation on",
		     "silver create APP makes the first"},
	[LOCATIONS] = {FINDING_PENDING, "locations/APP lists what leads to the app in hosts/",
		       "the next start of the node writes it anew, or the app's next location"},
	[TLS] = {FINDING_PENDING, "each certificate is valid, and renews itself where it should",
		 "silver tls renew, or what it says; silver tls list has all of them"},
	[SHUT] = {FINDING_DAMAGE, "nginx may pass apps/APP, by an entry of its ACL",
		  "setfacl -m u:silver-web:--x apps/APP"},
};

struct fsck {
	const struct node *node;
	struct findings f;
	bool as_root; /* every app has users of its own */
	uid_t uid;    /* whose the state directory is */
	struct strv apps;
};

/* What is always there, or may be. */

static const struct known {
	const char *name;
	mode_t type, mode; /* mode 0: a person's business */
	bool needed;
} node_names[] = {
	{"node.ini", S_IFREG, 0, true},
	{"devel.ini", S_IFREG, 0, false}, /* of `silver serve` (services/devel.h) */
	{"ssh", S_IFDIR, 0700, false},
	{"users", S_IFDIR, 0700, false},
	{"apps", S_IFDIR, 0755, true},
	{"data", S_IFDIR, 0755, true},
	{"log", S_IFDIR, 0755, true},
	{"hosts", S_IFDIR, 0755, true},
	{"locations", S_IFDIR, 0755, false},
	{"bodies", S_IFDIR, 0755, false},
	{"pages", S_IFDIR, 0, false},
	{"run", S_IFDIR, 0755, true},
	{"services", S_IFDIR, 0755, false},
	{"services.d", S_IFDIR, 0, false}, /* plug-ins (services/plugin.h) */
	{"keys", S_IFDIR, 0700, false},
	{"tls", S_IFDIR, 0, false}, /* check_tls() */
	{"packages", S_IFDIR, 0755, false},
	{"ssh/host_ed25519", S_IFREG, 0600, false},
};

static bool stat_one(struct fsck *s, const char *path, mode_t type, bool needed, struct stat *st)
{
	if (fstatat(s->node->fd, path, st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (needed || errno != ENOENT)
			findings_add(&s->f, &rules[errno == ENOENT ? MISSING : UNREADABLE], path,
				     "%s", errno == ENOENT ? "it is not there" : strerror(errno));
		return false;
	}
	if ((st->st_mode & S_IFMT) == type)
		return true;
	findings_add(&s->f, &rules[TYPE], path, "it is not a %s",
		     type == S_IFDIR ? "directory" : "file");
	return false;
}

/* Where each app has users of its own these must pass, so no bit may be missing either. */
static void check_mode(struct fsck *s, const char *path, mode_t is, mode_t should_be)
{
	is &= 07777;
	if (should_be && ((is & ~should_be) || (s->as_root && is != should_be)))
		findings_add(&s->f, &rules[MODE], path, "its mode is %04o, not %04o", (unsigned)is,
			     (unsigned)should_be);
}

static void check_known(struct fsck *s, const struct known *k)
{
	struct stat st;

	if (!stat_one(s, k->name, k->type, k->needed, &st))
		return;
	check_mode(s, k->name, st.st_mode, k->mode);
	if (k->mode && st.st_uid != s->uid)
		findings_add(&s->f, &rules[OWNER], k->name, "it belongs to user %u, not %u",
			     (unsigned)st.st_uid, (unsigned)s->uid);
}

static bool is_node_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(node_names); i++)
		if (strcmp(node_names[i].name, name) == 0)
			return true;
	return strcmp(name, "lost+found") == 0; /* the directory may be a file system's top */
}

static void check_node_names(struct fsck *s)
{
	autostrv struct strv names = STRV_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(node_names); i++)
		check_known(s, &node_names[i]);
	if (!findings_list(&s->f, &rules[UNREADABLE], s->node->fd, ".", &names))
		return;
	for (size_t i = 0; i < names.n; i++)
		if (names.v[i][0] == '.' && str_ends(names.v[i], ".new"))
			findings_add(&s->f, &rules[LITTER], names.v[i],
				     "a write that was not finished");
		else if (!is_node_name(names.v[i]))
			findings_add(&s->f, &rules[UNKNOWN], names.v[i],
				     "nothing of this name belongs here");
}

static void check_users(struct fsck *s)
{
	autostrv struct strv names = STRV_INIT;
	autoclose int fd = -1;
	struct error err = ERROR_INIT;

	if (!findings_list(&s->f, &rules[UNREADABLE], s->node->fd, "users", &names) ||
	    fs_open_dir(s->node->fd, "users", &fd, &err) == -1)
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("users/%s", names.v[i]);
		autouser struct user user = {0};

		if (names.v[i][0] == '.' && str_ends(names.v[i], ".new"))
			findings_add(&s->f, &rules[LITTER], path, "a write that was not finished");
		else if (name_check_user(names.v[i], &err) == -1 ||
			 user_read(fd, names.v[i], &user, &err) == -1)
			findings_add(&s->f, &rules[USER], path, "%s", err.text);
	}
}

/* packages/: the store of a node without root (buildless/store.h). */

static bool is_package_entry(const char *name)
{
	const char *end = strchr(name, '_');
	autofree char *package = end ? xstrndup(name, (size_t)(end - name)) : NULL;

	return package && strchr(end + 1, '_') && name_is_package(package);
}

static void check_packages(struct fsck *s)
{
	autostrv struct strv names = STRV_INIT;

	if (!fs_exists(s->node->fd, "packages") ||
	    !findings_list(&s->f, &rules[UNREADABLE], s->node->fd, "packages", &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("packages/%s", names.v[i]);
		struct stat st;

		if (names.v[i][0] == '.' &&
		    (str_ends(names.v[i], ".new") || str_ends(names.v[i], ".gone")))
			findings_add(&s->f, &rules[LITTER], path,
				     "a package that was not wholly unpacked or deleted");
		else if (strcmp(names.v[i], "apt") == 0 || is_package_entry(names.v[i]))
			stat_one(s, path, S_IFDIR, true, &st);
		else if (strcmp(names.v[i], "lock") != 0)
			findings_add(&s->f, &rules[UNKNOWN], path,
				     "nothing of this name belongs here");
	}
}

/* Apps */

static void list_apps(struct fsck *s)
{
	autostrv struct strv names = STRV_INIT;
	struct error bad = ERROR_INIT;

	if (!findings_list(&s->f, &rules[UNREADABLE], s->node->fd, "apps", &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("apps/%s", names.v[i]);
		bool hidden = names.v[i][0] == '.';

		if (name_check_app(names.v[i], &bad) == 0)
			strv_add(&s->apps, names.v[i]);
		else if (hidden && str_ends(names.v[i], ".new"))
			findings_add(&s->f, &rules[LITTER], path,
				     "an app that was not wholly made");
		else if (hidden && str_ends(names.v[i], ".gone"))
			findings_add(&s->f, &rules[LITTER], path,
				     "an app that was not wholly destroyed");
		else
			findings_add(&s->f, &rules[UNKNOWN], path,
				     "nothing of this name belongs here");
	}
}

static bool is_nodes_own(const char *path)
{
	return strcmp(path, "log/nginx") == 0 || strcmp(path, "log/s6.log") == 0 ||
	       strcmp(path, "log/packages.log") == 0;
}

/* data/ and log/: whose app is not there. */
static void check_remains(struct fsck *s, const char *parent)
{
	autostrv struct strv names = STRV_INIT;
	struct error bad = ERROR_INIT;

	if (!findings_list(&s->f, &rules[UNREADABLE], s->node->fd, parent, &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("%s/%s", parent, names.v[i]);

		if (strv_has(&s->apps, names.v[i]) || is_nodes_own(path))
			continue;
		if (name_check_app(names.v[i], &bad) == -1)
			findings_add(&s->f, &rules[UNKNOWN], path,
				     "nothing of this name belongs here");
		else
			findings_add_of(&s->f, names.v[i], &rules[REMAINS], path,
					"there is no such app");
	}
}

/* Is something left of an app that is not there (destroy.h)? */
static bool is_under_way(const struct fsck *s, const char *app)
{
	autofree char *fresh = xasprintf("apps/.%s.new", app);
	autofree char *gone = xasprintf("apps/.%s.gone", app);

	return fs_exists(s->node->fd, fresh) || fs_exists(s->node->fd, gone);
}

static void check_host(struct fsck *s, int hosts_fd, const char *host, struct strv *located)
{
	autofree char *path = xasprintf("hosts/%s", host);
	autolocation struct location l = {0};
	struct error err = ERROR_INIT;

	if (location_read(hosts_fd, host, &l, &err) == -1)
		findings_add(&s->f, &rules[HOST], path, "%s", err.text);
	else if (!strv_has(&s->apps, l.app))
		findings_add(&s->f, &rules[is_under_way(s, l.app) ? HOST_LEFT : HOST], path,
			     "there is no app '%s'", l.app);
	else if (location_is_live(&l))
		strv_add(located, l.app);
}

/* locations/APP says what hosts/ says. */
static void check_record(struct fsck *s, const struct locations *all, const char *app)
{
	autofree char *path = xasprintf("locations/%s", app);
	autostrbuf struct strbuf is = STRBUF_INIT, should_be = STRBUF_INIT;
	struct error err = ERROR_INIT;

	locations_format(all, app, &should_be);
	if (fs_read_file(s->node->fd, path, RECORD_MAX, &is, &err) == -1)
		findings_add_of(&s->f, app, &rules[LOCATIONS], path, err.text);
	else if (strcmp(strbuf_str(&is), strbuf_str(&should_be)) != 0)
		findings_add_of(&s->f, app, &rules[LOCATIONS], path,
				"it says something else than hosts/");
}

static void check_records(struct fsck *s)
{
	autostrv struct strv names = STRV_INIT;

	if (!findings_list(&s->f, &rules[UNREADABLE], s->node->fd, "locations", &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *path = xasprintf("locations/%s", names.v[i]);

		if (names.v[i][0] == '.' && str_ends(names.v[i], ".new"))
			findings_add(&s->f, &rules[LITTER], path, "a write that was not finished");
		else if (!strv_has(&s->apps, names.v[i]))
			findings_add(&s->f, &rules[LOCATIONS], path, "there is no such app");
	}
}

static void check_hosts(struct fsck *s)
{
	autostrv struct strv names = STRV_INIT, located = STRV_INIT;
	struct error err = ERROR_INIT;
	struct locations all;
	autoclose int fd = -1;

	if (!findings_list(&s->f, &rules[UNREADABLE], s->node->fd, "hosts", &names) ||
	    fs_open_dir(s->node->fd, "hosts", &fd, &err) == -1)
		return;
	for (size_t i = 0; i < names.n; i++)
		check_host(s, fd, names.v[i], &located);
	if (locations_read(s->node, &all, &err) == -1)
		return;
	for (size_t i = 0; i < s->apps.n; i++) {
		autofree char *path = xasprintf("apps/%s", s->apps.v[i]);

		if (!strv_has(&located, s->apps.v[i]))
			findings_add_of(&s->f, s->apps.v[i], &rules[NO_HOST], path,
					"no location leads to it");
		else
			check_record(s, &all, s->apps.v[i]);
	}
	check_records(s);
	locations_release(&all);
}

static void check_runner_dir(struct fsck *s, const char *parent, const char *app,
			     const struct stat *owner)
{
	autofree char *path = xasprintf("%s/%s", parent, app);
	struct stat st;

	if (!stat_one(s, path, S_IFDIR, true, &st))
		return;
	check_mode(s, path, st.st_mode, 0750);
	if (s->as_root &&
	    (st.st_uid == 0 || st.st_uid == owner->st_uid || st.st_gid != owner->st_gid))
		findings_add(&s->f, &rules[OWNER], path,
			     "it belongs to %u:%u, not to the app's runner and group %u",
			     (unsigned)st.st_uid, (unsigned)st.st_gid, (unsigned)owner->st_gid);
	else if (!s->as_root && st.st_uid != s->uid)
		findings_add(&s->f, &rules[OWNER], path, "it belongs to user %u, not %u",
			     (unsigned)st.st_uid, (unsigned)s->uid);
}

static void check_front(struct fsck *s, const char *app, const char *path)
{
	autoclose int fd = -1;
	struct error err = ERROR_INIT;

	if (s->as_root && fs_open_dir(s->node->fd, path, &fd, &err) == 0 &&
	    fgetxattr(fd, "system.posix_acl_access", NULL, 0) == -1)
		findings_add_of(&s->f, app, &rules[SHUT], path, "it has no such entry");
}

/* A line of silver-tls: "HOST WHAT". */
static void add_tls_problem(struct fsck *s, const char *line, size_t len)
{
	autofree char *text = xstrndup(line, len), *shown = name_printable(text);
	autofree char *path = xasprintf("tls/live/%.*s.pem", (int)strcspn(shown, " "), shown);
	const char *what = strchr(shown, ' ');

	findings_add(&s->f, &rules[TLS], path, "%s", what ? what + 1 : "?");
}

static int ask_tls(const struct fsck *s, struct strbuf *out, struct error *err)
{
	autoclose int fd = memfd_create("tls", MFD_CLOEXEC);

	if (fd == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	if (tls_call(s->node, "problems", NULL, 0, fd, err) == -1)
		return -1;
	if (lseek(fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read what silver-tls said");
	return strbuf_read_fd(out, fd, TLS_MAX, err);
}

/* Keys are nobody's but nginx's; what is in them is for its user to read. */
static void check_tls(struct fsck *s)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;
	uid_t uid = s->uid;
	gid_t gid = 0;
	struct stat st;

	if (!stat_one(s, "tls", S_IFDIR, false, &st))
		return;
	check_mode(s, "tls", st.st_mode, 0700);
	if (front_identity(&uid, &gid, &err) == -1 || ask_tls(s, &text, &err) == -1)
		findings_add(&s->f, &rules[UNREADABLE], "tls", "%s", err.text);
	if (st.st_uid != (s->as_root ? uid : s->uid))
		findings_add(&s->f, &rules[OWNER], "tls", "it belongs to user %u",
			     (unsigned)st.st_uid);
	for (const char *at = strbuf_str(&text); *at;) {
		size_t len = strcspn(at, "\n");

		add_tls_problem(s, at, len);
		at += len + (at[len] == '\n');
	}
}

/* What must be so before the owner's own part can start; false: it cannot. */
static bool check_app(struct fsck *s, const char *app, struct stat *owner)
{
	autofree char *dir = xasprintf("apps/%s", app), *repo = xasprintf("%s/repo.git", dir),
		      *lock = xasprintf("%s/lock", dir);
	struct stat st, unused;
	bool whole;

	if (!stat_one(s, dir, S_IFDIR, true, &st))
		return false;
	whole = stat_one(s, repo, S_IFDIR, true, owner);
	whole = stat_one(s, lock, S_IFREG, true, &unused) && whole;
	if (!whole)
		return false;
	check_mode(s, dir, st.st_mode, 0750);
	if (s->as_root ? owner->st_uid == 0 : owner->st_uid != s->uid) {
		findings_add(&s->f, &rules[OWNER], repo, "it belongs to user %u",
			     (unsigned)owner->st_uid);
		return false;
	}
	if (st.st_uid != owner->st_uid || st.st_gid != owner->st_gid)
		findings_add(&s->f, &rules[OWNER], dir,
			     "it belongs to %u:%u, and repo.git to %u:%u", (unsigned)st.st_uid,
			     (unsigned)st.st_gid, (unsigned)owner->st_uid, (unsigned)owner->st_gid);
	check_front(s, app, dir);
	check_runner_dir(s, "data", app, owner);
	check_runner_dir(s, "log", app, owner);
	return true;
}

/* The owner's part */

static int start_owner(const struct fsck *s, const char *app, const struct stat *owner, int out,
		       int *status, struct error *err)
{
	autofree char *program = proc_program("silver-deploy");
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	struct proc_spec spec = {.path = program,
				 .in = -1,
				 .out = out,
				 .err = STDERR_FILENO,
				 .drop = geteuid() == 0,
				 .uid = owner->st_uid,
				 .gid = owner->st_gid};
	pid_t pid;

	strv_add(&argv, "silver-deploy");
	strv_add(&argv, "fsck");
	strv_add(&argv, app);
	if (s->f.as_json)
		strv_add(&argv, "--json");
	strv_add(&env, "PATH=" CHILD_PATH);
	strv_add(&env, "HOME=/nonexistent");
	strv_add(&env, "LANG=C.UTF-8");
	strv_addf(&env, "SILVER_DIR=%s", s->node->dir);
	strv_addf(&env, "SILVER_APP=%s", app);
	strv_add(&env, "GIT_CONFIG_NOSYSTEM=1");
	strv_add(&env, "GIT_CONFIG_GLOBAL=/dev/null");
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&env);
	if (proc_start(&spec, &pid, err) == -1)
		return -1;
	return proc_wait(pid, -1, status, err);
}

/* What the owner's part found joins `out`; its status is *status. */
static int ask_owner(const struct fsck *s, const char *app, const struct stat *owner,
		     struct strbuf *out, int *status, struct error *err)
{
	autoclose int fd = memfd_create("fsck", MFD_CLOEXEC);

	if (fd == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	if (start_owner(s, app, owner, fd, status, err) == -1)
		return -1;
	if (lseek(fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read what was found");
	return strbuf_read_fd(out, fd, OUTPUT_MAX, err);
}

/* The whole */

struct outcome {
	size_t apps, sound;
	enum error_code worst;
	struct strbuf out; /* of the apps */
};

/* Damage is more than what is pending; a machine that fails says nothing about either. */
static unsigned rank(enum error_code code)
{
	return code == E_OK ? 0 : code == E_BUSY ? 1 : code == E_REFUSED ? 2 : 3;
}

static void add_status(struct outcome *o, enum error_code code)
{
	if (rank(code) > rank(o->worst))
		o->worst = rank(code) == 3 ? E_SYSTEM : code;
}

static void add_app(struct fsck *s, const char *app, struct outcome *o)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int status = E_REFUSED;
	struct stat owner;

	o->apps++;
	if (check_app(s, app, &owner) && ask_owner(s, app, &owner, &text, &status, &err) == -1) {
		error_prefix(&err, "looking at '%s'", app);
		status = error_report(&err);
	}
	o->sound += status == E_OK;
	add_status(o, error_code_from(status));
	if (s->f.as_json && o->apps > 1)
		strbuf_addch(&o->out, ',');
	if (s->f.as_json && !text.len) /* it could not be looked at; why went to stderr */
		strbuf_addf(&o->out, "{\"app\":\"%s\",\"status\":%d}", app, status);
	strbuf_addstr(&o->out, strbuf_str(&text));
}

static int print(struct fsck *s, const struct outcome *o, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT;
	struct json j = {.out = &out};

	if (s->f.as_json) {
		json_open(&j, NULL, '{');
		json_str(&j, "dir", s->node->dir);
		json_int(&j, "damage", (int64_t)s->f.damage);
		json_int(&j, "pending", (int64_t)s->f.pending);
		json_open(&j, "findings", '[');
		strbuf_addstr(&out, strbuf_str(&s->f.out));
		json_close(&j, ']');
		json_open(&j, "apps", '[');
		strbuf_addstr(&out, strbuf_str(&o->out));
		json_close(&j, ']');
		json_bool(&j, "ok", o->worst == E_OK);
		json_close(&j, '}');
		strbuf_addch(&out, '\n');
	} else {
		strbuf_addf(&out, "%s%s", strbuf_str(&s->f.out), strbuf_str(&o->out));
		if (o->worst == E_OK)
			strbuf_addf(&out,
				    "%zu app%s: names, records, refs, slots and links agree\n",
				    o->apps, o->apps == 1 ? "" : "s");
	}
	if (fputs(strbuf_str(&out), stdout) == EOF || fflush(stdout) == EOF)
		return error_set(err, E_SYSTEM, "cannot write to standard output");
	return 0;
}

/* wanted: NULL: all. */
static int check(struct fsck *s, const char *wanted, struct outcome *o, struct error *err)
{
	struct error node = ERROR_INIT;

	list_apps(s);
	if (wanted && !strv_has(&s->apps, wanted))
		return error_set(err, E_NOTFOUND, "no app '%s'", wanted);
	check_node_names(s);
	check_users(s);
	check_packages(s);
	check_remains(s, "data");
	check_remains(s, "log");
	check_hosts(s);
	check_tls(s);
	fsck_given(s->node, &s->apps, &s->f);
	for (size_t i = 0; i < s->apps.n; i++)
		if (!wanted || strcmp(s->apps.v[i], wanted) == 0)
			add_app(s, s->apps.v[i], o);
	if (findings_result(&s->f, &node) == -1)
		add_status(o, node.code);
	if (print(s, o, err) == -1)
		return -1;
	if (o->worst == E_OK)
		return 0;
	return error_set(err, o->worst,
			 "%s: %zu of %zu apps sound; of the node %zu damaged, %zu "
			 "pending",
			 s->node->dir, o->sound, o->apps, s->f.damage, s->f.pending);
}

int fsck_node(const struct node *node, char *const *words, size_t n, struct error *err)
{
	struct outcome o = {.out = STRBUF_INIT};
	struct fsck s = {.node = node};
	const char *app = NULL;
	bool json = false;
	struct stat st;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i], "--json") == 0)
			json = true;
		else if (app)
			return error_set(err, E_USAGE, "at most one app");
		else if (name_check_app(app = words[i], err) == -1)
			return -1;
	}
	if (fstat(node->fd, &st) == -1)
		return error_sys(err, errno, "cannot look at '%s'", node->dir);
	s.uid = st.st_uid;
	s.as_root = st.st_uid == 0;
	findings_init(&s.f, NULL, json);
	r = check(&s, app, &o, err);
	findings_release(&s.f);
	strbuf_release(&o.out);
	strv_free_p(&s.apps);
	return r;
}
