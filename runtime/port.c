#include "runtime/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/fs.h"
#include "common/proc.h"
#include "runtime/inner.h"

#define PORT_MIN     10000
#define PORT_COUNT   20000 /* up to 29999: outgoing connections begin at 32768 */
#define TRIES        100
#define START_MS     10000
#define PAUSE_MIN_MS 10
#define PAUSE_MAX_MS 250
#define CONFIG       "port.conf"

static struct sockaddr_in loopback(unsigned port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

static bool is_free(unsigned port)
{
	const struct sockaddr_in address = loopback(port);
	autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd != -1 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

int port_choose(unsigned *port, struct error *err)
{
	for (int i = 0; i < TRIES; i++) {
		unsigned number;

		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return error_sys(err, errno, "cannot choose a port");
		*port = PORT_MIN + number % PORT_COUNT;
		if (is_free(*port))
			return 0;
	}
	return error_set(err, E_SYSTEM, "there is no free port on 127.0.0.1");
}

/* `verb` PORT RUN_DIR TMP_DIR WAIT_MS, with the socket as fd 3. */
static int start_self(char *const *words, const char *verb, int listen_fd, pid_t *pid,
		      struct error *err)
{
	autofree char *program = proc_program("silver-exec");
	autostrv struct strv argv = STRV_INIT;
	const struct proc_fd fds[] = {{listen_fd, 3}};
	char *const envp[] = {(char[]){"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, NULL};
	struct proc_spec spec = {.path = program,
				 .envp = envp,
				 .in = -1,
				 .out = 1,
				 .err = 2,
				 .fds = fds,
				 .n_fds = 1};

	strv_add(&argv, "silver-exec");
	strv_add(&argv, verb);
	for (; *words; words++)
		strv_add(&argv, *words);
	spec.argv = strv_argv(&argv);
	return proc_start(&spec, pid, err);
}

/* By way of one that starts another and ends: a program that waits for all its children must not
 * meet one that it never had. */
int port_start_helper(unsigned port, const char *run_dir, const char *tmp_dir, int wait_ms,
		      int listen_fd, struct error *err)
{
	autostrv struct strv words = STRV_INIT;
	pid_t pid;
	int status;

	strv_addf(&words, "%u", port);
	strv_add(&words, run_dir);
	strv_add(&words, tmp_dir);
	strv_addf(&words, "%d", wait_ms);
	if (start_self(strv_argv(&words), "port", listen_fd, &pid, err) == -1 ||
	    proc_wait(pid, START_MS, &status, err) == -1)
		return -1;
	return status == 0 ? 0 : error_set(err, E_SYSTEM, "the helper for $PORT did not start");
}

static bool answers(unsigned port)
{
	const struct sockaddr_in address = loopback(port);
	autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd != -1 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool wait_for_port(unsigned port, int wait_ms)
{
	int64_t deadline = clock_ms() + wait_ms;
	useconds_t pause_ms = PAUSE_MIN_MS;

	while (!answers(port)) {
		if (clock_ms() >= deadline)
			return false;
		usleep(pause_ms * 1000);
		pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
	}
	return true;
}

/* Headers pass as the front has set them; nothing is buffered twice. */
static int write_config(const char *run_dir, const char *tmp_dir, unsigned port, struct error *err)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	autoclose int fd = -1;

	inner_begin(&s, tmp_dir);
	strbuf_addstr(&s, "\tunderscores_in_headers on;\n"
			  "\tmap $http_upgrade $silver_connection {\n"
			  "\t\tdefault upgrade;\n\t\t\"\" close;\n\t}\n");
	inner_begin_server(&s);
	strbuf_addf(&s, "\t\tlocation / {\n\t\t\tproxy_pass http://127.0.0.1:%u;\n", port);
	strbuf_addstr(&s, "\t\t\tproxy_http_version 1.1;\n\t\t\tproxy_buffering off;\n"
			  "\t\t\tproxy_request_buffering off;\n\t\t\tproxy_read_timeout 1h;\n"
			  "\t\t\tproxy_set_header Host $http_host;\n"
			  "\t\t\tproxy_set_header Upgrade $http_upgrade;\n"
			  "\t\t\tproxy_set_header Connection $silver_connection;\n"
			  "\t\t}\n\t}\n}\n");
	if (fs_open_dir(AT_FDCWD, run_dir, &fd, err) == -1)
		return -1;
	return fs_replace_file(fd, CONFIG, s.buf, s.len, 0644, err);
}

static int become_nginx(const char *run_dir, const char *tmp_dir, struct error *err)
{
	autofree char *config = xasprintf("%s/" CONFIG, run_dir);
	autofree char *prefix = xasprintf("%s/", tmp_dir);
	autostrv struct strv argv = STRV_INIT;

	if (chdir(tmp_dir) == -1)
		return error_sys(err, errno, "cannot enter '%s'", tmp_dir);
	inner_argv(prefix, config, &argv);
	execvpe("nginx", strv_argv(&argv), inner_env);
	return error_sys(err, errno, "cannot run nginx");
}

int port_main(int argc, char **argv, struct error *err)
{
	uint64_t port, wait_ms;
	pid_t pid;

	if (argc != 6 || !str_to_uint(argv[2], 65535, &port) ||
	    !str_to_uint(argv[5], INT32_MAX, &wait_ms))
		return error_set(err, E_USAGE, "silver-exec port: started by hand");
	if (strcmp(argv[1], "port") == 0)
		return start_self(argv + 2, "port-wait", 3, &pid, err);
	if (!wait_for_port((unsigned)port, (int)wait_ms))
		return 0; /* it serves the socket itself, or not at all, which the health check says
			   */
	if (write_config(argv[3], argv[4], (unsigned)port, err) == -1)
		return -1;
	return become_nginx(argv[3], argv[4], err);
}
