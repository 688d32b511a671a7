/* One deploy per app: the lock belongs to the open file, and dies with its last holder. */
#include "tests/unit/unit.h"
#include "common/lock.h"
#include "common/proc.h"

static int open_lock(int dir)
{
	int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	return fd;
}

static void a_second_holder_is_told_who_has_it(void **state)
{
	autoclose int a = open_lock(tmp_fd(state));
	autoclose int b = open_lock(tmp_fd(state));
	struct error err = ERROR_INIT;

	assert_int_equal(lock_take(a, "alice: push of 1a2b3c4 to master", 0, &err), 0);
	assert_int_equal(lock_take(b, "bob: push of 5d6e7f8 to master", 0, &err), -1);
	assert_int_equal(err.code, E_BUSY);
	assert_non_null(strstr(err.text, "alice: push of 1a2b3c4 to master"));
	lock_drop(a);
	assert_int_equal(lock_take(b, "bob: push of 5d6e7f8 to master", 0, &err), 0);
	assert_int_equal(lock_take(a, "alice", 0, &err), -1);
	assert_non_null(strstr(err.text, "bob: push of 5d6e7f8 to master"));
	assert_null(strstr(err.text, "alice"));
}

static void the_same_open_file_takes_it_again(void **state)
{
	autoclose int a = open_lock(tmp_fd(state));
	autoclose int inherited = dup(a);
	struct error err = ERROR_INIT;

	assert_int_equal(lock_take(a, "pre-receive", 0, &err), 0);
	assert_int_equal(lock_take(inherited, "post-receive", 0, &err), 0);
}

static void waiting_is_bounded(void **state)
{
	autoclose int a = open_lock(tmp_fd(state));
	autoclose int b = open_lock(tmp_fd(state));
	struct error err = ERROR_INIT;
	int64_t start = clock_ms();

	assert_int_equal(lock_take(a, "alice", 0, &err), 0);
	assert_int_equal(lock_take(b, "bob", 120, &err), -1);
	assert_int_equal(err.code, E_BUSY);
	assert_true(clock_ms() - start >= 100);
}

/* A process that takes the lock, says so, and waits for the end of the pipe `until`. */
static pid_t holder(int dir, int until, int say)
{
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid == 0) {
		int fd = openat(dir, "lock", O_RDWR | O_CLOEXEC);
		struct error err = ERROR_INIT;
		char c;

		if (lock_take(fd, "child", 0, &err) == -1 || write(say, "t", 1) != 1)
			_exit(1);
		_exit(read(until, &c, 1) == 0 ? 0 : 1);
	}
	return pid;
}

static void kill_of_the_holder_frees_it_at_once(void **state)
{
	autoclose int mine = open_lock(tmp_fd(state));
	int until[2], say[2];
	struct error err = ERROR_INIT;
	char c;

	assert_int_equal(pipe2(until, O_CLOEXEC), 0);
	assert_int_equal(pipe2(say, O_CLOEXEC), 0);
	pid_t pid = holder(tmp_fd(state), until[0], say[1]);
	assert_int_equal(read(say[0], &c, 1), 1);
	assert_int_equal(lock_take(mine, "me", 0, &err), -1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(lock_take(mine, "me", 0, &err), 0);
	for (int i = 0; i < 2; i++) {
		close(until[i]);
		close(say[i]);
	}
}

static void who_waits_gets_it_when_it_is_free(void **state)
{
	int dir = tmp_fd(state);
	autoclose int mine = open_lock(dir);
	int say[2];
	struct error err = ERROR_INIT;
	char c;

	assert_int_equal(pipe2(say, O_CLOEXEC), 0);
	assert_int_equal(lock_take(mine, "me", 0, &err), 0);
	pid_t pid = fork();
	assert_true(pid != -1);
	if (pid == 0) {
		int fd = openat(dir, "lock", O_RDWR | O_CLOEXEC);

		close(mine); /* the open file of the parent must not live on here */
		if (write(say[1], "s", 1) != 1)
			_exit(1);
		_exit(lock_take(fd, "child", 20000, &err) == 0 ? 0 : 1);
	}
	assert_int_equal(read(say[0], &c, 1), 1);
	lock_drop(mine);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(there(dir, "lock")); /* the file stays */
	close(say[0]);
	close(say[1]);
}

static void text_of_a_crashed_holder_is_no_lock(void **state)
{
	struct error err = ERROR_INIT;

	put_file(tmp_fd(state), "lock",
		 "a very long text that somebody left here, longer than the next one\n");
	autoclose int a = open_lock(tmp_fd(state));
	autoclose int b = open_lock(tmp_fd(state));
	assert_int_equal(lock_take(a, "short", 0, &err), 0);
	assert_int_equal(lock_take(b, "b", 0, &err), -1);
	assert_non_null(strstr(err.text, "short"));
	assert_null(strstr(err.text, "left here"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TMP_TEST(a_second_holder_is_told_who_has_it),
		TMP_TEST(the_same_open_file_takes_it_again),
		TMP_TEST(waiting_is_bounded),
		TMP_TEST(kill_of_the_holder_frees_it_at_once),
		TMP_TEST(who_waits_gets_it_when_it_is_free),
		TMP_TEST(text_of_a_crashed_holder_is_no_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
