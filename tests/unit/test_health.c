/* What counts as healthy, and what the pusher is told when it is not. A child of the test plays the
 * app: it answers each connection with given bytes. */
#include "tests/unit/unit.h"
#include <sys/socket.h>
#include <sys/un.h>
#include "common/fs.h"
#include "common/proc.h"
#include "runtime/health.h"

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

struct app {
	int release_fd, run_fd;
	pid_t pid;
};

static int listen_here(int run_fd, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd != -1);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/http.sock", path);
	unlinkat(run_fd, "http.sock", 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

/* NULL bytes: accepts and says nothing. Answers beyond the list repeat the last one. */
static void __attribute__((noreturn)) serve(int listener, const char *const *answers, size_t n)
{
	alarm(60);
	for (size_t i = 0;; i++) {
		const char *bytes = answers[i < n ? i : n - 1];
		int fd = accept(listener, NULL, NULL);
		char request[1024];

		if (!bytes)
			for (;;)
				pause();
		if (read(fd, request, sizeof(request)) < 0)
			_exit(1);
		if (send(fd, bytes, strlen(bytes), MSG_NOSIGNAL) < 0)
			_exit(1);
		close(fd);
	}
}

static int setup(void **state)
{
	if (tmp_setup(state) != 0)
		return -1;
	return mkdirat(tmp_fd(state), "run", 0755);
}

static void start(void **state, struct app *app, const char *const *answers, size_t n)
{
	const struct tmp *t = *state;
	int listener;

	app->release_fd = t->fd;
	app->run_fd = openat(t->fd, "run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	app->pid = -1;
	if (n == 0)
		return;
	listener = listen_here(app->run_fd, t->path);
	app->pid = fork();
	assert_true(app->pid != -1);
	if (app->pid == 0)
		serve(listener, answers, n);
	close(listener);
}

static void stop(struct app *app)
{
	close(app->run_fd);
	if (app->pid == -1)
		return;
	kill(app->pid, SIGKILL);
	waitpid(app->pid, NULL, 0);
}

static int check(const struct app *app, const char *path, int deadline_ms, struct error *err)
{
	struct health_check c = {app->release_fd, "blog.localhost", path, deadline_ms};
	int64_t took = -1;
	int rc = health_wait(&c, &took, NULL, NULL, err);

	if (rc == 0)
		assert_true(took >= 0 && took <= deadline_ms + 1000);
	else
		assert_int_equal(err->code, E_REFUSED);
	return rc;
}

static void assert_healthy(void **state, const char *answer, const char *path)
{
	const char *const answers[] = {answer};
	struct error err = ERROR_INIT;
	struct app app;

	start(state, &app, answers, 1);
	if (check(&app, path, 5000, &err) == -1)
		fail_msg("%s", err.text);
	stop(&app);
}

static void assert_unhealthy(void **state, const char *answer, const char *path, const char *text)
{
	const char *const answers[] = {answer};
	struct error err = ERROR_INIT;
	struct app app;

	start(state, &app, answers, 1);
	assert_int_equal(check(&app, path, 300, &err), -1);
	if (!strstr(err.text, text))
		fail_msg("'%s' is not in '%s'", text, err.text);
	stop(&app);
}

static void any_answer_below_500_will_do_without_a_path(void **state)
{
	assert_healthy(state, OK_ANSWER, NULL);
	assert_healthy(state, "HTTP/1.1 404 Not Found\r\n\r\n", NULL);
	assert_healthy(state, "HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n", NULL);
	assert_unhealthy(state, "HTTP/1.1 500 Internal Server Error\r\n\r\n", NULL,
			 "'GET /' got '500 Internal Server Error'");
}

static void a_health_path_must_answer_below_400(void **state)
{
	assert_healthy(state, OK_ANSWER, "/health");
	assert_healthy(state, "HTTP/1.1 302 Found\r\n\r\n", "/health");
	assert_unhealthy(state, "HTTP/1.1 404 Not Found\r\n\r\n", "/health",
			 "'GET /health' got '404 Not Found'");
}

static void informational_answers_are_no_answer(void **state)
{
	assert_healthy(state, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK_ANSWER, "/");
	assert_unhealthy(state, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\n\r\n", NULL,
			 "503 Busy");
}

static void what_is_no_http_is_shown(void **state)
{
	assert_unhealthy(state, "SSH-2.0-x\r\n", NULL, "no HTTP: SSH-2.0-x");
	assert_unhealthy(state, "\x1b[2Jboo", NULL, "no HTTP: \\x1b[2Jboo");
	assert_unhealthy(state, "HTTP/1.1 2", NULL, "an answer that breaks off");
	assert_unhealthy(state, "HTTP/1.1 200 OK\r\nConte", NULL, "an answer that breaks off");
	assert_unhealthy(state, "HTTP/1.1 two hundred\r\n\r\n", NULL, "breaks off");
	assert_unhealthy(state, "", NULL, "without an answer");
}

static void silence_is_told_apart_from_nobody(void **state)
{
	struct error err = ERROR_INIT;
	struct app app;

	assert_unhealthy(state, NULL, NULL, "no answer to 'GET /' within 0.3 s");
	start(state, &app, NULL, 0); /* a socket nobody listens on */
	assert_int_equal(check(&app, NULL, 200, &err), -1);
	assert_non_null(strstr(err.text, "nothing listened within 0.2 s"));
	unlinkat(app.run_fd, "http.sock", 0);
	assert_int_equal(check(&app, NULL, 200, &err), -1);
	assert_non_null(strstr(err.text, "nothing listened"));
	stop(&app);
}

static void a_bad_beginning_is_forgiven(void **state)
{
	const char *const answers[] = {"HTTP/1.1 503 Loading\r\n\r\n", "", OK_ANSWER};
	struct error err = ERROR_INIT;
	struct app app;

	start(state, &app, answers, ARRAY_SIZE(answers));
	assert_int_equal(check(&app, "/", 5000, &err), 0);
	stop(&app);
}

static void an_app_that_stays_bad_is_not_waited_for_to_the_end(void **state)
{
	const char *const answers[] = {"HTTP/1.1 500 Oh\r\n\r\n"};
	struct error err = ERROR_INIT;
	int64_t begin = clock_ms();
	struct app app;

	start(state, &app, answers, 1);
	assert_int_equal(check(&app, NULL, 60000, &err), -1);
	assert_true(clock_ms() - begin < HEALTH_BAD_MS + 3000);
	stop(&app);
}

static void assert_exit_text(void **state, const char *exited, const char *text)
{
	const char *const answers[] = {NULL};
	struct error err = ERROR_INIT;
	int64_t begin = clock_ms();
	struct app app;

	start(state, &app, answers, 1);
	put_file(app.run_fd, "exited", exited);
	assert_int_equal(check(&app, NULL, 30000, &err), -1);
	assert_true(clock_ms() - begin < 5000);
	assert_string_equal(err.text, text);
	unlinkat(app.run_fd, "exited", 0);
	stop(&app);
}

static void an_exit_is_told_at_once_with_its_status(void **state)
{
	assert_exit_text(state, "3 0\n", "its process exited with status 3 before it answered");
	assert_exit_text(
		state, "256 11\n",
		"its process was ended by signal 11 (Segmentation fault) before it answered");
	assert_exit_text(state, "garbage", "its process ended before it answered");
}

static void a_replaced_socket_is_asked_anew(void **state)
{
	const char *const silent[] = {NULL}, *const good[] = {OK_ANSWER};
	const struct tmp *t = *state;
	struct error err = ERROR_INIT;
	struct app app;
	pid_t second;

	start(state, &app, silent, 1);
	second = fork();
	assert_true(second != -1);
	if (second == 0) {
		usleep(200000);
		serve(listen_here(app.run_fd, t->path), good, 1);
	}
	assert_int_equal(check(&app, NULL, 10000, &err), 0);
	kill(second, SIGKILL);
	waitpid(second, NULL, 0);
	stop(&app);
}

static void count_seconds(void *ctx, int seconds)
{
	int *last = ctx;

	assert_int_equal(seconds, *last + 1);
	*last = seconds;
}

static void waiting_is_reported_each_second(void **state)
{
	const char *const answers[] = {NULL};
	struct error err = ERROR_INIT;
	struct app app;
	int last = 0;
	int64_t took;

	start(state, &app, answers, 1);
	struct health_check c = {app.release_fd, "h", NULL, 2300};
	assert_int_equal(health_wait(&c, &took, count_seconds, &last, &err), -1);
	assert_int_equal(last, 2);
	stop(&app);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, tmp_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(any_answer_below_500_will_do_without_a_path),
		TEST(a_health_path_must_answer_below_400),
		TEST(informational_answers_are_no_answer),
		TEST(what_is_no_http_is_shown),
		TEST(silence_is_told_apart_from_nobody),
		TEST(a_bad_beginning_is_forgiven),
		TEST(an_app_that_stays_bad_is_not_waited_for_to_the_end),
		TEST(an_exit_is_told_at_once_with_its_status),
		TEST(a_replaced_socket_is_asked_anew),
		TEST(waiting_is_reported_each_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) > 0;
}
