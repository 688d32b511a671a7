#include "receiver/tls_call.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/proc.h"
#include "receiver/errand.h"
#include "runtime/front.h"

enum { SAID_MAX = 16 << 10 };

/* Where it fails, what it said is the reason. */
static int await(pid_t pid, int said_fd, struct error *err)
{
	autostrbuf struct strbuf said = STRBUF_INIT;
	const char *text;
	int status;

	if (proc_wait(pid, -1, &status, err) == -1)
		return -1;
	if (status == 0)
		return 0;
	if (lseek(said_fd, 0, SEEK_SET) == -1 || strbuf_read_fd(&said, said_fd, SAID_MAX, err) ||
	    said.len == 0)
		return error_set(err, E_SYSTEM, "silver-tls ended with status %d", status);
	for (size_t i = 0, line = 0; i < said.len; i++) { /* each line has the prefix */
		line = i == 0 || said.buf[i - 1] == '\n' ? i : line;
		if (line == i && str_starts(said.buf + i, "silver: ")) {
			memmove(said.buf + i, said.buf + i + 8, said.len - i - 8 + 1);
			said.len -= 8;
		}
	}
	while (said.len && said.buf[said.len - 1] == '\n')
		said.buf[--said.len] = '\0';
	text = strbuf_str(&said);
	return error_set(err, error_code_from(status), "%s", text);
}

int tls_call(const struct node *node, const char *verb, char *const *words, size_t n, int out_fd,
	     struct error *err)
{
	autofree char *program = proc_program("silver-tls");
	const char *input = getenv("SILVER_INPUT");
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	autoclose int said_fd = memfd_create("said", MFD_CLOEXEC);
	struct proc_spec spec = {.path = program,
				 .in = STDIN_FILENO,
				 .out = out_fd,
				 .err = said_fd,
				 .drop = geteuid() == 0};
	pid_t pid;

	if (said_fd == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	if (front_identity(&spec.uid, &spec.gid, err) == -1)
		return -1;
	strv_add(&argv, "silver-tls");
	strv_add(&argv, "--dir");
	strv_add(&argv, node->dir);
	strv_add(&argv, verb);
	for (size_t i = 0; i < n; i++)
		strv_add(&argv, words[i]);
	strv_add(&env, "PATH=" CHILD_PATH);
	strv_add(&env, "LANG=C.UTF-8");
	if (input)
		strv_addf(&env, "SILVER_INPUT=%s", input);
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&env);
	if (proc_start(&spec, &pid, err) == -1)
		return -1;
	return await(pid, said_fd, err);
}
