/* Child processes: exactly the arguments, environment and descriptors that were given, and an end
 * to each. */
#include "tests/unit/unit.h"
#include <sys/prctl.h>
#include "common/proc.h"

static const struct proc_spec plain = {.in = -1, .out = -1, .err = -1};

#define SH(script)                                                                                 \
	(char *const[])                                                                            \
	{                                                                                          \
		(char[]){"sh"}, (char[]){"-c"}, (char[]){script}, NULL                             \
	}

/* Runs a script with what else the spec says; its output is in s. */
static int run_sh(struct proc_spec spec, char *const *argv, struct strbuf *s)
{
	struct error err = ERROR_INIT;
	int status = -1;

	spec.path = "sh";
	spec.argv = argv;
	if (proc_run(&spec, 20000, &status, s, &err) == -1)
		fail_msg("%s", err.text);
	return status;
}

static void output_and_status_arrive(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	(void)state;
	assert_int_equal(run_sh(plain, SH("echo out; echo err >&2; exit 7"), &s), 7);
	assert_string_equal(strbuf_str(&s), "out\nerr\n");
	assert_int_equal(run_sh(plain, SH("exit 0"), NULL), 0);
}

static void the_environment_is_what_was_given(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	autostrbuf struct strbuf none = STRBUF_INIT;
	struct proc_spec spec = plain;
	char *env[] = {(char[]){"A=1 $x 'q'"}, (char[]){"B="}, NULL};
	struct error err = ERROR_INIT;
	int status;

	(void)state;
	setenv("SILVER_LEAK", "1", 1);
	spec.path = "env";
	spec.argv = (char *const[]){(char[]){"env"}, NULL};
	spec.envp = env;
	assert_int_equal(proc_run(&spec, 20000, &status, &s, &err), 0);
	assert_string_equal(strbuf_str(&s), "A=1 $x 'q'\nB=\n");
	spec.envp = NULL;
	assert_int_equal(proc_run(&spec, 20000, &status, &none, &err), 0);
	assert_string_equal(strbuf_str(&none), "");
}

static void arguments_pass_no_shell(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct proc_spec spec = plain;
	struct error err = ERROR_INIT;
	int status;

	(void)state;
	spec.path = "printf";
	spec.argv = (char *const[]){(char[]){"printf"}, (char[]){"<%s>"}, (char[]){"$(id); 'x' *"},
				    (char[]){""}, NULL};
	assert_int_equal(proc_run(&spec, 20000, &status, &s, &err), 0);
	assert_string_equal(strbuf_str(&s), "<$(id); 'x' *><>");
}

static void only_the_listed_descriptors_are_there(void **state)
{
	int dir = tmp_fd(state);
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct proc_spec spec = plain;
	int leak = openat(dir, "leak", O_WRONLY | O_CREAT, 0600); /* no CLOEXEC */
	int given = openat(dir, "given", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int second = openat(dir, "second", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(leak != -1 && given != -1 && second != -1);
	/* each target is the other's source: a careless dup2 loop loses one */
	const struct proc_fd fds[] = {{given, second}, {second, given}};
	spec.fds = fds;
	spec.n_fds = 2;
	autofree char *script =
		xasprintf("echo a >&%d; echo b >&%d; for f in /proc/self/fd/*; do n=${f##*/}; "
			  "test $n -le 2 || test $n = %d || test $n = %d || test ! -e $f || echo "
			  "leak $n; done",
			  given, second, given, second);
	char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, script, NULL};
	int status = given > 9 || second > 9
			     ? 0
			     : run_sh(spec, argv, &s); /* dash has one-digit descriptors */
	assert_int_equal(status, 0);
	assert_string_equal(strbuf_str(&s), "");
	assert_content(dir, "second", "a\n");
	assert_content(dir, "given", "b\n");
	close(leak);
	close(given);
	close(second);
}

static void standard_streams_default_to_dev_null(void **state)
{
	struct proc_spec spec = plain;
	struct error err = ERROR_INIT;
	pid_t pid;
	int status;

	(void)state;
	spec.path = "sh";
	spec.argv = SH("test /proc/self/fd/0 -ef /dev/null && test /proc/self/fd/1 -ef /dev/null "
		       "&& test /proc/self/fd/2 -ef /dev/null");
	assert_int_equal(proc_start(&spec, &pid, &err), 0);
	assert_int_equal(proc_wait(pid, 20000, &status, &err), 0);
	assert_int_equal(status, 0);
}

static void what_cannot_be_executed_is_an_error(void **state)
{
	int dir = tmp_fd(state);
	const struct tmp *t = *state;
	struct proc_spec spec = plain;
	struct error err = ERROR_INIT;
	pid_t pid = -1;

	spec.path = "no-such-program-of-silver";
	spec.argv = (char *const[]){(char[]){"x"}, NULL};
	assert_int_equal(proc_start(&spec, &pid, &err), -1);
	assert_non_null(strstr(err.text, "no-such-program-of-silver"));
	put_file(dir, "plain", "text");
	autofree char *path = xasprintf("%s/plain", t->path);
	spec.path = path;
	assert_int_equal(proc_start(&spec, &pid, &err), -1);
	assert_non_null(strstr(err.text, "Permission denied"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
	assert_int_equal(errno, ECHILD);
}

static void a_signal_is_128_more(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	(void)state;
	assert_int_equal(run_sh(plain, SH("kill -9 $$"), &s), 128 + SIGKILL);
	assert_int_equal(run_sh(plain, SH("kill -TERM $$"), &s), 128 + SIGTERM);
}

static void signals_are_at_their_defaults(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	unsigned long long ignored;
	sigset_t set;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	assert_int_equal(run_sh(plain, SH("grep -E 'Sig(Blk|Ign)' /proc/self/status"), &s), 0);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	assert_true(str_starts(strbuf_str(&s), "SigBlk:\t0000000000000000\nSigIgn:\t"));
	ignored = strtoull(strrchr(strbuf_str(&s), '\t'), NULL, 16);
	/* 32 and 33 are glibc's own: it lets nobody set them, so they stay as we got them */
	assert_int_equal(ignored & ~(3ULL << 31), 0);
}

static void wait_ends_at_its_time_and_can_go_on(void **state)
{
	struct proc_spec spec = plain;
	struct error err = ERROR_INIT;
	int hold[2];
	pid_t pid;
	int status = -1;

	(void)state;
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	spec.path = "cat";
	spec.argv = (char *const[]){(char[]){"cat"}, NULL};
	spec.in = hold[0];
	assert_int_equal(proc_start(&spec, &pid, &err), 0);
	assert_int_equal(proc_wait(pid, 50, &status, &err), -1);
	assert_int_equal(err.code, E_BUSY);
	assert_int_equal(kill(pid, 0), 0); /* still there */
	close(hold[0]);
	close(hold[1]);
	assert_int_equal(proc_wait(pid, -1, &status, &err), 0);
	assert_int_equal(status, 0);
}

static void run_past_its_time_takes_the_whole_group_along(void **state)
{
	const struct tmp *t = *state;
	struct proc_spec spec = plain;
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int status;

	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	spec.path = "sh";
	spec.cwd = t->path;
	spec.argv = SH("sleep infinity & echo $! >child; wait");
	assert_int_equal(proc_run(&spec, 300, &status, &s, &err), -1);
	assert_int_equal(err.code, E_SYSTEM);
	autostrbuf struct strbuf child = STRBUF_INIT;
	autoclose int fd = openat(t->fd, "child", O_RDONLY | O_CLOEXEC);
	assert_int_equal(strbuf_read_fd(&child, fd, 100, &err), 0);
	int pid = (int)strtol(strbuf_str(&child), NULL, 10);
	assert_true(pid > 1);
	int end = 0; /* it is ours to wait for: a subreaper's */
	assert_int_equal(waitpid(pid, &end, 0), pid);
	assert_true(WIFSIGNALED(end));
}

static void output_is_cut_but_read_to_the_end(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;

	(void)state;
	assert_int_equal(run_sh(plain, SH("head -c 300000 /dev/zero | tr '\\0' x; exit 3"), &s), 3);
	assert_true(s.len >= 60000 && s.len <= 65536);
}

static void directory_and_session_are_set(void **state)
{
	const struct tmp *t = *state;
	autostrbuf struct strbuf s = STRBUF_INIT;
	autostrbuf struct strbuf root = STRBUF_INIT;
	struct proc_spec spec = plain;

	spec.cwd = t->path;
	spec.new_session = true;
	assert_int_equal(run_sh(spec,
				SH("pwd -P; read -r _ _ _ _ g sid _ </proc/self/stat; test $sid = "
				   "$$ && test $g = $$ && echo own"),
				&s),
			 0);
	autofree char *expected = xasprintf("%s\nown\n", t->path);
	assert_string_equal(strbuf_str(&s), expected);
	assert_int_equal(run_sh(plain, SH("pwd"), &root), 0);
	assert_string_equal(strbuf_str(&root), "/\n");
}

static void drop_leaves_no_right_behind(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct proc_spec spec = plain;

	(void)state;
	if (getuid() != 0)
		skip();
	spec.drop = true;
	spec.uid = 65534;
	spec.gid = 65533;
	assert_int_equal(
		run_sh(spec,
		       SH("id -u; id -g; id -G; grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status"),
		       &s),
		0);
	assert_string_equal(
		strbuf_str(&s),
		"65534\n65533\n65533\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
		"CapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n");
}

static void drop_can_keep_the_low_ports(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct proc_spec spec = plain;

	(void)state;
	if (getuid() != 0)
		skip();
	spec.drop = true;
	spec.uid = 65534;
	spec.gid = 65534;
	spec.keep_net_bind = true;
	assert_int_equal(run_sh(spec, SH("grep -E '^CapEff' /proc/self/status"), &s), 0);
	assert_string_equal(strbuf_str(&s), "CapEff:\t0000000000000400\n");
}

static void niceness_is_added(void **state)
{
	autostrbuf struct strbuf s = STRBUF_INIT;
	struct proc_spec spec = plain;

	(void)state;
	spec.nice = 5;
	assert_int_equal(run_sh(spec, SH("nice"), &s), 0);
	assert_string_equal(strbuf_str(&s), "5\n");
}

static void monotonic_time_goes_on(void **state)
{
	(void)state;
	int64_t a = clock_ms();

	while (clock_ms() == a)
		;
	assert_true(clock_ms() > a);
	assert_true(clock_utc_ms() > INT64_C(1600000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_status_arrive),
		cmocka_unit_test(the_environment_is_what_was_given),
		cmocka_unit_test(arguments_pass_no_shell),
		TMP_TEST(only_the_listed_descriptors_are_there),
		cmocka_unit_test(standard_streams_default_to_dev_null),
		TMP_TEST(what_cannot_be_executed_is_an_error),
		cmocka_unit_test(a_signal_is_128_more),
		cmocka_unit_test(signals_are_at_their_defaults),
		cmocka_unit_test(wait_ends_at_its_time_and_can_go_on),
		TMP_TEST(run_past_its_time_takes_the_whole_group_along),
		cmocka_unit_test(output_is_cut_but_read_to_the_end),
		TMP_TEST(directory_and_session_are_set),
		cmocka_unit_test(drop_leaves_no_right_behind),
		cmocka_unit_test(drop_can_keep_the_low_ports),
		cmocka_unit_test(niceness_is_added),
		cmocka_unit_test(monotonic_time_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
