#include "cli/tool.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include "common/fs.h"
#include "common/proc.h"

#define OUTPUT_MAX (1u << 30)

extern char **environ;

static bool is_program(const char *path)
{
	struct stat st; /* a directory may be "executable" too */

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *tool_find(const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return is_program(name) ? xstrdup(name) : NULL;
	for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; *at;) {
		size_t len = strcspn(at, ":");
		autofree char *full = xasprintf("%.*s/%s", (int)len, len ? at : ".", name);

		if (is_program(full))
			return steal_ptr(&full);
		at += len + (at[len] == ':');
	}
	return NULL;
}

static bool same_name(const char *a, const char *b)
{
	size_t len = strcspn(a, "=");

	return strcspn(b, "=") == len && !memcmp(a, b, len);
}

static void compose_env(char *const *over, struct strv *env)
{
	for (char **e = environ; *e; e++) {
		bool replaced = false;

		for (char *const *o = over; o && *o && !replaced; o++)
			replaced = same_name(*e, *o);
		if (!replaced)
			strv_add(env, *e);
	}
	for (char *const *o = over; o && *o; o++)
		if (strchr(*o, '='))
			strv_add(env, *o);
}

int tool_start(const struct tool *tool, pid_t *pid, struct error *err)
{
	autofree char *path = tool_find(tool->argv[0]);
	autostrv struct strv env = STRV_INIT;
	struct proc_spec spec = {.path = path,
				 .argv = tool->argv,
				 .in = tool->in,
				 .out = tool->out,
				 .err = tool->err,
				 .cwd = tool->dir ? tool->dir : ".",
				 .new_session = tool->own_session,
				 .keep_umask = true};

	if (!path)
		return error_set(err, E_SYSTEM, "there is no program '%s' in your PATH",
				 tool->argv[0]);
	compose_env(tool->env, &env);
	spec.envp = strv_argv(&env);
	return proc_start(&spec, pid, err);
}

int tool_run(const struct tool *tool, int *status, struct error *err)
{
	void (*was)(int) = signal(SIGINT, SIG_IGN);
	pid_t pid = -1;
	int r = tool_start(tool, &pid, err);

	if (r == 0)
		r = proc_wait(pid, -1, status, err);
	signal(SIGINT, was);
	return r;
}

static int scratch(const struct strbuf *content, int *out, struct error *err)
{
	*out = memfd_create("silver", MFD_CLOEXEC);
	if (*out == -1)
		return error_sys(err, errno, "cannot make a temporary file");
	if (!content || content->len == 0)
		return 0;
	if (fs_write_all(*out, content->buf, content->len, err) == -1)
		return -1;
	return lseek(*out, 0, SEEK_SET) == -1 ? error_sys(err, errno, "cannot rewind") : 0;
}

static int collect(int fd, struct strbuf *out, struct error *err)
{
	if (!out)
		return 0;
	if (lseek(fd, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot rewind");
	return strbuf_read_fd(out, fd, OUTPUT_MAX, err);
}

int tool_capture(const struct tool *tool, const struct strbuf *input, struct strbuf *out,
		 struct strbuf *err_out, int *status, struct error *err)
{
	autoclose int in_fd = -1, out_fd = -1, err_fd = -1;
	struct tool own = *tool;

	if (scratch(input, &in_fd, err) == -1 || scratch(NULL, &out_fd, err) == -1 ||
	    scratch(NULL, &err_fd, err) == -1)
		return -1;
	own.in = in_fd;
	own.out = out_fd;
	own.err = err_fd;
	if (tool_run(&own, status, err) == -1 || collect(out_fd, out, err) == -1)
		return -1;
	return collect(err_fd, err_out, err);
}

int tool_answer(const struct tool *tool, struct strbuf *out, int *status, struct error *err)
{
	autoclose int fd = -1;
	struct tool own = *tool;

	if (scratch(NULL, &fd, err) == -1)
		return -1;
	own.out = fd;
	if (tool_run(&own, status, err) == -1)
		return -1;
	return collect(fd, out, err);
}
