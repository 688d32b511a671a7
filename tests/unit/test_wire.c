/* Messages between our own processes: whole or an error, and no descriptor is lost. */
#include "tests/unit/unit.h"
#include <sys/socket.h>
#include "common/wire.h"

static struct wire_message m; /* 70 kB */

static int pair_setup(void **state)
{
	int *ends = xcalloc(2, sizeof(int));
	struct error err = ERROR_INIT;

	*state = ends;
	return wire_pair(ends, &err);
}

static int pair_teardown(void **state)
{
	int *ends = *state;

	fd_close(&ends[0]);
	fd_close(&ends[1]);
	free(ends);
	return 0;
}

static size_t open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void words_arrive_as_they_were_sent(void **state)
{
	const int *end = *state;
	struct error err = ERROR_INIT;

	assert_true((fcntl(end[0], F_GETFD) & FD_CLOEXEC) != 0 &&
		    (fcntl(end[1], F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(WIRE_SEND(end[0], &err, "exec", "", "a b\n", "\xff"), 0);
	assert_int_equal(WIRE_SEND(end[0], &err, "second"), 0);
	assert_int_equal(wire_recv(end[1], &m, &err), 1);
	assert_int_equal(m.n, 4);
	assert_string_equal(m.word[0], "exec");
	assert_string_equal(m.word[1], "");
	assert_string_equal(m.word[2], "a b\n");
	assert_string_equal(m.word[3], "\xff");
	assert_int_equal(m.n_fds, 0);
	wire_release(&m);
	assert_int_equal(wire_recv(end[1], &m, &err), 1);
	assert_int_equal(m.n, 1);
	assert_string_equal(m.word[0], "second");
	wire_release(&m);
}

static void a_peer_that_is_gone_is_no_error(void **state)
{
	int *end = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(WIRE_SEND(end[0], &err, "last"), 0);
	fd_close(&end[0]);
	assert_int_equal(wire_recv(end[1], &m, &err), 1);
	wire_release(&m);
	assert_int_equal(wire_recv(end[1], &m, &err), 0);
	assert_int_equal(WIRE_SEND(end[1], &err, "to nobody"), -1); /* and no SIGPIPE */
}

static void nothing_there_is_busy(void **state)
{
	const int *end = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(fcntl(end[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(wire_recv(end[1], &m, &err), -1);
	assert_int_equal(err.code, E_BUSY);
}

static void descriptors_travel_close_on_exec(void **state)
{
	const int *end = *state;
	struct error err = ERROR_INIT;
	int pipes[2];
	const char *const words[] = {"run", "drain"};
	char c = 0;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(wire_send(end[0], words, 2, pipes, 2, &err), 0);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(wire_recv(end[1], &m, &err), 1);
	assert_int_equal(m.n_fds, 2);
	assert_true((fcntl(m.fd[0], F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(m.fd[1], F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(write(m.fd[1], "x", 1), 1);
	assert_int_equal(read(m.fd[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	wire_release(&m);
}

static void release_closes_what_nobody_took(void **state)
{
	const int *end = *state;
	struct error err = ERROR_INIT;
	const char *const words[] = {"run"};
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int send[4] = {null, null, null, null};

	size_t before = open_fds();
	assert_int_equal(wire_send(end[0], words, 1, send, 4, &err), 0);
	assert_int_equal(wire_recv(end[1], &m, &err), 1);
	assert_int_equal(m.n_fds, 4);
	assert_int_equal(open_fds(), before + 4);
	int taken = m.fd[2];
	m.fd[2] = -1;
	wire_release(&m);
	assert_int_equal(open_fds(), before + 1);
	close(taken);
	close(null);
}

static void a_full_message_fits_and_a_byte_more_does_not(void **state)
{
	const int *end = *state;
	struct error err = ERROR_INIT;
	autofree char *big = xmalloc(WIRE_MAX + 1);

	memset(big, 'b', WIRE_MAX);
	big[WIRE_MAX] = '\0';
	assert_int_equal(WIRE_SEND(end[0], &err, big), -1);
	big[WIRE_MAX - 1] = '\0';
	assert_int_equal(WIRE_SEND(end[0], &err, big), 0);
	assert_int_equal(wire_recv(end[1], &m, &err), 1);
	assert_int_equal(m.n, 1);
	assert_int_equal(strlen(m.word[0]), WIRE_MAX - 1);
	wire_release(&m);
}

static void as_many_words_as_allowed_and_no_more(void **state)
{
	const int *end = *state;
	struct error err = ERROR_INIT;
	const char *words[WIRE_STRINGS + 1];

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = "w";
	assert_int_equal(wire_send(end[0], words, WIRE_STRINGS + 1, NULL, 0, &err), -1);
	assert_int_equal(wire_send(end[0], words, WIRE_STRINGS, NULL, 0, &err), 0);
	assert_int_equal(wire_recv(end[1], &m, &err), 1);
	assert_int_equal(m.n, WIRE_STRINGS);
	wire_release(&m);
}

static void bytes_that_are_no_message_are_an_error(void **state)
{
	const int *end = *state;
	struct error err = ERROR_INIT;
	autofree char *many = xcalloc(WIRE_STRINGS + 1, 1); /* so many empty strings */
	autofree char *big = xcalloc(WIRE_MAX + 100, 1);

	memset(big, 'x', WIRE_MAX + 99);
	assert_int_equal(send(end[0], "no nul", 6, 0), 6);
	assert_int_equal(wire_recv(end[1], &m, &err), -1);
	assert_int_equal(send(end[0], many, WIRE_STRINGS + 1, 0), WIRE_STRINGS + 1);
	assert_int_equal(wire_recv(end[1], &m, &err), -1);
	assert_int_equal(send(end[0], big, WIRE_MAX + 100, 0), WIRE_MAX + 100);
	assert_int_equal(wire_recv(end[1], &m, &err), -1);
	assert_int_equal(WIRE_SEND(end[0], &err, "good"), 0); /* the socket is none the worse */
	assert_int_equal(wire_recv(end[1], &m, &err), 1);
	assert_string_equal(m.word[0], "good");
	wire_release(&m);
}

/* A sandboxed peer can send as many descriptors as the kernel lets it: none may stay open here. */
static void too_many_descriptors_are_an_error_and_none_is_kept(void **state)
{
	const int *end = *state;
	struct error err = ERROR_INIT;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 8)];
	} control = {0};
	char byte[] = "x";
	struct iovec iov = {.iov_base = byte, .iov_len = 2};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fds[8];

	for (size_t i = 0; i < 8; i++)
		fds[i] = null;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	size_t before = open_fds();
	assert_int_equal(sendmsg(end[0], &msg, 0), 2);
	assert_int_equal(wire_recv(end[1], &m, &err), -1);
	assert_int_equal(open_fds(), before);
	close(null);
}

#define PAIR_TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(words_arrive_as_they_were_sent),
		PAIR_TEST(a_peer_that_is_gone_is_no_error),
		PAIR_TEST(nothing_there_is_busy),
		PAIR_TEST(descriptors_travel_close_on_exec),
		PAIR_TEST(release_closes_what_nobody_took),
		PAIR_TEST(a_full_message_fits_and_a_byte_more_does_not),
		PAIR_TEST(as_many_words_as_allowed_and_no_more),
		PAIR_TEST(bytes_that_are_no_message_are_an_error),
		PAIR_TEST(too_many_descriptors_are_an_error_and_none_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
