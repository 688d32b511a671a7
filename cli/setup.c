/* setup.c - `silver setup-node`, `node-status`, `uninstall`: a bare machine becomes a node, is
 * looked at, and is one no more. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include "cli/command.h"
#include "cli/machine.h"
#include "cli/tool.h"
#include "common/fs.h"
#include "common/names.h"

/* --- the package -------------------------------------------------------------------------------
 */

/* Beside the program that was built, or in ./build. */
static char *find_package(void)
{
	autofree char *self = realpath("/proc/self/exe", NULL);
	autofree char *beside = NULL;
	const char *patterns[] = {NULL, "build/silver_*.deb", "silver_*.deb"};
	char *found = NULL;

	if (self) {
		*strrchr(self, '/') = '\0';
		beside = xasprintf("%s/silver_*.deb", self);
		patterns[0] = beside;
	}
	for (size_t i = 0; i < ARRAY_SIZE(patterns) && !found; i++) {
		glob_t names;

		if (!patterns[i] || glob(patterns[i], 0, NULL, &names) != 0)
			continue;
		found = xstrdup(names.gl_pathv[0]);
		globfree(&names);
	}
	return found;
}

static int open_package(const struct call *call, int *out, struct error *err)
{
	const char *said = args_value(&call->args, "--deb");
	autofree char *path = said ? xstrdup(said) : find_package();

	if (!path)
		return error_set(err, E_NOTFOUND,
				 "which package? `make deb` in silver's sources makes one; "
				 "--deb FILE names it");
	*out = open(path, O_RDONLY | O_CLOEXEC);
	if (*out == -1)
		return error_sys(err, errno, "cannot open '%s'", path);
	return 0;
}

/* The version in the name of a package here; NULL: there is none. The caller frees. */
static char *package_version(void)
{
	autofree char *path = find_package();
	const char *from = path ? strrchr(path, '/') : NULL, *to;

	from = from ? strchr(from, '_') : path ? strchr(path, '_') : NULL;
	to = from ? strrchr(from, '_') : NULL;
	return to && to > from ? xstrndup(from + 1, (size_t)(to - from) - 1) : NULL;
}

static int find_user(const struct call *call, char **out, struct error *err)
{
	const struct passwd *me = getpwuid(getuid());
	const char *said = args_value(&call->args, "--user");

	*out = xstrdup(said ? said : me ? me->pw_name : "admin");
	return name_check_user(*out, err);
}

/* --- words -------------------------------------------------------------------------------------
 */

/* By which silver reaches the node: its host with the port of the node's ssh. */
static char *node_name(const struct machine *m)
{
	const char *ssh = machine_fact(m, "ssh"), *port = strrchr(ssh, ':');

	return strchr(m->host, ':') ? xasprintf("[%s]%s", m->host, port ? port : "")
				    : xasprintf("%s%s", m->host, port ? port : "");
}

static int pin(const struct machine *m, struct error *err)
{
	autofree char *node = node_name(m);
	const char *key = machine_fact(m, "hostkey");
	bool added;

	if (!*key)
		return 0;
	if (known_pin(node, key, &added, err) == -1)
		return -1;
	if (added)
		printf("its host key is in your known_hosts\n");
	return 0;
}

static int setup(const struct call *call, struct machine *m, struct error *err)
{
	const struct args *a = &call->args;
	const char *ssh = args_value(a, "--ssh"), *http = args_value(a, "--http");
	const char *domain = args_value(a, "--domain");
	autostrbuf struct strbuf key = STRBUF_INIT;
	autofree char *user = NULL;
	autoclose int deb = -1;

	if (!ssh)
		ssh = m->ssh;
	if (!http)
		http = m->http;
	if (find_key(args_value(a, "--key"), &key, err) == -1 ||
	    find_user(call, &user, err) == -1 || (domain && name_check_host(domain, err) == -1) ||
	    open_package(call, &deb, err) == -1)
		return -1;
	const char *const words[] = {"setup",          strbuf_str(&key),     user, ssh ? ssh : "",
				     http ? http : "", domain ? domain : "", NULL};
	return machine_run(m, words, deb, err);
}

int cmd_setup_node(struct call *call, struct error *err)
{
	automachine struct machine m = {0};

	if (machine_open(&m, call->args.words.v[0], err) == -1 || setup(call, &m, err) == -1 ||
	    pin(&m, err) == -1)
		return -1;
	autofree char *node = node_name(&m);
	if (!strcmp(machine_fact(&m, "changed"), "0")) {
		printf("%s is a node with silver %s: nothing was changed\n", m.host,
		       machine_fact(&m, "version"));
		return 0;
	}
	printf("%s is a node with silver %s\n\nIn an application's checkout:\n\n"
	       "    silver remote add %s\n    git push silver master\n",
	       m.host, machine_fact(&m, "version"), node);
	return 0;
}

int cmd_node_status(struct call *call, struct error *err)
{
	const char *const words[] = {"status", NULL};
	automachine struct machine m = {0};
	autofree char *here = package_version();

	if (machine_open(&m, call->args.words.v[0], err) == -1 ||
	    machine_run(&m, words, -1, err) == -1)
		return -1;
	const char *version = machine_fact(&m, "version");
	if (!*version)
		return error_set(err, E_NOTFOUND, "no silver on %s: `silver setup-node %s`", m.host,
				 call->args.words.v[0]);
	printf("%s: silver %s, silverd %s, applications %s, %s live; ssh %s, http %s\n", m.host,
	       version, machine_fact(&m, "silverd"), machine_fact(&m, "apps"),
	       machine_fact(&m, "live"), machine_fact(&m, "ssh"), machine_fact(&m, "http"));
	if (strcmp(machine_fact(&m, "silverd"), "active") != 0 ||
	    strcmp(machine_fact(&m, "apps"), "active") != 0)
		call->status = 1;
	if (here && strcmp(here, version) != 0) {
		printf("the package here is %s: `silver setup-node %s` installs it\n", here,
		       call->args.words.v[0]);
		call->status = 1;
	}
	return 0;
}

int cmd_uninstall(struct call *call, struct error *err)
{
	const char *const words[] = {"uninstall", NULL};
	automachine struct machine m = {0};

	if (machine_open(&m, call->args.words.v[0], err) == -1)
		return -1;
	if (!args_has(&call->args, "--yes"))
		return error_set(err, E_REFUSED,
				 "this would end the applications on %s and remove silver; "
				 "/var/lib/silver stays. `silver uninstall %s --yes` does it",
				 m.host, call->args.words.v[0]);
	if (machine_run(&m, words, -1, err) == -1)
		return -1;
	if (!strcmp(machine_fact(&m, "changed"), "0"))
		printf("no silver on %s: nothing was changed\n", m.host);
	return 0;
}
