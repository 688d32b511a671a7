/* known.c - the host key of a node in the known_hosts file of ssh. It came by a connection that was
 * proven by another key, so nobody has to say yes to a fingerprint. */
#include <errno.h>
#include <fcntl.h>
#include "cli/ask.h"
#include "cli/machine.h"
#include "cli/tool.h"
#include "common/fs.h"

/* The first file that ssh would write to, as its configuration says. The caller frees; NULL: an
 * error. */
static char *find_file(const char *user, const char *host, const char *port, struct error *err)
{
	static const char key[] = "\nuserknownhostsfile ";
	autostrv struct strv argv = STRV_INIT;
	autostrbuf struct strbuf said = STRBUF_INIT;
	struct tool ssh = {.argv = NULL};
	const char *at;
	int status;

	strbuf_addch(&said, '\n');
	if (ask_ssh(NULL, NULL, &argv, err) == -1)
		return NULL;
	strv_add(&argv, "-G");
	strv_add(&argv, "-p");
	strv_add(&argv, port);
	strv_addf(&argv, "%s@%s", user, host);
	ssh.argv = strv_argv(&argv);
	if (tool_capture(&ssh, NULL, &said, NULL, &status, err) == -1)
		return NULL;
	at = strstr(strbuf_str(&said), key);
	if (status != 0 || !at) {
		error_set(err, E_SYSTEM, "'%s -G %s' does not say where known hosts are", argv.v[0],
			  host);
		return NULL;
	}
	at += strlen(key);
	return xstrndup(at, strcspn(at, " \n"));
}

/* What the file has of that name, hashed or not. */
static int look_up(const char *file, const char *name, struct strbuf *out, struct error *err)
{
	const char *const words[] = {"ssh-keygen", "-F", name, "-f", file, NULL};
	autostrv struct strv argv = STRV_INIT;
	struct tool keygen = {.argv = NULL};
	int status;

	for (const char *const *word = words; *word; word++)
		strv_add(&argv, *word);
	keygen.argv = strv_argv(&argv);
	return tool_capture(&keygen, NULL, out, NULL, &status, err);
}

static int append(const char *file, const char *name, const char *key, struct error *err)
{
	autofree char *line = xasprintf("%s %s\n", name, key), *dir = xstrdup(file);
	char *slash = strrchr(dir, '/');
	autoclose int fd = -1;

	if (slash && slash != dir) {
		*slash = '\0';
		if (mkdir(dir, 0700) == -1 && errno != EEXIST)
			return error_sys(err, errno, "cannot make '%s'", dir);
	}
	fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd == -1)
		return error_sys(err, errno, "cannot open '%s'", file);
	return fs_write_all(fd, line, strlen(line), err);
}

int known_pin(const char *node, const char *key, bool *added, struct error *err)
{
	autofree char *user = NULL, *host = NULL, *port = NULL, *file = NULL, *name = NULL;
	autostrbuf struct strbuf there = STRBUF_INIT;

	*added = false;
	if (ask_split_node(node, &user, &host, &port, err) == -1)
		return -1;
	file = find_file(user, host, port ? port : "22", err);
	if (!file)
		return -1;
	name = port && strcmp(port, "22") != 0 ? xasprintf("[%s]:%s", host, port) : xstrdup(host);
	if (look_up(file, name, &there, err) == -1)
		return -1;
	if (strstr(strbuf_str(&there), key))
		return 0;
	if (strstr(strbuf_str(&there), " ssh-ed25519 "))
		return error_set(err, E_REFUSED,
				 "%s has another host key for %s; if the node was made anew: "
				 "ssh-keygen -R '%s' -f %s",
				 file, name, name, file);
	*added = true;
	return append(file, name, key, err);
}
