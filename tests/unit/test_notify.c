/* What systemd hears of silverd, and what it gives back; systemd is a datagram socket here. */
#include "unit.h"
#include <sys/socket.h>
#include <sys/un.h>
#include "common/address.h"
#include "receiver/notify.h"

#define WHERE "@silver-test-notify"

static int listen_as_systemd(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	autofree char *name = xasprintf("%s-%d", WHERE, (int)getpid());
	size_t len = strlen(name);

	memcpy(a.sun_path + 1, name + 1, len - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

/* One datagram; *fd is what came with it, or -1. */
static void assert_heard(int systemd, const char *expected, int *fd)
{
	char text[256], room[CMSG_SPACE(sizeof(int))];
	struct iovec to = {.iov_base = text, .iov_len = sizeof(text) - 1};
	struct msghdr m = {.msg_iov = &to,
			   .msg_iovlen = 1,
			   .msg_control = room,
			   .msg_controllen = sizeof(room)};
	ssize_t n = recvmsg(systemd, &m, MSG_DONTWAIT);
	const struct cmsghdr *c;

	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, expected);
	c = CMSG_FIRSTHDR(&m);
	*fd = -1;
	if (c)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
}

static void without_systemd_nothing_is_said_or_taken(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("LISTEN_FDS");
	notify_say("READY=1\n");
	notify_keep(0, "ssh");
	assert_int_equal(notify_take("127.0.0.1:22"), -1);
}

static void lines_arrive_as_they_are(void **state)
{
	autoclose int systemd = listen_as_systemd();
	int fd;

	(void)state;
	notify_say("READY=1\nSTATUS=ssh\n");
	assert_heard(systemd, "READY=1\nSTATUS=ssh\n", &fd);
	assert_int_equal(fd, -1);
}

static void a_kept_socket_replaces_the_one_before(void **state)
{
	autoclose int systemd = listen_as_systemd();
	int fd;

	(void)state;
	notify_keep(systemd, "ssh");
	assert_heard(systemd, "FDSTOREREMOVE=1\nFDNAME=ssh\n", &fd);
	assert_int_equal(fd, -1);
	assert_heard(systemd, "FDSTORE=1\nFDNAME=ssh\n", &fd);
	assert_true(fd != -1);
	close(fd);
}

static void the_watchdog_hears_of_a_loop_that_turns(void **state)
{
	autoclose int systemd = listen_as_systemd();
	struct loop *loop = loop_new();
	int fd;

	(void)state;
	setenv("WATCHDOG_USEC", "30000000", 1);
	notify_watchdog(loop);
	assert_heard(systemd, "WATCHDOG=1\n", &fd);
}

/* In a child: descriptors 3 and 4 are what systemd passes. */
static int take_in_child(const char *pid_text, bool same_address)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct error err = ERROR_INIT;
		union address bound;
		autofree char *own = xasprintf("%d", (int)getpid());
		autofree char *text = NULL;
		int fd, other;

		closefrom(3);
		if (address_bind("127.0.0.1:0", "ssh", &bound, &other, &err) == -1 || other != 3 ||
		    address_bind("127.0.0.1:0", "ssh", &bound, &fd, &err) == -1 || fd != 4 ||
		    listen(3, 1) == -1 || listen(4, 1) == -1)
			_exit(9);
		text = address_text(&bound);
		setenv("LISTEN_PID", pid_text ? pid_text : own, 1);
		setenv("LISTEN_FDS", "2", 1);
		fd = notify_take(same_address ? text : "127.0.0.1:1");
		if (fd == 4) /* the other one is closed */
			_exit(fcntl(3, F_GETFD) == -1 && fcntl(4, F_GETFD) == FD_CLOEXEC ? 4 : 8);
		_exit(fd == -1 ? 0 : 7);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void the_socket_of_our_address_is_taken_and_no_other(void **state)
{
	(void)state;
	assert_int_equal(take_in_child(NULL, true), 4);
	assert_int_equal(take_in_child(NULL, false), 0);
}

static void sockets_for_another_process_are_left_alone(void **state)
{
	(void)state;
	assert_int_equal(take_in_child("1", true), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_systemd_nothing_is_said_or_taken),
		cmocka_unit_test(lines_arrive_as_they_are),
		cmocka_unit_test(a_kept_socket_replaces_the_one_before),
		cmocka_unit_test(the_watchdog_hears_of_a_loop_that_turns),
		cmocka_unit_test(the_socket_of_our_address_is_taken_and_no_other),
		cmocka_unit_test(sockets_for_another_process_are_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
