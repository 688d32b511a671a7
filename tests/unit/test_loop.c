#include "tests/unit/unit.h"
#include <signal.h>
#include <sys/resource.h>
#include "receiver/loop.h"

static struct rlimit usual;
static int ended_with;

/* What is open stays so; nothing can be opened. */
static void take_descriptors(void)
{
	struct rlimit none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
	none = usual;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void give_descriptors(void *ctx)
{
	(void)ctx;
	setrlimit(RLIMIT_NOFILE, &usual);
}

/* One a process, for its whole life. */
static struct loop *the_loop(void)
{
	static struct loop *loop;

	if (!loop)
		loop = loop_new();
	return loop;
}

static void ended(void *ctx, int status)
{
	ended_with = status;
	loop_stop(ctx);
}

static void a_child_that_came_when_no_descriptor_was_free_is_waited_for(void **state)
{
	struct loop *loop = the_loop();
	struct timer *timer = NULL;
	struct child *child = NULL;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(7);
	take_descriptors();
	loop_child(loop, &child, pid, false, ended, loop);
	loop_timer(loop, &timer, 50, give_descriptors, NULL);
	ended_with = -1;
	loop_run(loop);
	assert_int_equal(ended_with, 7);
	assert_null(child);
}

static void a_late_child_can_be_ended(void **state)
{
	struct loop *loop = the_loop();
	struct timer *timer = NULL;
	struct child *child = NULL;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		for (;;)
			pause();
	take_descriptors();
	loop_child(loop, &child, pid, false, ended, loop);
	child_signal(child, SIGKILL);
	loop_timer(loop, &timer, 50, give_descriptors, NULL);
	ended_with = -1;
	loop_run(loop);
	assert_int_equal(ended_with, 128 + SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_that_came_when_no_descriptor_was_free_is_waited_for),
		cmocka_unit_test(a_late_child_can_be_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
