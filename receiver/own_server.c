#include "receiver/own_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/address.h"
#include "common/fs.h"
#include "common/lock.h"
#include "common/log.h"
#include "common/proc.h"
#include "receiver/accounts.h"
#include "receiver/errand.h"
#include "runtime/s6.h"
#include "services/server.h"

#define MAKE_MS    280000
#define READY_MS   130000
#define ANSWER_MAX (1 << 20)
#define PORT_MIN   20000
#define PORT_MAX   32000
#define PORT_TRIES 100

static int make_id(int fd, struct error *err)
{
	unsigned char bytes[8];
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (fs_exists(fd, "id"))
		return 0;
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return error_sys(err, errno, "cannot name this node");
	for (size_t i = 0; i < sizeof(bytes); i++)
		strbuf_addf(&text, "%02x", bytes[i]);
	return fs_replace_file(fd, "id", text.buf, text.len, 0644, err);
}

static int take_lock(int services_fd, int *out, struct error *err)
{
	autoclose int fd = -1;

	if (fs_open(services_fd, "lock", O_RDWR | O_CREAT, 0600, &fd, err) == -1 ||
	    lock_take(fd, "silver: making a server", MAKE_MS, err) == -1)
		return -1;
	*out = steal_fd(&fd);
	return 0;
}

int own_server_prepare(const struct node *node, struct error *err)
{
	autoclose int fd = -1, lock_fd = -1;

	if (fs_open_dir(node->fd, "services", &fd, err) == 0 && fs_exists(fd, "id"))
		return 0;
	if (fs_ensure_dir(node->fd, "services", 0755, NULL, err) == -1 ||
	    fs_sync(node->fd, err) == -1)
		return -1;
	fd_close(&fd);
	if (fs_open_dir(node->fd, "services", &fd, err) == -1 || take_lock(fd, &lock_fd, err) == -1)
		return -1;
	return make_id(fd, err);
}

int own_server_user(const char *name, const char *about, struct runner *out, struct error *err)
{
	*out = (struct runner){geteuid(), getegid()};
	if (geteuid() != 0)
		return 0;
	return accounts_ensure_system(name, about, &out->uid, &out->gid, err);
}

/* What it said, as the text of an error. */
static int failed(int said_fd, int status, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error unread = ERROR_INIT;
	const char *from;

	if (lseek(said_fd, 0, SEEK_SET) == -1 ||
	    strbuf_read_fd(&text, said_fd, ANSWER_MAX, &unread) == -1 || !text.len)
		return error_set(err, E_SYSTEM, "silver-service ended with status %d", status);
	while (text.len && text.buf[text.len - 1] == '\n')
		text.buf[--text.len] = '\0';
	from = str_starts(text.buf, "silver: ") ? text.buf + strlen("silver: ") : text.buf;
	return error_set(err, error_code_from(status), "%s", from);
}

static int start_service(const struct node *node, const struct own_server_call *call, int out,
			 int said, pid_t *pid, struct error *err)
{
	autofree char *program = proc_program("silver-service");
	autostrv struct strv argv = STRV_INIT, env = STRV_INIT;
	struct proc_spec spec = {.path = program,
				 .in = call->in,
				 .out = out,
				 .err = said,
				 .fds = call->fds,
				 .n_fds = call->n_fds,
				 .drop = geteuid() == 0,
				 .uid = call->user.uid,
				 .gid = call->user.gid,
				 .ends_with_us = true};

	strv_add(&argv, "silver-service");
	strv_add(&argv, "--dir");
	strv_add(&argv, node->dir);
	for (const char *const *word = call->words; *word; word++)
		strv_add(&argv, *word);
	strv_add(&env, "PATH=" CHILD_PATH);
	strv_add(&env, "LANG=C.UTF-8");
	strv_add(&env, "HOME=/nonexistent");
	for (size_t i = 0; call->env && i < call->env->n; i++)
		strv_add(&env, call->env->v[i]);
	spec.argv = strv_argv(&argv);
	spec.envp = strv_argv(&env);
	return proc_start(&spec, pid, err);
}

int own_server_call(const struct node *node, const struct own_server_call *call, struct error *err)
{
	autoclose int out = memfd_create("answer", MFD_CLOEXEC);
	autoclose int said = memfd_create("said", MFD_CLOEXEC);
	struct error late = ERROR_INIT;
	pid_t pid;
	int status;

	if (out == -1 || said == -1)
		return error_sys(err, errno, "cannot make a file in memory");
	if (start_service(node, call, out, said, &pid, err) == -1)
		return -1;
	if (proc_wait(pid, call->timeout_ms, &status, err) == -1) {
		kill(pid, SIGKILL);
		return proc_wait(pid, -1, &status, &late) == -1
			       ? -1
			       : error_set(err, E_SYSTEM, "it did not end within %d s",
					   call->timeout_ms / 1000);
	}
	if (status != 0)
		return failed(said, status, err);
	if (!call->answer)
		return 0;
	if (lseek(out, 0, SEEK_SET) == -1)
		return error_sys(err, errno, "cannot read the answer");
	return strbuf_read_fd(call->answer, out, ANSWER_MAX, err);
}

/* services/NAME/NEW, empty and of its user. */
static int make_user_dir(int server_fd, const char *name, const struct runner *user,
			 struct error *err)
{
	autoclose int fd = -1;

	if (fs_ensure_dir(server_fd, name, 0700, &fd, err) == -1)
		return -1;
	if (geteuid() == 0 && fchown(fd, user->uid, user->gid) == -1)
		return error_sys(err, errno, "cannot give '%s' to its user", name);
	return 0;
}

/* `data.new` becomes `data` when all in it is on disk: a server that was half made is made anew. */
static int make_data(const struct node *node, int server_fd, const char *name,
		     const struct runner *user, struct error *err)
{
	const char *const words[] = {"make", name, NULL};
	const struct own_server_call call = {
		.words = words, .user = *user, .in = -1, .timeout_ms = MAKE_MS};

	if (fs_exists(server_fd, "data"))
		return 0;
	if (fs_remove_tree(server_fd, "data.new", err) == -1 ||
	    make_user_dir(server_fd, "data.new", user, err) == -1 ||
	    own_server_call(node, &call, err) == -1 || fs_sync_all(server_fd, err) == -1)
		return -1;
	return fs_rename_sync(server_fd, "data.new", server_fd, "data", err);
}

/* Below the ports that the kernel gives to whoever asks for any: nobody takes it while the server
 * is down. */
static int free_port(unsigned *out, struct error *err)
{
	for (int left = PORT_TRIES; left > 0; left--) {
		uint32_t any = 0;
		autofree char *text = NULL;
		union address address;
		autoclose int fd = -1;

		if (getrandom(&any, sizeof(any), 0) != sizeof(any))
			return error_sys(err, errno, "cannot choose a port");
		*out = PORT_MIN + any % (PORT_MAX - PORT_MIN);
		text = xasprintf("127.0.0.1:%u", *out);
		if (address_bind(text, "service", &address, &fd, err) == 0)
			return 0;
	}
	return -1;
}

static int write_port(int server_fd, const char *name, struct error *err)
{
	autofree char *text = NULL;
	unsigned port = 0;

	if (!server_wants_port(name) || fs_exists(server_fd, "port"))
		return 0;
	if (free_port(&port, err) == -1)
		return -1;
	text = xasprintf("%u", port);
	return fs_replace_file(server_fd, "port", text, strlen(text), 0644, err);
}

static int write_command(const struct node *node, int server_fd, const char *name,
			 struct error *err)
{
	autoplace struct server_place place = {0};
	autostrbuf struct strbuf text = STRBUF_INIT;

	if (server_find(node, name, &place, err) == -1)
		return -1;
	server_command(&place, &text);
	return fs_replace_file(server_fd, "command", text.buf, text.len, 0644, err);
}

static int make_server(const struct node *node, int services_fd, const char *name,
		       struct error *err)
{
	autoplace struct server_place place = {0};
	autoclose int fd = -1;
	struct runner user;

	if (server_find(node, name, &place, err) == -1 ||
	    own_server_user(server_user(name), "a server of silver apps", &user, err) == -1)
		return -1;
	if (fs_ensure_dir(services_fd, name, 0755, &fd, err) == -1 ||
	    fs_sync(services_fd, err) == -1 || make_user_dir(fd, "log", &user, err) == -1 ||
	    write_port(fd, name, err) == -1 || make_data(node, fd, name, &user, err) == -1)
		return -1;
	return write_command(node, fd, name, err);
}

static int await(const struct node *node, const char *name, struct error *err)
{
	const char *const words[] = {"ready", name, NULL};
	struct own_server_call call = {.words = words, .in = -1, .timeout_ms = READY_MS};

	if (server_runner(node, name, &call.user, err) == -1)
		return -1;
	return own_server_call(node, &call, err);
}

int own_server_ensure(const struct node *node, const char *name, struct error *err)
{
	autofree char *command = xasprintf("services/%s/command", name);
	autoclose int fd = -1, lock_fd = -1;

	if (fs_open_dir(node->fd, "services", &fd, err) == -1 || take_lock(fd, &lock_fd, err) == -1)
		return -1;
	if (!fs_exists(node->fd, command) && make_server(node, fd, name, err) == -1)
		return error_prefix(err, "making a server");
	fd_close(&lock_fd);
	if (s6_server_start(node, name, err) == -1)
		return -1;
	return await(node, name, err);
}

void own_server_await_all(const struct node *node)
{
	autostrv struct strv names = STRV_INIT;
	struct error err = ERROR_INIT;

	if (server_list(node, &names, &err) == -1)
		log_line("%s", err.text);
	for (size_t i = 0; i < names.n; i++)
		if (await(node, names.v[i], &err) == -1)
			log_line("the server '%s' does not run: %s (%s/services/%s/log)",
				 names.v[i], err.text, node->dir, names.v[i]);
}
