/* silver-session - one SSH connection, in a sandbox; docs/CONTRACT.md says how silverd talks to it.
 *
 * Exit status: 0 the connection was served, or none came; 1 nobody logged in; 2 usage; 6 the
 * system, the monitor or libssh failed (reason on stderr). */
#include <getopt.h>
#include <malloc.h>
#include "receiver/sandbox.h"
#include "receiver/session_monitor.h"
#include "receiver/ssh_conn.h"
#include "receiver/ssh_server.h"

#define MONITOR_FD 3

static int parse_id(const char *name, const char *text, unsigned *out, struct error *err)
{
	uint64_t n;

	if (!str_to_uint(text, UINT32_MAX - 1, &n) || n == 0)
		return error_set(err, E_USAGE, "--%s needs a number above 0, not '%s'", name, text);
	*out = (unsigned)n;
	return 0;
}

static int parse(int argc, char **argv, struct sandbox *box, struct error *err)
{
	static const struct option options[] = {
		{"root", required_argument, NULL, 'r'},
		{"uid", required_argument, NULL, 'u'},
		{"gid", required_argument, NULL, 'g'},
		{NULL, 0, NULL, 0},
	};
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			box->root = optarg;
		else if (c == 'u')
			r = parse_id("uid", optarg, &box->uid, err);
		else if (c == 'g')
			r = parse_id("gid", optarg, &box->gid, err);
		else
			r = error_set(err, E_USAGE,
				      "usage: silver-session [--root DIR --uid U --gid G] (silverd "
				      "starts it)");
	}
	if (r == 0 && (box->root != NULL) != (box->uid && box->gid))
		r = error_set(err, E_USAGE, "--root, --uid and --gid go together");
	if (r == 0 && !box->root && geteuid() == 0)
		r = error_set(err, E_USAGE, "root needs --root, --uid and --gid");
	return r;
}

/* Large blocks go back to the system when they are freed, whatever was freed before. */
static void keep_memory_small(void)
{
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	mallopt(M_TRIM_THRESHOLD, 256 << 10);
}

static int run(struct sandbox *box, bool *logged_in, struct error *err)
{
	static struct session_monitor monitor = {.fd = MONITOR_FD};
	struct session_serve serve;
	int r;

	keep_memory_small();
	if (ssh_conn_warm_up(err) == -1 || sandbox_enter(box, err) == -1)
		return -1;
	r = session_monitor_wait(&monitor, &serve, err);
	if (r != 1)
		return r;
	return ssh_server_run(&serve, &monitor, logged_in, err);
}

int main(int argc, char **argv)
{
	struct sandbox box = {NULL, 0, 0};
	struct error err = ERROR_INIT;
	bool logged_in = true;
	int status;

	if (parse(argc, argv, &box, &err) == -1 || run(&box, &logged_in, &err) == -1)
		status = error_report(&err);
	else
		status = logged_in ? E_OK : E_REFUSED;
	_exit(status); /* nothing to flush, and leaving libraries tidily takes calls we gave up */
}
