/* The session takes what the contract says from the monitor, and nothing else. */
#include "tests/unit/unit.h"
#include "receiver/session_monitor.h"

static struct session_monitor m; /* 70 kB */
static int monitor_end;

static int setup(void **state)
{
	struct error err = ERROR_INIT;
	int ends[2];

	(void)state;
	if (wire_pair(ends, &err) == -1)
		return -1;
	m = (struct session_monitor){.fd = ends[0]};
	monitor_end = ends[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fd_close(&m.fd);
	fd_close(&monitor_end);
	return 0;
}

/* What the monitor will have said: the socket keeps it until the session asks. */
static void say(const char *const *words, size_t n, size_t n_fds)
{
	const int fds[] = {0, 0, 0, 0};
	struct error err = ERROR_INIT;

	assert_int_equal(wire_send(monitor_end, words, n, fds, n_fds, &err), 0);
}
#define SAY(n_fds, ...)                                                                            \
	say((const char *const[]){__VA_ARGS__},                                                    \
	    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), (n_fds))

static int run(struct session_run *run, struct error *err)
{
	autostrv struct strv words = STRV_INIT;
	struct session_exec exec = {.git_protocol = "", .term = "", .words = &words};

	strv_add(&words, "apps");
	return session_monitor_exec(&m, &exec, run, err);
}

static void assert_out_of_turn(int result, const struct error *err)
{
	assert_int_equal(result, -1);
	assert_int_equal(err->code, E_SYSTEM);
	assert_non_null(strstr(err->text, "out of turn"));
}

static void serve_brings_the_connection(void **state)
{
	struct session_serve serve;
	struct error err = ERROR_INIT;

	(void)state;
	SAY(1, "serve", "192.0.2.1:5", "PEM", "20000", "600000");
	assert_int_equal(session_monitor_wait(&m, &serve, &err), 1);
	assert_string_equal(serve.peer, "192.0.2.1:5");
	assert_string_equal(serve.host_key, "PEM");
	assert_int_equal(serve.grace_ms, 20000);
	assert_int_equal(serve.idle_ms, 600000);
	assert_true(fcntl(serve.fd, F_GETFD) & FD_CLOEXEC);
	close(serve.fd);
	free(serve.peer);
	free(serve.host_key);
}

static void a_monitor_that_closes_is_no_error_while_waiting(void **state)
{
	struct session_serve serve;
	struct error err = ERROR_INIT;

	(void)state;
	fd_close(&monitor_end);
	assert_int_equal(session_monitor_wait(&m, &serve, &err), 0);
}

static void serve_without_a_connection_is_refused(void **state)
{
	struct session_serve serve;
	struct error err = ERROR_INIT;

	(void)state;
	SAY(0, "serve", "peer", "PEM", "1", "2");
	assert_out_of_turn(session_monitor_wait(&m, &serve, &err), &err);
	SAY(1, "serve", "peer", "PEM", "-1", "2");
	assert_out_of_turn(session_monitor_wait(&m, &serve, &err), &err);
	SAY(1, "exit", "0");
	assert_out_of_turn(session_monitor_wait(&m, &serve, &err), &err);
}

static void a_key_is_known_or_not(void **state)
{
	struct error err = ERROR_INIT;
	bool yes = false;

	(void)state;
	SAY(0, "yes");
	assert_int_equal(session_monitor_knows(&m, "ssh-ed25519 AAAA", &yes, &err), 0);
	assert_true(yes);
	SAY(0, "no");
	assert_int_equal(session_monitor_login(&m, "ssh-ed25519 AAAA", &yes, &err), 0);
	assert_false(yes);
	SAY(0, "maybe");
	assert_out_of_turn(session_monitor_login(&m, "ssh-ed25519 AAAA", &yes, &err), &err);
}

static void a_child_comes_with_three_pipes_or_one_pty(void **state)
{
	struct error err = ERROR_INIT;
	struct session_run r;

	(void)state;
	SAY(3, "run", "drain");
	assert_int_equal(run(&r, &err), 0);
	assert_true(r.accepted && r.drain && !r.pty);
	assert_true(r.in != -1 && r.out != -1 && r.err != -1 && r.in != r.out);
	close(r.in);
	close(r.out);
	close(r.err);
	SAY(1, "run", "close");
	assert_int_equal(run(&r, &err), 0);
	assert_true(r.accepted && !r.drain && !r.patient && r.pty);
	assert_true(r.in == r.out && r.err == -1);
	close(r.in);
}

static void a_reader_of_logs_may_be_silent(void **state)
{
	struct error err = ERROR_INIT;
	struct session_run r;

	(void)state;
	SAY(1, "run", "stay");
	assert_int_equal(run(&r, &err), 0);
	assert_true(r.accepted && !r.drain && r.patient);
	close(r.in);
}

static void a_refusal_has_a_status_and_a_text(void **state)
{
	struct error err = ERROR_INIT;
	struct session_run r;

	(void)state;
	SAY(0, "no", "5", "you may not");
	assert_int_equal(run(&r, &err), 0);
	assert_false(r.accepted);
	assert_int_equal(r.code, 5);
	assert_string_equal(r.text, "you may not");
	free(r.text);
}

static void any_other_answer_to_exec_is_refused_and_its_descriptors_closed(void **state)
{
	struct error err = ERROR_INIT;
	struct session_run r;
	int next = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	close(next);
	SAY(2, "run", "drain");
	assert_out_of_turn(run(&r, &err), &err);
	SAY(3, "run", "keep");
	assert_out_of_turn(run(&r, &err), &err);
	SAY(1, "no", "5", "text");
	assert_out_of_turn(run(&r, &err), &err);
	SAY(0, "no", "five", "text");
	assert_out_of_turn(run(&r, &err), &err);
	assert_int_equal(open("/dev/null", O_RDONLY | O_CLOEXEC), next);
	close(next);
}

static void a_monitor_that_is_gone_is_noticed(void **state)
{
	struct error err = ERROR_INIT;
	int status = 0;

	(void)state;
	SAY(0, "exit", "7");
	assert_int_equal(session_monitor_exit(&m, &status, &err), 1);
	assert_int_equal(status, 7);
	fd_close(&monitor_end);
	assert_int_equal(session_monitor_exit(&m, &status, &err), 0);
	assert_true(m.gone);
}

#define PAIR_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(serve_brings_the_connection),
		PAIR_TEST(a_monitor_that_closes_is_no_error_while_waiting),
		PAIR_TEST(serve_without_a_connection_is_refused),
		PAIR_TEST(a_key_is_known_or_not),
		PAIR_TEST(a_child_comes_with_three_pipes_or_one_pty),
		PAIR_TEST(a_reader_of_logs_may_be_silent),
		PAIR_TEST(a_refusal_has_a_status_and_a_text),
		PAIR_TEST(any_other_answer_to_exec_is_refused_and_its_descriptors_closed),
		PAIR_TEST(a_monitor_that_is_gone_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
