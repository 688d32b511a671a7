#include "runtime/server.h"

#include <errno.h>
#include <linux/close_range.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/fs.h"

#define COMMAND_MAX 65536

int server_list(const struct node *node, struct strv *names, struct error *err)
{
	autostrv struct strv all = STRV_INIT;
	autoclose int fd = -1;

	if (fs_open_dir(node->fd, "services", &fd, err) == -1)
		return err->code == E_NOTFOUND ? 0 : -1;
	if (fs_list(fd, &all, err) == -1)
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		autofree char *command = xasprintf("services/%s/command", all.v[i]);

		if (server_is_name(all.v[i]) && fs_exists(node->fd, command))
			strv_add(names, all.v[i]);
	}
	return 0;
}

bool server_is_name(const char *service)
{
	return service[0] >= 'a' && service[0] <= 'z' && !strchr(service, '.') &&
	       strcmp(service, "nginx") != 0;
}

int server_runner(const struct node *node, const char *name, struct runner *out, struct error *err)
{
	autofree char *path = xasprintf("services/%s/data", name);
	autoclose int fd = -1;
	struct stat st;

	*out = (struct runner){0, 0};
	if (fs_open_dir(node->fd, path, &fd, err) == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		return error_sys(err, errno, "cannot stat '%s'", path);
	if (st.st_uid == 0)
		return error_set(err, E_SYSTEM, "'%s' belongs to root, who runs no server", path);
	*out = (struct runner){st.st_uid, st.st_gid};
	return 0;
}

int server_prepare(const struct node *node, const char *name, struct error *err)
{
	autoclose int run_fd = -1, fd = -1;
	struct runner runner;

	if (server_runner(node, name, &runner, err) == -1 ||
	    fs_open_dir(node->fd, "run", &run_fd, err) == -1 ||
	    fs_ensure_dir(run_fd, name, 0755, &fd, err) == -1)
		return -1;
	if (geteuid() == 0 && fchown(fd, runner.uid, runner.gid) == -1)
		return error_sys(err, errno, "cannot give 'run/%s' away", name);
	return 0;
}

static int read_command(const struct node *node, const char *name, struct strv *words,
			struct error *err)
{
	autofree char *path = xasprintf("services/%s/command", name);
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (fs_read_file(node->fd, path, COMMAND_MAX, &text, err) == -1)
		return -1;
	if (text.len == 0 || text.buf[text.len - 1] != '\0')
		return error_set(err, E_SYSTEM, "'%s' is cut", path);
	for (size_t at = 0; at < text.len; at += strlen(text.buf + at) + 1)
		strv_add(words, text.buf + at);
	return words->n >= 2 ? 0 : error_set(err, E_SYSTEM, "'%s' names no program", path);
}

int server_signal(const struct node *node, const char *name, char **out, struct error *err)
{
	autostrv struct strv words = STRV_INIT;

	if (read_command(node, name, &words, err) == -1)
		return -1;
	*out = xstrdup(words.v[0]);
	return 0;
}

static int enter(const struct node *node, const char *name, const char *what, struct error *err)
{
	autofree char *path = xasprintf("services/%s/%s", name, what);
	autoclose int fd = -1;
	struct runner runner;

	if (server_runner(node, name, &runner, err) == -1 || runner_become(&runner, err) == -1 ||
	    fs_open_dir(node->fd, path, &fd, err) == -1)
		return -1;
	if (fchdir(fd) == -1)
		return error_sys(err, errno, "cannot enter '%s'", path);
	return 0;
}

int server_exec(const struct node *node, const char *name, struct error *err)
{
	autostrv struct strv words = STRV_INIT, env = STRV_INIT;
	char *const *argv;

	if (read_command(node, name, &words, err) == -1 || enter(node, name, "data", err) == -1)
		return -1;
	strv_add(&env, "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
	strv_add(&env, "LANG=C.UTF-8");
	strv_addf(&env, "HOME=%s/services/%s/data", node->dir, name);
	umask(077);
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		return error_sys(err, errno, "cannot close descriptors");
	environ = env.v;
	argv = strv_argv(&words) + 1;
	execv(argv[0], argv);
	return error_sys(err, errno, "cannot run '%s'", argv[0]);
}

int server_exec_log(const struct node *node, const char *name, struct error *err)
{
	char *const argv[] = {(char[]){"s6-log"}, (char[]){"n10"}, (char[]){"s1000000"},
			      (char[]){"T"},      (char[]){"."},   NULL};

	if (enter(node, name, "log", err) == -1)
		return -1;
	umask(077);
	execvp("s6-log", argv);
	return error_sys(err, errno, "cannot run s6-log");
}
