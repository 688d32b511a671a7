/* [limits]: what an app gets of what it asks for, and that a process has it. */
#include "tests/unit/unit.h"
#include <sys/resource.h>
#include <sys/wait.h>
#include "runtime/limits.h"

/* A node with these lines in node.ini. */
static void open_node(const struct tmp *t, const char *lines, struct node *out)
{
	autofree char *text = xasprintf("[node]\n%s", lines);
	struct error err = ERROR_INIT;

	unlinkat(t->fd, "node.ini", 0);
	put_file(t->fd, "node.ini", text);
	if (node_open(out, t->path, &err) == -1)
		fail_msg("%s", err.text);
}

static void the_node_has_defaults_and_maxima(void **state)
{
	struct limits_spec none = {0}, much = {.memory_bytes = 1 << 30, .tasks = 5000};
	struct node node;

	open_node(*state, "", &node);
	assert_int_equal(limits_tasks(&node, &none), 512);
	assert_int_equal(limits_tasks(&node, &much), 4096);
	assert_int_equal(limits_memory_bytes(&node, &none), 0);
	assert_int_equal(limits_memory_bytes(&node, &much), 1 << 30);
	node_release(&node);
	open_node(*state, "app_tasks = 100\nmax_app_tasks = 50\nmax_app_memory_bytes = 1000\n",
		  &node);
	assert_int_equal(limits_tasks(&node, &none), 50); /* lowered later: for all */
	assert_int_equal(limits_memory_bytes(&node, &none), 1000);
	assert_int_equal(limits_memory_bytes(&node, &much), 1000);
	node_release(&node);
}

static int apply(const struct node *node, const struct limits_spec *asked, unsigned stacks,
		 struct error *err)
{
	struct limits limits = limits_of(node, asked, stacks);

	return limits_apply(&limits, err);
}

static void a_process_has_them_and_keeps_lower_ones(void **state)
{
	struct limits_spec asked = {.memory_bytes = 64 << 20, .tasks = 100};
	struct rlimit stack = {1 << 20, 1 << 20}, data, tasks, before;
	struct error err = ERROR_INIT;
	struct node node;
	int status;
	pid_t pid;

	open_node(*state, "", &node);
	assert_int_equal(getrlimit(RLIMIT_NPROC, &before), 0);
	pid = fork();
	if (pid == 0) { /* each check has a status of its own */
		if (setrlimit(RLIMIT_STACK, &stack) == -1 || apply(&node, &asked, 4, &err) == -1)
			_exit(1);
		if (getrlimit(RLIMIT_DATA, &data) == -1 || data.rlim_max != 68 << 20)
			_exit(2);
		getrlimit(RLIMIT_NPROC, &tasks);
		if (tasks.rlim_max != (geteuid() == 0 ? 100 : before.rlim_max))
			_exit(3);
		asked = (struct limits_spec){.memory_bytes = 1 << 30, .tasks = 200};
		if (apply(&node, &asked, 0, &err) == -1)
			_exit(4);
		if (getrlimit(RLIMIT_DATA, &data) == -1 || data.rlim_max != 68 << 20)
			_exit(5);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	node_release(&node);
}

static void what_is_not_enforced_has_a_reason(void **state)
{
	struct runspec run = {.platform = (char[]){"exec"},
			      .limits = {.cpu_percent = 50, .timeout_s = 30}};
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct node node;

	open_node(*state, "", &node);
	assert_null(limits_missing(&node, LIMIT_MEMORY, "exec"));
	assert_non_null(limits_missing(&node, LIMIT_CPU, "exec"));
	assert_non_null(limits_missing(&node, LIMIT_TIMEOUT, "exec"));
	assert_null(limits_missing(&node, LIMIT_TIMEOUT, "python"));
	assert_null(limits_missing(&node, LIMIT_TIMEOUT, "php"));
	if (geteuid() == 0)
		assert_null(limits_missing(&node, LIMIT_TASKS, "exec"));
	else
		assert_non_null(limits_missing(&node, LIMIT_TASKS, "exec"));
	limits_add_text(&node, &run, &text);
	assert_string_equal(text.buf,
			    geteuid() == 0 ? "512 tasks, cpu not enforced" : "cpu not enforced");
	node_release(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TMP_TEST(the_node_has_defaults_and_maxima),
		TMP_TEST(a_process_has_them_and_keeps_lower_ones),
		TMP_TEST(what_is_not_enforced_has_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
