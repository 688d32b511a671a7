/* Once in the sandbox a process can serve a connection that it has, and nothing else. */
#include "tests/unit/unit.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include "common/wire.h"
#include "receiver/sandbox.h"

static int pipe_end[2];
static int tcp_fd;

/* Enters the sandbox in a child and runs `inside` there, whose result is the exit status. */
static int run_inside(const struct sandbox *box, int (*inside)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid == 0) {
		struct error err = ERROR_INIT;

		if (sandbox_enter(box, &err) == -1)
			_exit(90);
		_exit(inside());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static const struct sandbox plain = {NULL, 0, 0};

static void assert_allowed(int (*inside)(void))
{
	assert_int_equal(run_inside(&plain, inside), 0);
}

static void assert_killed(int (*inside)(void))
{
	assert_int_equal(run_inside(&plain, inside), 128 + SIGSYS);
}

static int pump_a_pipe(void)
{
	struct pollfd p = {.fd = pipe_end[0], .events = POLLIN};
	char got[3] = "";

	if (fcntl(pipe_end[0], F_SETFL, O_NONBLOCK) == -1 || write(pipe_end[1], "ab", 2) != 2 ||
	    poll(&p, 1, 1000) != 1 || read(pipe_end[0], got, 2) != 2)
		return 1;
	return strcmp(got, "ab") == 0 ? 0 : 2;
}

static int allocate_much(void)
{
	void *p = malloc(8 << 20);

	if (!p)
		return 1;
	memset(p, 1, 8 << 20);
	p = realloc(p, 16 << 20);
	free(p);
	return p ? 0 : 2;
}

static int use_the_monitors_socket(void)
{
	static struct wire_message m;
	struct error err = ERROR_INIT;
	char got;

	/* pipe_end[0] and [1] are a socket pair here: a message with a descriptor in it */
	if (wire_send(pipe_end[0], (const char *const[]){"run"}, 1, &tcp_fd, 1, &err) == -1 ||
	    wire_recv(pipe_end[1], &m, &err) != 1 || m.n_fds != 1)
		return 1;
	return recv(m.fd[0], &got, 1, MSG_DONTWAIT) == -1 ? 0 : 2;
}

static int ack_quickly(void)
{
	int on = 1;

	return setsockopt(tcp_fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on)) == 0 ? 0 : 1;
}

static int set_another_option(void)
{
	int on = 1;

	return setsockopt(tcp_fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
}

static int set_a_congestion_control(void)
{
	return setsockopt(tcp_fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

static int resize_a_window(void)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};

	return ioctl(pipe_end[0], TIOCSWINSZ, &size) == -1 && errno == ENOTTY ? 0 : 1;
}

static int push_a_character_into_a_terminal(void)
{
	return ioctl(pipe_end[0], TIOCSTI, "x");
}

static int make_a_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int fork_once(void)
{
	return fork() == -1 ? 1 : 0;
}

static int execute(void)
{
	return execl("/bin/true", "true", NULL);
}

static int kill_its_parent(void)
{
	return kill(getppid(), 0);
}

static int lock_a_file(void)
{
	struct flock lock = {.l_type = F_WRLCK};

	return fcntl(pipe_end[0], F_SETLK, &lock);
}

#ifndef SILVER_SANITIZE
static int map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED;
}
#endif

static int open_a_file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) == -1 ? 0 : 1;
}

static int become_root_again(void)
{
	return setuid(0);
}

static void what_a_session_does_is_allowed(void **state)
{
	(void)state;
	assert_allowed(pump_a_pipe);
	assert_allowed(allocate_much);
	assert_allowed(ack_quickly);
	assert_allowed(resize_a_window);
}

static void descriptors_come_in_through_the_monitors_socket(void **state)
{
	int was[2] = {pipe_end[0], pipe_end[1]};
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(wire_pair(pipe_end, &err), 0);
	assert_allowed(use_the_monitors_socket);
	close(pipe_end[0]);
	close(pipe_end[1]);
	pipe_end[0] = was[0];
	pipe_end[1] = was[1];
}

static void any_other_call_kills(void **state)
{
	(void)state;
	assert_killed(make_a_socket);
	assert_killed(fork_once);
	assert_killed(execute);
	assert_killed(kill_its_parent);
}

static void an_allowed_call_with_other_arguments_kills(void **state)
{
	(void)state;
	assert_killed(set_another_option);
	assert_killed(set_a_congestion_control);
	assert_killed(push_a_character_into_a_terminal);
	assert_killed(lock_a_file);
#ifndef SILVER_SANITIZE /* they map as they like */
	assert_killed(map_code);
	assert_killed(open_a_file);
#endif
}

static void a_user_of_its_own_has_an_empty_root(void **state)
{
	const struct tmp *t = *state;
	const struct sandbox box = {t->path, 65534, 65534};

	if (geteuid() != 0)
		skip();
	assert_int_equal(run_inside(&box, pump_a_pipe), 0);
	assert_int_equal(run_inside(&box, become_root_again), 128 + SIGSYS);
#ifdef SILVER_SANITIZE /* here the list lets it open, and the root directory is what keeps it */
	assert_int_equal(run_inside(&box, open_a_file), 0);
#endif
}

static void a_root_that_is_missing_is_an_error(void **state)
{
	const struct sandbox box = {"/nonexistent/empty", 65534, 65534};

	(void)state;
	assert_int_equal(run_inside(&box, pump_a_pipe), 90);
}

static int setup(void **state)
{
	(void)state;
	tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return tcp_fd == -1 ? -1 : pipe2(pipe_end, O_CLOEXEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_session_does_is_allowed),
		cmocka_unit_test(descriptors_come_in_through_the_monitors_socket),
		cmocka_unit_test(any_other_call_kills),
		cmocka_unit_test(an_allowed_call_with_other_arguments_kills),
		TMP_TEST(a_user_of_its_own_has_an_empty_root),
		cmocka_unit_test(a_root_that_is_missing_is_an_error),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
