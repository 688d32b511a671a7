/* The monitor against a session that is ours: every message in and out of its turn. No program is
 * started but for one terminal-less `help`, which the monitor answers itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "common/fs.h"
#include "common/wire.h"
#include "receiver/monitor.h"

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJY8Jx4kt0d3vlrpccjERgnqTGyhoMXpti2AHqoX3z4R"

struct world {
	char path[40];
	struct node node;
	int users_fd;
	struct loop *loop;
	struct users *users;
	struct jobs *jobs;
	struct monitor *monitor;
	struct client *client;
	int fd; /* the session's end */
	bool gone, broken;
	struct timer *timer;
	struct wire_message answer;
};

/* A process has one loop, and every test the same node. */
static struct world world;

static void on_gone(void *ctx, bool broken)
{
	struct world *w = ctx;

	w->client = NULL;
	w->gone = true;
	w->broken = broken;
}

static void write_file(int dir_fd, const char *name, const char *text)
{
	struct error err = ERROR_INIT;

	assert_int_equal(fs_replace_file(dir_fd, name, text, strlen(text), 0600, &err), 0);
}

static int make_world(void **state)
{
	struct world *w = &world;
	struct error err = ERROR_INIT;
	int fd;

	snprintf(w->path, sizeof(w->path), "/tmp/silver-monitor-XXXXXX");
	if (!mkdtemp(w->path))
		return -1;
	fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	write_file(fd, "node.ini", "[node]\n");
	if (mkdirat(fd, "users", 0700) || mkdirat(fd, "apps", 0755) ||
	    node_open(&w->node, w->path, &err) == -1)
		return -1;
	w->users_fd = openat(fd, "users", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	write_file(w->users_fd, "ian", "[user]\nrole = deploy\napp = blog\nkey = " KEY "\n");
	close(fd);
	w->loop = loop_new();
	w->users = users_new(w->users_fd);
	w->jobs = jobs_new(w->loop, &w->node);
	w->monitor = monitor_new(w->loop, &w->node, w->users, w->jobs);
	*state = w;
	return 0;
}

static int remove_world(void **state)
{
	struct error err = ERROR_INIT;
	int tmp_fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = fs_remove_tree(tmp_fd, world.path + strlen("/tmp/"), &err);

	(void)state;
	close(tmp_fd);
	return failed;
}

static int connect_session(void **state)
{
	struct world *w = &world;
	struct error err = ERROR_INIT;
	int pair[2];

	if (wire_pair(pair, &err) == -1)
		return -1;
	w->fd = pair[1];
	w->gone = w->broken = false;
	w->client = monitor_add_session(w->monitor, pair[0], 1, "192.0.2.1", on_gone, w);
	*state = w;
	return fcntl(w->fd, F_SETFL, O_NONBLOCK);
}

static int disconnect_session(void **state)
{
	struct world *w = *state;

	client_drop(&w->client);
	close(w->fd);
	return 0;
}

static void time_is_over(void *ctx)
{
	loop_stop(ctx);
}

/* Lets the monitor work on what was sent. */
static void turn(struct world *w)
{
	loop_timer(w->loop, &w->timer, 20, time_is_over, w->loop);
	loop_run(w->loop);
}

static void say_words(struct world *w, struct strv *words)
{
	struct error err = ERROR_INIT;

	assert_int_equal(
		wire_send(w->fd, (const char *const *)strv_argv(words), words->n, NULL, 0, &err),
		0);
	turn(w);
}

/* Words with blanks between; '_' stands for a word that is empty. */
static void say(struct world *w, const char *line)
{
	autostrv struct strv words = STRV_INIT;

	for (const char *at = line; *at;) {
		size_t len = strcspn(at, " ");

		if (len == 1 && *at == '_')
			strv_add(&words, "");
		else
			strv_addf(&words, "%.*s", (int)len, at);
		at += len + (at[len] == ' ');
	}
	say_words(w, &words);
}

static void say_key(struct world *w, const char *message, const char *key)
{
	autostrv struct strv words = STRV_INIT;

	strv_add(&words, message);
	strv_add(&words, key);
	say_words(w, &words);
}

static void expect(struct world *w, const char *first, const char *second)
{
	struct error err = ERROR_INIT;

	if (wire_recv(w->fd, &w->answer, &err) != 1)
		fail_msg("no answer, expected '%s'", first);
	assert_string_equal(w->answer.word[0], first);
	if (second)
		assert_string_equal(w->answer.word[1], second);
}

static void log_in(struct world *w)
{
	say_key(w, "login", KEY);
	expect(w, "yes", "ian");
}

static void a_key_is_known_and_logs_in(void **state)
{
	struct world *w = *state;

	say_key(w, "key", "ssh-ed25519 AAAA");
	expect(w, "no", NULL);
	say_key(w, "key", KEY);
	expect(w, "yes", NULL);
	assert_false(client_has_logged_in(w->client));
	log_in(w);
	assert_true(client_has_logged_in(w->client));
}

static void whatever_is_out_of_turn_ends_the_session(void **state)
{
	static const struct {
		bool logged_in;
		const char *line;
	} rows[] = {
		{false, "exec _ _ 80 24 help"},
		{false, "hello"},
		{false, "login"},
		{false, "key a b"},
		{false, "exit 0"},
		{false, "yes ian"},
		{true, "key a"},
		{true, "login a"},
		{true, "failed x"},
		{true, "exec _ _ 80"},
		{true, "run drain"},
		{true, "start 1"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct world *w = &world;

		if (i > 0)
			assert_int_equal(connect_session(state), 0);
		if (rows[i].logged_in)
			log_in(w);
		say(w, rows[i].line);
		if (!w->gone || !w->broken)
			fail_msg("'%s' was taken", rows[i].line);
		if (i + 1 < ARRAY_SIZE(rows))
			close(w->fd);
	}
}

static void a_session_claims_one_key_only(void **state)
{
	struct world *w = *state;

	say_key(w, "login", "ssh-ed25519 AAAA");
	expect(w, "no", NULL);
	say_key(w, "login", KEY);
	assert_true(w->gone && w->broken);
}

static void a_session_offers_a_bounded_number_of_keys(void **state)
{
	struct world *w = *state;
	struct error err = ERROR_INIT;

	for (int i = 0; i < 65 && !w->gone; i++) {
		int got;

		say_key(w, "key", "ssh-ed25519 AAAA");
		got = wire_recv(w->fd, &w->answer, &err);
		assert_true(got == 1 || w->gone);
	}
	assert_true(w->gone && w->broken);
}

static void descriptors_are_not_taken_from_a_session(void **state)
{
	struct world *w = *state;
	const char *words[] = {"exec", "", "", "80", "24", "help"};
	struct error err = ERROR_INIT;

	log_in(w);
	assert_int_equal(wire_send(w->fd, words, 6, &(int){w->fd}, 1, &err), 0);
	turn(w);
	assert_true(w->gone && w->broken);
}

static void a_refusal_has_its_code_and_text(void **state)
{
	static const struct {
		const char *line;
		enum error_code code;
		const char *text;
	} rows[] = {
		{"exec _ _ 80 24 aps", E_USAGE, "unknown verb 'aps' (did you mean 'apps'?)"},
		{"exec _ _ 80 24", E_USAGE, "there is no shell here"},
		{"exec _ _ 80 24 destroy blog --yes", E_DENIED, "needs the role 'admin'"},
		{"exec _ _ 80 24 status shop", E_NOTFOUND, "no app 'shop'"}, /* may not see it */
		{"exec _ _ 80 24 status blog", E_NOTFOUND, "no app 'blog'"}, /* is not there */
		{"exec _ _ 80 24 git-upload-pack blog", E_NOTFOUND, "no app 'blog'"},
		{"exec _ _ 80 24 git-receive-pack shop", E_NOTFOUND, "no app 'shop'"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct world *w = &world;
		char code[4];

		if (i > 0)
			assert_int_equal(connect_session(state), 0);
		log_in(w);
		say(w, rows[i].line);
		snprintf(code, sizeof(code), "%d", rows[i].code);
		expect(w, "no", code);
		if (!strstr(w->answer.word[2], rows[i].text))
			fail_msg("'%s': %s", rows[i].line, w->answer.word[2]);
		say(w, "exec _ _ 80 24 help"); /* once */
		assert_true(w->gone && w->broken);
		if (i + 1 < ARRAY_SIZE(rows))
			close(w->fd);
	}
}

static void help_comes_by_pipe_like_any_program(void **state)
{
	struct world *w = *state;
	autostrbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	log_in(w);
	say(w, "exec _ _ 80 24 help");
	expect(w, "run", "close");
	assert_int_equal(w->answer.n_fds, 3);
	assert_true(fcntl(w->answer.fd[1], F_GETFL) & O_NONBLOCK);
	assert_int_equal(strbuf_read_fd(&text, w->answer.fd[1], 65536, &err), 0);
	assert_non_null(strstr(strbuf_str(&text), "rollback APP [N]"));
	assert_null(strstr(strbuf_str(&text), "destroy"));
	wire_release(&w->answer);
	expect(w, "exit", "0");
}

static void who_gives_up_is_only_logged(void **state)
{
	struct world *w = *state;

	say(w, "failed SHA256:abc SHA256:def");
	assert_false(w->gone);
	close(w->fd);
	w->fd = -1;
	turn(w);
	assert_true(w->gone);
	assert_false(w->broken);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, connect_session, disconnect_session)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_is_known_and_logs_in),
		TEST(whatever_is_out_of_turn_ends_the_session),
		TEST(a_session_claims_one_key_only),
		TEST(a_session_offers_a_bounded_number_of_keys),
		TEST(descriptors_are_not_taken_from_a_session),
		TEST(a_refusal_has_its_code_and_text),
		TEST(help_comes_by_pipe_like_any_program),
		TEST(who_gives_up_is_only_logged),
	};

	return cmocka_run_group_tests_name("monitor", tests, make_world, remove_world);
}
