#include "receiver/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "common/apt.h"
#include "common/dpkg.h"
#include "common/fs.h"
#include "common/names.h"
#include "common/proc.h"

#define PAUSE_MS 100

/* Debian's maintainer scripts ask this file whether they may start a service. A package brings
 * programs here, no service: those have a life of their own (docs/PACKAGES.md). It speaks to our
 * own runs of apt alone, so it does no harm where a crash leaves it. */
#define POLICY_DIR "/usr/sbin"
#define POLICY     "policy-rc.d"
static const char policy[] = "#!/bin/sh\n"
			     "# Of silver, while it installs packages: they start no service.\n"
			     "[ -z \"$SILVER_PACKAGES\" ] || exit 101\n"
			     "exit 0\n";

static int check_names(const struct node *node, const struct strv *names, struct error *err)
{
	if (!node->packages.install)
		return error_set(err, E_REFUSED, "node.ini: 'install' in [packages] is no");
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

/* Whoever has dpkg's lock: F_GETLK names the process. 0: nobody. */
static pid_t lock_holder(int dir_fd, const char *name)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct error none = ERROR_INIT;
	autoclose int fd = -1;

	if (fs_open(dir_fd, name, O_RDWR, 0, &fd, &none) == -1 || fcntl(fd, F_GETLK, &lock) == -1 ||
	    lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid;
}

static pid_t dpkg_holder(int dir_fd)
{
	pid_t pid = lock_holder(dir_fd, "lock-frontend");

	return pid ? pid : lock_holder(dir_fd, "lock");
}

/* "apt-get (process 123)". The caller frees. */
static char *describe_process(pid_t pid)
{
	autofree char *path = xasprintf("/proc/%d", (int)pid);
	autostrbuf struct strbuf name = STRBUF_INIT, shown = STRBUF_INIT;
	struct error none = ERROR_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(AT_FDCWD, path, &fd, &none) == 0 &&
	    fs_read_file(fd, "comm", 64, &name, &none) == 0)
		name_add_printable(&shown, name.buf, strcspn(name.buf, "\n"));
	return xasprintf("%s (process %d)", shown.len ? shown.buf : "somebody", (int)pid);
}

/* apt waits for it too; here it is said who, and before it is asked whether dpkg was interrupted.
 */
static int wait_for_dpkg(const struct node *node, struct error *err)
{
	int64_t end = clock_ms() + node->packages.lock_ms;
	autoclose int fd = -1;
	pid_t pid, told = 0;

	if (fs_open_dir(AT_FDCWD, node->packages.dpkg, &fd, err) == -1)
		return error_prefix(err, "dpkg's database");
	while ((pid = dpkg_holder(fd)) != 0) {
		autofree char *who = describe_process(pid);

		if (clock_ms() >= end)
			return error_set(
				err, E_BUSY,
				"dpkg is in use by %s on this node; push again when it has "
				"ended",
				who);
		if (pid != told)
			apt_say("waiting: dpkg is in use by %s", who);
		told = pid;
		usleep(PAUSE_MS * 1000);
	}
	return 0;
}

static int open_policy_dir(int *fd, struct error *err)
{
	return fs_open_dir(AT_FDCWD, POLICY_DIR, fd, err);
}

static bool is_our_policy(int dir_fd)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error none = ERROR_INIT;

	return fs_read_file(dir_fd, POLICY, sizeof(policy), &text, &none) == 0 &&
	       strcmp(strbuf_str(&text), policy) == 0;
}

/* The operator's own policy stays. A database elsewhere is another root's. */
static int hold_services(const struct node *node, struct error *err)
{
	autoclose int fd = -1;

	if (strcmp(node->packages.dpkg, DPKG_DIR) != 0)
		return 0;
	if (open_policy_dir(&fd, err) == -1)
		return -1;
	if (fs_exists(fd, POLICY))
		return 0;
	return fs_replace_file(fd, POLICY, policy, strlen(policy), 0755, err);
}

static void release_services(void)
{
	struct error none = ERROR_INIT;
	autoclose int fd = -1;

	if (open_policy_dir(&fd, &none) == 0 && is_our_policy(fd) &&
	    fs_unlink(fd, POLICY, &none) == -1)
		apt_say("'" POLICY_DIR "/" POLICY "' stays: %s", none.text);
}

static int repair(struct apt *apt, struct error *err)
{
	bool interrupted;

	if (dpkg_interrupted(apt->node->packages.dpkg, &interrupted, err) == -1)
		return -1;
	if (!interrupted)
		return 0;
	apt_say("an earlier run of dpkg was cut short: finishing it (dpkg --configure -a)");
	if (apt_configure(apt, err) == -1)
		return error_prefix(err, "finishing an earlier run of dpkg; its operator has to "
					 "look: `dpkg --configure -a`");
	return 0;
}

static int apt_install(struct apt *apt, const struct strv *names, bool download, struct error *err)
{
	autostrv struct strv arguments = STRV_INIT;

	strv_add(&arguments, "-y");
	strv_add(&arguments, "--no-install-recommends");
	strv_add(&arguments, "--no-remove");
	if (download)
		strv_add(&arguments, "--download-only");
	strv_add(&arguments, "install");
	strv_add(&arguments, "--");
	for (size_t i = 0; i < names->n; i++)
		strv_add(&arguments, names->v[i]);
	return apt_run(apt, &arguments, NULL, err);
}

/* Mirrors drop what a newer version replaces, so old lists name what is gone. */
static int download(struct apt *apt, const struct strv *names, struct error *err)
{
	if (apt_install(apt, names, true, err) == 0)
		return 0;
	if (err->code != E_SYSTEM)
		return -1;
	apt_say("it could not be downloaded; once more, with new lists");
	*err = (struct error)ERROR_INIT;
	if (apt_update(apt, err) == -1)
		return -1;
	return apt_install(apt, names, true, err);
}

/* What the gate saw may have changed since. */
static int judge_again(struct apt *apt, const struct strv *names, struct error *err)
{
	struct apt_plan plan;
	size_t refused;

	if (apt_simulate(apt, names, &plan, &refused, err) == -1)
		return -1;
	apt_plan_release(&plan);
	if (refused)
		return error_set(err, E_REFUSED, "%zu package%s cannot be installed", refused,
				 refused == 1 ? "" : "s");
	return 0;
}

static int install(struct apt *apt, const struct strv *names, struct error *err)
{
	int r;

	if (apt_lock(apt, err) == -1 || wait_for_dpkg(apt->node, err) == -1 ||
	    hold_services(apt->node, err) == -1)
		return -1;
	r = repair(apt, err);
	if (r == 0)
		r = judge_again(apt, names, err);
	if (r == 0)
		r = download(apt, names, err);
	if (r == 0)
		r = apt_install(apt, names, false, err);
	if (!apt->goes_on) /* else its packages still ask */
		release_services();
	return r;
}

static int simulate(struct apt *apt, const struct strv *names, struct error *err)
{
	struct apt_plan plan;
	size_t refused;

	if (apt_simulate(apt, names, &plan, &refused, err) == -1)
		return -1;
	if (!refused)
		apt_tell_plan(&plan);
	apt_plan_release(&plan);
	return 0;
}

int machine_packages(const struct node *node, const char *verb, const struct strv *names,
		     struct error *err)
{
	struct apt apt;
	int r;

	if (check_names(node, names, err) == -1 || apt_init(&apt, node, err) == -1)
		return -1;
	if (strcmp(verb, "install") == 0)
		r = install(&apt, names, err);
	else if (strcmp(verb, "simulate") == 0)
		r = simulate(&apt, names, err);
	else
		r = error_set(err, E_USAGE, "packages are simulated, or installed");
	apt_release(&apt);
	return r;
}
