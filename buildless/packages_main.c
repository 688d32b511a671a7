/* silver-packages --dir DIR simulate|install NAME...: Debian packages for a node without root, in
 * its own store (store.h). Started by silverd for an app, as `silver-root packages` is on a node
 * with root, and says the same lines (docs/CONTRACT.md, "Packages"). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "buildless/deb.h"
#include "buildless/store.h"
#include "common/apt.h"
#include "common/fs.h"
#include "common/names.h"

#define DOWNLOADS ".downloads.new"

struct filling {
	struct apt apt;
	int store_fd;
	struct apt_plan plan;
	struct strv fresh; /* entries that are unpacked and have no name yet */
};

static int check_names(const struct node *node, const struct strv *names, struct error *err)
{
	for (size_t i = 0; i < names->n; i++) {
		if (!name_is_package(names->v[i]))
			return error_set(err, E_USAGE, "a package whose name is none");
		if (!name_is_listed(names->v[i], node->packages.allow))
			return error_set(err, E_REFUSED,
					 "node.ini: 'allow' in [packages] has no '%s'",
					 names->v[i]);
	}
	return 0;
}

/* The linker is the machine's, and goes with no other C library than the machine's. */
static void refuse_libc(const struct apt_plan *plan, const struct strv *names, size_t *refused)
{
	for (size_t i = 0; i < plan->n; i++)
		if (strcmp(plan->entry[i].name, "libc6") == 0) {
			printf("refuse %s it needs libc6 %s, which only the machine itself can "
			       "have: "
			       "`apt-get install libc6` by its operator\n",
			       names->v[0], plan->entry[i].version);
			++*refused;
		}
}

/* 1: it can be done, and f->plan says how; 0: it is refused, and told. */
static int simulate(struct filling *f, const struct strv *names, struct error *err)
{
	size_t refused;

	if (apt_simulate(&f->apt, names, &f->plan, &refused, err) == -1)
		return -1;
	refuse_libc(&f->plan, names, &refused);
	return refused == 0;
}

static char *entry_of(const struct apt_entry *e)
{
	return store_entry_name(e->name, e->version, e->arch);
}

/* "NAME:ARCH=VERSION" of what the store has not. */
static void list_missing(const struct filling *f, struct strv *out)
{
	for (size_t i = 0; i < f->plan.n; i++) {
		const struct apt_entry *e = &f->plan.entry[i];
		autofree char *entry = entry_of(e);
		bool all = strcmp(e->arch, "all") == 0;

		if (!store_has(f->apt.node, entry))
			strv_addf(out, "%s%s%s=%s", e->name, all ? "" : ":", all ? "" : e->arch,
				  e->version);
	}
}

static int download(struct filling *f, const struct strv *missing, struct error *err)
{
	autofree char *cwd = xasprintf("%s/packages/" DOWNLOADS, f->apt.node->dir);
	autostrv struct strv arguments = STRV_INIT;

	if (fs_remove_tree(f->store_fd, DOWNLOADS, err) == -1 ||
	    fs_ensure_dir(f->store_fd, DOWNLOADS, 0755, NULL, err) == -1)
		return -1;
	strv_add(&arguments, "download");
	strv_add(&arguments, "--");
	for (size_t i = 0; i < missing->n; i++)
		strv_add(&arguments, missing->v[i]);
	return apt_run(&f->apt, &arguments, cwd, err);
}

/* Mirrors drop what a newer version replaces, so old lists name what is gone. */
static int download_all(struct filling *f, const struct strv *names, struct error *err)
{
	autostrv struct strv missing = STRV_INIT, again = STRV_INIT;
	int r;

	list_missing(f, &missing);
	if (missing.n == 0 || download(f, &missing, err) == 0)
		return 0;
	if (err->code != E_SYSTEM)
		return -1;
	apt_say("it could not be downloaded; once more, with new lists");
	*err = (struct error)ERROR_INIT;
	apt_plan_release(&f->plan);
	if (apt_update(&f->apt, err) == -1)
		return -1;
	r = simulate(f, names, err);
	if (r != 1)
		return r == 0 ? error_set(err, E_REFUSED, "a package cannot be installed") : -1;
	list_missing(f, &again);
	return again.n ? download(f, &again, err) : 0;
}

static int unpack(struct filling *f, const struct apt_entry *e, const char *entry,
		  struct error *err)
{
	autofree char *deb = xasprintf(DOWNLOADS "/%s.deb", entry);
	autofree char *new = xasprintf(".%s.new", entry), *script = NULL;
	autoclose int deb_fd = -1, into_fd = -1;

	if (fs_open(f->store_fd, deb, O_RDONLY, 0, &deb_fd, err) == -1 ||
	    fs_remove_tree(f->store_fd, new, err) == -1 ||
	    fs_ensure_dir(f->store_fd, new, 0755, &into_fd, err) == -1)
		return -1;
	if (deb_unpack(deb_fd, into_fd, &script, err) == -1)
		return error_prefix(err, "%s.deb", entry);
	if (script)
		apt_say("warning: package %s has a script that does not run without root: '%.80s'; "
			"it may lack what that prepares",
			e->name, script);
	strv_add(&f->fresh, entry);
	return 0;
}

static int unpack_all(struct filling *f, struct error *err)
{
	for (size_t i = 0; i < f->plan.n; i++) {
		autofree char *entry = entry_of(&f->plan.entry[i]);

		if (!store_has(f->apt.node, entry) &&
		    unpack(f, &f->plan.entry[i], entry, err) == -1)
			return -1;
	}
	return 0;
}

/* Content, then the names. */
static int name_all(struct filling *f, struct error *err)
{
	if (f->fresh.n == 0)
		return 0;
	if (fs_sync_all(f->store_fd, err) == -1)
		return -1;
	for (size_t i = 0; i < f->fresh.n; i++) {
		autofree char *new = xasprintf(".%s.new", f->fresh.v[i]);

		if (fs_rename(f->store_fd, new, f->store_fd, f->fresh.v[i], err) == -1)
			return -1;
	}
	if (fs_sync(f->store_fd, err) == -1)
		return -1;
	return fs_remove_tree(f->store_fd, DOWNLOADS, err);
}

static int install(struct filling *f, const struct strv *names, struct error *err)
{
	int r;

	if (apt_lock(&f->apt, err) == -1)
		return -1;
	r = simulate(f, names, err);
	if (r == 0)
		return error_set(err, E_REFUSED, "a package cannot be installed");
	if (r == -1 || download_all(f, names, err) == -1 || unpack_all(f, err) == -1 ||
	    name_all(f, err) == -1)
		return -1;
	apt_tell_plan(&f->plan);
	return 0;
}

static int fill(struct filling *f, const char *verb, const struct strv *names, struct error *err)
{
	int r;

	if (check_names(f->apt.node, names, err) == -1 ||
	    fs_ensure_dir(f->apt.node->fd, "packages", 0755, &f->store_fd, err) == -1)
		return -1;
	if (strcmp(verb, "install") == 0)
		return install(f, names, err);
	if (strcmp(verb, "simulate") != 0)
		return error_set(err, E_USAGE, "packages are simulated, or installed");
	r = simulate(f, names, err);
	if (r == 1)
		apt_tell_plan(&f->plan);
	return r == -1 ? -1 : 0;
}

static int run(int argc, char **argv, struct error *err)
{
	struct filling f = {.store_fd = -1};
	autostrv struct strv names = STRV_INIT;
	struct node node;
	int r;

	if (argc < 5 || strcmp(argv[1], "--dir") != 0)
		return error_set(err, E_USAGE,
				 "usage: silver-packages --dir DIR simulate|install PACKAGE...");
	for (int i = 4; i < argc; i++)
		strv_add(&names, argv[i]);
	if (node_open(&node, argv[2], err) == -1)
		return -1;
	r = apt_init(&f.apt, &node, err);
	if (r == 0)
		r = fill(&f, argv[3], &names, err);
	apt_plan_release(&f.plan);
	strv_free_p(&f.fresh);
	fd_close(&f.store_fd);
	apt_release(&f.apt);
	node_release(&node);
	return r;
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;

	signal(SIGPIPE, SIG_IGN);
	umask(022);
	if (run(argc, argv, &err) == -1)
		return error_report(&err);
	return fflush(stdout) == EOF ? E_SYSTEM : E_OK;
}
